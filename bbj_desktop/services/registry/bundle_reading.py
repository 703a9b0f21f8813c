"""Taking over what is in a bundle: its small files into a mirror on this machine, its models into the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from bbj_desktop.core.errors import NotFoundError, StoreAccessError
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.release import ChunkIndex, FileReference, Release, Variant
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.registry.bundle import BundleSource
from bbj_desktop.services.registry.bundle_volumes import Placed, placed, verified_chunks
from bbj_desktop.services.registry.bundle_writing import put, write_order
from bbj_desktop.services.registry.layout import METADATA, TARGETS, blob_path
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.fetch import fetch
from bbj_desktop.services.transfer.partial import Partial

MAX_TEXT_BYTES = 20_000_000  # bytes of one metadata file or target; as the trusted reader limits them
MAX_TEXTS_BYTES = 2**30  # bytes of all of them


def copy_texts(
    source: BundleSource,
    mirror: Path,
    models: Sequence[tuple[Release, Variant]],
    cancel: Cancel,
    *,
    with_metadata: bool,
) -> None:
    """Adds a bundle's small files to a mirror. Whoever reads the mirror verifies them again.

    Args:
        mirror: Its folder.
        models: Whose chunk indexes and tokenizers are copied; read through the registry before.
        with_metadata: False leaves the metadata out: that of the bundle is older than what is known here.

    Raises:
        MixAndMatchError: A file is too long for what it is.
        TransportError, StoreError, Cancelled: As the source and the disk say.
    """
    disk, left = Disk(), MAX_TEXTS_BYTES
    for path in sorted(_texts(source, models, with_metadata=with_metadata), key=write_order):
        with suppress(NotFoundError):  # a bundle without a tokenizer, e.g.: whoever needs it says so
            content = source.read(path, limit_bytes=min(left, _limit(path, models)), cancel=cancel)
            left -= len(content)
            put(mirror / path, content, disk)


def _texts(source: BundleSource, models: Sequence[tuple[Release, Variant]], *, with_metadata: bool) -> set[str]:
    targets = {path for folder in source.folders for path in folder.files if path.startswith(f"{TARGETS}/")}
    metadata = {path for path in source.metadata_folder.files if path.startswith(f"{METADATA}/")}
    blobs = {blob_path(reference.digest) for reference in _references(models)}
    return targets | blobs | (metadata if with_metadata else set())


def _references(models: Sequence[tuple[Release, Variant]]) -> Iterator[FileReference]:
    for release, variant in models:
        yield from (part.chunk_index for part in variant.parts)
        if release.tokenizer is not None:
            yield release.tokenizer


def _limit(path: str, models: Sequence[tuple[Release, Variant]]) -> int:
    lengths = {blob_path(reference.digest): reference.length_bytes for reference in _references(models)}
    return lengths.get(path, MAX_TEXT_BYTES)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a model, and what didn't.

    Attributes:
        missing: Chunks that are still to be brought; without any the file is in place and verified as a whole.
    """

    copied_bytes: int
    missing: tuple[Placed, ...] = ()

    @property
    def missing_bytes(self) -> int:
        return sum(chunk.length_bytes for _, chunk in self.missing)


def take_what_is_here(
    source: BundleSource, index: ChunkIndex, destination: Path, report: Report, cancel: Cancel
) -> Taken:
    """Copies every part of a model that the bundle has and the store lacks.

    Raises:
        DigestError: A part isn't what was signed.
        TransportError, StoreError, Cancelled: As the source and the disk say.
    """
    path, ranges = blob_path(index.file.digest), source.ranges(index.file.digest)
    if destination.is_file() or all(_lies_in(chunk, ranges) for chunk in placed(index)):
        return Taken(fetch(source, path, index, destination, report, cancel).bytes_fetched)
    taken = _take_chunks(source, index, destination, ranges, report, cancel)
    if taken.missing:
        return taken
    return Taken(taken.copied_bytes + fetch(source, path, index, destination, report, cancel).bytes_fetched)


def names_of_missing(source: BundleSource, digest: str, taken: Taken) -> tuple[str, ...]:
    """The pieces that have what is missing of a file, with their volumes, for a person; without pieces the file."""
    if not taken.missing:
        return ()
    ranges = [(offset, offset + chunk.length_bytes) for offset, chunk in taken.missing]
    names = [
        f"volume {piece.volume}: {piece.path}" if piece.volume else piece.path
        for piece in source.pieces_with(digest, ranges)
    ]
    return tuple(names or [blob_path(digest)])


def _take_chunks(
    source: BundleSource,
    index: ChunkIndex,
    destination: Path,
    ranges: Sequence[tuple[int, int]],
    report: Report,
    cancel: Cancel,
) -> Taken:
    """What came is noted as an interrupted download's, which the last volume ends."""
    disk = Disk()
    disk.make_folder(destination.parent)
    lock_path = destination.with_name(f"{destination.name}.part.lock")
    meter, copied = Meter(report, index.file.length_bytes), 0
    with FileLock(lock_path, what=f"the download {destination.name}"):
        partial = Partial(index, destination, disk)
        done = set(partial.candidates()) if partial.noted() is not None else set()
        chunks = placed(index)
        numbers = {offset: number for number, (offset, _) in enumerate(chunks)}
        before = sum(chunks[number][1].length_bytes for number in done)
        wanted = [number not in done and _lies_in(chunk, ranges) for number, chunk in enumerate(chunks)]
        if any(wanted):
            partial.begin_note(done)
            with partial.open() as file:
                for run in _runs([chunk if take else None for chunk, take in zip(chunks, wanted, strict=True)]):
                    for offset, content in verified_chunks([source], blob_path(index.file.digest), run, cancel):
                        file.write_at(offset, content)
                        partial.add(numbers[offset])
                        copied += len(content)
                        meter.show(before + copied, copied)
    with suppress(StoreAccessError):
        disk.unlink(lock_path)
    lacking = (not take and number not in done for number, take in enumerate(wanted))
    return Taken(copied, tuple(compress(chunks, lacking)))


def _lies_in(chunk: Placed, ranges: Sequence[tuple[int, int]]) -> bool:
    offset, end = chunk[0], chunk[0] + chunk[1].length_bytes
    return any(begin <= offset and end <= until for begin, until in ranges)


def _runs(chunks: Sequence[Placed | None]) -> Iterator[list[Placed]]:
    """Chunks that lie side by side, without the None between them."""
    run: list[Placed] = []
    for chunk in chunks:
        if chunk is not None:
            run.append(chunk)
        elif run:
            yield run
            run = []
    if run:
        yield run
