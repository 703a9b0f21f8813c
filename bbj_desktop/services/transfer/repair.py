"""Mends a damaged file: its good chunks are copied, the damaged ones fetched, and the result takes its place at once.

The file is never written in place: a runtime may have it mapped, and other names may lead to the same bytes. Killed
anywhere, it is as it was, and the next call goes on where this one ended. The price is room for a second copy while it
works.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.errors import DigestError, StoreAccessError
from bbj_desktop.core.progress import Cancel, Remark, Report
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.core.units import format_bytes
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.donors import Donor
from bbj_desktop.services.transfer.fetch import Limits, fetch
from bbj_desktop.services.transfer.partial import chunk_is_right, file_is_right
from bbj_desktop.services.transfer.source import Source


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair found and took.

    Attributes:
        damaged_bytes: Length of the chunks that weren't right.
        fetched_bytes: Content that came over the network.
    """

    damaged_bytes: int
    fetched_bytes: int


def repair(
    sources: Source | Sequence[Source],
    path: str,
    index: ChunkIndex,
    file: Path,
    report: Report,
    cancel: Cancel,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    donors: Iterable[Donor] = (),
    disk: Disk | None = None,
) -> Repaired:
    """Makes a file what was signed, fetching only what it lacks.

    Args:
        sources: Where from, as for ``fetch``.
        path: The file's path in each of them.
        index: Signed digests of the file and its chunks.
        file: The file; one that is gone is fetched whole.
        report: Gets Transfer and Remark events.
        cancel: Ends it at once, with a state that can be taken up.
        limits: As for ``fetch``.
        donors: Other files on this machine that may have what this one lacks.
        disk: The seam that writes.

    Raises:
        DigestError: Every chunk is as signed, yet the whole isn't: the signed index contradicts itself.
        TransportError, TrustError, StoreError, Cancelled: As ``fetch``.
    """
    damaged = damaged_chunks(file, index, report, cancel)
    if not damaged and _length_of(file) == index.file.length_bytes:
        _demand_whole(file, index, cancel)
        if any(file.parent.glob(f"{file.name}.part*")):  # one that was killed at its very end
            fetch(sources, path, index, file, report, cancel, limits=limits, disk=disk)  # tidies up, finding all here
        return Repaired(0, 0)
    damaged_bytes = sum(index.chunks[number].length_bytes for number in damaged)
    told = f"Damaged: {len(damaged)} of {len(index.chunks)} parts, {format_bytes(damaged_bytes)}."
    report(Remark(told, "warning"))
    own = Donor(file, index)
    fetched = fetch(sources, path, index, file, report, cancel, limits=limits, disk=disk, donors=(own, *donors))
    return Repaired(damaged_bytes, fetched.bytes_fetched)


def damaged_chunks(file: Path, index: ChunkIndex, report: Report, cancel: Cancel) -> tuple[int, ...]:
    """Numbers of the chunks that aren't what was signed; one that can't be read isn't either. Raises Cancelled."""
    meter = Meter(report, index.file.length_bytes)
    damaged, offset = [], 0
    for number, chunk in enumerate(index.chunks):
        try:
            right = chunk_is_right(file, chunk, offset, cancel.check)
        except StoreAccessError:
            right = False
        if not right:
            damaged.append(number)
        offset += chunk.length_bytes
        meter.show(offset, offset)
    return tuple(damaged)


def _length_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise StoreAccessError(f"{file} can't be looked at: {error.strerror}.") from error


def _demand_whole(file: Path, index: ChunkIndex, cancel: Cancel) -> None:
    if not file_is_right(file, index.file, cancel.check):
        raise DigestError(
            f"Every part of {file} is as it was signed, but the whole isn't: the release contradicts itself.",
            expected=index.file.digest,
            actual="another digest",
            hint="Tell who runs the registry.",
        )
