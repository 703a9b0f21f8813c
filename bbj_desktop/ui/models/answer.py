"""Cutting a streamed answer into paragraphs and code blocks while it arrives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

_FENCE = "```"


@dataclass(slots=True)
class Segment:
    """A part of an answer that is shown by itself.

    Attributes:
        kind: ``prose`` (Markdown) or ``code`` (verbatim).
        language: What the fence names, e.g. ``bbj``; empty for none.
    """

    kind: Literal["prose", "code"]
    text: str = ""
    language: str = ""


@dataclass
class AnswerParser:
    """Takes pieces of any size. Only the last segment ever grows, so that showing more costs no more than that.

    Attributes:
        segments: What has come so far.
    """

    segments: list[Segment] = field(default_factory=list)
    _waiting: str = ""  # the beginning of a line that may yet become a fence
    _inside_line: bool = False
    _open: bool = False  # the last segment may grow

    def feed(self, piece: str) -> None:
        self._waiting += piece
        while "\n" in self._waiting:
            line, _, self._waiting = self._waiting.partition("\n")
            self._whole_line(line)
        if self._waiting and (self._inside_line or not _may_be_fence(self._waiting)):
            self._add(self._waiting)
            self._waiting, self._inside_line = "", True

    def finish(self) -> None:
        """The answer has ended: what was held back belongs to it."""
        if self._waiting:
            self._whole_line(self._waiting)
            self._waiting = ""

    def _whole_line(self, line: str) -> None:
        inside, self._inside_line = self._inside_line, False
        stripped = line.strip()
        if not inside and stripped.startswith(_FENCE) and self._fence(stripped):
            return
        if not inside and not stripped and not self._in_code:
            self._open = False  # a blank line ends a paragraph
            return
        self._add(line + "\n")

    def _fence(self, line: str) -> bool:
        """Opens or closes a code block; False when the line is neither."""
        if self._in_code:
            if line.strip("`"):
                return False
            self._open = False
            return True
        language = line.strip("`").strip()
        if "`" in language:
            return False
        self.segments.append(Segment("code", language=language))
        self._open = True
        return True

    @property
    def _in_code(self) -> bool:
        return self._open and bool(self.segments) and self.segments[-1].kind == "code"

    def _add(self, text: str) -> None:
        if not self._open:
            self.segments.append(Segment("prose"))
            self._open = True
        self.segments[-1].text += text


def _may_be_fence(beginning: str) -> bool:
    start = beginning.lstrip(" ")
    return start.startswith(_FENCE) or _FENCE.startswith(start)
