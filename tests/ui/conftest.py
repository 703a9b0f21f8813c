"""Qt without a screen; windows that are closed again; a desk whose answers a test decides."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt is imported

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication

from bbj_desktop.ui.tasks import Tasks
from bbj_desktop.ui.theme import Appearance, Theme


@pytest.fixture(scope="session", autouse=True)
def _english(qapp: QApplication) -> Theme:
    QLocale.setDefault(QLocale(QLocale.Language.English))
    return Theme(qapp, Appearance.LIGHT)


@pytest.fixture
def tasks(_english: Theme) -> Iterator[Tasks]:
    runner = Tasks()
    yield runner
    assert runner.shutdown(), "a job outlived its window"
