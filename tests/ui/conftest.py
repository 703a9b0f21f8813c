"""Qt without a screen; windows that are closed again; a desk whose answers a test decides."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt is imported

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QLocale
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from bbj_desktop.ui.collecting import Collector
from bbj_desktop.ui.main_window import MainWindow
from bbj_desktop.ui.pages import PAGES
from bbj_desktop.ui.tasks import Tasks
from bbj_desktop.ui.theme import Appearance, Theme
from tests.fakes.desk import FakeDesk


@pytest.fixture(scope="session", autouse=True)
def theme(qapp: QApplication) -> Theme:
    QLocale.setDefault(QLocale(QLocale.Language.English))
    return Theme(qapp, Appearance.LIGHT)


@pytest.fixture(autouse=True)
def _deleted_here(qapp: QApplication) -> Iterator[None]:  # noqa: ARG001 - the timer needs the application
    """Widgets that a test closed, and those in cycles, go on this thread, as in the program."""
    collector = Collector()
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    collector.close()


@pytest.fixture
def tasks(qapp: QApplication) -> Iterator[Tasks]:  # noqa: ARG001 - signals need the application
    runner = Tasks()
    yield runner
    assert runner.shutdown(), "a job outlived its window"


OpenWindow = Callable[[FakeDesk], MainWindow]


@pytest.fixture
def open_window(qtbot: QtBot, tasks: Tasks) -> Iterator[OpenWindow]:
    """Opens the window over a desk and waits until it has looked at the machine, unless the desk holds that up."""
    windows: list[MainWindow] = []

    def open_it(desk: FakeDesk) -> MainWindow:
        window = MainWindow(desk, tasks, PAGES)
        windows.append(window)
        window.show()
        window.start()
        if desk.hold_survey.is_set():
            qtbot.waitUntil(lambda: not window.situation.looking)
            QApplication.processEvents()  # what has just been added becomes visible
        return window

    yield open_it
    for window in windows:
        window.close()
        window.deleteLater()
    # Now, on this thread: left to Python's collector they would go whenever and on whatever thread that runs.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
