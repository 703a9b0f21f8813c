"""Downloads one file by ranges into place: verified chunk by chunk while it flows, resumed after any end.

Threads take runs of chunks from a board; each run is one ranged request whose bytes are hashed and written as they
come. The calling thread hashes the whole file behind them, from its beginning, and is the only one that reports. Memory
stays the same whatever the file's size.
"""

from __future__ import annotations

import hashlib
import stat
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.errors import (
    ChangedError,
    DigestError,
    MixAndMatchError,
    NoSpaceError,
    StoreAccessError,
    TransportError,
)
from bbj_desktop.core.progress import Cancel, Remark, Report
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.store.disk import Disk, DiskFile
from bbj_desktop.services.transfer.board import Board
from bbj_desktop.services.transfer.partial import Partial, WholeHash
from bbj_desktop.services.transfer.patience import Limits, Patience
from bbj_desktop.services.transfer.source import ByteStream, Source

__all__ = ["Fetched", "Limits", "bytes_missing", "fetch"]

_PIECE_BYTES = 512 * 1024  # hashed and written at once: few enough system calls, little memory
_POLL_S = 0.1
_GRACE_S = 2.0  # seconds that a thread may take to end after it was told to: one that connects can't be woken


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a download took.

    Attributes:
        bytes_fetched: Content that came over the network, bytes that had to come twice included.
        bytes_kept: Verified bytes that were here before.
    """

    bytes_fetched: int
    bytes_kept: int


def bytes_missing(index: ChunkIndex, destination: Path) -> int:
    """Bytes that a download will fetch if what is noted as here verifies. Reads no content.

    Raises:
        StoreAccessError: What is here can't be looked at.
    """
    if _size_of(destination) == index.file.length_bytes:
        return 0
    partial = Partial(index, destination, Disk())
    if not partial.noted():
        return index.file.length_bytes
    return index.file.length_bytes - sum(index.chunks[number].length_bytes for number in partial.candidates())


def fetch(
    source: Source,
    path: str,
    index: ChunkIndex,
    destination: Path,
    report: Report,
    cancel: Cancel,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    disk: Disk | None = None,
) -> Fetched:
    """Downloads a file, or the rest of it, to ``destination``.

    Until it is whole, the file is ``<destination>.part``; an interrupted download is taken up there by the next call.

    Args:
        source: Where from.
        path: The file's path in the source.
        index: Signed digests of the file and its chunks.
        destination: Where to; what is there and isn't the file is replaced at the end.
        report: Gets Transfer and Remark events, on the calling thread.
        cancel: Ends it at once, with a state that can be taken up.
        limits: Parallel requests and patience.
        disk: The seam that writes; tests give others.

    Raises:
        NotFoundError: The source has no such file.
        TransportError: The way failed, as often as ``limits`` allow.
        DigestError: What comes isn't what was signed.
        MixAndMatchError: The source's file has another length.
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
        download = _Download(source, path, index, destination, report, cancel, limits, disk)
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
        source: Source,
        path: str,
        index: ChunkIndex,
        destination: Path,
        report: Report,
        cancel: Cancel,
        limits: Limits,
        disk: Disk,
    ) -> None:
        self._source = source
        self._path = path
        self._index = index
        self._destination = destination
        self._report = report
        self._cancel = cancel
        self._limits = limits
        self._disk = disk
        self._partial = Partial(index, destination, disk)
        self._whole = WholeHash(self._partial.path, index)
        self._meter = Meter(report, index.file.length_bytes)
        self._stop = Cancel()  # ends the threads, at the user's word or when one of them fails
        self._remarks: deque[Remark] = deque()
        self._workers: list[_Worker] = []
        self.board = Board([chunk.length_bytes for chunk in index.chunks], set(), streams=limits.streams)

    def run(self) -> Fetched:
        total = self._index.file.length_bytes
        if self._is_here():
            self._partial.discard()
            self._meter.show(total, 0, at_once=True)
            return Fetched(0, total)
        verified = self._look_at_what_is_here()
        self.board = Board(self.board.lengths, verified, streams=self._limits.streams)
        kept = self.board.verified_bytes
        self._check_space(total - kept)
        self._partial.begin_note(verified)
        self._bring_the_rest()
        self._finish()
        self._show(at_once=True)
        return Fetched(self._received_bytes, kept)

    def _is_here(self) -> bool:
        if _size_of(self._destination) != self._index.file.length_bytes:
            return False
        there = WholeHash(self._destination, self._index)
        for _ in there.advance(lambda _: True):
            self._cancel.check()
        return there.digest == self._index.file.digest

    def _look_at_what_is_here(self) -> set[int]:
        verified: set[int] = set()
        done_bytes = 0
        for number in self._partial.candidates():
            if self._whole.check(number, self.board.offsets[number], self._cancel.check):
                verified.add(number)
                done_bytes += self.board.lengths[number]
            self._meter.show(done_bytes, 0)
        return verified

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
        if self.board.complete:
            return
        forget = self._cancel.on_cancel(self._stop.cancel)
        pool = ThreadPoolExecutor(self._limits.streams, thread_name_prefix="download")
        running: list[Future[None]] = []
        try:
            self._start_worker(pool, running)
            while not self.board.complete:
                self.board.wait(_POLL_S)
                self._raise_failure(running)
                if self.board.ranges and len(running) < self._limits.streams:
                    self._start_worker(pool, running)
                self._hash_behind()
                self._show()
        finally:
            forget()
            self._stop.cancel()
            wait(running, timeout=_GRACE_S)
            pool.shutdown(wait=False)

    def _start_worker(self, pool: ThreadPoolExecutor, running: list[Future[None]]) -> None:
        worker = _Worker(self._source, self._path, self._index, self.board, self._partial, self._stop, self._limits)
        worker.remarks = self._remarks
        self._workers.append(worker)
        future = pool.submit(worker.run)
        future.add_done_callback(lambda _: self.board.wake())
        running.append(future)

    def _raise_failure(self, running: list[Future[None]]) -> None:
        self._cancel.check()
        for future in running:
            if future.done():
                future.result()

    def _hash_behind(self) -> None:
        for _ in self._whole.advance(self.board.is_verified):
            self._cancel.check()
            self._show()

    def _show(self, *, at_once: bool = False) -> None:
        while self._remarks:
            self._report(self._remarks.popleft())
        self._meter.show(self.board.verified_bytes, self._received_bytes, at_once=at_once)

    @property
    def _received_bytes(self) -> int:
        return sum(worker.received_bytes for worker in self._workers)

    def _finish(self) -> None:
        self._hash_behind()
        if self._whole.digest != self._index.file.digest:
            self._partial.discard()
            raise DigestError(
                f"{self._path} isn't the file that was signed, although its chunks are.",
                expected=self._index.file.digest,
                actual=self._whole.digest,
                hint="Tell who runs the registry.",
            )
        self._partial.finish(self._destination)


