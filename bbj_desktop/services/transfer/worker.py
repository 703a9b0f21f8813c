"""One of the threads that bring a file: takes runs of chunks, asks a mirror for them, hashes and writes what comes."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator

from bbj_desktop.core.errors import (
    BBjDesktopError,
    ChangedError,
    DigestError,
    MixAndMatchError,
    NotFoundError,
    TransportError,
    TrustError,
)
from bbj_desktop.core.progress import Cancel, Remark
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.core.units import format_bytes
from bbj_desktop.services.store.disk import DiskFile
from bbj_desktop.services.transfer.board import Board
from bbj_desktop.services.transfer.mirrors import Mirrors
from bbj_desktop.services.transfer.partial import Partial
from bbj_desktop.services.transfer.patience import Limits, Patience, Throttle, may_pass
from bbj_desktop.services.transfer.source import ByteStream, Source, filling

_BUFFER_BYTES = 256 * 1024  # of each thread; small enough to stay in a processor's cache
_PIECE_BYTES = 128 * 1024  # at least so much is hashed and written at once: few system calls


class Worker:
    """One thread: takes runs from the board until there are none.

    Args:
        number: Its number among the threads; they begin at different mirrors.
        mirrors: Where from.
        path: The file's path in each of them.
        index: Signed digests of the chunks.
        board: Gives out the chunks.
        partial: Takes them in.
        stop: Ends it at once.
        limits: Patience.
        throttle: Shared by all threads of the download.
        remark: Told what the user should know.

    Attributes:
        received_bytes: Content that came to this thread.
    """

    def __init__(
        self,
        number: int,
        mirrors: Mirrors,
        path: str,
        index: ChunkIndex,
        board: Board,
        partial: Partial,
        stop: Cancel,
        limits: Limits,
        throttle: Throttle,
        remark: Callable[[Remark], None],
    ) -> None:
        self.received_bytes = 0
        self._number = number
        self._mirrors = mirrors
        self._path = path
        self._index = index
        self._board = board
        self._partial = partial
        self._stop = stop
        self._limits = limits
        self._throttle = throttle
        self._remark = remark
        self._source = mirrors.pick(number)
        self._patience = Patience(limits)
        self._validator: str | None = None
        self._told_of: Source | None = None
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))

    def run(self) -> None:
        with self._partial.open() as file:
            while run := self._board.take():
                self._bring(run, file)

    def _bring(self, run: deque[int], file: DiskFile) -> None:
        while run:
            self._choose_mirror()
            try:
                self._ask(run, file)
            except ChangedError as error:
                self._validator = None
                self._go_on_after(error)
            except (TransportError, DigestError, MixAndMatchError, NotFoundError) as error:
                self._go_on_after(error)

    def _choose_mirror(self) -> None:
        """Another mirror has its own ETags and deserves fresh patience."""
        source = self._mirrors.pick(self._number)
        if source is not self._source:
            self._source = source
            self._patience = Patience(self._limits)
            self._validator = None

    def _go_on_after(self, error: BBjDesktopError) -> None:
        """Turns to another mirror, or waits for another try with the last one. Raises when there is neither."""
        tried_enough = self._patience.failures + 1 >= self._limits.mirror_attempts
        has_said_no = not may_pass(error) or self._patience.asks_too_long(error)
        unfit = tried_enough or isinstance(error, TrustError) or has_said_no
        if unfit and self._mirrors.set_aside(self._source, error):
            self._remark(Remark(f"{self._source.address} is set aside: {error.message}", "warning"))
            return
        try:
            seconds = self._patience.wait_s(error)
        except BBjDesktopError:
            verdict = self._mirrors.verdict(error)
            if verdict is error:
                raise
            raise verdict from error
        self._remark(Remark(f"{error.message} Next try in {seconds:.0f} s.", "warning"))
        self._stop.wait(seconds)

    def _ask(self, run: deque[int], file: DiskFile) -> None:
        """One request for a run; each verified chunk leaves the run."""
        first, last = run[0], run[-1]  # another thread may take over the rear: then this answer is left early
        offset = self._board.offsets[first]
        length = self._board.offsets[last] + self._board.lengths[last] - offset
        with self._source.stream(
            self._path, offset=offset, length=length, validator=self._validator, cancel=self._stop
        ) as stream:
            self._look_at(stream)
            if stream.ranged:
                self._board.grant_ranges()
            else:
                self._tell_what_comes_again(offset)
                self._board.take_rest(run)
            reader = _Reader(stream, self._path, self._buffer, self._count)
            while run:
                reader.skip_to(self._board.offsets[run[0]])
                self._verify(run[0], reader, file)
                self._partial.add(run[0])
                self._board.verified(run)
                self._patience.reset()

    def _look_at(self, stream: ByteStream) -> None:
        expected = self._index.file.length_bytes
        if stream.total_bytes not in {None, expected}:
            raise MixAndMatchError(
                f"{self._source.address}/{self._path} has {stream.total_bytes} bytes; {expected} were signed.",
                hint="Does something else answer there, e.g. a sign-in page? Else tell who runs the registry.",
            )
        self._validator = stream.validator

    def _tell_what_comes_again(self, offset: int) -> None:
        """Once: the plan couldn't know what this server is able to, and promised fewer bytes."""
        if offset and self._source is not self._told_of:
            self._told_of = self._source
            again = format_bytes(offset)
            self._remark(Remark(f"{self._source.address} sends whole files only: {again} that are here come again."))

    def _count(self, received_bytes: int) -> None:
        self.received_bytes += received_bytes
        self._throttle.wait_for(received_bytes, self._stop)

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
    """Hands out exactly as many bytes of a stream as asked for, in pieces of a good size; ``count`` is told all.

    A piece lies in ``buffer`` and is good until the next one is asked for.
    """

    def __init__(self, stream: ByteStream, what: str, buffer: memoryview, count: Callable[[int], None]) -> None:
        self._stream = filling(stream)
        self._count = count
        self._position = stream.offset
        self._what = what
        self._buffer = buffer

    def skip_to(self, offset: int) -> None:
        for _ in self.pieces(offset - self._position):
            pass

    def pieces(self, count: int) -> Iterator[memoryview]:
        while count > 0:
            piece = self._some(min(count, len(self._buffer)))
            count -= len(piece)
            self._position += len(piece)
            yield piece

    def _some(self, count: int) -> memoryview:
        """At most ``count`` bytes; fewer only when a good size has come."""
        length = 0
        while length < min(count, _PIECE_BYTES):
            came = self._stream.read_into(self._buffer[length:count])
            if came == 0:
                raise TransportError(f"{self._what} ended before its end.", hint="Try again.")
            self._count(came)
            length += came
        return self._buffer[:length]
