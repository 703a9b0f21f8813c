"""Reads the part of Go's ``text/template`` that chat templates use into a tree.

Known are text, ``if``/``else if``/``else``, ``range``, ``with``, variables, pipelines, parentheses, fields, strings,
whole numbers, comments and trim markers. What else Go knows (``define``, ``template``, ``block``, ``break`` …) is said
not to be known here. Source: Go's packages ``text/template`` and ``text/template/parse``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

MAX_TEMPLATE_CHARACTERS = 100_000
MAX_DEPTH = 64
"""Of blocks and parentheses in each other."""


class NotCheckableError(ValueError):
    """The template uses something that isn't known here: what it renders can't be said."""


class GoSyntaxError(NotCheckableError):
    """Go itself, and so Ollama, would refuse the template."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """``.``"""


@dataclass(frozen=True, slots=True)
class Field:
    """``.A.B``"""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """``$x.A.B``; the name with its ``$``."""

    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, a whole number or a truth value."""

    value: str | int | bool


@dataclass(frozen=True, slots=True)
class Function:
    name: str


@dataclass(frozen=True, slots=True)
class Nested:
    """``(pipeline).A.B``"""

    pipe: Pipe
    names: tuple[str, ...]


Operand: TypeAlias = "Dot | Field | Variable | Constant | Function | Nested"


@dataclass(frozen=True, slots=True)
class Pipe:
    """``$a, $b := command | command``

    Attributes:
        variables: What gets its value.
        declares: They are new (``:=``), else they are there already (``=``).
        commands: At least one, each of at least one operand.
    """

    variables: tuple[str, ...]
    declares: bool
    commands: tuple[tuple[Operand, ...], ...]


@dataclass(frozen=True, slots=True)
class Action:
    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Branch:
    """``{{ if pipe }}body{{ else }}otherwise{{ end }}``; ``otherwise`` is None without ``else``."""

    kind: Literal["if", "range", "with"]
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...] | None


Node: TypeAlias = "Text | Action | Branch"


def parse(template: str) -> tuple[Node, ...]:
    """Reads a template.

    Raises:
        NotCheckableError: It uses what isn't known here (GoSyntaxError: Go doesn't know it either).
    """
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        raise NotCheckableError(f"it is longer than {MAX_TEMPLATE_CHARACTERS} characters")
    nodes = _Parser(_pieces(template)).whole()
    _check_variables(nodes, ["$"])
    return nodes


def _check_variables(nodes: Iterable[Node], known: list[str]) -> None:
    """Go's parser refuses a variable that nothing before it has set, also where it is never reached.

    Args:
        known: Names of those that are set; what the nodes set is added, up to the end of its block.

    Raises:
        GoSyntaxError: There is one.
    """
    for node in nodes:
        if isinstance(node, Text):
            continue
        outside = len(known)
        known += node.pipe.variables
        for name in _variables_of(node.pipe):
            if name not in known:
                raise GoSyntaxError(f"{name} isn't set")
        if isinstance(node, Branch):
            _check_variables((*node.body, *(node.otherwise or ())), known)
            del known[outside:]


def _variables_of(pipe: Pipe) -> Iterator[str]:
    for operand in (operand for command in pipe.commands for operand in command):
        if isinstance(operand, Variable):
            yield operand.name
        elif isinstance(operand, Nested):
            yield from _variables_of(operand.pipe)


# from characters to pieces: text, or the tokens of one action

