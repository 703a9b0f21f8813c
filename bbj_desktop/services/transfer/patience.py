"""When to try again, when no more, and how fast at most."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from bbj_desktop.core.errors import BBjDesktopError, DigestError, ServerError, TransportError
from bbj_desktop.core.progress import Cancel

_WORTH_ANOTHER_TRY = frozenset({403, 408, 425, 429})
"""Besides 5xx. 403 is what content networks say when a signed address has expired; the next try asks for a new one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one download.

    Attributes:
        streams: Requests at the same time, to a server that knows ranges.
        attempts: Tries of one request that brings nothing new.
        digest_attempts: Tries of one chunk that comes with a wrong digest.
        first_wait_s: Seconds before the second try; each further wait is twice as long, less a random part.
        longest_wait_s: Bound of those waits, in seconds.
        longest_retry_after_s: A server that asks to wait longer than this, in seconds, has said no.
        mirror_attempts: Tries in a row that bring nothing new before another mirror is asked, if there is one.
        bytes_per_s: Bound of the speed, all requests together; None for none.
    """

    streams: int = 2
    attempts: int = 8
    digest_attempts: int = 3
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    longest_retry_after_s: float = 120.0
    mirror_attempts: int = 2
    bytes_per_s: float | None = None


class Patience:
    """Counts what goes wrong between two successes of one thread.

    Attributes:
        failures: So many since the last success.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.failures = 0

    def reset(self) -> None:
        self.failures = 0

    def wait_s(self, error: BBjDesktopError) -> float:
        """Seconds to wait before the next try. Raises ``error`` when there is none."""
        self.failures += 1
        limit = self._limits.digest_attempts if isinstance(error, DigestError) else self._limits.attempts
        if self.failures >= limit or not may_pass(error):
            raise error
        wait_s: float = min(self._limits.longest_wait_s, self._limits.first_wait_s * 2.0 ** (self.failures - 1))
        wait_s *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads the clients, hides nothing
        if self.asks_too_long(error):
            raise error
        return max(wait_s, _asked_s(error))

    def asks_too_long(self, error: BBjDesktopError) -> bool:
        """Whether a server that is busy wants to be asked so much later that it has said no."""
        return _asked_s(error) > self._limits.longest_retry_after_s


def _asked_s(error: BBjDesktopError) -> float:
    return (error.retry_after_s or 0.0) if isinstance(error, ServerError) else 0.0


def may_pass(error: BBjDesktopError) -> bool:
    """Whether the same mirror may do better the next time."""
    if isinstance(error, ServerError):
        return error.status in _WORTH_ANOTHER_TRY or error.status >= 500  # noqa: PLR2004 - server errors
    return isinstance(error, TransportError | DigestError)


class Throttle:
    """Bounds the speed of several threads together: who is early waits. A pause isn't made up for by a burst.

    Args:
        bytes_per_s: None for no bound.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(self, bytes_per_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._free_at = clock()
        self._lock = threading.Lock()

    def wait_for(self, count: int, cancel: Cancel) -> None:
        """Waits until ``count`` further bytes are due. Raises Cancelled."""
        if self._bytes_per_s is None:
            return
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + count / self._bytes_per_s
            wait_s = self._free_at - now
        cancel.wait(wait_s)
