"""A file that is read although its name may go: what of it is as it was signed is handed on, the rest is fetched."""

from __future__ import annotations

import hashlib
import threading
from itertools import accumulate
from pathlib import Path
from typing import Self

from bbj_desktop.core.errors import StoreAccessError
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.services.meter import Meter

Sought = tuple[str, int]
"""Digest and length of a chunk."""


class HeldFile:
    """Open until it is closed; on POSIX its content can be read that long, whoever removes its name. A context manager.

    Args:
        path: The file, whoever's it is: it is only read.
        index: What its chunks were signed as.

    Attributes:
        damaged_bytes: Length of the chunks that aren't as they were signed, once ``look`` has found out.

    Raises:
        StoreAccessError: It isn't there, or can't be read.
    """

    def __init__(self, path: Path, index: ChunkIndex) -> None:
        self.path = path
        self.damaged_bytes = 0
        self._index = index
        self._good: dict[Sought, int] = {}
        self._lock = threading.Lock()
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise StoreAccessError(f"{path} can't be read: {error.strerror}.") from error

    def look(self, report: Report, cancel: Cancel) -> None:
        """Hashes each chunk. Raises Cancelled; StoreAccessError when the disk fails."""
        chunks = self._index.chunks
        meter, done = Meter(report, self._index.file.length_bytes), 0
        for chunk, end in zip(chunks, accumulate(each.length_bytes for each in chunks), strict=True):
            cancel.check()
            sought, offset = (chunk.digest, chunk.length_bytes), end - chunk.length_bytes
            if _digest(self._read(offset, chunk.length_bytes)) == chunk.digest:
                self._good[sought] = offset
            else:
                self.damaged_bytes += chunk.length_bytes
            done = end
            meter.show(done, done)
        meter.show(done, done, at_once=True)

    def has(self, sought: Sought) -> bool:
        return sought in self._good

    def take(self, sought: Sought) -> bytes | None:
        """A chunk, hashed again; None when it isn't here, or isn't right any more."""
        offset = self._good.get(sought)
        if offset is None:
            return None
        try:
            content = self._read(offset, sought[1])
        except StoreAccessError:
            return None
        return content if _digest(content) == sought[0] else None

    def _read(self, offset: int, length: int) -> bytes:
        try:
            with self._lock:
                self._file.seek(offset)
                return self._file.read(length)
        except OSError as error:
            raise StoreAccessError(f"{self.path} can't be read: {error.strerror}.") from error

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
