"""Chat: code in the colours of BBj, what the compiler says of it, and having it mended."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from bbj_desktop.core.errors import BBjDesktopError, SettingsError
from bbj_desktop.core.highlighting import LineLexer, Stack
from bbj_desktop.services.compiler import Compiler, TypeCheck
from bbj_desktop.ui.main_window import MainWindow
from bbj_desktop.ui.pages.chat import ChatPage
from bbj_desktop.ui.pages.chat_cards import AnswerCard, QuestionCard
from bbj_desktop.ui.theme import DARK, LIGHT, Appearance, Theme
from bbj_desktop.ui.widgets.answer import AnswerView
from bbj_desktop.ui.widgets.code import CodeText, CompileMark
from tests.fakes.compiler import bbj_installation
from tests.fakes.desk import FakeDesk, installed_of, offering_survey, release_of

Piece = str | BBjDesktopError
OpenWindow = Callable[[FakeDesk], MainWindow]
READY = offering_survey(installed=(installed_of(release_of()),))
needs_compiler = pytest.mark.skipif(
    sys.platform == "win32", reason="the stand-in compiler needs a system with #! lines"
)


def block(*lines: str, language: str = "bbj") -> list[Piece]:
    return [f"```{language}\n", *(f"{line}\n" for line in lines), "```\n"]


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    return Compiler(bbj_installation(tmp_path / "BBj für alle") / "bin" / "bbjcpl", "the test")


@pytest.fixture
def page(open_window: OpenWindow, desk: FakeDesk) -> ChatPage:
    window = open_window(desk)
    window.go_to("chat")
    found = window.page("chat")
    assert isinstance(found, ChatPage)
    return found


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk([READY], pieces=block("print 1"))


def asked(qtbot: QtBot, page: ChatPage, answers: int = 1) -> AnswerCard:
    """Asks and waits until so many answers are there and judged."""
    page.ask("Write it.")
    qtbot.waitUntil(lambda: _settled(page, answers), timeout=20_000)
    return page.answers[-1]


def _settled(page: ChatPage, answers: int) -> bool:
    return len(page.answers) == answers and not page.streaming and not page.checking


def notes(card: AnswerCard) -> list[str]:
    return [text for mark in card.findChildren(CompileMark) for text in mark.texts]


@needs_compiler
def test_code_that_compiles_is_marked(qtbot: QtBot, page: ChatPage, desk: FakeDesk, compiler: Compiler) -> None:
    desk.compiler = compiler
    card = asked(qtbot, page)
    assert card.mark.isVisible()
    assert (card.mark.text(), card.mark.property("kind")) == ("compiles", "good")
    assert card.mend_link is None


@needs_compiler
def test_refused_lines_are_named_and_marked_in_the_code(
    qtbot: QtBot, page: ChatPage, desk: FakeDesk, compiler: Compiler
) -> None:
    desk.compiler = compiler
    desk.pieces = block("print 1", "BAD")
    card = asked(qtbot, page)
    assert card.mark.text() == "doesn't compile"
    assert notes(card) == ["Line 2: BAD"]
    (band,) = card.findChildren(CodeText)[0].extraSelections()
    assert band.cursor.block().text() == "BAD"


@needs_compiler
def test_of_many_refused_lines_the_first_are_shown(
    qtbot: QtBot, page: ChatPage, desk: FakeDesk, compiler: Compiler
) -> None:
    desk.compiler = compiler
    desk.pieces = block(*["BAD"] * 40)
    assert len(notes(asked(qtbot, page))) == 6


@needs_compiler
def test_each_of_several_blocks_has_its_own_mark(
    qtbot: QtBot, page: ChatPage, desk: FakeDesk, compiler: Compiler
) -> None:
    desk.compiler = compiler
    desk.pieces = [*block("print 1"), *block("int x;", language="java"), *block("BAD"), *block("LICENCE"), *block()]
    card = asked(qtbot, page)
    assert notes(card) == [
        "Compiles.",
        "Line 1: BAD",
        "Not judged. The compiler said: Your licence expires in 12 days.",
    ]


@needs_compiler
def test_types_are_told_apart(qtbot: QtBot, page: ChatPage, desk: FakeDesk, compiler: Compiler) -> None:
    desk.compiler = replace(compiler, types=TypeCheck())
    desk.pieces = block("UNKNOWN_METHOD")
    card = asked(qtbot, page)
    assert card.mark.text() == "compiles"
    assert notes(card) == ["The type check complains of:", "Line 1: UNKNOWN_METHOD"]


def test_without_a_compiler_code_is_not_judged_and_it_says_why(qtbot: QtBot, page: ChatPage) -> None:
    card = asked(qtbot, page)
    assert (card.mark.text(), card.mark.property("kind")) == ("not judged", "plain")
    assert notes(card) == ["No BBj compiler was found on this machine."]


@needs_compiler
def test_code_that_the_limit_of_tokens_cut_off_is_not_judged(
    qtbot: QtBot, page: ChatPage, desk: FakeDesk, compiler: Compiler
) -> None:
    desk.compiler, desk.ended_by = compiler, "length"
    desk.pieces = block("SYNTAX_ERROR")[:-1]
    card = asked(qtbot, page)
    assert (card.mark.text(), card.mend_link) == ("not judged", None)
    assert notes(card) == ["The answer was cut off in it, at its limit of tokens."]


def test_a_setting_that_leads_nowhere_is_said_below_the_answer(qtbot: QtBot, page: ChatPage, desk: FakeDesk) -> None:
    desk.compiler = SettingsError("/x is neither bbjcpl nor the folder of a BBj installation.", hint="Set compiler.")
    card = asked(qtbot, page)
    assert card.mark.text() == "not judged"
    assert any("/x is neither" in label.text() for label in card.findChildren(type(card.foot)))


def test_an_answer_without_bbj_has_no_mark(qtbot: QtBot, page: ChatPage, desk: FakeDesk) -> None:
    desk.pieces = block("int x;", language="java")
    assert not asked(qtbot, page).mark.isVisible()


def test_the_window_answers_while_the_compiler_works(qtbot: QtBot, page: ChatPage, desk: FakeDesk) -> None:
    desk.hold_check.clear()
    page.ask("Write it.")
    qtbot.waitUntil(lambda: bool(page.answers) and page.answers[0].mark.isVisible())
    assert page.answers[0].mark.text() == "compiling…"
    page.ask("And another.")
    qtbot.waitUntil(lambda: len(page.answers) == 2 and not page.streaming)
    desk.hold_check.set()
    qtbot.waitUntil(lambda: [card.mark.text() for card in page.answers] == ["not judged"] * 2)


def test_a_conversation_that_was_left_is_not_judged_any_more(qtbot: QtBot, page: ChatPage, desk: FakeDesk) -> None:
    desk.hold_check.clear()
    page.ask("Write it.")
    qtbot.waitUntil(lambda: page.checking)
    page.start_anew()
    desk.hold_check.set()
    qtbot.waitUntil(lambda: not page.checking)
    assert page.answers == []


@needs_compiler
def test_the_model_mends_its_code_until_it_compiles(
    qtbot: QtBot, page: ChatPage, desk: FakeDesk, compiler: Compiler
) -> None:
    desk.compiler = compiler
    desk.answers = [block("BAD 1"), block("BAD 2"), block("print 3"), block("print 4")]
    link = asked(qtbot, page).mend_link
    assert link is not None
    QTest.mouseClick(link, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: _settled(page, 3), timeout=20_000)
    assert [card.mark.text() for card in page.answers] == ["doesn't compile", "doesn't compile", "compiles"]
    assert ["BAD 1" in desk.questions[1], "BAD 2" in desk.questions[2]] == [True, True]
    assert len(page.findChildren(QuestionCard)) == 1


@needs_compiler
def test_it_ends_after_three_attempts(qtbot: QtBot, page: ChatPage, desk: FakeDesk, compiler: Compiler) -> None:
    desk.compiler = compiler
    desk.pieces = block("BAD")
    link = asked(qtbot, page).mend_link
    assert link is not None
    link.click()
    qtbot.waitUntil(lambda: _settled(page, 4), timeout=20_000)
    assert len(desk.questions) == 4
    assert page.answers[-1].mend_link is None
    assert any(
        "after 3 attempts" in label.text() for label in page.answers[-1].findChildren(type(page.answers[-1].foot))
    )


@needs_compiler
def test_what_was_answered_before_is_not_mended(
    qtbot: QtBot, page: ChatPage, desk: FakeDesk, compiler: Compiler
) -> None:
    desk.compiler = compiler
    desk.pieces = block("BAD")
    first = asked(qtbot, page)
    asked(qtbot, page, answers=2)
    assert first.mend_link is None


def colours(text: CodeText) -> dict[str, str]:
    """The colour of each coloured part of the text."""
    found = {}
    line = text.document().begin()
    while line.isValid():
        for part in line.layout().formats():
            found[line.text()[part.start : part.start + part.length]] = part.format.foreground().color().name().upper()
        line = line.next()
    return found


@pytest.fixture
def view(qtbot: QtBot) -> AnswerView:
    view = AnswerView()
    qtbot.addWidget(view)
    view.show()
    answer = "".join(map(str, block("rem note", 'print "x", w!, 1', "/@@", "two", "@/")))
    for start in range(0, len(answer), 3):
        view.append(answer[start : start + 3])
        QApplication.processEvents()
    view.finish()
    QApplication.processEvents()
    return view


def test_code_wears_the_theme_s_colours(view: AnswerView) -> None:
    assert colours(view.findChildren(CodeText)[0]) == {
        "rem note": LIGHT.muted,
        "print": LIGHT.accent,
        '"x"': LIGHT.good,
        "w!": LIGHT.code_object,
        "/@@": LIGHT.muted,
        "two": LIGHT.muted,
        "@/": LIGHT.muted,
    }


def test_another_theme_changes_them(view: AnswerView, theme: Theme) -> None:
    theme.set_appearance(Appearance.DARK)
    try:
        QApplication.processEvents()
        assert colours(view.findChildren(CodeText)[0])["w!"] == DARK.code_object
    finally:
        theme.set_appearance(Appearance.LIGHT)


def test_what_streams_lexes_its_own_line_only(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    lexed: list[str] = []
    tokens = LineLexer.tokens

    def noted(lexer: LineLexer, line: str, stack: Stack) -> object:
        lexed.append(line)
        return tokens(lexer, line, stack)

    monkeypatch.setattr(LineLexer, "tokens", noted)
    text = CodeText("bbj")
    qtbot.addWidget(text)
    text.append_text("print 1\n" * 500)
    lexed.clear()
    text.append_text("print 2")
    assert set(lexed) <= {"", "print 2"}
    assert len(lexed) < 4
