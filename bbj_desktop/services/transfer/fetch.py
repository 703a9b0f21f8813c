"""Downloads one file by ranges into place: verified chunk by chunk while it flows, resumed after any end.

Chunks that other files on this machine have are copied. For the rest, threads take runs of chunks from a board; each
run is one ranged request to one of the mirrors, whose bytes are hashed and written as they come. The calling thread is
the only one that reports. Memory stays the same whatever the file's size.

Every chunk is compared with its signed digest, so the whole isn't hashed once more: docs/decisions tells why.
"""

from __future__ import annotations

import stat
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.errors import Cancelled, NoSpaceError, StoreAccessError
from bbj_desktop.core.progress import Cancel, Remark, Report
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.board import Board
from bbj_desktop.services.transfer.donors import Donor, Donors
from bbj_desktop.services.transfer.mirrors import Mirrors
from bbj_desktop.services.transfer.partial import Partial, chunk_is_right, file_is_right
from bbj_desktop.services.transfer.patience import Limits, Throttle
from bbj_desktop.services.transfer.source import Source
from bbj_desktop.services.transfer.worker import Worker

__all__ = ["Donor", "Fetched", "Limits", "bytes_missing", "fetch"]

_POLL_S = 0.1
_SYNC_BYTES = 64 * 2**20  # so much may wait in memory for the disk
_GRACE_S = 2.0  # seconds that a thread may take to end after it was told to: one that connects can't be woken


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a download took.

    Attributes:
        bytes_fetched: Content that came over the network, bytes that had to come twice included.
        bytes_kept: Verified bytes of this file that were here before.
        bytes_copied: Verified bytes that came from other files on this machine.
    """

    bytes_fetched: int
    bytes_kept: int
    bytes_copied: int = 0


def bytes_missing(index: ChunkIndex, destination: Path, donors: Iterable[Donor] = ()) -> int:
    """Bytes that a download will fetch if what is noted as here, and what ``donors`` are said to have, verifies. Reads
    no content. Without donors: the room that it will take.

    Raises:
        StoreAccessError: What is here can't be looked at.
    """
    if _size_of(destination) == index.file.length_bytes:
        return 0
    partial = Partial(index, destination, Disk())
    here = set(partial.candidates() if partial.noted() else ())
    others = Donors(donors)
    return sum(
        chunk.length_bytes for number, chunk in enumerate(index.chunks) if number not in here and not others.have(chunk)
    )


def fetch(
    sources: Source | Sequence[Source],
    path: str,
    index: ChunkIndex,
    destination: Path,
    report: Report,
    cancel: Cancel,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    disk: Disk | None = None,
    donors: Iterable[Donor] = (),
) -> Fetched:
    """Downloads a file, or the rest of it, to ``destination``.

    Until it is whole, the file is ``<destination>.part``; an interrupted download is taken up there by the next call.

    Args:
        sources: Where from: one mirror, or several that are asked together. One that lies or fails is set aside.
        path: The file's path in each of them.
        index: Signed digests of the file and its chunks.
        destination: Where to; what is there and isn't the file is replaced at the end.
        report: Gets Transfer and Remark events, on the calling thread.
        cancel: Ends it at once, with a state that can be taken up; paused, it lets go of its connections and waits.
        limits: Parallel requests, speed and patience.
        disk: The seam that writes; tests give others.
        donors: Files on this machine that may share chunks with this one; ``destination`` itself may be one.

    Raises:
        NotFoundError: No source has such a file.
        TransportError: The way failed, as often as ``limits`` allow, to every source.
        DigestError: What comes isn't what was signed, from whichever source.
        MixAndMatchError: The sources' file has another length.
        NoSpaceError: Too little room, before the first byte or later; what has arrived is kept.
        StoreAccessError: The folder can't be written.
        StoreBusyError: Another process downloads the same file.
        Cancelled: By ``cancel``.
    """
    disk = disk or Disk()
    cancel.check()
    disk.make_folder(destination.parent)
    _size_of(destination)
    lock_path = destination.with_name(destination.name + ".part.lock")
    with FileLock(lock_path, what=f"the download {destination.name}"):
        mirrors = Mirrors([*sources] if isinstance(sources, Sequence) else [sources])
        download = _Download(mirrors, path, index, destination, report, cancel, limits, disk, Donors(donors))
        fetched = download.run()
    with suppress(StoreAccessError):  # Windows keeps it while another process tries it; that one will find all done
        disk.unlink(lock_path)
    return fetched


def _size_of(destination: Path) -> int | None:
    """Its length in bytes; None when it isn't there. Raises StoreAccessError."""
    try:
        state = destination.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreAccessError(f"{destination} can't be read: {error.strerror}.") from error
    if stat.S_ISDIR(state.st_mode):
        raise StoreAccessError(f"{destination} is a folder; a file is to be there.", hint="Move it away.")
    return state.st_size


