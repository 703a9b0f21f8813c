"""The mirrors of one download, and which of them are still asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from bbj_desktop.core.errors import BBjDesktopError, TrustError
from bbj_desktop.services.transfer.source import Source


class Mirrors:
    """Hands out mirrors to the threads of one download. One that lies or fails is set aside, all but the last.

    Args:
        sources: At least one; all of them are asked for chunks.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._usable = list(sources)
        self._lock = threading.Lock()
        self._lie: TrustError | None = None

    def pick(self, number: int) -> Source:
        """The mirror for a thread, by the thread's number; another one when that was set aside."""
        with self._lock:
            return self._usable[number % len(self._usable)]

    def set_aside(self, source: Source, error: BBjDesktopError) -> bool:
        """Asks a mirror no more. Says whether there is another one to turn to; the last one isn't set aside."""
        with self._lock:
            if source not in self._usable:
                return True
            if len(self._usable) == 1:
                return False
            self._usable.remove(source)
            if isinstance(error, TrustError):
                self._lie = self._lie or error
            return True

    def verdict(self, error: BBjDesktopError) -> BBjDesktopError:
        """What to end with when the last mirror fails: that one lied is worse than that another doesn't answer."""
        with self._lock:
            return self._lie or error
