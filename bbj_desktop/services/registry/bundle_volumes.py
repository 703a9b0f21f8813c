"""Models cut into pieces for volumes: which piece goes where, and writing one so that it can be taken up again."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, cycle
from pathlib import Path

from bbj_desktop.core.errors import DigestError, TransportError, UserInputError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Chunk, ChunkIndex
from bbj_desktop.core.units import format_bytes
from bbj_desktop.services.registry.bundle import BundlePiece
from bbj_desktop.services.store.disk import Disk, pieces_of
from bbj_desktop.services.transfer.patience import Limits, Patience
from bbj_desktop.services.transfer.source import Source

MAX_PIECE_BYTES = 4 * 2**30 - 1  # bytes; the longest file of FAT32
Placed = tuple[int, Chunk]
"""A chunk with its offset in the file."""


def placed(index: ChunkIndex) -> tuple[Placed, ...]:
    """The chunks of a file with their offsets, in bytes."""
    offset, found = 0, []
    for chunk in index.chunks:
        found.append((offset, chunk))
        offset += chunk.length_bytes
    return tuple(found)


def plan_pieces(indexes: Sequence[ChunkIndex], room_bytes: int) -> tuple[BundlePiece, ...]:
    """Lays files one after the other onto volumes, cut at borders of chunks where one doesn't fit.

    Args:
        indexes: The files.
        room_bytes: For them on each volume.

    Raises:
        UserInputError: A chunk doesn't fit onto a volume.
    """
    pieces: list[BundlePiece] = []
    volume, free = 1, room_bytes
    for index in indexes:
        mine: list[BundlePiece] = []
        for offset, chunk in placed(index):
            if chunk.length_bytes > free or not mine or mine[-1].length_bytes + chunk.length_bytes > MAX_PIECE_BYTES:
                if chunk.length_bytes > room_bytes:
                    raise UserInputError(
                        f"A part of {format_bytes(chunk.length_bytes)} doesn't fit onto a volume.",
                        hint="Name a larger --volume-size.",
                    )
                if chunk.length_bytes > free:
                    volume, free = volume + 1, room_bytes
                piece = BundlePiece(
                    digest=index.file.digest,
                    number=len(mine) + 1,
                    volume=volume,
                    offset=offset,
                    length_bytes=chunk.length_bytes,
                )
                mine.append(piece)
            else:
                length = mine[-1].length_bytes + chunk.length_bytes
                mine[-1] = mine[-1].model_copy(update={"length_bytes": length})
            free -= chunk.length_bytes
        pieces += mine if len(mine) > 1 else [mine[0].model_copy(update={"number": 0})]
    return tuple(pieces)


def split_pieces(index: ChunkIndex) -> tuple[BundlePiece, ...]:
    """The pieces of a file that is split in the registry, for a single folder; none of one that isn't."""
    ends = tuple(accumulate(index.split))
    return tuple(
        BundlePiece(
            digest=index.file.digest,
            number=number,
            volume=0,
            of=len(index.split),
            offset=end - length,
            length_bytes=length,
        )
        for number, (length, end) in enumerate(zip(index.split, ends, strict=True), start=1)
    )


def chunks_of(piece: BundlePiece, index: ChunkIndex) -> tuple[Placed, ...]:
    """The chunks that lie wholly in a piece."""
    return tuple(
        (offset, chunk)
        for offset, chunk in placed(index)
        if piece.offset <= offset and offset + chunk.length_bytes <= piece.end
    )


