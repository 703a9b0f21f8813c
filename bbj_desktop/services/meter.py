"""Speed and time left of whatever moves bytes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from bbj_desktop.core.progress import Report, Transfer

_WINDOW_S = 5.0  # the speed is that of the last seconds
_LEAST_S = 0.5  # a speed from less time says nothing
_BETWEEN_S = 0.1  # at most ten events a second


class Meter:
    """Reports progress, at most ten times a second.

    Args:
        report: Where to.
        total_bytes: Bytes in all.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(self, report: Report, total_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._total_bytes = total_bytes
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        self._last = -1.0

    def show(self, done_bytes: int, received_bytes: int, *, at_once: bool = False) -> None:
        """Tells how far it is.

        Args:
            done_bytes: Verified bytes, those found here included.
            received_bytes: Bytes moved by this job so far, for the speed; those found here don't count.
            at_once: Even if the last event was just before.
        """
        now = self._clock()
        if not at_once and self._last >= 0 and now - self._last < _BETWEEN_S:
            return
        self._last = now
        self._samples.append((now, received_bytes))
        while now - self._samples[0][0] > _WINDOW_S:
            self._samples.popleft()
        rate = self._rate()
        left = (self._total_bytes - done_bytes) / rate if rate else None
        self._report(Transfer(done_bytes, self._total_bytes, rate, left))

    def _rate(self) -> float | None:
        (begun, first), (now, last) = self._samples[0], self._samples[-1]
        return (last - first) / (now - begun) if now - begun >= _LEAST_S else None