_SPACES = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<raw>`[^`]*`)
      | (?P<number>[+-]?[0-9]+)(?![\w.])
      | (?P<field>(?:\.[^\W\d]\w*)+)
      | (?P<variable>\$\w*)
      | (?P<word>[^\W\d]\w*)
      | (?P<mark>:=|=|,|\||\(|\)|\.)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


_Piece: TypeAlias = "str | list[_Token]"


def _pieces(template: str) -> Iterator[_Piece]:
    position, trim = 0, False
    while True:
        start = template.find("{{", position)
        text = template[position:] if start < 0 else template[position:start]
        if trim:
            text = text.lstrip(_SPACES)
        if start < 0:
            yield text
            return
        position = start + 2
        if template[position : position + 1] == "-" and template[position + 1 : position + 2] in {*_SPACES}:
            text, position = text.rstrip(_SPACES), position + 2
        yield text
        if template.startswith("/*", position):
            position, trim = _behind_comment(template, position)
            continue
        tokens, position, trim = _action(template, position)
        yield tokens


def _behind_comment(template: str, position: int) -> tuple[int, bool]:
    end = template.find("*/", position)
    if end < 0:
        raise GoSyntaxError("a comment doesn't end")
    closed = _closing(template, end + 2)
    if closed is None:
        raise GoSyntaxError("a comment isn't alone in its action")
    return closed


def _closing(template: str, position: int) -> tuple[int, bool] | None:
    """Where the text goes on behind an action that ends here, and whether it is trimmed."""
    if template.startswith("}}", position):
        return position + 2, False
    if template[position : position + 1] in {*_SPACES} and template.startswith("-}}", position + 1):
        return position + 4, True
    return None


def _action(template: str, position: int) -> tuple[list[_Token], int, bool]:
    tokens: list[_Token] = []
    while True:
        closed = _closing(template, position)
        if closed is not None:
            return tokens, *closed
        match = _TOKEN.match(template, position)
        if match is None:
            if position >= len(template):
                raise GoSyntaxError("an action isn't closed")
            raise NotCheckableError(f"{template[position : position + 20]!r} isn't known here")
        tokens.append(_Token(match.lastgroup or "", match.group()))
        # white space may run into a trim marker: all of it but the last one is passed
        whole = match.lastgroup == "space" and _closing(template, match.end() - 1) is not None
        position = match.end() - 1 if whole else match.end()
        if whole and len(match.group()) == 1:
            tokens.pop()


# from pieces to nodes

_UNKNOWN_WORDS = frozenset({"block", "break", "continue", "define", "template"})


class _Parser:
    def __init__(self, pieces: Iterator[_Piece]) -> None:
        self._pieces = pieces
        self._depth = 0

    def whole(self) -> tuple[Node, ...]:
        nodes, end = self._list()
        if end:
            raise GoSyntaxError(f"{end[0].text} has no beginning")
        return nodes

    def _list(self) -> tuple[tuple[Node, ...], list[_Token]]:
        """Nodes up to an ``else`` or ``end``, and its tokens: none at the end of the template."""
        nodes: list[Node] = []
        for piece in self._pieces:
            if isinstance(piece, str):
                nodes += [Text(piece)] if piece else []
                continue
            tokens = _Tokens(piece)
            first = tokens.first_word
            if first in {"else", "end"}:
                return tuple(nodes), tokens.rest()
            if first in _UNKNOWN_WORDS:
                raise NotCheckableError(f"{first} isn't known here")
            match first:
                case "if" | "range" | "with":
                    tokens.pass_word()
                    nodes.append(self._branch(first, tokens))
                case _:
                    nodes.append(Action(tokens.pipe(most_variables=1)))
        return tuple(nodes), []

    def _branch(self, kind: Literal["if", "range", "with"], tokens: _Tokens) -> Branch:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotCheckableError("its blocks are nested too deep")
        pipe = tokens.pipe(most_variables=2 if kind == "range" else 1)
        body, end = self._list()
        otherwise: tuple[Node, ...] | None = None
        if kind == "if" and _words(end)[:2] == ["else", "if"]:
            otherwise = (self._branch("if", _Tokens(_behind(end, "if"))),)  # its end is ours, too
        else:
            if _words(end) == ["else"]:
                otherwise, end = self._list()
            elif _words(end)[:1] == ["else"]:
                raise NotCheckableError(f"{' '.join(_words(end))[:40]} isn't known here")
            if _words(end) != ["end"]:
                raise GoSyntaxError(f"{kind} isn't ended")
        self._depth -= 1
        return Branch(kind, pipe, body, otherwise)


def _words(tokens: list[_Token]) -> list[str]:
    return [token.text for token in tokens if token.kind != "space"]


def _behind(tokens: list[_Token], word: str) -> list[_Token]:
    at = next(number for number, token in enumerate(tokens) if token.text == word)
    return tokens[at + 1 :]


class _Tokens:
    """The tokens of one action, taken one after the other."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def first_word(self) -> str:
        self._skip_space()
        token = self._peek()
        return token.text if token is not None and token.kind == "word" else ""

    def rest(self) -> list[_Token]:
        return self._tokens[self._at :]

    def pass_word(self) -> None:
        self._at += 1

    def pipe(self, *, most_variables: int) -> Pipe:
        """All of what is left, as one pipeline."""
        pipe = self._pipe(most_variables)
        if self._peek() is not None:
            raise self._unexpected()
        return pipe

    def _pipe(self, most_variables: int) -> Pipe:
        variables, declares = self._variables(most_variables)
        commands = [self._command()]
        while self._takes("|"):
            commands.append(self._command())
        if any(isinstance(command[0], Constant | Dot) for command in commands[1:]):
            raise GoSyntaxError("something that isn't a function is piped into")
        return Pipe(variables, declares, tuple(commands))

    def _variables(self, most: int) -> tuple[tuple[str, ...], bool]:
        start, names = self._at, list[str]()
        while True:
            self._skip_space()
            token = self._peek()
            if token is None or token.kind != "variable":
                break
            self._at += 1
            names.append(token.text)
            if self._takes(":="):
                return self._counted(names, most), True
            if self._takes("="):
                return self._counted(names, most), False
            if not self._takes(","):
                break
        self._at = start
        return (), True

    def _counted(self, names: list[str], most: int) -> tuple[str, ...]:
        if len(names) > most:
            raise GoSyntaxError(f"too many variables: {', '.join(names)}")
        return tuple(names)

    def _command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while True:
            self._skip_space()
            token = self._peek()
            if token is None or token.text in {")", "|"}:
                break
            operands.append(self._operand())
            following = self._peek()
            if following is not None and following.kind != "space" and following.text not in {")", "|"}:
                raise self._unexpected()
        if not operands:
            raise GoSyntaxError("a command is missing")
        return tuple(operands)

    def _operand(self) -> Operand:
        token = self._tokens[self._at]
        self._at += 1
        match token.kind:
            case "string":
                return Constant(_unquoted(token.text))
            case "raw":
                return Constant(token.text[1:-1].replace("\r", ""))
            case "number":
                return Constant(_number(token.text))
            case "field":
                return Field(_names(token))
            case "variable":
                return Variable(token.text, self._following_names())
            case "word":
                return _word(token.text)
        if token.text == ".":
            return Dot()
        if token.text == "(":
            return self._nested()
        self._at -= 1
        raise self._unexpected()

    def _nested(self) -> Nested:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotCheckableError("its parentheses are nested too deep")
        pipe = self._pipe(0)
        if not self._takes(")"):
            raise GoSyntaxError("a parenthesis isn't closed")
        self._depth -= 1
        return Nested(pipe, self._following_names())

    def _following_names(self) -> tuple[str, ...]:
        token = self._peek()
        if token is None or token.kind != "field":
            return ()
        self._at += 1
        return _names(token)

    def _takes(self, mark: str) -> bool:
        start = self._at
        self._skip_space()
        token = self._peek()
        if token is not None and token.kind == "mark" and token.text == mark:
            self._at += 1
            return True
        self._at = start
        return False

    def _skip_space(self) -> None:
        while (token := self._peek()) is not None and token.kind == "space":
            self._at += 1

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _unexpected(self) -> NotCheckableError:
        said = "".join(token.text for token in self._tokens[self._at :])
        return NotCheckableError(f"{said[:40]!r} isn't known here")


def _names(token: _Token) -> tuple[str, ...]:
    return tuple(token.text[1:].split("."))


def _number(text: str) -> int:
    digits = text.lstrip("+-")
    if digits != str(int(digits[:9])):  # 010 is octal in Go; longer ones nobody needs
        raise NotCheckableError(f"the number {text[:20]} isn't known here")
    return int(text)


def _word(word: str) -> Operand:
    if word in {"true", "false"}:
        return Constant(word == "true")
    if word == "nil":
        raise NotCheckableError("nil isn't known here")
    return Function(word)


_ESCAPES = re.compile(r'\\(?![nrt"\\]|u[0-9a-fA-F]{4})')


def _unquoted(text: str) -> str:
    """A Go string whose escapes JSON has too; others aren't known here."""
    if _ESCAPES.search(text.replace("\\\\", "")):
        raise NotCheckableError(f"the string {text[:40]} isn't known here")
    try:
        value = json.loads(text, strict=False)
        str(value).encode()
    except ValueError as error:  # half of a pair of surrogates
        raise NotCheckableError(f"the string {text[:40]} isn't known here") from error
    return str(value)
