"""What lies in a cycle is destroyed on the UI thread."""

from __future__ import annotations

import gc
import threading

from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from bbj_desktop.ui.collecting import Collector


class _InACycle(QObject):
    def __init__(self, ended_on: list[threading.Thread]) -> None:
        super().__init__()
        self._itself = self
        self._ended_on = ended_on

    def __del__(self) -> None:
        self._ended_on.append(threading.current_thread())


def test_a_widget_in_a_cycle_goes_on_the_ui_thread(qtbot: QtBot) -> None:
    ended_on: list[threading.Thread] = []
    collector = Collector(interval_ms=10)
    _InACycle(ended_on)
    kept: list[list[None]] = []  # many more than Python itself lets come together before it collects
    worker = threading.Thread(target=lambda: kept.extend([] for _ in range(100_000)))
    worker.start()
    worker.join()
    assert ended_on == []
    qtbot.waitUntil(lambda: ended_on != [])
    assert ended_on == [threading.current_thread()]
    collector.close()


def test_python_collects_by_itself_again_afterwards() -> None:
    Collector().close()
    assert gc.isenabled()
