"""Cutting a streamed answer into paragraphs and code blocks while it arrives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bbj_desktop.core.fences import FenceReader


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
    _fences: FenceReader = field(default_factory=FenceReader)
    _waiting: str = ""  # the beginning of a line that may yet become a fence
    _inside_line: bool = False  # the beginning of this line was added already
    _open: bool = False  # the last segment may grow

    def feed(self, piece: str) -> None:
        self._waiting += piece
        while "\n" in self._waiting:
            line, _, self._waiting = self._waiting.partition("\n")
            self._whole_line(line)
        if self._waiting and (self._inside_line or not self._fences.may_turn(self._waiting)):
            self._add(self._waiting if self._inside_line else self._fences.code(self._waiting))
            self._waiting, self._inside_line = "", True

    def finish(self) -> None:
        """The answer has ended: what was held back belongs to it."""
        if self._waiting:
            self._whole_line(self._waiting)
            self._waiting = ""

    def _whole_line(self, line: str) -> None:
        inside_line, self._inside_line = self._inside_line, False
        if inside_line:
            self._add(line + "\n")
            return
        kind = self._fences.take(line)
        if kind == "opening":
            self.segments.append(Segment("code", language=self._fences.language))
            self._open = True
        elif kind == "closing" or (kind == "text" and not line.strip()):
            self._open = False  # a blank line ends a paragraph
        elif kind == "code":
            self._add(self._fences.code(line) + "\n")
        else:
            self._add(line + "\n")

    def _add(self, text: str) -> None:
        if not self._open or (self.segments[-1].kind == "code" and not self._fences.inside):
            self.segments.append(Segment("prose"))
            self._open = True
        self.segments[-1].text += text
