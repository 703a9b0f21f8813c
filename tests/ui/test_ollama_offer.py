"""Home offers to start an Ollama that is installed and doesn't run, and to end the one that was started from there."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtWidgets import QProgressBar, QWidget
from pytestqt.qtbot import QtBot

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.ollama import OllamaHere
from bbj_desktop.core.errors import EngineCrashedError, EngineMissingError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.runtime.ollama_starting import StartedOllama
from bbj_desktop.ui.desk import ActionsDesk
from bbj_desktop.ui.main_window import MainWindow
from bbj_desktop.ui.pages.chat import ChatPage
from bbj_desktop.ui.widgets.basics import Button
from tests.fakes.desk import FakeDesk, bare_survey, installed_of, offering_survey, release_of
from tests.fakes.ollama_program import write_program
from tests.fakes.published import customer
from tests.ui.test_home import button, home_of, press, shown, words

OpenWindow = Callable[[FakeDesk], MainWindow]
PROGRAM, ADDRESS = "/usr/local/bin/ollama", "http://127.0.0.1:11434"
STOPPED = OllamaHere(executable=PROGRAM, address=ADDRESS, needed=True)
STARTED = OllamaHere(
    started=StartedOllama(
        mark="m",
        executable=Path(PROGRAM),
        address=ADDRESS,
        log=Path("ollama.log"),
        started_at=datetime(2026, 1, 15, tzinfo=UTC),
        pid=4711,
    )
)
READY = (installed_of(release_of()),)


def primary(page: QWidget) -> list[str]:
    return [each.text() for each in shown(page, Button) if each.property("look") == "primary"]


def test_what_answers_through_it_waits_for_it_and_what_will_happen_is_said(open_window: OpenWindow) -> None:
    page = home_of(open_window(FakeDesk([offering_survey(installed=READY, ollama=STOPPED)])))
    text = words(page)
    assert "bbj-coder 7B answers through it." in text
    assert PROGRAM in text
    assert ADDRESS in text
    assert "goes on when this window is closed" in text
    assert primary(page) == ["Start Ollama"]


def test_nothing_is_started_before_the_click(open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey(installed=READY, ollama=STOPPED)])
    open_window(desk)
    assert desk.ollama_changes == []


def test_once_it_runs_the_model_is_ready(qtbot: QtBot, open_window: OpenWindow) -> None:
    stopped = offering_survey(installed=READY, ollama=STOPPED)
    desk = FakeDesk([stopped], after_ollama=offering_survey(installed=READY, ollama=STARTED))
    page = home_of(open_window(desk))
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: "bbj-coder 7B is ready" in words(page) and "process 4711" in words(page))
    assert desk.ollama_changes == ["start"]


def test_while_it_starts_it_says_so_and_can_be_cancelled(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey(installed=READY, ollama=STOPPED)])
    desk.hold_ollama.clear()
    page = home_of(open_window(desk))
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: "Starting…" in words(page))
    assert not button(page, "Starting…").isEnabled()
    qtbot.waitUntil(lambda: [bar.accessibleName() for bar in shown(page, QProgressBar)] == ["Starting Ollama"])
    press(qtbot, page, "Cancel")
    qtbot.waitUntil(lambda: "Start Ollama" in words(page))
    assert "didn't work" not in words(page)


def test_why_it_does_not_start_is_shown_and_it_can_be_tried_again(qtbot: QtBot, open_window: OpenWindow) -> None:
    stopped = offering_survey(installed=READY, ollama=STOPPED)
    desk = FakeDesk([stopped], after_ollama=offering_survey(installed=READY, ollama=STARTED))
    desk.ollama_error = EngineCrashedError("Ollama ended at once (status 1).", hint="Its log is ollama.log.")
    page = home_of(open_window(desk))
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: "Ollama ended at once (status 1)." in words(page))
    qtbot.waitUntil(lambda: "Its log is ollama.log." in words(page))
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: "bbj-coder 7B is ready" in words(page))
    assert "ended at once" not in words(page)


def test_the_reason_can_be_put_away(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey(installed=READY, ollama=STOPPED)], ollama_error=EngineCrashedError("It died."))
    page = home_of(open_window(desk))
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: "It died." in words(page))
    press(qtbot, page, "Not now")
    qtbot.waitUntil(lambda: "It died." not in words(page))


def test_without_another_engine_nothing_is_installed_before_it_runs(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey(ollama=STOPPED)], after_ollama=offering_survey(ollama=STARTED))
    page = home_of(open_window(desk))
    assert "Nothing else on this machine can run a model." in words(page)
    assert "Install · 4.7 GB" not in words(page)
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: "Install · 4.7 GB" in words(page))


def test_where_the_built_in_engine_answers_it_is_offered_below(open_window: OpenWindow) -> None:
    beside = STOPPED.model_copy(update={"needed": False})
    page = home_of(open_window(FakeDesk([offering_survey(installed=READY, ollama=beside)])))
    assert primary(page) == ["Start chatting"]
    assert button(page, "Start Ollama").property("look") == "plain"
    assert "built-in engine answers without it" in words(page)


def test_before_a_registry_is_known_that_comes_first(open_window: OpenWindow) -> None:
    page = home_of(open_window(FakeDesk([bare_survey(ollama=STOPPED)])))
    assert "Where do your models come from?" in words(page)
    assert button(page, "Start Ollama").property("look") == "plain"


def test_the_one_that_was_started_from_here_can_be_ended(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk(
        [offering_survey(installed=READY, ollama=STARTED)],
        after_ollama=offering_survey(installed=READY, ollama=STOPPED),
    )
    page = home_of(open_window(desk))
    press(qtbot, page, "End Ollama")
    qtbot.waitUntil(lambda: "Start Ollama" in words(page))
    assert desk.ollama_changes == ["stop"]


NO_ANSWER = EngineMissingError("Ollama doesn't answer.", hint="Start it, or check its address.")


def chat_that_found_none(qtbot: QtBot, open_window: OpenWindow, desk: FakeDesk) -> ChatPage:
    """The chat after a question that nothing answered."""
    window = open_window(desk)
    window.go_to("chat")
    page = window.page("chat")
    assert isinstance(page, ChatPage)
    desk.answers.append([NO_ANSWER])
    page.ask("PRINT?")
    qtbot.waitUntil(lambda: not page.streaming and "Ollama doesn't answer." in words(page))
    return page


def test_the_chat_offers_it_too_and_then_asks_again(qtbot: QtBot, open_window: OpenWindow) -> None:
    stopped = offering_survey(installed=READY, ollama=STOPPED)
    desk = FakeDesk([stopped], after_ollama=offering_survey(installed=READY, ollama=STARTED))
    page = chat_that_found_none(qtbot, open_window, desk)
    assert "goes on when this window is closed" in words(page)
    assert desk.ollama_changes == []
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: not page.streaming and page.answers[-1].view.text() == "Hello BBj")
    assert desk.ollama_changes == ["start"]
    assert desk.questions == ["PRINT?", "PRINT?"]
    assert len(page.answers) == 1
    assert "Ollama doesn't answer." not in words(page)
    assert "Start" not in words(page)


def test_in_the_chat_a_start_that_fails_says_why_and_can_be_tried_again(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey(installed=READY, ollama=STOPPED)])
    desk.ollama_error = EngineCrashedError("Ollama ended at once (status 1).", hint="Its log is ollama.log.")
    page = chat_that_found_none(qtbot, open_window, desk)
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: "Ollama ended at once (status 1)." in words(page))
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: not page.streaming and page.answers[-1].view.text() == "Hello BBj")
    assert "ended at once" not in words(page)


def test_in_the_chat_a_start_can_be_cancelled(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey(installed=READY, ollama=STOPPED)])
    desk.hold_ollama.clear()
    page = chat_that_found_none(qtbot, open_window, desk)
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: "Starting…" in words(page))
    press(qtbot, page, "Cancel")
    qtbot.waitUntil(lambda: "Start Ollama" in words(page))
    assert desk.questions == ["PRINT?"]


def test_a_chat_that_went_on_isnt_asked_again_when_it_runs(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey(installed=READY, ollama=STOPPED)])
    desk.hold_ollama.clear()
    page = chat_that_found_none(qtbot, open_window, desk)
    press(qtbot, page, "Start Ollama")
    qtbot.waitUntil(lambda: "Starting…" in words(page))
    page.start_anew()
    desk.hold_ollama.set()
    qtbot.waitUntil(lambda: len(desk.asked) > 1)
    assert desk.questions == ["PRINT?"]


def test_the_chat_offers_nothing_where_none_is_installed(qtbot: QtBot, open_window: OpenWindow) -> None:
    page = chat_that_found_none(qtbot, open_window, FakeDesk([offering_survey(installed=READY)]))
    assert "Start Ollama" not in words(page)


def test_one_of_somebody_else_can_not_be_ended_here(open_window: OpenWindow) -> None:
    page = home_of(open_window(FakeDesk([offering_survey(installed=READY)])))
    assert "End Ollama" not in words(page)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX scripts and signals")
def test_the_real_desk_starts_the_program_sees_it_and_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = write_program(tmp_path / "Programme für alle")
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    context: Context = customer(tmp_path / "Kunde", ollama_host=address)
    desk = ActionsDesk(context)
    stopped = desk.survey(silent, Cancel(), ask_registry=False).ollama
    assert (stopped.executable, stopped.address) == (str(program), address)
    desk.start_ollama(silent, Cancel())
    survey = desk.survey(silent, Cancel(), ask_registry=False)
    assert survey.runtime is not None
    assert survey.runtime.name == "ollama"
    assert survey.ollama.started is not None
    desk.stop_ollama(silent, Cancel())
    assert desk.survey(silent, Cancel(), ask_registry=False).ollama == stopped
    desk.close()
