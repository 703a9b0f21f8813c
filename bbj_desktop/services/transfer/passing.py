"""Hands a file on while it is fetched: every chunk is verified before one of its bytes leaves, and no copy is kept.

For a taker that asks for ranges, as Ollama's pull does. What it asks for twice is fetched twice; the last few chunks
are remembered, because the borders of its parts aren't those of the chunks.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate

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
from bbj_desktop.services.transfer.mirrors import Mirrors
from bbj_desktop.services.transfer.patience import Limits, Patience, Throttle, may_pass
from bbj_desktop.services.transfer.source import ByteStream, Source

_REMEMBERED = 4  # chunks of at most 16 MiB
_PIECE_BYTES = 256 * 1024


class PassedOn:
    """A file that lies elsewhere.

    Args:
        sources: The mirrors, at least one.
        path: The file's path in each of them.
        index: Signed digests of its chunks.
        donors: Files on this machine that have some of the chunks.
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
        self._lock = threading.Lock()
        self._remembered: OrderedDict[int, bytes] = OrderedDict()

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
        end = offset + length_bytes
        numbers = [n for n, stop in enumerate(self._ends) if stop > offset and self._begin(n) < end]
        for number, content in self._chunks(numbers, cancel):
            begin = self._begin(number)
            wanted = memoryview(content)[max(0, offset - begin) : end - begin]
            for position in range(0, len(wanted), _PIECE_BYTES):
                yield bytes(wanted[position : position + _PIECE_BYTES])

    def _begin(self, number: int) -> int:
        return self._ends[number] - self._index.chunks[number].length_bytes

    def _chunks(self, numbers: Sequence[int], cancel: Cancel) -> Iterator[tuple[int, bytes]]:
        """The chunks in their order, each verified: from memory, from this machine, or a run of them by one request."""
        left = deque(numbers)
        while left:
            cancel.check()
            here = self._here(left[0])
            if here is not None:
                yield left.popleft(), here
                continue
            run: deque[int] = deque()
            while left and self._here(left[0]) is None:
                run.append(left.popleft())
            yield from self._fetched(run, cancel)

    def _here(self, number: int) -> bytes | None:
        with self._lock:
            if number in self._remembered:
                return self._remembered[number]
        chunk = self._index.chunks[number]
        place = self._places.get((chunk.digest, chunk.length_bytes))
        if place is not None:
            with suppress(StoreAccessError):
                content = b"".join(pieces_of(*place, chunk.length_bytes))
                if _digest(content) == chunk.digest:
                    return content
        return None

    def _fetched(self, run: deque[int], cancel: Cancel) -> Iterator[tuple[int, bytes]]:
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
            with self._lock:
                self.received_bytes += received
            self._throttle.wait_for(received, cancel)

        return count

    def _remember(self, number: int, content: bytes) -> None:
        with self._lock:
            self._remembered[number] = content
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)

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
