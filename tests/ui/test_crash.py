"""Bugs end in a dialog with what support needs; what isn't a bug doesn't."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from bbj_desktop.core.errors import Cancelled
from bbj_desktop.ui.crash import CrashReporter
from bbj_desktop.ui.widgets.basics import Button, Paragraph


@pytest.fixture
def reporter(qtbot: QtBot, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[CrashReporter]:
    caplog.set_level(logging.CRITICAL + 1, "bbj_desktop.ui.crash")
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    result = CrashReporter(tmp_path / "Protokolle für Köln", window)
    hook, thread_hook = sys.excepthook, threading.excepthook
    result.install(window)
    yield result
    sys.excepthook, threading.excepthook = hook, thread_hook
    if result.dialog is not None:
        result.dialog.reject()


def test_a_bug_shows_its_traceback_to_copy_and_where_the_log_is(qtbot: QtBot, reporter: CrashReporter) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    qtbot.waitUntil(lambda: reporter.dialog is not None)
    dialog = reporter.dialog
    assert dialog is not None
    buttons = {button.text(): button for button in dialog.findChildren(Button)}
    buttons["Copy details"].click()
    copied = QGuiApplication.clipboard().text()
    assert "ZeroDivisionError" in copied
    assert "test_crash.py" in copied
    assert "BBj Desktop 0." in copied
    assert any("Protokolle für Köln" in each.plain for each in dialog.findChildren(Paragraph))
    buttons["Close"].click()
    assert reporter.dialog is None


def test_a_bug_on_another_thread_is_shown_on_the_ui_thread(qtbot: QtBot, reporter: CrashReporter) -> None:
    def fail() -> None:
        raise ValueError("on a thread")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: reporter.dialog is not None)
    assert reporter.dialog is not None
    assert "on a thread" in reporter.dialog.details


def test_a_cancellation_is_shown_to_nobody(qtbot: QtBot, reporter: CrashReporter) -> None:
    reporter.report(Cancelled())
    qtbot.wait(50)
    assert reporter.dialog is None
