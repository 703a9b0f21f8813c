"""What the user sees: the result on stdout, as text or as one JSON document; messages on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

JSON_FORMAT = 1


class Screen:
    """Where results and messages go.

    Attributes:
        json: The result is JSON; nothing else may reach stdout.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.json = as_json
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # lone surrogates and old code pages must not end a command

    def document(self, command: str, **content: object) -> None:
        """Prints ``{"format": 1, "command": …, "result" or "error": …}``."""
        print(json.dumps({"format": JSON_FORMAT, "command": command, **content}, ensure_ascii=False, indent=1))

    def line(self, text: str = "") -> None:
        """A line of the result."""
        print(text)

    def message(self, text: str) -> None:
        """A line beside the result."""
        print(text, file=sys.stderr, flush=True)

    def table(
        self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()
    ) -> None:
        """Aligned columns.

        Args:
            headers: One for each column.
            rows: Cells.
            right: Columns that are aligned to the right: numbers.
        """
        lines = [headers, *rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
        for line in lines:
            cells = (
                cell.rjust(width) if column in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            print("  ".join(cells).rstrip())


def examples_text(count: int) -> str:
    """``1 example``, ``2,000 examples``."""
    return f"{count:,} example{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Outcome:
    """What a command has to say.

    Attributes:
        result: For ``--json``.
        show: Prints the same for a person.
        exit_code: 0, or 1 when something was found that must be looked at.
    """

    result: BaseModel
    show: Callable[[Screen], None]
    exit_code: int = 0
