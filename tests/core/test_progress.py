"""Cancelling: at once, from another thread, and taken back."""

from __future__ import annotations

import threading
import time

import pytest

from bbj_desktop.core.errors import BBjDesktopError, Cancelled
from bbj_desktop.core.progress import Cancel


def test_a_job_that_checks_ends_when_cancelled() -> None:
    cancel = Cancel()
    cancel.check()
    cancel.cancel()
    with pytest.raises(Cancelled):
        cancel.check()


def test_waiting_ends_as_soon_as_somebody_cancels() -> None:
    cancel = Cancel()
    threading.Timer(0.05, cancel.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        cancel.wait(60)
    assert time.monotonic() - started < 30


def test_a_callback_runs_once_when_cancelled() -> None:
    cancel = Cancel()
    calls: list[str] = []
    cancel.on_cancel(lambda: calls.append("closed"))
    cancel.cancel()
    cancel.cancel()
    assert calls == ["closed"]


def test_a_callback_that_comes_too_late_runs_at_once() -> None:
    cancel = Cancel()
    cancel.cancel()
    calls: list[str] = []
    cancel.on_cancel(lambda: calls.append("closed"))
    assert calls == ["closed"]


def test_a_callback_that_was_taken_back_does_not_run() -> None:
    cancel = Cancel()
    calls: list[str] = []
    forget = cancel.on_cancel(lambda: calls.append("closed"))
    forget()
    cancel.cancel()
    assert calls == []


def test_every_error_has_an_exit_code_that_the_tree_documents() -> None:
    import bbj_desktop.core.errors as module

    def below(kind: type[BBjDesktopError]) -> list[type[BBjDesktopError]]:
        return [kind, *(each for child in kind.__subclasses__() for each in below(child))]

    assert module.__doc__ is not None
    for kind in below(BBjDesktopError):
        if not kind.__module__.startswith("bbj_desktop."):
            continue  # the trainer's
        assert kind.__name__ in module.__doc__, f"{kind.__name__} isn't drawn in the tree"
        assert 1 <= kind.exit_code <= 130


def test_a_paused_job_holds_until_it_is_resumed() -> None:
    cancel = Cancel()
    cancel.pause()
    went_on = threading.Event()

    def job() -> None:
        cancel.hold()
        went_on.set()

    thread = threading.Thread(target=job)
    thread.start()
    assert cancel.paused
    assert not went_on.is_set()
    cancel.resume()
    thread.join()
    assert went_on.is_set()


def test_cancelling_ends_a_pause() -> None:
    cancel = Cancel()
    cancel.pause()
    cancel.cancel()
    with pytest.raises(Cancelled):
        cancel.hold()
    assert not cancel.paused
    cancel.pause()  # too late
    assert not cancel.paused


def test_whoever_is_to_let_go_is_told_at_each_pause() -> None:
    cancel, told = Cancel(), []
    forget = cancel.on_pause(lambda: told.append("pause"))
    cancel.pause()
    cancel.resume()
    cancel.pause()
    assert told == ["pause", "pause"]
    forget()
    cancel.on_pause(lambda: told.append("at once"))
    assert told == ["pause", "pause", "at once"]
