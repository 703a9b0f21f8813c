"""Blocks that are opened and never closed, or closed and never opened.

In doubt the code is right: an IF with a statement on its line needs no ``fi``, an ``else`` on a line of its own makes
one of several lines of it, ``else if`` may have a ``fi`` of its own or share one, methods of an interface have no end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bbj_desktop.core.compiling import BBJ_FENCES
from trainer.data.checks.statements import Line, lines, words
from trainer.data.example import CODE_TYPES, CodeBlock, Example
from trainer.data.finding import Severity
from trainer.data.formats.parsed import Problem

CODE = "unbalanced-block"

_ENDS = {
    "class": "classend",
    "interface": "interfaceend",
    "method": "methodend",
    "while": "wend",
    "for": "next",
    "repeat": "until",
    "switch": "swend",
    "def": "fnend",
    "if": "fi",
}
_OPENED_BY = {end: kind for kind, end in _ENDS.items()} | {"endif": "if"}
_OPENS_LINE = re.compile(
    r"^(?:(?P<declared>class|interface|method)\s+(?!\()\w|(?P<loop>while|switch)\b(?![!$%@.]|\s*=)|(?P<for>for)\s+[^=]*="
    r"|(?P<repeat>repeat)$|(?P<def>def)\s+fn)"
)
_ONE_LINE_FUNCTION = re.compile(r"^def\s+fn\w*[$%!]?\s*(?:\((?:[^()]|\([^()]*\))*\))?\s*=")
_CLOSES = re.compile(r"^(?P<end>classend|interfaceend|methodend|wend|next|until|swend|fnend)\b(?![!$%@.(]|\s*=)")
_IF = re.compile(r"^(?P<else>else\s+)?if\b(?![!$%@.]|\s*=)(?P<rest>.*)$")
_THEN = re.compile(r"\bthen\b(?P<rest>.*)$")
_ENDS_IF = re.compile(r"(?:^|[\s;])(?:fi|endif)(?=$|[\s;])")
_VERB = re.compile(
    r"(?<=[\s)\]\"'$%!\w])\s(?:goto|gosub|print|return|exit|exitto|let|break|continue|methodret|read|write|close|input"
    r"|call|run|escape|end|stop|throw|retry|release|wait|seterr)\b(?![!$%@.(=]|\s*=)"
)


@dataclass(slots=True)
class _Block:
    kind: str
    line: int
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Imbalance:
    """A block without its end, or an end without its block.

    Attributes:
        line: Line of the code, from 1.
        keyword: What stands there.
        missing: What doesn't.
    """

    line: int
    keyword: str
    missing: str

    @property
    def message(self) -> str:
        """``line 3: while without wend``."""
        return f"line {self.line}: {self.keyword} without {self.missing}"


def imbalances(code: str) -> list[Imbalance]:
    """What is wrong with the blocks of a piece of BBj code."""
    reader = _Reader()
    for line in lines(code):
        reader.take(line)
    return reader.end()


def check(example: Example) -> Iterator[Problem]:
    """Looks at the code of an example; a completion is looked at with what it completes."""
    severity: Severity = "error" if example.type in CODE_TYPES else "warning"
    for part, found in _looked_at(example):
        if found:
            shown = "; ".join(each.message for each in found[:3])
            more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""  # noqa: PLR2004 - as many as are shown
            hint = "Complete the block, or remove what is left over."
            yield Problem(CODE, severity, f"Blocks of the {part}: {shown}{more}.", hint)


def _looked_at(example: Example) -> Iterator[tuple[str, list[Imbalance]]]:
    given, answer = _bbj(example.code_blocks("input")), _bbj(example.code_blocks("output"))
    before = "\n".join(block.code for block in given)
    if example.type not in ("completion", "unknown"):
        yield from (("given code", imbalances(block.code)) for block in given)
        before = ""
    for block in answer:
        alone = imbalances(block.code)
        whole = _of_both(before, block.code) if before and (alone or example.form == "fields") else alone
        yield (
            ("whole code" if before and example.form == "fields" else "answer's code"),
            (whole if example.form == "fields" else whole and alone),
        )


def _of_both(prefix: str, completion: str) -> list[Imbalance]:
    """What is wrong with a prefix and its completion, which may go on within the line or on the next one."""
    return imbalances(f"{prefix}\n{completion}") and imbalances(prefix + completion)


def _bbj(blocks: Iterable[CodeBlock]) -> list[CodeBlock]:
    return [block for block in blocks if block.language in BBJ_FENCES]


class _Reader:
    """Follows the blocks line by line."""

    def __init__(self) -> None:
        self._open: list[_Block] = []
        self._wrong: list[Imbalance] = []
        self._last_if = 0  # line of the last IF that ended with its line

    def take(self, line: Line) -> None:
        statements = list(line.statements())
        for place, text in enumerate(statements):
            if self._conditional(line, text, statements[place + 1 :]):
                return
            self._statement(line.number, text)

    def end(self) -> list[Imbalance]:
        """All that is wrong, from top to bottom."""
        for block in self._open:
            self._unclosed(block)
        self._open.clear()
        return sorted(self._wrong, key=lambda each: each.line)

    def _conditional(self, line: Line, text: str, rest: list[str]) -> bool:
        """Whether the line goes on as the statement of an IF, which ends with it."""
        if text.startswith("else") and not _IF.match(text):
            self._else(line.number)
            after = text.removeprefix("else").strip()
            if after:
                self._statement(line.number, after)
            return False
        match = _IF.match(text)
        if match is None:
            return False
        if match["else"]:
            self._else(line.number)
            self._may_share_its_end()
        then = _THEN.search(match["rest"])
        if then is not None:
            statement = then["rest"].strip()
        else:
            verb = _VERB.search(match["rest"])
            statement = match["rest"][verb.start() :].strip() if verb else ""
        inside = [each for each in (statement, *rest) if each]
        if not inside or inside == ["rem"]:
            self._open.append(_Block("if", line.number, optional=bool(inside)))  # a remark may be its statement
            return True
        self._one_line(line.number, inside)
        return True

    def _one_line(self, number: int, inside: list[str]) -> None:
        """The statements of an IF on one line: what they open they close, and ends of outer blocks don't count."""
        floor, ended = len(self._open), False
        self._last_if = number
        for place, text in enumerate(inside):
            parts = _ENDS_IF.split(text, maxsplit=1)
            for each in re.split(r"\belse\b", parts[0]):
                nested = _IF.match(each.strip())
                if nested is None:
                    self._statement(number, each.strip(), floor)
            if len(parts) > 1:
                ended = True
                for later in (parts[1].strip(), *inside[place + 1 :]):
                    if later and not _ENDS_IF.fullmatch(later):
                        self._statement(number, later)
                break
        if ended:
            self._last_if = 0

    def _statement(self, number: int, text: str, floor: int | None = None) -> None:
        """Opens or closes a block; with a ``floor`` only what is above it, and other ends don't count."""
        if _ENDS_IF.search(text) and words(text)[-1:] and words(text)[-1] in ("fi", "endif"):
            self._close(number, words(text)[-1], floor)
            return
        if match := _CLOSES.match(text):
            self._close(number, match["end"], floor)
        elif match := _OPENS_LINE.match(text):
            kind = next(each for each in match.groups() if each)
            if kind == "def" and _ONE_LINE_FUNCTION.match(text):
                return
            if kind == "method" and self._open and self._open[-1].kind == "interface":
                return
            self._open.append(_Block(kind, number))

    def _else(self, number: int) -> None:
        """An ELSE outside of any open IF continues the one before it, which seemed to end with its line."""
        inside = any(block.kind == "if" for block in self._open)
        if not inside and self._last_if:
            self._open.append(_Block("if", self._last_if, optional=True))
            self._last_if = 0
        elif not inside:
            self._wrong.append(Imbalance(number, "else", "if"))

    def _may_share_its_end(self) -> None:
        block = next((each for each in reversed(self._open) if each.kind == "if"), None)
        if block is not None:
            block.optional = True

    def _close(self, number: int, end: str, floor: int | None) -> None:
        kind = _OPENED_BY[end]
        while self._open[floor:] and self._open[-1].kind != kind and self._open[-1].optional:
            self._open.pop()
        if not any(block.kind == kind for block in self._open[floor:]):
            if floor is None and not (kind == "if" and self._last_if):
                self._wrong.append(Imbalance(number, end, kind))
            if kind == "if":
                self._last_if = 0
            return
        while self._open[-1].kind != kind:
            self._unclosed(self._open.pop())
        self._open.pop()

    def _unclosed(self, block: _Block) -> None:
        if not block.optional:
            self._wrong.append(Imbalance(block.line, block.kind, _ENDS[block.kind]))
