"""Chat: asking, streaming, stopping, failing, starting anew."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from bbj_desktop.core.errors import ContextFullError, EngineCrashedError
from bbj_desktop.ui.main_window import MainWindow
from bbj_desktop.ui.pages.chat import ChatPage
from bbj_desktop.ui.widgets.error_panel import ErrorPanel
from tests.fakes.desk import FakeDesk, bare_survey, installed_of, offering_survey, release_of

OpenWindow = Callable[[FakeDesk], MainWindow]
READY = offering_survey(installed=(installed_of(release_of()),))


def chat_in(open_window: OpenWindow, desk: FakeDesk) -> ChatPage:
    window = open_window(desk)
    window.go_to("chat")
    page = window.page("chat")
    assert isinstance(page, ChatPage)
    return page


def ask(page: ChatPage, text: str) -> None:
    QTest.keyClicks(page.composer.editor, text)
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Return)


def test_without_a_model_it_leads_home(qtbot: QtBot, open_window: OpenWindow) -> None:
    page = chat_in(open_window, FakeDesk([bare_survey()]))
    qtbot.waitUntil(page.no_model.isVisible)
    assert not page.composer.isVisible()
    QTest.mouseClick(page.no_model.button, Qt.MouseButton.LeftButton)
    assert not page.isVisible()


def test_an_example_is_asked_with_one_click(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([READY])
    page = chat_in(open_window, desk)
    assert len(page.empty.buttons) == 3
    QTest.mouseClick(page.empty.buttons[1], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(page.answers) and not page.streaming)
    assert desk.questions == [page.empty.buttons[1].accessibleName()]


def test_an_answer_ends_with_how_it_went_and_how_full_the_context_is(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([READY], pieces=["PRINT", ' "Hello"'])
    page = chat_in(open_window, desk)
    ask(page, "Say hello.")
    qtbot.waitUntil(lambda: bool(page.answers) and not page.streaming)
    answer = page.answers[0]
    assert answer.view.text() == 'PRINT "Hello"'
    assert answer.foot.plain == "first token 0.31 s · 42.6 tokens/s · 2 tokens · finished"
    assert page.composer.context.text() == "context 1,088 of 8,192"


def test_shift_enter_breaks_the_line_and_enter_sends(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([READY])
    page = chat_in(open_window, desk)
    QTest.keyClicks(page.composer.editor, "one")
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    ask(page, "two")
    qtbot.waitUntil(lambda: desk.questions == ["one\ntwo"])


def test_an_empty_question_can_t_be_sent(open_window: OpenWindow) -> None:
    desk = FakeDesk([READY])
    page = chat_in(open_window, desk)
    ask(page, "   ")
    assert not page.composer.send.isEnabled()
    assert not page.streaming


def test_stop_takes_the_place_of_send_and_stops(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([READY], pieces=["word "] * 1000, piece_s=0.01)
    page = chat_in(open_window, desk)
    ask(page, "Go on.")
    qtbot.waitUntil(lambda: bool(page.answers) and bool(page.answers[0].view.text()))
    assert page.composer.stop.isVisible()
    assert not page.composer.send.isVisible()
    QTest.mouseClick(page.composer.stop, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not page.streaming)
    assert page.answers[0].foot.plain.endswith("stopped")
    assert page.composer.send.isVisible()


def test_escape_stops_too(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([READY], pieces=["word "] * 1000, piece_s=0.01)
    page = chat_in(open_window, desk)
    ask(page, "Go on.")
    qtbot.waitUntil(lambda: bool(page.answers) and bool(page.answers[0].view.text()))
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not page.streaming)
    assert len(page.answers[0].view.text()) < 5000


def test_an_error_stands_in_the_conversation_and_the_question_can_be_asked_again(
    qtbot: QtBot, open_window: OpenWindow
) -> None:
    desk = FakeDesk([READY], pieces=["Half ", EngineCrashedError("The engine's process ended.", hint="Try again.")])
    page = chat_in(open_window, desk)
    ask(page, "Say hello.")
    qtbot.waitUntil(lambda: bool(page.findChildren(ErrorPanel)))
    desk.pieces = ["Whole."]
    QTest.mouseClick(page.findChildren(ErrorPanel)[0].buttons[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not page.streaming and page.answers[-1].view.text() == "Whole.")
    assert len(page.answers) == 1
    assert desk.questions == ["Say hello.", "Say hello."]


FULL = ContextFullError(
    "The conversation is too long: it has 8,411 tokens, and there is room for 7,936.",
    hint="Leave out the oldest questions, or begin a new conversation.",
)


@pytest.mark.parametrize(
    ("turns", "way", "said"),
    [
        (1, "Leave out the oldest question and ask", "The oldest question was left out with its answer"),
        (3, "Leave out the 3 oldest questions and ask", "The 3 oldest questions were left out with their answers"),
    ],
)
def test_a_full_context_offers_to_leave_out_the_oldest_and_asks_again(
    qtbot: QtBot, open_window: OpenWindow, turns: int, way: str, said: str
) -> None:
    desk = FakeDesk([READY], answers=[["First."], [FULL], ["Second."]], too_many=turns)
    page = chat_in(open_window, desk)
    ask(page, "one")
    qtbot.waitUntil(lambda: not page.streaming and len(page.answers) == 1)
    ask(page, "two")
    qtbot.waitUntil(lambda: bool(page.findChildren(ErrorPanel)))
    (button,) = page.findChildren(ErrorPanel)[0].buttons
    assert button.text() == way
    assert not any(desk.left_out)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not page.streaming and page.answers[-1].view.text() == "Second.")
    assert [count for count in desk.left_out if count] == [turns]
    assert desk.questions == ["one", "two", "two"]
    assert [each.view.text() for each in page.answers] == ["First.", "Second."]
    assert any(said in each.text() for each in page.findChildren(QLabel))


def test_a_question_that_is_too_long_alone_isnt_helped_by_leaving_out(qtbot: QtBot, open_window: OpenWindow) -> None:
    page = chat_in(open_window, FakeDesk([READY], pieces=[FULL], too_many=None))
    ask(page, "one")
    qtbot.waitUntil(lambda: bool(page.findChildren(ErrorPanel)))
    assert [each.text() for each in page.findChildren(ErrorPanel)[0].buttons] == ["Try again"]


def test_a_new_conversation_forgets_the_old_one(qtbot: QtBot, open_window: OpenWindow) -> None:
    page = chat_in(open_window, FakeDesk([READY]))
    ask(page, "Say hello.")
    qtbot.waitUntil(lambda: bool(page.answers) and not page.streaming)
    QTest.mouseClick(page.new_button, Qt.MouseButton.LeftButton)
    assert page.answers == []
    assert page.empty.isVisible()
    assert page.composer.context.text() == ""


def test_another_active_version_begins_another_conversation(qtbot: QtBot, open_window: OpenWindow) -> None:
    newer = release_of(version="2026.2")
    desk = FakeDesk([READY, offering_survey(newer, installed=(installed_of(newer),))])
    page = chat_in(open_window, desk)
    ask(page, "Say hello.")
    qtbot.waitUntil(lambda: bool(page.answers) and not page.streaming)
    page.surroundings.situation.refresh()
    qtbot.waitUntil(lambda: page.model_tag.text() == "bbj-coder 2026.2 · 7B")
    assert page.answers == []


def test_the_window_stays_responsive_while_sixty_tokens_a_second_arrive(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([READY], pieces=["```bbj\n", *["print x\n"] * 60, "```\n", *["word "] * 60], piece_s=1 / 60)
    page = chat_in(open_window, desk)
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    ask(page, "Go on.")
    qtbot.waitUntil(lambda: bool(page.answers) and not page.streaming, timeout=20_000)
    timer.stop()
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(ticks))
    assert gaps[int(len(gaps) * 0.95)] < 0.1
    assert page.answers[0].view.text().count("print x") == 60


def test_a_reader_who_scrolled_up_isn_t_pulled_down(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([READY], pieces=["A paragraph.\n\n"] * 120, piece_s=0.002)
    page = chat_in(open_window, desk)
    ask(page, "Go on.")
    bar = page.message_area.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 200)
    bar.setValue(0)
    qtbot.waitUntil(lambda: not page.streaming, timeout=10_000)
    assert bar.value() == 0
