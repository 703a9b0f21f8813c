"""The only owner of threads in the window.

A job is a plain function ``(report, cancel) -> result``. It runs on one of two lanes: ``CHANGES`` runs one job after
the other, because two jobs that change the store must not meet; ``READS`` runs several at once. Everything that a job
says comes back on the UI thread: progress at most about ten times a second, then exactly one end.

Three kinds of ends: the result, an error that is said to the user, a cancellation that is said to nobody. Everything
else that a job raises is a bug: ``Tasks.crashed`` carries it to the crash dialog.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from bbj_desktop.core.errors import BBjDesktopError, Cancelled
from bbj_desktop.core.progress import Cancel, Transfer
from bbj_desktop.ui.text import translate

Progress = TypeVar("Progress")
Result = TypeVar("Result")

PROGRESS_INTERVAL_S = 0.1
READERS = 4  # threads
SHUTDOWN_S = 5.0  # seconds
CLOSE_S = 6.0  # seconds that what is closed last has at least: an engine that doesn't obey is killed after five


class Lane(Enum):
    CHANGES = "changes"
    READS = "reads"


class _Workers:
    """Threads that empty one queue. Daemons: a job stuck in a system call can't keep the program from ending."""

    def __init__(self, name: str, count: int) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def put(self, work: Callable[[], None]) -> None:
        self._queue.put(work)

    def close(self) -> None:
        for _ in self._threads:
            self._queue.put(None)

    def join(self, until: float) -> bool:
        """Waits for the threads until ``time.monotonic()`` reaches ``until``; tells whether all have ended."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            work()


class Task(QObject, Generic[Progress, Result]):
    """One job on its way. Lives on the UI thread; the job itself touches only ``_post`` and ``_end``.

    Signals:
        finished: It has ended, whichever way; its callbacks have run.
    """

    finished = Signal()
    _news = Signal()
    _ended = Signal()

    def __init__(self, owner: Tasks, interval_s: float) -> None:
        super().__init__(owner)
        self._owner = owner
        self._interval_s = interval_s
        self._last_delivery = 0.0
        self._lock = threading.Lock()
        self._mailbox: deque[Progress] = deque()
        self._announced = False
        self._finish: Callable[[], None] = lambda: None
        self.cancel_flag = Cancel()
        self.on_progress: Callable[[Progress], None] | None = None
        self.running = True
        self._news.connect(self._on_news, Qt.ConnectionType.QueuedConnection)
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)

    def cancel(self) -> None:
        """Asks the job to stop. Returns at once: what the job registered to be woken by runs on a thread of ours."""
        self._owner.send(self.cancel_flag.cancel)

    def pause(self) -> None:
        """Asks the job to let go of its connections and wait. Returns at once, as ``cancel`` does."""
        self._owner.send(self.cancel_flag.pause)

    def resume(self) -> None:
        """Lets a paused job go on."""
        self._owner.send(self.cancel_flag.resume)

    def _post(self, event: Progress) -> None:
        with self._lock:
            if isinstance(event, Transfer) and self._mailbox and isinstance(self._mailbox[-1], Transfer):
                self._mailbox.pop()  # only the newest count matters
            self._mailbox.append(event)
            announce, self._announced = not self._announced, True
        if announce:
            self._news.emit()

    def _end(self, finish: Callable[[], None]) -> None:
        self._finish = finish
        self._ended.emit()

    @Slot()
    def _on_news(self) -> None:
        wait_s = self._last_delivery + self._interval_s - time.monotonic()
        if wait_s <= 0:
            self._deliver()
        else:
            QTimer.singleShot(int(wait_s * 1000) + 1, self, self._deliver)

    @Slot()
    def _deliver(self) -> None:
        with self._lock:
            events, self._mailbox = self._mailbox, deque()
            self._announced = False
        self._last_delivery = time.monotonic()
        if self.on_progress is not None and self.running:
            for event in events:
                self.on_progress(event)

    @Slot()
    def _on_ended(self) -> None:
        if not self.running:  # the window was closed while this was on its way: nobody is there to be told
            return
        self._deliver()
        self.running = False
        try:
            self._finish()
        finally:
            self.finished.emit()


class Tasks(QObject):
    """Runs jobs off the UI thread.

    Signals:
        crashed: A job raised something that isn't a BBjDesktopError; carries the exception.
    """

    crashed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lanes = {Lane.CHANGES: _Workers("changes", 1), Lane.READS: _Workers("reads", READERS)}
        self._cancels = _Workers("cancels", 1)
        self._tasks: set[Task[Any, Any]] = set()
        self._closed = False

    def run(
        self,
        job: Callable[[Callable[[Progress], None], Cancel], Result],
        *,
        on_done: Callable[[Result], None],
        on_error: Callable[[BBjDesktopError], None],
        on_progress: Callable[[Progress], None] | None = None,
        on_cancelled: Callable[[], None] | None = None,
        lane: Lane = Lane.READS,
        interval_s: float = PROGRESS_INTERVAL_S,
    ) -> Task[Progress, Result]:
        """Starts a job; must be called on the UI thread, where all the callbacks run.

        Args:
            job: Runs on a worker thread and may touch no widget.
            on_error: Also called after a bug (``crashed`` comes first), so that no page waits for ever.
            interval_s: Least time between two deliveries of progress, in seconds. Of several Transfers waiting only
                the newest is delivered; nothing else is dropped.
        """
        task: Task[Progress, Result] = Task(self, interval_s)
        task.on_progress = on_progress
        self._tasks.add(task)
        task.finished.connect(lambda: self._forget(task))

        def perform() -> None:
            try:
                task.cancel_flag.check()
                result = job(task._post, task.cancel_flag)  # noqa: SLF001 - the two classes are one unit
            except Cancelled:
                finish: Callable[[], None] = on_cancelled or (lambda: None)
            except BBjDesktopError as error:
                said = error
                finish = lambda: on_error(said)  # noqa: E731 - one expression for the UI thread
            except Exception as error:  # noqa: BLE001 - a bug, wherever it comes from, opens the crash dialog
                bug = error
                finish = lambda: self._crash(bug, on_error)  # noqa: E731 - as above
            else:
                finish = lambda: on_done(result)  # noqa: E731 - as above
            if not self._closed:
                task._end(finish)  # noqa: SLF001 - as above

        self._lanes[lane].put(perform)
        return task

    def send(self, signal: Callable[[], None]) -> None:
        """Runs a signal to a job (cancel, pause, resume) off the UI thread, one after the other."""
        if not self._closed:
            self._cancels.put(signal)

    def shutdown(self, wait_s: float = SHUTDOWN_S, *, last: Callable[[], None] | None = None) -> bool:
        """Cancels every job, waits for their threads and delivers nothing any more. Tells whether all ended in time.

        Args:
            last: What is to be closed when no job needs it any more; runs on a worker thread, too.
        """
        until = time.monotonic() + wait_s
        for task in self._tasks:
            task.running = False
            self.send(task.cancel_flag.cancel)
        self._closed = True
        for lane in self._lanes.values():
            lane.close()
        ended = [lane.join(until) for lane in self._lanes.values()]
        if last is not None:
            self._cancels.put(last)
        self._cancels.close()
        return all([*ended, self._cancels.join(max(until, time.monotonic() + CLOSE_S))])

    def _forget(self, task: Task[Any, Any]) -> None:
        self._tasks.discard(task)
        task.deleteLater()

    def _crash(self, bug: Exception, on_error: Callable[[BBjDesktopError], None]) -> None:
        self.crashed.emit(bug)
        text = translate("Tasks", "Something inside BBj Desktop went wrong.")
        hint = translate("Tasks", "Try again. If it happens again, send the details to support.")
        error = BBjDesktopError(text, hint=hint)
        error.__cause__ = bug
        on_error(error)
