"""Code fences in Markdown (CommonMark 0.31, chapter 4.5, as far as examples use it)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPENING = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\r\n]*)$")
_FILE_NAME = re.compile(r"^\s*<!--\s*filename:\s*(?P<name>.*?)\s*-->\s*$")


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced block.

    Attributes:
        language: First word after the opening fence, in lower case; empty if there is none.
        code: What stands between the fences, without the last line break.
        name: From a ``<!-- filename: x.bbj -->`` line above it; empty if there is none.
        line: Line of the opening fence, the text's first line being 1.
        end: Line of the closing fence, or the last line.
        closed: Whether the closing fence is there.
    """

    language: str
    code: str
    name: str
    line: int
    end: int
    closed: bool


def fences(text: str) -> Iterator[Fence]:
    """The fenced blocks of a text, from top to bottom."""
    if "```" not in text and "~~~" not in text:
        return iter(())
    return iter(_kept(text))


@functools.lru_cache(8)  # the checks of an example ask for the same texts again and again
def _kept(text: str) -> tuple[Fence, ...]:
    return tuple(_read(text))


def _read(text: str) -> Iterator[Fence]:
    opening: re.Match[str] | None = None
    start, name = 0, ""
    code: list[str] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if opening is None:
            opening = _OPENING.match(line)
            if opening is not None:
                start, code = number, []
            elif named := _FILE_NAME.match(line):
                name = named["name"]
            elif line.strip():
                name = ""
        elif _closes(line, opening["fence"]):
            yield Fence(_language(opening), "\n".join(code), name, start, number, closed=True)
            opening, name = None, ""
        else:
            code.append(line)
    if opening is not None:
        yield Fence(_language(opening), "\n".join(code), name, start, start + len(code), closed=False)


def has_fence(text: str) -> bool:
    """Whether a line of the text opens a fenced block."""
    return next(fences(text), None) is not None


def fenced(code: str, language: str = "bbj") -> str:
    """The code as a fenced block, with a fence that is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def _closes(line: str, fence: str) -> bool:
    stripped = line.strip(" \t")
    if not stripped.startswith(fence):
        return False
    indent = len(line) - len(line.lstrip(" "))
    return indent <= 3 and set(stripped) == {fence[0]}  # noqa: PLR2004 - CommonMark's


def _language(opening: re.Match[str]) -> str:
    return opening["info"].split(maxsplit=1)[0].lower() if opening["info"].strip() else ""
