"""A JSON Lines file that only grows: a header with kind and format, then one record a line.

Writers take turns by a lock. A line that a killed process left half-written at the end counts for nothing, and the next
writer cuts it off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bbj_desktop.core.errors import FormatError, StoreAccessError, TooNewError
from bbj_desktop.services.locking import FileLock
from trainer.data.files import said_by_system

_WAIT_S = 10.0  # for another writer; an addition takes milliseconds


@dataclass(frozen=True, slots=True)
class Logbook:
    """One file.

    Attributes:
        path: Where it is, or will be.
        kind: What the header says.
        newest: Newest format that is read; it is written, too.
        what: What it is, for messages, e.g. ``"the reviews"``.
    """

    path: Path
    kind: str
    newest: int
    what: str

    def read(self) -> list[tuple[int, dict[str, Any]]]:
        """Lines with their numbers; none where there is no file.

        Raises:
            FormatError: It is damaged in the middle, or newer than this program.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]  # what follows the last line break was never finished
        except FileNotFoundError:
            return []
        except OSError as error:
            raise FormatError(f"{self.path} can't be read: {said_by_system(error)}.") from error
        records = [(number, self._parsed(number, line)) for number, line in enumerate(lines, start=1)]
        if records:
            self._check(records[0][1])
        return records[1:]

    def append(self, records: Iterable[dict[str, Any]]) -> None:
        """Adds records, all of them on the disk when it returns.

        Raises:
            FormatError: What is there is something else, or newer than this program.
            StoreAccessError: It can't be written.
            StoreBusyError: Another process has been writing for too long.
        """
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
        lock = self.path.with_name(f".{self.path.name}.lock")
        try:
            with FileLock(lock, timeout_s=_WAIT_S, what=str(self.path)), self.path.open("a+b") as file:
                self._mend(file)
                start = file.seek(0, os.SEEK_END)
                if not start:
                    text = self._header() + text
                try:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(start)  # a full disk leaves no half of an addition
                    raise
        except OSError as error:
            hint = "What was there before is as it was."
            raise StoreAccessError(f"{self.path} can't be written: {said_by_system(error)}.", hint=hint) from error

    def _header(self) -> bytes:
        return json.dumps({"format": self.newest, "kind": self.kind}).encode() + b"\n"

    def _mend(self, file: BinaryIO) -> None:
        """Cuts an unfinished last line off; looks at the header first."""
        file.seek(0)
        head = file.readline()
        if head.endswith(b"\n"):
            self._check(self._parsed(1, head))
        elif not self._header().startswith(head):
            raise FormatError(f"{self.path} is something else than {self.what}.", hint="Name another folder.")
        file.seek(0)
        end = 0
        for line in file:
            end += len(line) if line.endswith(b"\n") else 0
        file.truncate(end)

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{self.path}:{number}: damaged: {error}.") from error
        if not isinstance(record, dict):
            raise FormatError(f"{self.path}:{number}: damaged: not an object.")
        return record

    def _check(self, header: dict[str, Any]) -> None:
        version = header.get("format")
        if header.get("kind") != self.kind or not isinstance(version, int):
            raise FormatError(f"{self.path} is something else than {self.what}.", hint="Give it another name.")
        if version > self.newest:
            raise TooNewError(
                f"{self.path} is of format {version}; this version reads up to {self.newest}.",
                needs=f"format {version}",
                hint="Update BBj Desktop.",
            )
