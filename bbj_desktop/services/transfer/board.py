"""Which chunks are still to be fetched, and by whom. Shared by the threads of one download."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import accumulate

_MAX_RUN_BYTES = 64 * 1024 * 1024


class Board:
    """The chunks of one file, each free, taken or verified.

    A thread takes a *run*: neighbouring free chunks that one request brings. Runs are long at first and shorter towards
    the end, so that the threads end together; they come from the front, so that the file grows from its beginning.

    Attributes:
        lengths: Bytes of each chunk.
        offsets: Where each chunk begins.
        total_bytes: Length of the file.
    """

    def __init__(self, lengths: Sequence[int], verified: set[int], *, streams: int) -> None:
        self.lengths = tuple(lengths)
        ends = tuple(accumulate(self.lengths))
        self.offsets = (0, *ends[:-1])
        self.total_bytes = ends[-1]
        self._streams = streams
        self._verified = set(verified)
        self._free = [number for number in range(len(self.lengths)) if number not in self._verified]
        self._free.reverse()
        self._verified_bytes = sum(self.lengths[number] for number in self._verified)
        self._changed = threading.Condition()
        self._ranges = False

    def take(self) -> list[int]:
        """A run of chunk numbers; empty when none is free."""
        with self._changed:
            run: list[int] = []
            free_bytes = sum(self.lengths[number] for number in self._free)
            limit = min(_MAX_RUN_BYTES, free_bytes // (2 * self._streams))
            while self._free and self._continues(run, limit):
                run.append(self._free.pop())
            return run

    def _continues(self, run: list[int], limit: int) -> bool:
        if not run:
            return True
        number = self._free[-1]
        taken = self.offsets[number] - self.offsets[run[0]]
        return number == run[-1] + 1 and taken + self.lengths[number] <= limit

    def take_rest(self) -> list[int]:
        """All free chunks, for a server that knows no ranges."""
        with self._changed:
            rest = self._free[::-1]
            self._free.clear()
            return rest

    def verified(self, number: int) -> None:
        with self._changed:
            self._verified.add(number)
            self._verified_bytes += self.lengths[number]
            self._changed.notify_all()

    def grant_ranges(self) -> None:
        """The server knows ranges: more threads make sense."""
        with self._changed:
            self._ranges = True
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Until something changes, at most ``seconds``."""
        with self._changed:
            self._changed.wait(seconds)

    def is_verified(self, number: int) -> bool:
        with self._changed:
            return number in self._verified

    @property
    def ranges(self) -> bool:
        with self._changed:
            return self._ranges

    @property
    def verified_bytes(self) -> int:
        with self._changed:
            return self._verified_bytes

    @property
    def complete(self) -> bool:
        return self.verified_bytes == self.total_bytes
