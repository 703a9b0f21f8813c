"""How long an answer may take to come, and what happens when it doesn't."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Line = TypeVar("Line")

_LEAST_S = 0.02


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait.

    Attributes:
        first_s: Until the first token: a large model may be read from a slow disk first, and a long prompt be read on
            a slow processor. (Ollama itself gives up a load after five minutes without progress.)
        between_s: From one token to the next.
    """

    first_s: float = 900.0
    between_s: float = 120.0


class Watchman:
    """Cuts a connection whose next line doesn't come in time. Only waiting counts: whoever reads may take their time.

    Attributes:
        patience: How long each line may take.
        late: It had to cut.
        cut: Cuts; set by whoever opens the connection.
    """

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.late = False
        self.cut: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._timer: threading.Timer | None = None
        self._ended = False

    def over(self, lines: Iterator[Line]) -> Iterator[Line]:
        """The lines as they come."""
        limit_s = self.patience.first_s
        self._arm(min(limit_s, self.patience.between_s))
        try:
            while True:
                self._deadline = time.monotonic() + limit_s
                try:
                    line = next(lines)
                except StopIteration:
                    return
                finally:
                    self._deadline = None
                limit_s = self.patience.between_s
                yield line
        finally:
            self._end()

    def _arm(self, seconds: float) -> None:
        with self._lock:
            if not self._ended:
                self._timer = threading.Timer(max(seconds, _LEAST_S), self._ring)
                self._timer.daemon = True
                self._timer.start()

    def _ring(self) -> None:
        now, deadline = time.monotonic(), self._deadline
        if deadline is not None and now >= deadline:
            self.late = True
            self.cut()
        else:
            self._arm(self.patience.between_s if deadline is None else deadline - now)

    def _end(self) -> None:
        with self._lock:
            self._ended = True
            if self._timer is not None:
                self._timer.cancel()