class _Download:
    def __init__(
        self,
        mirrors: Mirrors,
        path: str,
        index: ChunkIndex,
        destination: Path,
        report: Report,
        cancel: Cancel,
        limits: Limits,
        disk: Disk,
        donors: Donors,
    ) -> None:
        self._mirrors = mirrors
        self._path = path
        self._index = index
        self._destination = destination
        self._report = report
        self._cancel = cancel
        self._limits = limits
        self._disk = disk
        self._donors = donors
        self._partial = Partial(index, destination, disk)
        self._throttle = Throttle(limits.bytes_per_s)
        self._meter = Meter(report, index.file.length_bytes)
        self._stop = Cancel()  # ends the threads: at the user's word, for a pause or when one of them fails
        self._remarks: deque[Remark] = deque()
        self._workers: list[Worker] = []
        self.board = Board([chunk.length_bytes for chunk in index.chunks], set(), streams=limits.streams)

    def run(self) -> Fetched:
        total = self._index.file.length_bytes
        if self._is_here():
            self._partial.discard()
            self._meter.show(total, 0, at_once=True)
            return Fetched(0, total)
        verified = self._look_at_what_is_here()
        kept = self._length_of(verified)
        self._check_space(total - kept)
        self._partial.begin_note(verified)
        self._copy_from_donors(verified)
        copied = self._length_of(verified) - kept
        self.board = Board(self.board.lengths, verified, streams=self._limits.streams)
        self._bring_the_rest()
        self._partial.finish(self._destination)
        self._show(at_once=True)
        return Fetched(self._received_bytes, kept, copied)

    def _is_here(self) -> bool:
        if _size_of(self._destination) != self._index.file.length_bytes:
            return False
        return file_is_right(self._destination, self._index.file, self._cancel.hold)

    def _look_at_what_is_here(self) -> set[int]:
        verified: set[int] = set()
        done_bytes = 0
        for number in self._partial.candidates():
            chunk, offset = self._index.chunks[number], self.board.offsets[number]
            if chunk_is_right(self._partial.path, chunk, offset, self._cancel.hold):
                verified.add(number)
                done_bytes += chunk.length_bytes
            self._meter.show(done_bytes, 0)
        return verified

    def _copy_from_donors(self, verified: set[int]) -> None:
        """Adds to ``verified`` what other files have; each chunk is noted at once, as a fetched one is."""
        done_bytes = self._length_of(verified)
        with self._partial.open() as file:
            for number, chunk in enumerate(self._index.chunks):
                if number in verified or not self._donors.have(chunk):
                    continue
                if self._donors.copy(chunk, file, self.board.offsets[number], self._cancel.hold):
                    self._partial.add(number)
                    verified.add(number)
                    done_bytes += chunk.length_bytes
                    self._meter.show(done_bytes, 0)

    def _length_of(self, numbers: set[int]) -> int:
        return sum(self.board.lengths[number] for number in numbers)

    def _check_space(self, missing_bytes: int) -> None:
        free = self._disk.free_bytes(self._destination.parent)
        if free < missing_bytes:
            raise NoSpaceError(
                f"{self._destination.name} needs {missing_bytes} more bytes on the volume of "
                f"{self._destination.parent}; {free} are free.",
                needed_bytes=missing_bytes,
                free_bytes=free,
                path=self._destination.parent,
                hint="Make room there, or choose another folder in the settings.",
            )

    def _bring_the_rest(self) -> None:
        while not self.board.complete:
            self._cancel.hold()
            self._bring_until_paused()

    def _bring_until_paused(self) -> None:
        """A pause lets go of the connections; what isn't verified by then is asked for again."""
        self._stop = Cancel()
        self.board.release()
        forget = self._cancel.on_cancel(self._stop.cancel), self._cancel.on_pause(self._stop.cancel)
        pool = ThreadPoolExecutor(self._limits.streams + 1, thread_name_prefix="download")
        running: list[Future[None]] = [pool.submit(self._sync_what_came)]
        try:
            self._start_worker(pool, running)
            while not self.board.complete and not self._stop.is_set:
                self.board.wait(_POLL_S)
                self._raise_failure(running)
                if self.board.ranges and len(running) <= self._limits.streams:
                    self._start_worker(pool, running)
                self._show()
        finally:
            for each in forget:
                each()
            self._stop.cancel()
            wait(running, timeout=_GRACE_S)
            pool.shutdown(wait=False)
        while wait(running, timeout=_POLL_S).not_done:  # one that still writes must not meet those after the pause
            self._cancel.check()

    def _sync_what_came(self) -> None:
        """Makes bytes last while others still come: the disk works meanwhile, and isn't waited for at the end."""
        synced_bytes, stop = self.board.verified_bytes, self._stop
        with self._partial.open() as file, suppress(Cancelled):
            while not self.board.complete:
                stop.wait(_POLL_S)
                came_bytes = self.board.verified_bytes
                if came_bytes - synced_bytes >= _SYNC_BYTES:
                    file.fsync()
                    synced_bytes = came_bytes

    def _start_worker(self, pool: ThreadPoolExecutor, running: list[Future[None]]) -> None:
        worker = Worker(
            len(running) - 1,
            self._mirrors,
            self._path,
            self._index,
            self.board,
            self._partial,
            self._stop,
            self._limits,
            self._throttle,
            self._remarks.append,
        )
        self._workers.append(worker)
        future = pool.submit(worker.run)
        future.add_done_callback(lambda _: self.board.wake())
        running.append(future)

    def _raise_failure(self, running: list[Future[None]]) -> None:
        self._cancel.check()
        for future in running:
            if future.done() and not self._stop.is_set:
                future.result()

    def _show(self, *, at_once: bool = False) -> None:
        while self._remarks:
            self._report(self._remarks.popleft())
        self._meter.show(self.board.verified_bytes, self._received_bytes, at_once=at_once)

    @property
    def _received_bytes(self) -> int:
        return sum(worker.received_bytes for worker in self._workers)
