"""The only owner of threads."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest
from PySide6.QtCore import QThread
from pytestqt.qtbot import QtBot

from bbj_desktop.core.errors import BBjDesktopError, Cancelled, NotFoundError
from bbj_desktop.core.progress import Cancel, Event, Report, Step, Transfer
from bbj_desktop.ui.tasks import Lane, Tasks


def _unexpected(error: BBjDesktopError) -> None:
    pytest.fail(f"unexpected: {error}")


def _nothing(_result: object) -> None:
    """For jobs whose end is watched elsewhere."""


def test_a_job_runs_on_another_thread_and_its_result_arrives_on_the_ui_thread(qtbot: QtBot, tasks: Tasks) -> None:
    ui = QThread.currentThread()
    threads: list[object] = []
    seen: list[tuple[int, bool]] = []

    def job(_report: Report, _cancel: Cancel) -> int:
        threads.append(threading.current_thread())
        return 7

    tasks.run(job, on_done=lambda n: seen.append((n, QThread.currentThread() is ui)), on_error=_unexpected)
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == [(7, True)]
    assert threads[0] is not threading.main_thread()


def test_an_error_is_said_and_a_cancellation_is_not(qtbot: QtBot, tasks: Tasks) -> None:
    said: list[str] = []
    silent: list[str] = []

    def failing(_report: Report, _cancel: Cancel) -> None:
        raise NotFoundError("There is no such version.")

    def waiting(_report: Report, cancel: Cancel) -> None:
        cancel.wait(30)

    tasks.run(failing, on_done=_nothing, on_error=lambda error: said.append(error.message))
    task = tasks.run(
        waiting,
        on_done=_nothing,
        on_error=_unexpected,
        on_cancelled=lambda: silent.append("cancelled"),
    )
    task.cancel()
    qtbot.waitUntil(lambda: bool(said) and bool(silent))
    assert said == ["There is no such version."]


def test_a_bug_is_reported_and_the_page_is_told_that_it_is_over(qtbot: QtBot, tasks: Tasks) -> None:
    bugs: list[object] = []
    said: list[BBjDesktopError] = []
    tasks.crashed.connect(bugs.append)

    def buggy(_report: Report, _cancel: Cancel) -> float:
        return 1 / 0

    tasks.run(buggy, on_done=_nothing, on_error=said.append)
    qtbot.waitUntil(lambda: bool(said))
    assert isinstance(bugs[0], ZeroDivisionError)
    assert said[0].__cause__ is bugs[0]


def test_changes_run_one_after_the_other_and_reads_side_by_side(qtbot: QtBot, tasks: Tasks) -> None:
    together = dict.fromkeys(Lane, 0)
    most = dict.fromkeys(Lane, 0)
    lock = threading.Lock()
    ended: list[None] = []

    def job_in(lane: Lane) -> Callable[[Report, Cancel], None]:
        def job(_report: Report, _cancel: Cancel) -> None:
            with lock:
                together[lane] += 1
                most[lane] = max(most[lane], together[lane])
            time.sleep(0.05)
            with lock:
                together[lane] -= 1

        return job

    for lane in Lane:
        for _ in range(3):
            tasks.run(job_in(lane), on_done=ended.append, on_error=_unexpected, lane=lane)
    qtbot.waitUntil(lambda: len(ended) == 6)
    assert most[Lane.CHANGES] == 1
    assert most[Lane.READS] > 1


def test_progress_is_delivered_about_ten_times_a_second_and_the_last_count_arrives(qtbot: QtBot, tasks: Tasks) -> None:
    total = 5 * 2**32  # more than a 32-bit signal carries
    arrived: list[Event] = []
    ended: list[None] = []

    def job(report: Report, _cancel: Cancel) -> None:
        for part in range(101):
            report(Transfer(total * part // 100, total))
            time.sleep(0.005)

    tasks.run(job, on_progress=arrived.append, on_done=ended.append, on_error=_unexpected)
    qtbot.waitUntil(lambda: bool(ended))
    assert 2 <= len(arrived) <= 10
    assert arrived[-1] == Transfer(total, total)


def test_only_transfers_are_thinned_out(qtbot: QtBot, tasks: Tasks) -> None:
    arrived: list[Event] = []
    ended: list[None] = []

    def job(report: Report, _cancel: Cancel) -> None:
        for number in range(20):
            report(Step(str(number), ""))

    tasks.run(job, on_progress=arrived.append, on_done=ended.append, on_error=_unexpected)
    qtbot.waitUntil(lambda: bool(ended))
    assert [event.name for event in arrived if isinstance(event, Step)] == [str(number) for number in range(20)]


def test_cancelling_doesn_t_hold_up_the_ui_thread(qtbot: QtBot, tasks: Tasks) -> None:
    woken = threading.Event()
    waiting = threading.Event()
    ended: list[str] = []

    def slow_to_wake() -> None:
        time.sleep(0.3)
        woken.set()

    def job(_report: Report, cancel: Cancel) -> None:
        cancel.on_cancel(slow_to_wake)
        waiting.set()
        woken.wait(5)
        cancel.check()

    task = tasks.run(job, on_done=_nothing, on_error=_unexpected, on_cancelled=lambda: ended.append("cancelled"))
    assert waiting.wait(5)
    before = time.monotonic()
    task.cancel()
    assert time.monotonic() - before < 0.1
    qtbot.waitUntil(lambda: bool(ended))


def test_shutting_down_cancels_waits_and_delivers_nothing_more(qtbot: QtBot) -> None:
    tasks = Tasks()
    started = threading.Event()
    delivered: list[object] = []

    def job(_report: Report, cancel: Cancel) -> None:
        started.set()
        cancel.wait(30)

    tasks.run(job, on_done=delivered.append, on_error=delivered.append, on_cancelled=lambda: delivered.append(1))
    assert started.wait(5)
    assert tasks.shutdown(wait_s=5)
    qtbot.wait(50)
    assert delivered == []


def test_an_end_that_was_on_its_way_when_it_was_shut_down_is_told_nobody(qtbot: QtBot) -> None:
    tasks = Tasks()
    delivered: list[object] = []
    next_began = threading.Event()

    def waiting(_report: Report, cancel: Cancel) -> None:
        next_began.set()
        cancel.wait(30)

    def quick(_report: Report, _cancel: Cancel) -> int:
        return 7

    task = tasks.run(quick, on_done=delivered.append, on_error=_unexpected, lane=Lane.CHANGES)
    task.finished.connect(lambda: delivered.append("finished"))
    tasks.run(waiting, on_done=delivered.append, on_error=_unexpected, lane=Lane.CHANGES)
    assert next_began.wait(5)  # one after the other: the first one's end is waiting for this thread
    assert tasks.shutdown(wait_s=5)
    qtbot.wait(50)
    assert delivered == []


def test_what_is_closed_last_waits_for_the_jobs() -> None:
    tasks = Tasks()
    started = threading.Event()
    order: list[str] = []

    def job(_report: Report, cancel: Cancel) -> None:
        started.set()
        with contextlib.suppress(Cancelled):
            cancel.wait(30)
        time.sleep(0.05)
        order.append("job")

    tasks.run(job, on_done=_nothing, on_error=_unexpected)
    assert started.wait(5)
    assert tasks.shutdown(wait_s=5, last=lambda: order.append("last"))
    assert order == ["job", "last"]


def test_a_job_that_doesn_t_obey_is_left_behind_in_time() -> None:
    tasks = Tasks()
    release = threading.Event()
    started = threading.Event()

    def job(_report: Report, _cancel: Cancel) -> None:
        started.set()
        release.wait(5)

    tasks.run(job, on_done=_nothing, on_error=_unexpected)
    assert started.wait(5)
    before = time.monotonic()
    assert not tasks.shutdown(wait_s=0.2)
    assert time.monotonic() - before < 1
    release.set()
