"""What Ollama makes of a conversation with a model's ``TEMPLATE``, as far as that can be said without Ollama.

Two layers: the evaluator of Go's ``text/template`` over ``go_syntax``'s tree, and what Ollama does around it: it merges
messages, and a template that doesn't name ``.Messages`` is rendered once for each turn. What isn't known here ends in
NotCheckableError, never in a guess.

Sources: Go's ``text/template/exec.go``, Ollama's ``template/template.go`` (``Execute``, ``collate``, ``deleteNode``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from bbj_desktop.core.go_syntax import (
    Action,
    Branch,
    Constant,
    Dot,
    Field,
    Function,
    Nested,
    Node,
    NotCheckableError,
    Operand,
    Pipe,
    Text,
    Variable,
    parse,
)

MAX_STEPS = 100_000
MAX_OUTPUT_CHARACTERS = 1_000_000

Turn: TypeAlias = tuple[str, str]
"""Role and content."""


@dataclass(frozen=True, slots=True)
class _Message:
    """``api.Message`` of Ollama, of a conversation that is text alone."""

    role: str
    content: str


class _Root:
    """The map that Ollama hands to the template. What it may have and hasn't is nil."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values


Value: TypeAlias = "str | int | bool | tuple[_Message, ...] | _Message | _Root | None"

_KNOWN = frozenset({"Messages", "Prompt", "Response", "Suffix", "System", "Think", "IsThinkSet", "Tools"})
_OF_MESSAGES: Mapping[str, Callable[[_Message], Value]] = {
    "Role": lambda message: message.role,
    "Content": lambda message: message.content,
    "Thinking": lambda _: "",
    "Images": lambda _: (),
    "ToolCalls": lambda _: (),
}


def render_chat(template: str, turns: Sequence[Turn]) -> str:
    """The prompt of a conversation, up to where the answer begins.

    Args:
        template: A model's ``TEMPLATE``.
        turns: Role (``system``, ``user``, ``assistant``) and content.

    Raises:
        NotCheckableError: It can't be said (GoSyntaxError: Ollama refuses the template).
    """
    nodes = parse(template)
    names = {name.lower() for name in _identifiers(nodes)}
    if "document" in names:  # renders documents in some versions of Ollama
        raise NotCheckableError("Document isn't known here")
    messages = _collated(turns)
    if "messages" in names:
        system = "\n\n".join(content for role, content in turns if role == "system")
        return _execute(nodes, {"System": system, "Messages": messages, "Tools": (), "Response": ""})
    return _turn_by_turn(nodes, names, messages)


def render_fim(template: str, prefix: str, suffix: str) -> str:
    """The prompt of a completion between two texts, neither of them empty. Raises as ``render_chat``."""
    return _execute(parse(template), {"Prompt": prefix, "Suffix": suffix, "Response": ""})


def _collated(turns: Iterable[Turn]) -> tuple[_Message, ...]:
    """Neighbours of one role become one message."""
    messages: list[_Message] = []
    for role, content in turns:
        if messages and messages[-1].role == role:
            messages[-1] = _Message(role, f"{messages[-1].content}\n\n{content}")
        else:
            messages.append(_Message(role, content))
    return tuple(messages)


def _turn_by_turn(nodes: tuple[Node, ...], names: set[str], messages: Iterable[_Message]) -> str:
    """Of a template without ``.Messages``: whole for what was answered, up to its ``.Response`` for the last turn."""
    if "response" not in names:
        nodes = (*nodes, Action(Pipe((), True, ((Field(("Response",)),),))))
    said = ""
    turn = {"System": "", "Prompt": "", "Response": ""}

    def flush() -> None:
        nonlocal said, turn
        said += _execute(nodes, turn)
        turn = dict.fromkeys(turn, "")

    for message in messages:
        match message.role:
            case "system":
                if turn["Prompt"] or turn["Response"]:
                    flush()
                turn["System"] = message.content
            case "user":
                if turn["Response"]:
                    flush()
                turn["Prompt"] = message.content
            case "assistant":
                turn["Response"] = message.content
            case _:
                raise NotCheckableError(f"the role {message.role} isn't known here")
    return said + _execute(_up_to_response(nodes)[0], turn)


def _up_to_response(nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], bool]:
    """What is left of a template when everything behind its first ``.Response`` is removed, and whether it was met."""
    kept: list[Node] = []
    for node in nodes:
        if isinstance(node, Action) and "Response" in _of_pipe(node.pipe):
            if node.pipe.commands != ((Field(("Response",)),),) or node.pipe.variables:
                raise NotCheckableError(".Response in an expression isn't known here")
            return (*kept, node), True
        if isinstance(node, Branch):
            body, met = _up_to_response(node.body)
            if met and node.otherwise is not None:  # Ollama itself fails here
                raise NotCheckableError(".Response in front of an else isn't known here")
            otherwise, met_otherwise = (None, False) if node.otherwise is None else _up_to_response(node.otherwise)
            kept.append(replace(node, body=body, otherwise=otherwise))
            if met or met_otherwise:
                return tuple(kept), True
        else:
            kept.append(node)
    return tuple(kept), False


