"""Verified chunks that were handed on in part only: the rest is kept in memory until it is asked for.

Whoever asks for ranges doesn't ask along the borders of chunks: where two of its parts meet, both need the same chunk,
one at its beginning, the other at its end, and that may be minutes apart. Only what nobody had yet is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

Span = tuple[int, int]
"""From, to (exclusive), in bytes within a chunk."""


@dataclass(frozen=True, slots=True)
class Want:
    """A range of one chunk, in bytes from the chunk's beginning.

    Attributes:
        last: Exclusive.
        whole: It is all of the chunk.
    """

    number: int
    first: int
    last: int
    whole: bool


class OwedChunks:
    """Not safe for several threads: its user has a lock.

    Args:
        limit_bytes: What is kept at most; beyond it the oldest goes, and would be fetched again.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[int, tuple[int, bytes]] = OrderedDict()
        self._owed: dict[int, list[Span]] = {}
        self.kept_bytes = 0

    def put(self, number: int, content: bytes) -> None:
        """A verified chunk came. What of it was handed on before isn't kept."""
        self._owed.setdefault(number, [(0, len(content))])
        self._keep(number, 0, content)
        while self.kept_bytes > self._limit and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))

    def get(self, want: Want) -> bytes | None:
        start, content = self._kept.get(want.number, (0, b""))
        if not content or want.first < start or want.last > start + len(content):
            return None
        return content[want.first - start : want.last - start]

    def handed(self, number: int, first: int, last: int) -> None:
        """A range of a chunk has left."""
        left = [
            span
            for begin, end in self._owed.get(number, [])
            for span in ((begin, min(end, first)), (max(begin, last), end))
        ]
        self._owed[number] = [(begin, end) for begin, end in left if begin < end]
        if number in self._kept:
            self._keep(number, *self._kept[number])

    def _keep(self, number: int, start: int, content: bytes) -> None:
        """Keeps as much of a content as spans what is owed."""
        spans = self._owed[number]
        self._drop(number)
        if spans:
            begin, end = min(spans)[0], max(spans)[1]
            rest = content[max(0, begin - start) : max(0, end - start)]
            self._kept[number] = (max(begin, start), rest)
            self.kept_bytes += len(rest)

    def _drop(self, number: int) -> None:
        _, content = self._kept.pop(number, (0, b""))
        self.kept_bytes -= len(content)
