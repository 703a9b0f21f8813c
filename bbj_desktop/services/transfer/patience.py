"""When to try again, and when no more."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bbj_desktop.core.errors import BBjDesktopError, DigestError, ServerError, TransportError

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
    """

    streams: int = 2
    attempts: int = 8
    digest_attempts: int = 3
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    longest_retry_after_s: float = 120.0


class Patience:
    """Counts what goes wrong between two successes of one thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    def wait_s(self, error: TransportError | DigestError) -> float:
        """Seconds to wait before the next try. Raises ``error`` when there is none."""
        self._failures += 1
        limit = self._limits.digest_attempts if isinstance(error, DigestError) else self._limits.attempts
        if self._failures >= limit or not _may_pass(error):
            raise error
        wait_s: float = min(self._limits.longest_wait_s, self._limits.first_wait_s * 2.0 ** (self._failures - 1))
        wait_s *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads the clients, hides nothing
        asked_s = error.retry_after_s if isinstance(error, ServerError) else None
        if asked_s is not None and asked_s > self._limits.longest_retry_after_s:
            raise error
        return max(wait_s, asked_s or 0.0)


def _may_pass(error: BBjDesktopError) -> bool:
    if not isinstance(error, ServerError):
        return True
    return error.status in _WORTH_ANOTHER_TRY or error.status >= 500  # noqa: PLR2004 - server errors