def _identifiers(nodes: Iterable[Node]) -> Iterator[str]:
    """The names of fields and variables, as Ollama looks for them."""
    for node in nodes:
        if isinstance(node, Action):
            yield from _of_pipe(node.pipe)
        elif isinstance(node, Branch):
            yield from _of_pipe(node.pipe)
            yield from _identifiers(node.body)
            yield from _identifiers(node.otherwise or ())


def _of_pipe(pipe: Pipe) -> Iterator[str]:
    for operand in (operand for command in pipe.commands for operand in command):
        match operand:
            case Field(names):
                yield from names
            case Variable(name, names):
                yield name
                yield from names
            case Nested(inner, names):
                if names:  # Ollama doesn't look into (…).Name
                    raise NotCheckableError("a field of an expression isn't known here")
                yield from _of_pipe(inner)
            case _:
                pass


# Go's text/template


def _execute(nodes: tuple[Node, ...], values: Mapping[str, Value]) -> str:
    root = _Root({**values, "Think": False, "IsThinkSet": False})
    execution = _Execution(root)
    execution.walk(nodes, root)
    return "".join(execution.written)


class _Execution:
    def __init__(self, root: _Root) -> None:
        self.written: list[str] = []
        self._length = 0
        self._steps = 0
        self._variables: list[tuple[str, Value]] = [("$", root)]

    def walk(self, nodes: Iterable[Node], dot: Value) -> None:
        for node in nodes:
            self._step()
            match node:
                case Text(text):
                    self._write(text)
                case Action(pipe):
                    value = self._pipe(pipe, dot)
                    if not pipe.variables:
                        self._write(_printed(value))
                case Branch(kind="range"):
                    with self._scope():
                        self._range(node, dot)
                case Branch():
                    with self._scope():
                        self._choose(node, dot)

    def _choose(self, node: Branch, dot: Value) -> None:
        value = self._pipe(node.pipe, dot)
        if _is_true(value):
            self.walk(node.body, value if node.kind == "with" else dot)
        else:
            self.walk(node.otherwise or (), dot)

    def _range(self, node: Branch, dot: Value) -> None:
        value = self._pipe(node.pipe, dot)
        if not isinstance(value, tuple) and value is not None:
            raise NotCheckableError("range over something else than messages isn't known here")
        if not value:
            return self.walk(node.otherwise or (), dot)
        for index, item in enumerate(value):
            with self._scope():
                self._set_range_variables(node.pipe, index, item)
                self.walk(node.body, item)
        return None

    def _set_range_variables(self, pipe: Pipe, index: int, item: _Message) -> None:
        """The last variable gets the item, the one before it the index."""
        values: tuple[Value, Value] = (item, index)
        for name, value in zip(reversed(pipe.variables), values, strict=False):
            if pipe.declares:
                self._variables.append((name, value))
            else:
                self._assign(name, value)

    def _pipe(self, pipe: Pipe, dot: Value) -> Value:
        self._step()
        value = self._command(pipe.commands[0], dot, ())
        for command in pipe.commands[1:]:
            value = self._command(command, dot, (value,))
        for name in pipe.variables:
            if pipe.declares:
                self._variables.append((name, value))
            else:
                self._assign(name, value)
        return value

    def _assign(self, name: str, value: Value) -> None:
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return
        raise NotCheckableError(f"{name} isn't declared")

    def _command(self, command: tuple[Operand, ...], dot: Value, piped: tuple[Value, ...]) -> Value:
        first, others = command[0], command[1:]
        if isinstance(first, Function):
            return self._call(first.name, others, dot, piped)
        if others or piped:
            raise NotCheckableError("something that isn't a function is given arguments")
        return self._operand(first, dot)

    def _operand(self, operand: Operand, dot: Value) -> Value:
        self._step()
        match operand:
            case Constant(value):
                return value
            case Dot():
                return dot
            case Field(names):
                return _field(dot, names)
            case Variable(name, names):
                return _field(self._variable(name), names)
            case Nested(pipe, names):
                return _field(self._pipe(pipe, dot), names)
            case Function(name):
                raise NotCheckableError(f"{name} without arguments isn't known here")

    def _variable(self, name: str) -> Value:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise NotCheckableError(f"{name} isn't declared")

    def _call(self, name: str, operands: Sequence[Operand], dot: Value, piped: tuple[Value, ...]) -> Value:
        if name in {"and", "or"}:
            return self._first(operands, dot, piped, wanted=name == "or")
        function = _FUNCTIONS.get(name)
        if function is None:
            raise NotCheckableError(f"{name} isn't known here")
        return function([*(self._operand(operand, dot) for operand in operands), *piped])

    def _first(self, operands: Sequence[Operand], dot: Value, piped: tuple[Value, ...], *, wanted: bool) -> Value:
        """The first argument whose truth is the wanted one, or the last; what stands behind it isn't evaluated."""
        value: Value = None
        for operand in operands:
            value = self._operand(operand, dot)
            if _is_true(value) is wanted:
                return value
        if not operands and not piped:
            raise NotCheckableError("and or or without arguments")
        return piped[0] if piped else value

    @contextmanager
    def _scope(self) -> Iterator[None]:
        """Variables end with the block that declares them."""
        mark = len(self._variables)
        yield
        del self._variables[mark:]

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise NotCheckableError("it takes too many steps")

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_OUTPUT_CHARACTERS:
            raise NotCheckableError("it writes too much")
        self.written.append(text)


