"""Code fences in Markdown: one reader for what is shown, compiled and trained on.

It reads line by line, so that a streamed answer is cut as it arrives and no differently when it is whole. CommonMark
0.31, chapter 4.5, is followed, within lists and quotations too, with one leniency: a fence may stand at any
indentation, and code in it may be indented less, because models forget the rest of a list's indentation.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

LineKind = Literal["text", "opening", "code", "closing"]

# Possessive quantifiers: no line, however odd, takes more than one pass.
_QUOTE = re.compile(r"(?:[ \t]*+>[ \t]?+)*+")
_MARK = re.compile(r"[ \t]*+>[ \t]?+")
_LEAD = re.compile(r"[ \t]*+(?:(?:[-*+]|\d{1,9}[.)])[ \t]++)*+")  # indentation and list markers
_FENCE = re.compile(r"(?P<fence>`{3,}+|~{3,}+)(?P<info>[^\r\n]*)\r?$")
_HALF_MARKER = re.compile(r"[-*+]|\d{1,9}[.)]?")
_FILE_NAME = re.compile(r"\s*<!--\s*filename:\s*(?P<name>.*?)\s*-->\s*$")
_CLOSING_INDENT = 3  # spaces at most, says CommonMark; more is code


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced block.

    Attributes:
        language: First word after the opening fence, in lower case; empty if there is none.
        code: What stands between the fences, without the last line break and without the fence's own indentation.
        name: From a ``<!-- filename: x.bbj -->`` line above it; empty if there is none.
        line: Line of the opening fence, the text's first line being 1.
        end: Line of the closing fence, or the last line.
        closed: Whether its end is there.
    """

    language: str
    code: str
    name: str
    line: int
    end: int
    closed: bool


@dataclass(frozen=True, slots=True)
class _Opening:
    """An opening fence and what leads to it.

    Attributes:
        depth: How many quotation marks stand before it.
        indent: Characters of indentation and list markers before it.
    """

    depth: int
    indent: int
    fence: str
    language: str


@dataclass(slots=True)
class FenceReader:
    """Tells of each line of a text what it is.

    Attributes:
        inside: Whether the next line stands in a fence.
    """

    _open: _Opening | None = field(default=None)

    @property
    def inside(self) -> bool:
        return self._open is not None

    @property
    def language(self) -> str:
        """What the open fence names, in lower case; empty for none."""
        return self._open.language if self._open else ""

    def take(self, line: str) -> LineKind:
        """Reads the next line, which has no line break at its end."""
        if self._open is not None and self._within(line, self._open):
            if self._closes(line, self._open):
                self._open = None
                return "closing"
            return "code"
        self._open = _opening(line)
        return "opening" if self._open else "text"

    def code(self, line: str) -> str:
        """A line of code, or its beginning, without quotation marks and without the fence's indentation."""
        if self._open is None:
            return line
        line = _unquoted(line, self._open.depth)[0].removesuffix("\r")
        blank = len(line) - len(line.lstrip(" \t"))
        return line[min(blank, self._open.indent) :]

    def may_turn(self, beginning: str) -> bool:
        """Whether an unfinished line may yet open or close a fence. Only then it has to wait for its end."""
        if self._open is not None and self._open.depth:
            return True
        rest = beginning[_lead(beginning)[1] :]
        if not rest or _HALF_MARKER.fullmatch(rest):
            return True
        return rest[0] in "`~" and (not rest.strip(rest[0]) or _FENCE.match(rest) is not None)

    @staticmethod
    def _within(line: str, opening: _Opening) -> bool:
        return _unquoted(line, opening.depth)[1]

    @staticmethod
    def _closes(line: str, opening: _Opening) -> bool:
        line = _unquoted(line, opening.depth)[0]
        stripped = line.strip(" \t\r")
        indent = len(line) - len(line.lstrip(" "))
        return (
            stripped.startswith(opening.fence)
            and not stripped.strip(opening.fence[0])
            and indent <= opening.indent + _CLOSING_INDENT
        )


def _opening(line: str) -> _Opening | None:
    quote_end, lead_end = _lead(line)
    found = _FENCE.match(line, lead_end)
    if found is None or ("`" in found["fence"] and "`" in found["info"]):
        return None
    words = found["info"].split(maxsplit=1)
    language = words[0].lower() if words else ""
    return _Opening(line.count(">", 0, quote_end), lead_end - quote_end, found["fence"], language)


def _lead(line: str) -> tuple[int, int]:
    """Where a line's quotation marks end, and where its indentation and list markers do."""
    quote = _QUOTE.match(line)
    quote_end = quote.end() if quote else 0
    lead = _LEAD.match(line, quote_end)
    return quote_end, lead.end() if lead else quote_end


def _unquoted(line: str, depth: int) -> tuple[str, bool]:
    """The line without so many quotation marks, and whether they were there."""
    start = 0
    for _ in range(depth):
        mark = _MARK.match(line, start)
        if mark is None:
            return line[start:], False
        start = mark.end()
    return line[start:], True


def fences(text: str) -> Iterator[Fence]:
    """The fenced blocks of a text, from top to bottom."""
    if "```" not in text and "~~~" not in text:
        return iter(())
    return iter(_kept(text))


@functools.lru_cache(8)  # the checks of an example ask for the same texts again and again
def _kept(text: str) -> tuple[Fence, ...]:
    return tuple(_read(text))


def _read(text: str) -> Iterator[Fence]:
    reader = FenceReader()
    language, name, start = "", "", 0
    code: list[str] = []
    number = 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        was_inside = reader.inside
        kind = reader.take(line)
        if was_inside and kind != "code":
            end = number if kind == "closing" else number - 1
            yield Fence(language, "\n".join(code), name, start, end, closed=True)
            name = ""
        if kind == "opening":
            language, start, code = reader.language, number, []
        elif kind == "code":
            code.append(reader.code(line))
        elif kind == "text" and line.strip():
            named = _FILE_NAME.match(line)
            name = named["name"] if named else ""
    if reader.inside:
        yield Fence(language, "\n".join(code), name, start, number, closed=False)


def has_fence(text: str) -> bool:
    """Whether a line of the text opens a fenced block."""
    return next(fences(text), None) is not None


def fenced(code: str, language: str = "bbj") -> str:
    """The code as a fenced block, with a fence that is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"
