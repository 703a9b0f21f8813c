"""How a job tells what it does, and how it is told to stop.

A job is a plain function ``(…, report, cancel) -> result``. It runs on any thread; whoever calls it decides what the
events become: a progress bar, a line, a Qt signal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bbj_desktop.core.errors import Cancelled


@dataclass(frozen=True, slots=True)
class Step:
    """A new part of the job has begun.

    Attributes:
        name: Stable name for scripts, e.g. ``"download"``.
        text: The same for a person, e.g. ``"Downloading bbj-coder 7B"``.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bytes have moved (or were found here already).

    Attributes:
        done_bytes: Bytes that are verified, those found here included.
        total_bytes: Bytes in all.
        rate_bytes_per_s: Speed over the last seconds; None until it is known.
        remaining_s: Time left in seconds at that speed; None until it is known.
    """

    done_bytes: int
    total_bytes: int
    rate_bytes_per_s: float | None = None
    remaining_s: float | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the user should know and that doesn't end the job."""

    text: str
    level: Literal["info", "warning"] = "info"


Event = Step | Transfer | Remark
Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """A report that drops everything, for callers who don't show progress."""


class Cancel:
    """A flag that one thread sets and a job on another one obeys at its next safe point.

    ``on_cancel`` lets a job that waits in a system call be woken (close the socket, end the process): the callback runs
    on the thread that cancels, at once if the flag is already set.

    A job may also be paused: one that can let go of what it holds registers ``on_pause`` and waits in ``hold``; others
    go on. Cancelling ends a pause.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._pause_callbacks: list[Callable[[], None]] = []

    def cancel(self) -> None:
        with self._lock:
            self._event.set()
            self._going.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def pause(self) -> None:
        with self._lock:
            if self._event.is_set():
                return
            self._going.clear()
            callbacks = list(self._pause_callbacks)
        for callback in callbacks:
            callback()

    def resume(self) -> None:
        self._going.set()

    @property
    def paused(self) -> bool:
        return not self._going.is_set()

    def hold(self) -> None:
        """Waits as long as the job is paused. Raises Cancelled if the flag is set."""
        self._going.wait()
        self.check()

    def on_pause(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Registers ``callback``, for each pause and at once during one; returns the function that takes it back."""
        with self._lock:
            self._pause_callbacks.append(callback)
            paused = not self._going.is_set()
        if paused:
            callback()
        return lambda: self._pause_callbacks.remove(callback)

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises Cancelled if the flag is set."""
        if self._event.is_set():
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Sleeps at most ``seconds``; raises Cancelled as soon as the flag is set."""
        if self._event.wait(seconds):
            raise Cancelled

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Registers ``callback`` and returns the function that takes it back."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
