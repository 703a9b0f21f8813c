"""Colours for the code in an answer that arrives in pieces, on a terminal."""

from __future__ import annotations

from bbj_desktop.core.fences import FenceReader
from bbj_desktop.core.highlighting import AT_START, LineLexer, lexer_for


class Painter:
    """Passes prose on at once, and code line by line, in colours that know the lines before."""

    def __init__(self) -> None:
        self._line = ""  # the unfinished line, of which nothing has been passed on
        self._begun = False  # the beginning of this line was passed on already
        self._fences = FenceReader()
        self._lexer: LineLexer | None = None
        self._stack = AT_START

    def feed(self, piece: str) -> str:
        """What to print for a piece; some of it may wait for the next one."""
        shown = []
        self._line += piece
        while "\n" in self._line:
            line, _, self._line = self._line.partition("\n")
            shown.append(self._whole(line + "\n"))
        if self._line and not self._fences.inside and (self._begun or not self._fences.may_turn(self._line)):
            shown.append(self._line)
            self._line, self._begun = "", True
        return "".join(shown)

    def finish(self) -> str:
        """What was held back, when the answer has ended."""
        rest, self._line = self._line, ""
        return self._whole(rest) if rest else ""

    def _whole(self, line: str) -> str:
        begun, self._begun = self._begun, False
        kind = "text" if begun else self._fences.take(line.removesuffix("\n"))
        if kind == "opening":
            lexer = lexer_for(self._fences.language)
            self._lexer, self._stack = LineLexer(lexer) if lexer else None, AT_START
        return self._coloured(line) if kind == "code" else line

    def _coloured(self, line: str) -> str:
        if self._lexer is None:
            return line
        from pygments import format as formatted
        from pygments.formatters import TerminalFormatter

        tokens, self._stack = self._lexer.tokens(line.removesuffix("\n"), self._stack)
        return str(formatted(tokens, TerminalFormatter())) + ("\n" if line.endswith("\n") else "")
