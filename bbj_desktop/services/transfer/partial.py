"""The part of a file that is here already: ``<name>.part`` and a note of its verified chunks, ``<name>.part.chunks``.

The note is a hint, never trusted: on the next start every chunk that it names is hashed again. So neither file needs an
fsync while the download runs, and a note that is torn, lost or of another file costs time, not correctness.

::

    {"format": 1, "file": "sha256:…", "chunks": 731}
    0
    1
    17
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path

from bbj_desktop.core.errors import StoreAccessError
from bbj_desktop.core.release import Chunk, ChunkIndex, FileReference
from bbj_desktop.services.store.disk import Disk, DiskFile, pieces_of

NOTE_FORMAT = 1
_LINE_BYTES = 16  # more than any line but the first takes


def part_path(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part")


def note_path(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part.chunks")


class Partial:
    """What is here of one file.

    Args:
        index: The file and its chunks.
        destination: Where the whole file will be.
        disk: The seam that writes.
    """

    def __init__(self, index: ChunkIndex, destination: Path, disk: Disk) -> None:
        self.path = part_path(destination)
        self._note = note_path(destination)
        self._index = index
        self._disk = disk
        self._lock = threading.Lock()

    def noted(self) -> frozenset[int] | None:
        """Chunks that the note names; None without a usable note."""
        count = len(self._index.chunks)
        try:
            with self._note.open("rb") as file:
                text = file.read((count + 16) * _LINE_BYTES + 256)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreAccessError(f"{self._note} can't be read: {error.strerror}.") from error
        return parse_note(text, self._index)

    def candidates(self) -> tuple[int, ...]:
        """Chunks worth hashing: those of the note, or all without one, as far as the file reaches."""
        size = self.size_bytes
        noted = self.noted()
        found, end = [], 0
        for number, chunk in enumerate(self._index.chunks):
            end += chunk.length_bytes
            if end <= size and (noted is None or number in noted):
                found.append(number)
        return tuple(found)

    @property
    def size_bytes(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StoreAccessError(f"{self.path} can't be read: {error.strerror}.") from error

    def open(self) -> DiskFile:
        return self._disk.open(self.path)

    def begin_note(self, verified: set[int]) -> None:
        """Writes the note anew, for the chunks that really are here."""
        head = {"format": NOTE_FORMAT, "file": self._index.file.digest, "chunks": len(self._index.chunks)}
        lines = [json.dumps(head), *(str(number) for number in sorted(verified)), ""]
        self._disk.write_atomic(self._note, "\n".join(lines).encode())

    def add(self, number: int) -> None:
        with self._lock:
            self._disk.append(self._note, f"{number}\n".encode())

    def finish(self, destination: Path) -> None:
        """Makes the whole file last under its name."""
        with self.open() as file:
            file.truncate(self._index.file.length_bytes)
            file.fsync()
        self._disk.rename(self.path, destination)
        self._disk.unlink(self._note)

    def discard(self) -> None:
        self._disk.unlink(self._note)
        self._disk.unlink(self.path)


def parse_note(text: bytes, index: ChunkIndex) -> frozenset[int] | None:
    """Chunks that a note names; None when it isn't of this file. A torn last line doesn't count."""
    head, *lines = text.split(b"\n")
    try:
        fields = json.loads(head)
    except (ValueError, RecursionError):
        return None
    count = len(index.chunks)
    if fields != {"format": NOTE_FORMAT, "file": index.file.digest, "chunks": count}:
        return None
    numbers = {int(line) for line in lines[:-1] if line.isdigit() and len(line) < _LINE_BYTES}
    return frozenset(number for number in numbers if number < count)


def chunk_is_right(path: Path, chunk: Chunk, offset: int, each: Callable[[], None]) -> bool:
    """Hashes a chunk on disk; ``each`` is called before each piece and may raise Cancelled."""
    return _digest_of(path, offset, chunk.length_bytes, each) == chunk.digest


def file_is_right(path: Path, file: FileReference, each: Callable[[], None]) -> bool:
    """Hashes a whole file; ``each`` is called before each piece and may raise Cancelled."""
    return _digest_of(path, 0, file.length_bytes + 1, each) == file.digest


def _digest_of(path: Path, offset: int, length: int, each: Callable[[], None]) -> str:
    sha = hashlib.sha256()
    for piece in pieces_of(path, offset, length):
        each()
        sha.update(piece)
    return f"sha256:{sha.hexdigest()}"
