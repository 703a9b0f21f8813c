"""Long words, little room, other colours: nothing is cut off and nothing sticks out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QPoint, QTranslator
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from bbj_desktop.actions.ollama import OllamaHere
from bbj_desktop.core.errors import ConnectError
from bbj_desktop.core.release import Role
from bbj_desktop.ui.main_window import MINIMUM_SIZE, MainWindow
from bbj_desktop.ui.pages.home import HomePage
from bbj_desktop.ui.theme import DARK, LIGHT, Appearance, Theme, Tokens
from bbj_desktop.ui.widgets.basics import Button, Card, Paragraph, Tag
from tests.fakes.desk import FakeDesk, bare_survey, installed_of, offering_survey, release_of

OpenWindow = Callable[[FakeDesk], MainWindow]


class LongWords(QTranslator):
    """A language like German, only more so: a third longer, with compounds."""

    def isEmpty(self) -> bool:  # noqa: N802 - Qt's name
        return False

    def translate(self, context: str, text: str, disambiguation: str | None = None, n: int = -1) -> str:  # noqa: ARG002 - Qt's signature
        words = text.split(" ")
        return " ".join(
            f"{word}smaßnahme" if position % 3 == 0 and len(word) > 3 and "{" not in word else word
            for position, word in enumerate(words)
        )


@pytest.fixture
def _long_words(qapp: QApplication) -> Iterator[None]:
    translator = LongWords()
    qapp.installTranslator(translator)
    yield
    qapp.removeTranslator(translator)


SURVEYS = {
    "first start": bare_survey(),
    "offer": offering_survey(release_of(notice="A stand-in, not a BBj model."), fim=release_of(Role.FIM)),
    "offline": bare_survey(registry="https://models.example.com", trouble=ConnectError("Unknown name. " * 12)),
    "ready": offering_survey(installed=(installed_of(release_of()),)),
    "ollama stopped": offering_survey(
        ollama=OllamaHere(executable="/usr/local/bin/ollama", address="http://127.0.0.1:11434", needed=True)
    ),
}


@pytest.mark.usefixtures("_long_words")
@pytest.mark.parametrize("state", SURVEYS)
@pytest.mark.parametrize("page_name", ["home", "chat"])
def test_with_long_words_in_the_smallest_window_nothing_is_cut(
    qtbot: QtBot, open_window: OpenWindow, state: str, page_name: str
) -> None:
    window = open_window(FakeDesk([SURVEYS[state]]))
    window.resize(MINIMUM_SIZE)
    window.go_to(page_name)
    page = window.page(page_name)
    qtbot.waitUntil(lambda: window.size() == MINIMUM_SIZE)
    qtbot.wait(50)
    for widget in page.findChildren(QWidget):
        if not widget.isVisible():
            continue
        if isinstance(widget, Card | Button | Tag):
            right = widget.mapTo(page, QPoint(widget.width(), 0)).x()
            assert right <= page.width(), f"{widget} sticks out"
        if isinstance(widget, Button | Tag):
            assert widget.width() >= widget.minimumSizeHint().width(), f"{widget.text()!r} is cut"
        if isinstance(widget, Paragraph):
            assert widget.height() >= widget.heightForWidth(widget.width()), f"{widget.plain!r} is cut"


def test_a_page_that_fits_shows_no_scroll_bar(qtbot: QtBot, open_window: OpenWindow) -> None:
    window = open_window(FakeDesk([SURVEYS["offer"]]))
    page = window.page("home")
    assert isinstance(page, HomePage)
    qtbot.wait(50)
    assert page.scroll_view.verticalScrollBar().maximum() == 0


def _luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance."""
    parts = [QColor(colour).redF(), QColor(colour).greenF(), QColor(colour).blueF()]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("text", "background"),
        ("text", "surface"),
        ("muted", "surface"),
        ("muted", "background"),
        ("on_accent", "accent"),
        ("accent", "accent_soft"),
        ("good", "good_soft"),
        ("warning", "warning_soft"),
        ("error", "error_soft"),
    ],
)
def test_words_stand_out_from_their_ground(tokens: Tokens, ink: str, ground: str) -> None:
    light, dark = sorted((_luminance(getattr(tokens, ink)), _luminance(getattr(tokens, ground))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA


def test_the_window_changes_its_colours_while_it_is_open(
    open_window: OpenWindow, theme: Theme, qapp: QApplication
) -> None:
    window = open_window(FakeDesk([SURVEYS["offer"]]))

    def ground() -> str:
        return window.grab().toImage().pixelColor(window.width() - 4, window.height() - 4).name().upper()

    assert ground() == LIGHT.background
    theme.set_appearance(Appearance.DARK)
    qapp.processEvents()
    try:
        assert ground() == DARK.background
    finally:
        theme.set_appearance(Appearance.LIGHT)
