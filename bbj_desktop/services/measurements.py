"""The file of measurements: a line of JSON for each answer, appended under a lock, and kept short."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections import Counter
from pathlib import Path

import psutil
from pydantic import ValidationError

from bbj_desktop.core.errors import StoreAccessError
from bbj_desktop.core.measuring import KEPT, Measurement
from bbj_desktop.services.locking import FileLock

MAX_BYTES = 256 * 1024
"""From this size on only the latest of each version stay."""
MAX_LINES = 500
_LOCK_S = 2.0  # seconds to wait for another program that writes

log = logging.getLogger(__name__)


def this_machine() -> str:
    """Names this machine without telling which it is: a data folder may follow its user to others."""
    memory = psutil.virtual_memory().total >> 30
    told = f"{platform.node()}|{platform.machine()}|{os.cpu_count()}|{memory}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def machine_at(address: str) -> str:
    """Names the machine behind an address."""
    return hashlib.sha256(f"at {address}".encode()).hexdigest()[:16]


class Measurements:
    """Measurements in a folder.

    Args:
        folder: Ours; made when something is added.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "answers.jsonl"
        self._lock = folder / "answers.lock"

    def read(self) -> tuple[Measurement, ...]:
        """All that can be read, in the order in which they were added: clocks are set forth and back. What can't (a
        cut line, a newer program's) is passed over and noted in the log: nothing depends on it but a better guess."""
        try:
            with self._file.open("rb") as file:
                begin = max(0, file.seek(0, os.SEEK_END) - 2 * MAX_BYTES)
                file.seek(begin)
                lines = file.read().splitlines()[bool(begin) :]
        except FileNotFoundError:
            return ()
        except OSError as error:
            log.warning("measurements can't be read: %s", error)
            return ()
        found = [_parsed(line) for line in lines if line.strip()]
        if None in found:
            log.warning("%s: %d of %d lines are passed over", self._file, found.count(None), len(found))
        return tuple(each for each in found if each is not None)

    def add(self, measurement: Measurement) -> None:
        """Appends one.

        Raises:
            StoreBusyError: Another program has been writing for seconds.
            StoreAccessError: The file can't be written.
        """
        line = measurement.model_dump_json(exclude_none=True).encode() + b"\n"
        with FileLock(self._lock, timeout_s=_LOCK_S, what="the measurements"):
            try:
                self._append(line)
                if self._file.stat().st_size > MAX_BYTES:
                    self._shorten()
            except OSError as error:
                raise StoreAccessError(f"{self._file} can't be written: {error.strerror or error}.") from error

    def _append(self, line: bytes) -> None:
        """A line that was cut, because its writer was killed, is ended first."""
        with self._file.open("ab+") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)

    def _shorten(self) -> None:
        counted: Counter[tuple[str, str, str]] = Counter()
        latest: list[Measurement] = []
        for each in reversed(self.read()):
            counted[each.subject] += 1
            if counted[each.subject] <= KEPT:
                latest.append(each)
        new = self._file.with_suffix(".new")
        kept = reversed(latest[:MAX_LINES])
        text = "".join(f"{each.model_dump_json(exclude_none=True)}\n" for each in kept)
        new.write_text(text, encoding="utf-8")
        new.replace(self._file)


def _parsed(line: bytes) -> Measurement | None:
    try:
        return Measurement.model_validate_json(line)
    except ValidationError:
        return None