def write_piece(
    sources: Sequence[Source],
    path: str,
    chunks: Sequence[Placed],
    destination: Path,
    moved: Callable[[int], None],
    cancel: Cancel,
    *,
    disk: Disk,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> int:
    """Writes a run of chunks to a file of their own, or the rest of them; verified while they come.

    Until it is whole, the file is ``<destination>.writing``. What is there is hashed again before it counts.

    Args:
        sources: Where the whole file is; the next one is asked when something is wrong with one.
        path: Its path there.
        chunks: One after the other without a gap.
        moved: Told the length of each chunk that is done, found or fetched.

    Returns:
        The bytes that came from the sources.

    Raises:
        DigestError: What comes isn't what was signed.
        TransportError, NotFoundError, StoreError, Cancelled: As the source and the disk say.
    """
    length = chunks[-1][0] + chunks[-1][1].length_bytes - chunks[0][0]
    if destination.exists():
        if destination.stat().st_size == length and _good(destination, chunks, cancel) == len(chunks):
            moved(length)
            return 0
        disk.unlink(destination)
    disk.make_folder(destination.parent)
    writing = destination.with_name(f"{destination.name}.writing")
    done = _good(writing, chunks, cancel) if writing.exists() else 0
    moved(sum(chunk.length_bytes for _, chunk in chunks[:done]))
    fetched = 0
    with disk.open(writing) as file:
        for offset, content in verified_chunks(sources, path, chunks[done:], cancel, limits=limits):
            file.write_at(offset - chunks[0][0], content)
            fetched += len(content)
            moved(len(content))
        file.truncate(length)
        file.fsync()
    disk.rename(writing, destination)
    return fetched


def _good(file: Path, chunks: Sequence[Placed], cancel: Cancel) -> int:
    """How many chunks from the first on a file holds."""
    for number, (offset, chunk) in enumerate(chunks):
        cancel.check()
        digest = hashlib.sha256()
        for data in pieces_of(file, offset - chunks[0][0], chunk.length_bytes):
            digest.update(data)
        if f"sha256:{digest.hexdigest()}" != chunk.digest:
            return number
    return len(chunks)


def verified_chunks(
    sources: Sequence[Source],
    path: str,
    chunks: Sequence[Placed],
    cancel: Cancel,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Iterator[tuple[int, memoryview]]:
    """Reads a run of chunks without a gap, one request as long as nothing goes wrong: (offset, content) of each."""
    left, patience, mirrors = deque(chunks), Patience(limits), cycle(sources)
    source = next(mirrors)
    while left:
        begin, end = left[0][0], left[-1][0] + left[-1][1].length_bytes
        try:
            with source.stream(path, offset=begin, length=end - begin, cancel=cancel) as stream:
                content = _Content(iter(stream), path)
                content.skip(begin - stream.offset)
                while left:
                    offset, chunk = left[0]
                    data = content.take(chunk.length_bytes)
                    _verify(data, chunk, f"The part of {path} from {source.address} at byte {offset}")
                    yield offset, data
                    left.popleft()
                    patience.reset()
        except (TransportError, DigestError) as error:
            cancel.wait(patience.wait_s(error))
            source = next(mirrors)


def _verify(data: memoryview, chunk: Chunk, what: str) -> None:
    actual = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if actual != chunk.digest:
        raise DigestError(
            f"{what} isn't what was signed.",
            expected=chunk.digest,
            actual=actual,
            hint="That copy is damaged or tampered with: get another one.",
        )


class _Content:
    """A stream, taken in pieces of a given length; no more than one of them is in memory."""

    def __init__(self, pieces: Iterator[bytes], what: str) -> None:
        self._pieces = pieces
        self._what = what
        self._rest = memoryview(b"")

    def skip(self, count: int) -> None:
        while count > 0:
            count -= len(self._some(count))

    def take(self, count: int) -> memoryview:
        taken = bytearray(count)
        done = 0
        while done < count:
            part = self._some(count - done)
            taken[done : done + len(part)] = part
            done += len(part)
        return memoryview(taken)

    def _some(self, most: int) -> memoryview:
        if not self._rest:
            data = next(self._pieces, None)
            if data is None:
                raise TransportError(f"{self._what} ended before its end.", hint="Try again.")
            self._rest = memoryview(data)
        part, self._rest = self._rest[:most], self._rest[most:]
        return part