class _Worker:
    """One thread: takes runs from the board until there are none.

    Attributes:
        received_bytes: Content that came to this thread.
        remarks: Where it leaves what the user should know.
    """

    def __init__(
        self,
        source: Source,
        path: str,
        index: ChunkIndex,
        board: Board,
        partial: Partial,
        stop: Cancel,
        limits: Limits,
    ) -> None:
        self.received_bytes = 0
        self.remarks: deque[Remark] = deque()
        self._source = source
        self._path = path
        self._index = index
        self._board = board
        self._partial = partial
        self._stop = stop
        self._patience = Patience(limits)
        self._validator: str | None = None

    def run(self) -> None:
        with self._partial.open() as file:
            while run := deque(self._board.take()):
                self._bring(run, file)

    def _bring(self, run: deque[int], file: DiskFile) -> None:
        while run:
            try:
                self._ask(run, file)
            except ChangedError as error:
                self._validator = None
                self._wait_after(error)
            except (TransportError, DigestError) as error:
                self._wait_after(error)

    def _wait_after(self, error: TransportError | DigestError) -> None:
        seconds = self._patience.wait_s(error)
        self.remarks.append(Remark(f"{error.message} Next try in {seconds:.0f} s.", "warning"))
        self._stop.wait(seconds)

    def _ask(self, run: deque[int], file: DiskFile) -> None:
        """One request for a run; each verified chunk leaves the run."""
        first, last = run[0], run[-1]
        offset = self._board.offsets[first]
        length = self._board.offsets[last] + self._board.lengths[last] - offset
        with self._source.stream(
            self._path, offset=offset, length=length, validator=self._validator, cancel=self._stop
        ) as stream:
            self._look_at(stream)
            if stream.ranged:
                self._board.grant_ranges()
            else:
                run.extend(self._board.take_rest())
            reader = _Reader(stream, self._path, self._count)
            while run:
                reader.skip_to(self._board.offsets[run[0]])
                self._verify(run[0], reader, file)
                self._partial.add(run[0])
                self._board.verified(run.popleft())
                self._patience.reset()

    def _look_at(self, stream: ByteStream) -> None:
        expected = self._index.file.length_bytes
        if stream.total_bytes not in {None, expected}:
            raise MixAndMatchError(
                f"{self._source.address}/{self._path} has {stream.total_bytes} bytes; {expected} were signed.",
                hint="Does something else answer there, e.g. a sign-in page? Else tell who runs the registry.",
            )
        self._validator = stream.validator

    def _count(self, received_bytes: int) -> None:
        self.received_bytes += received_bytes

    def _verify(self, number: int, reader: _Reader, file: DiskFile) -> None:
        """Writes a chunk as it comes. Raises DigestError if it isn't the signed one: then it doesn't count."""
        chunk = self._index.chunks[number]
        sha = hashlib.sha256()
        position = self._board.offsets[number]
        for piece in reader.pieces(chunk.length_bytes):
            sha.update(piece)
            file.write_at(position, piece)
            position += len(piece)
        actual = f"sha256:{sha.hexdigest()}"
        if actual != chunk.digest:
            raise DigestError(
                f"Part {number} of {self._path} from {self._source.address} isn't what was signed.",
                expected=chunk.digest,
                actual=actual,
                hint="The file there, or the way to it, is damaged or tampered with: tell who runs the registry.",
            )


class _Reader:
    """Hands out exactly as many bytes of a stream as asked for, in pieces of a good size; ``count`` is told all."""

    def __init__(self, stream: ByteStream, what: str, count: Callable[[int], None]) -> None:
        self._count = count
        self._pieces = iter(stream)
        self._position = stream.offset
        self._what = what
        self._rest = memoryview(b"")

    def skip_to(self, offset: int) -> None:
        for _ in self.pieces(offset - self._position):
            pass

    def pieces(self, count: int) -> Iterator[bytes]:
        while count > 0:
            piece = self._some(min(count, _PIECE_BYTES))
            count -= len(piece)
            self._position += len(piece)
            yield piece

    def _some(self, count: int) -> bytes:
        """``count`` bytes."""
        parts: list[memoryview] = []
        while count > 0:
            part = (self._rest or self._next())[:count]
            self._rest = self._rest[len(part) :]
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _next(self) -> memoryview:
        piece = next(self._pieces, None)
        if piece is None:
            raise TransportError(f"{self._what} ended before its end.", hint="Try again.")
        self._count(len(piece))
        self._rest = memoryview(piece)
        return self._rest
