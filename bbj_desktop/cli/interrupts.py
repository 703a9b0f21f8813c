"""Ctrl-C: the first one asks the job to stop at its next safe point, the second one ends the process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bbj_desktop.core.errors import Cancelled
from bbj_desktop.core.progress import Cancel


class Interrupts:
    """Turns SIGINT and SIGTERM into a Cancel while its context lasts.

    Jobs run on a worker thread and the main thread waits for them, so a handler always runs soon, and never while this
    thread holds a lock of the Cancel.

    Attributes:
        cancel: What the running job obeys.
    """

    def __init__(self) -> None:
        self.cancel = Cancel()
        self._asking = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handles the signals inside the context; does nothing on other threads, which get no signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Inside, the user is being asked something: Ctrl-C raises Cancelled at once."""
        self._asking = True
        try:
            yield
        except KeyboardInterrupt:
            raise Cancelled from None
        finally:
            self._asking = False

    @contextmanager
    def stoppable(self) -> Iterator[Cancel]:
        """A Cancel of its own for a part that may be stopped while the whole goes on, e.g. one answer of a chat."""
        outer, self.cancel = self.cancel, Cancel()
        try:
            yield self.cancel
        finally:
            self.cancel = outer

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._asking:
            raise KeyboardInterrupt
        if self.cancel.is_set:
            sys.stderr.flush()
            os._exit(Cancelled.exit_code)
        self.cancel.cancel()
