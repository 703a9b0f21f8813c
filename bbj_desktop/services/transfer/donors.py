"""Chunks that lie on this machine already, in the files of other versions.

The chunk index of an installed file is kept beside it, ``<name>.chunks.json``. It is a hint, never trusted: every chunk
that is copied is hashed on its way and compared with the signed digest of the file that it becomes a part of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from bbj_desktop.core.errors import FormatError, StoreAccessError
from bbj_desktop.core.release import Chunk, ChunkIndex, parse_chunk_index
from bbj_desktop.services.store.disk import Disk, DiskFile, pieces_of

_MAX_INDEX_BYTES = 64 * 2**20  # as the registry's reader accepts it


@dataclass(frozen=True, slots=True)
class Donor:
    """A file on this machine and what its chunks are said to be.

    Attributes:
        path: The file.
        index: Its chunks.
    """

    path: Path
    index: ChunkIndex


def kept_index_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.chunks.json")


def keep_index(index: ChunkIndex, file: Path, disk: Disk) -> None:
    """Writes a file's chunk index beside it, unless one is there. Raises NoSpaceError or StoreAccessError."""
    if recall_index(file) != index:
        disk.write_atomic(kept_index_path(file), index.model_dump_json().encode())


def recall_index(file: Path) -> ChunkIndex | None:
    """The chunk index that was kept with a file; None without a usable one."""
    try:
        with kept_index_path(file).open("rb") as kept:
            return parse_chunk_index(kept.read(_MAX_INDEX_BYTES))
    except (OSError, FormatError):
        return None


class Donors:
    """Where chunks lie on this machine, by digest.

    Args:
        donors: Files with their chunks; one that is gone or has changed does no harm.
    """

    def __init__(self, donors: Iterable[Donor]) -> None:
        self._places: dict[tuple[str, int], list[tuple[Path, int]]] = {}
        for donor in donors:
            with suppress(OSError):  # one that can't be looked at is none
                if donor.path.is_file():
                    self._add(donor)

    def _add(self, donor: Donor) -> None:
        lengths = [chunk.length_bytes for chunk in donor.index.chunks]
        for chunk, end in zip(donor.index.chunks, accumulate(lengths), strict=True):
            place = (donor.path, end - chunk.length_bytes)
            self._places.setdefault((chunk.digest, chunk.length_bytes), []).append(place)

    def have(self, chunk: Chunk) -> bool:
        return (chunk.digest, chunk.length_bytes) in self._places

    def copy(self, chunk: Chunk, file: DiskFile, position: int, each: Callable[[], None]) -> bool:
        """Copies a chunk into a file if one of the places really has it.

        Args:
            position: Where the chunk belongs in ``file``.
            each: Called before each piece; may raise Cancelled.

        Raises:
            NoSpaceError, StoreAccessError: ``file`` can't be written.
        """
        places = self._places.get((chunk.digest, chunk.length_bytes), ())
        return any(_copy(chunk, place, file, position, each) for place in places)


def _copy(chunk: Chunk, place: tuple[Path, int], file: DiskFile, position: int, each: Callable[[], None]) -> bool:
    sha = hashlib.sha256()
    pieces = pieces_of(*place, chunk.length_bytes)
    while True:
        each()
        try:
            piece = next(pieces, None)
        except StoreAccessError:  # the donor can't be read: then it isn't one
            return False
        if piece is None:
            return f"sha256:{sha.hexdigest()}" == chunk.digest
        sha.update(piece)
        file.write_at(position, piece)
        position += len(piece)