def _field(value: Value, names: tuple[str, ...]) -> Value:
    for name in names:
        if isinstance(value, _Root) and name in _KNOWN:
            value = value.values.get(name)
        elif isinstance(value, _Message) and name in _OF_MESSAGES:
            value = _OF_MESSAGES[name](value)
        else:
            raise NotCheckableError(f".{name} isn't known here")
    return value


def _is_true(value: Value) -> bool:
    """Go's truth: not empty, not zero, not nil."""
    return True if isinstance(value, _Message | _Root) else bool(value)


def _printed(value: Value) -> str:
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise NotCheckableError("something that isn't text is printed")


# functions


def _two(arguments: Sequence[Value]) -> tuple[Value, Value]:
    if len(arguments) != 2:  # noqa: PLR2004 - it compares two
        raise NotCheckableError("a comparison of other than two values")
    return arguments[0], arguments[1]


def _same(left: Value, right: Value) -> bool:
    if type(left) is not type(right) or not isinstance(left, str | int):
        raise NotCheckableError("a comparison of other than texts, numbers or truth values")
    return left == right


def _equals_any(arguments: Sequence[Value]) -> bool:
    if len(arguments) < 2:  # noqa: PLR2004 - it compares the first with all others
        raise NotCheckableError("eq of less than two values")
    return any(_same(arguments[0], other) for other in arguments[1:])


def _less(left: Value, right: Value) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    if isinstance(left, bool) or isinstance(right, bool) or not (isinstance(left, int) and isinstance(right, int)):
        raise NotCheckableError("an order of other than texts or numbers")
    return left < right


def _not(arguments: Sequence[Value]) -> bool:
    if len(arguments) != 1:
        raise NotCheckableError("not of other than one value")
    return not _is_true(arguments[0])


def _length(arguments: Sequence[Value]) -> int:
    match arguments:
        case [str() as text]:
            return len(text.encode())  # Go counts bytes
        case [tuple() as items]:
            return len(items)
    raise NotCheckableError("len of other than a text or a list")


def _item(arguments: Sequence[Value]) -> Value:
    items, index = _two(arguments)
    if (
        not isinstance(items, tuple)
        or not isinstance(index, int)
        or isinstance(index, bool)
        or not 0 <= index < len(items)
    ):
        raise NotCheckableError("index of other than a place in a list")
    return items[index]


def _slice(arguments: Sequence[Value]) -> Value:
    """Of a list of messages."""
    if not arguments or not isinstance(arguments[0], tuple) or len(arguments) > 3:  # noqa: PLR2004 - list, from, to
        raise NotCheckableError("slice of other than a list")
    items, bounds = arguments[0], [each for each in arguments[1:] if isinstance(each, int) and type(each) is int]
    if len(bounds) != len(arguments) - 1 or [0, *bounds, len(items)] != sorted([0, *bounds, len(items)]):
        raise NotCheckableError("slice beyond a list")
    return items[slice(*bounds)] if len(bounds) == 2 else items[bounds[0] if bounds else 0 :]  # noqa: PLR2004 - from, to


_FUNCTIONS: Mapping[str, Callable[[Sequence[Value]], Value]] = {
    "eq": _equals_any,
    "ne": lambda arguments: not _same(*_two(arguments)),
    "lt": lambda arguments: _less(*_two(arguments)),
    "le": lambda arguments: not _less(*reversed(_two(arguments))),
    "gt": lambda arguments: _less(*reversed(_two(arguments))),
    "ge": lambda arguments: not _less(*_two(arguments)),
    "not": _not,
    "len": _length,
    "index": _item,
    "slice": _slice,
}
