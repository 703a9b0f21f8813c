"""Hands a file on while it is fetched: every chunk is verified before one of its bytes leaves, and no copy is kept.

For a taker that asks for ranges, as Ollama's pull does: several at once, whose borders aren't those of the chunks. A
chunk that several of them need a part of is fetched once; what a taker asks for again is fetched again.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from itertools import accumulate, islice

from bbj_desktop.core.errors import (
    BBjDesktopError,
    ChangedError,
    DigestError,
    MixAndMatchError,
    NotFoundError,
    StoreAccessError,
    TransportError,
    TrustError,
)
from bbj_desktop.core.progress import Cancel, Remark
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.services.store.disk import pieces_of
from bbj_desktop.services.transfer.donors import Donor
from bbj_desktop.services.transfer.held import HeldFile
from bbj_desktop.services.transfer.mirrors import Mirrors
from bbj_desktop.services.transfer.owed import OwedChunks, Want
from bbj_desktop.services.transfer.patience import Limits, Patience, Throttle, may_pass
from bbj_desktop.services.transfer.source import ByteStream, Source

_KEPT_BYTES = 256 * 2**20  # 16 connections of Ollama, each at most at one chunk and a rest of one, of 8 MiB as a rule
_LOOK_S = 0.5  # seconds between two looks whether to go on waiting
_PIECE_BYTES = 256 * 1024


class PassedOn:
    """A file that lies elsewhere.

    Args:
        sources: The mirrors, at least one.
        path: The file's path in each of them.
        index: Signed digests of its chunks.
        donors: Files on this machine that have some of the chunks.
        held: Open ones that have some, too, whatever becomes of their names.
        limits: Patience and speed.
        remark: Told what the user should know.

    Attributes:
        received_bytes: What came over the network.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        path: str,
        index: ChunkIndex,
        *,
        donors: Sequence[Donor] = (),
        held: Sequence[HeldFile] = (),
        limits: Limits,
        remark: Callable[[Remark], None],
    ) -> None:
        self.received_bytes = 0
        self._mirrors = Mirrors(sources)
        self._path = path
        self._index = index
        self._limits = limits
        self._remark = remark
        self._throttle = Throttle(limits.bytes_per_s)
        ends = tuple(accumulate(chunk.length_bytes for chunk in index.chunks))
        self._ends = ends
        self._places = {
            (chunk.digest, chunk.length_bytes): (donor.path, end - chunk.length_bytes)
            for donor in donors
            for chunk, end in zip(
                donor.index.chunks, accumulate(each.length_bytes for each in donor.index.chunks), strict=True
            )
        }
        self._held = tuple(held)
        self._changed = threading.Condition()
        self._claimed: set[int] = set()
        self._owed = OwedChunks(_KEPT_BYTES)

    @property
    def length_bytes(self) -> int:
        return self._index.file.length_bytes

    def read(self, offset: int, length_bytes: int, cancel: Cancel) -> Generator[bytes]:
        """Verified bytes of a range, in pieces.

        Raises:
            TransportError: No mirror can be reached, or all of them fail.
            DigestError: No mirror has what was signed.
            Cancelled: By ``cancel``.
        """
        for want, content in self._wanted(deque(self._wants(offset, offset + length_bytes)), cancel):
            sent = 0
            try:
                while sent < len(content):
                    piece = content[sent : sent + _PIECE_BYTES]
                    yield piece
                    sent += len(piece)
            finally:
                with self._changed:
                    self._owed.handed(want.number, want.first, want.first + sent)

    def _wants(self, offset: int, end: int) -> Iterator[Want]:
        for number in range(bisect_right(self._ends, offset), len(self._ends)):
            begin, length = self._begin(number), self._index.chunks[number].length_bytes
            if begin >= end:
                return
            first, last = max(0, offset - begin), min(length, end - begin)
            yield Want(number, first, last, whole=last - first == length)

    def _begin(self, number: int) -> int:
        return self._ends[number] - self._index.chunks[number].length_bytes

    def _wanted(self, left: deque[Want], cancel: Cancel) -> Iterator[tuple[Want, bytes]]:
        """What is wanted in its order, all verified: from memory, from this machine, or a run of it by one request."""
        while left:
            cancel.check()
            here = self._here(left[0])
            if here is not None:
                yield left.popleft(), here
            elif self._claim(left[0], cancel):
                yield from self._brought(left, cancel)

    def _brought(self, left: deque[Want], cancel: Cancel) -> Iterator[tuple[Want, bytes]]:
        """A run of what is wanted. Nobody else fetches its first chunk meanwhile, which others may need a part of."""
        run = self._run(left)
        claimed = run[0]
        with closing(self._fetched(run, cancel)) as fetched:
            try:
                number, content = next(fetched)
            finally:
                self._release(claimed)
            while True:
                want = left.popleft()
                assert want.number == number  # noqa: S101 - both go through the same run
                yield want, content[want.first : want.last]
                came = next(fetched, None)
                if came is None:
                    return
                number, content = came

    def _run(self, left: Sequence[Want]) -> deque[int]:
        """What one request is to bring. A chunk that is wanted in part ends it before: by then it may be here, because
        whoever asked for the next part brought it."""
        numbers = deque([left[0].number])
        for want in islice(left, 1, None):
            if not want.whole or self._lies_here(want):
                break
            numbers.append(want.number)
        return numbers

    def _claim(self, want: Want, cancel: Cancel) -> bool:
        """Waits while another fetches a chunk. Says whether it has to be fetched all the same."""
        with self._changed:
            while want.number in self._claimed:
                self._changed.wait(_LOOK_S)
                cancel.check()
            if self._owed.get(want) is not None:
                return False
            self._claimed.add(want.number)
            return True

    def _release(self, number: int) -> None:
        with self._changed:
            self._claimed.discard(number)
            self._changed.notify_all()

    def _lies_here(self, want: Want) -> bool:
        chunk = self._index.chunks[want.number]
        sought = (chunk.digest, chunk.length_bytes)
        with self._changed:
            if sought in self._places or self._owed.get(want) is not None:
                return True
        return any(each.has(sought) for each in self._held)

    def _here(self, want: Want) -> bytes | None:
        with self._changed:
            kept = self._owed.get(want)
        if kept is not None:
            return kept
        chunk = self._index.chunks[want.number]
        sought = (chunk.digest, chunk.length_bytes)
        for each in self._held:
            if (found := each.take(sought)) is not None:
                return found[want.first : want.last]
        place = self._places.get(sought)
        if place is not None:
            with suppress(StoreAccessError):
                content = b"".join(pieces_of(*place, chunk.length_bytes))
                if _digest(content) == chunk.digest:
                    return content[want.first : want.last]
        return None

    def _fetched(self, run: deque[int], cancel: Cancel) -> Generator[tuple[int, bytes]]:
        patience = Patience(self._limits)
        source = self._mirrors.pick(0)
        while run:
            if self._mirrors.pick(0) is not source:
                source, patience = self._mirrors.pick(0), Patience(self._limits)
            try:
                for number, content in self._asked(source, run, cancel):
                    patience.reset()
                    yield number, content
            except (ChangedError, TransportError, DigestError, MixAndMatchError, NotFoundError) as error:
                self._go_on_after(error, source, patience, cancel)

    def _asked(self, source: Source, run: deque[int], cancel: Cancel) -> Iterator[tuple[int, bytes]]:
        """One request; each verified chunk leaves the run before it leaves this."""
        begin, end = self._begin(run[0]), self._ends[run[-1]]
        with source.stream(self._path, offset=begin, length=end - begin, cancel=cancel) as stream:
            self._look_at(source, stream)
            pieces = _Pieces(stream, self._count(cancel), self._path)
            pieces.skip(begin - stream.offset)
            while run:
                chunk = self._index.chunks[run[0]]
                content = pieces.take(chunk.length_bytes)
                actual = _digest(content)
                if actual != chunk.digest:
                    raise DigestError(
                        f"Part {run[0]} of {self._path} from {source.address} isn't what was signed.",
                        expected=chunk.digest,
                        actual=actual,
                        hint="The file there, or the way to it, is damaged or tampered with: tell who runs the "
                        "registry.",
                    )
                number = run.popleft()
                self._remember(number, content)
                yield number, content

    def _look_at(self, source: Source, stream: ByteStream) -> None:
        if stream.total_bytes not in {None, self.length_bytes}:
            raise MixAndMatchError(
                f"{source.address}/{self._path} has {stream.total_bytes} bytes; {self.length_bytes} were signed.",
                hint="Does something else answer there, e.g. a sign-in page? Else tell who runs the registry.",
            )

    def _count(self, cancel: Cancel) -> Callable[[int], None]:
        def count(received: int) -> None:
            with self._changed:
                self.received_bytes += received
            self._throttle.wait_for(received, cancel)

        return count

    def _remember(self, number: int, content: bytes) -> None:
        with self._changed:
            self._owed.put(number, content)

    def _go_on_after(self, error: BBjDesktopError, source: Source, patience: Patience, cancel: Cancel) -> None:
        """As a download's threads do: another mirror, or a wait. Raises when there is neither."""
        tried_enough = patience.failures + 1 >= self._limits.mirror_attempts
        unfit = tried_enough or isinstance(error, TrustError) or not may_pass(error)
        if unfit and self._mirrors.set_aside(source, error):
            self._remark(Remark(f"{source.address} is set aside: {error.message}", "warning"))
            return
        try:
            seconds = patience.wait_s(error)
        except BBjDesktopError:
            verdict = self._mirrors.verdict(error)
            if verdict is error:
                raise
            raise verdict from error
        self._remark(Remark(f"{error.message} Next try in {seconds:.0f} s.", "warning"))
        cancel.wait(seconds)


class _Pieces:
    """Takes exactly as many bytes from a stream as asked for."""

    def __init__(self, stream: ByteStream, count: Callable[[int], None], what: str) -> None:
        self._pieces = iter(stream)
        self._count = count
        self._what = what
        self._rest = b""

    def skip(self, length: int) -> None:
        while length > 0:
            length -= len(self.take(min(length, _PIECE_BYTES)))

    def take(self, length: int) -> bytes:
        parts = [self._rest]
        got = len(self._rest)
        while got < length:
            piece = next(self._pieces, None)
            if piece is None:
                raise TransportError(f"{self._what} ended before its end.", hint="Try again.")
            self._count(len(piece))
            parts.append(piece)
            got += len(piece)
        whole = b"".join(parts)
        self._rest = whole[length:]
        return whole[:length]


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
