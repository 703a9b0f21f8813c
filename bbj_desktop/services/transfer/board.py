"""Which chunks are still to be fetched, and by whom. Shared by the threads of one download."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import accumulate

_MAX_RUN_BYTES = 256 * 1024 * 1024  # proxies that look for viruses hold an answer back until they have it whole


class Board:
    """The chunks of one file, each free, taken or verified.

    A thread takes a *run*: neighbouring free chunks that one request brings. Runs are long at first and shorter towards
    the end, so that the threads end together; they come from the front, so that the file grows from its beginning. When
    none is free, a thread takes over the rear half of the longest run of another: a slow mirror doesn't hold up the
    end. The first chunk of a run, which its thread is at, stays with it.

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
        self._free: list[int] = []
        self._verified_bytes = sum(self.lengths[number] for number in self._verified)
        self._runs: list[deque[int]] = []
        self._changed = threading.Condition()
        self._ranges = False
        self.release()

    def release(self) -> None:
        """Takes back what was given out and isn't verified: those who had it have ended, or don't count any more."""
        with self._changed:
            self._runs = []
            self._free = [number for number in range(len(self.lengths)) if number not in self._verified]
            self._free.reverse()

    def take(self) -> deque[int]:
        """A run of chunk numbers; empty when there is none to be had. Only the board shortens it: see ``verified``."""
        with self._changed:
            run: deque[int] = deque()
            free_bytes = sum(self.lengths[number] for number in self._free)
            limit = min(_MAX_RUN_BYTES, free_bytes // (2 * self._streams))
            while self._free and self._continues(run, limit):
                run.append(self._free.pop())
            run = run or self._taken_over()
            self._runs = [each for each in (*self._runs, run) if each]
            return run

    def _taken_over(self) -> deque[int]:
        longest = max(self._runs, key=len, default=deque[int]())
        return deque(reversed([longest.pop() for _ in range(len(longest) // 2)]))

    def _continues(self, run: deque[int], limit: int) -> bool:
        if not run:
            return True
        number = self._free[-1]
        taken = self.offsets[number] - self.offsets[run[0]]
        return number == run[-1] + 1 and taken + self.lengths[number] <= limit

    def take_rest(self, run: deque[int]) -> None:
        """Adds all free chunks to a run, for a server that knows no ranges; nothing of it can be taken over."""
        with self._changed:
            run.extend(self._free[::-1])
            self._free.clear()
            self._runs = [each for each in self._runs if each is not run]

    def verified(self, run: deque[int]) -> None:
        """The first chunk of a run is here."""
        with self._changed:
            number = run.popleft()
            if number not in self._verified:  # a thread that overslept a pause brings it again
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
