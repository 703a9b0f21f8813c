"""What the user sees: data on stdout, messages on stderr; colours and bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from bbj_desktop.core.progress import Report

if TYPE_CHECKING:
    from rich.console import Console

    from bbj_desktop.cli.progress import Bars

JSON_FORMAT = 1


class Screen:
    """Where results and messages go.

    Attributes:
        json: Results are JSON; nothing else may reach stdout.
        verbose: Tell more.
    """

    def __init__(self, *, as_json: bool = False, verbose: bool = False) -> None:
        self.json = as_json
        self.verbose = verbose
        self._bars: Bars | None = None
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # an old Windows code page must not end a command

    def document(self, command: str, *, one_line: bool = False, **content: object) -> None:
        """Prints ``{"format": 1, "command": …, "result" or "error": …}``."""
        envelope = {"format": JSON_FORMAT, "command": command, **content}
        print(json.dumps(envelope, ensure_ascii=False, indent=None if one_line else 1), flush=True)

    @property
    def coloured(self) -> bool:
        """The result goes to a terminal that shows colours; as rich, it obeys NO_COLOR."""
        return not self.json and self.is_terminal(sys.stdout) and not self.console(sys.stdout).no_color

    def line(self, text: str = "", style: str = "") -> None:
        """A line of the result."""
        self._print(sys.stdout, text, style)

    def message(self, text: str, style: str = "") -> None:
        """A line beside the result."""
        self._print(sys.stderr, text, style)

    def write(self, text: str, *, beside: bool = False) -> None:
        """A piece of a line that grows, e.g. an answer; ``beside`` the result if it is JSON or a message."""
        if self._bars is not None:
            self._bars.rest()
        stream = sys.stderr if beside else sys.stdout
        stream.write(text)
        stream.flush()

    def table(
        self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()
    ) -> None:
        """Aligned columns.

        Args:
            headers: One for each column; all empty leaves the line out.
            rows: Cells.
            right: Columns that are aligned to the right: numbers.
        """
        if self.is_terminal(sys.stdout):
            self._rich_table(headers, rows, right)
            return
        lines = [headers, *rows] if any(headers) else list(rows)
        widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
        for line in lines:
            cells = (
                cell.rjust(width) if column in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            print("  ".join(cells).rstrip())

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """Shows a job's progress on stderr while the context lasts."""
        from bbj_desktop.cli.progress import Bars, lines

        if not self.is_terminal(sys.stderr):
            yield lines(sys.stderr)
            return
        self._bars = Bars(self.console(sys.stderr))
        try:
            yield self._bars.report
            self._bars.rest()
        finally:
            self._bars.abandon()
            self._bars = None

    @staticmethod
    def is_terminal(stream: TextIO) -> bool:
        return stream.isatty() and os.environ.get("TERM") != "dumb"

    @staticmethod
    def console(stream: TextIO) -> Console:
        """A rich console; it obeys NO_COLOR by itself."""
        from rich.console import Console

        return Console(file=stream, highlight=False, markup=False, emoji=False)

    def _print(self, stream: TextIO, text: str, style: str) -> None:
        if style and self.is_terminal(stream):
            self.console(stream).print(text, style=style, soft_wrap=True)
        else:
            print(text, file=stream, flush=stream is sys.stderr)

    def _rich_table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=any(headers), header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        for column, header in enumerate(headers):
            justify: Any = "right" if column in right else "left"
            table.add_column(header, justify=justify, overflow="fold", no_wrap=column in right)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console(sys.stdout).print(table)
