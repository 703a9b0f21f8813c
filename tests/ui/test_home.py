"""What Home shows in each state, and what its buttons do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from bbj_desktop.actions.updating import Update, Withdrawn
from bbj_desktop.core.errors import ConnectError, FormatError, StalledError
from bbj_desktop.core.recommendation import Reason, ReasonKind, Recommendation, RoleChoice
from bbj_desktop.core.release import Role
from bbj_desktop.ui.main_window import MainWindow
from bbj_desktop.ui.pages.first_start import FirstStartCard
from bbj_desktop.ui.pages.home import HomePage
from bbj_desktop.ui.widgets.basics import Button, ElidedLabel, Paragraph, Tag
from tests.fakes.desk import (
    FINGERPRINT,
    FakeDesk,
    bare_survey,
    candidate_of,
    installed_of,
    offer_of,
    offering_survey,
    plan_of,
    release_of,
)

OpenWindow = Callable[[FakeDesk], MainWindow]
Kind = TypeVar("Kind", bound=QWidget)


def home_of(window: MainWindow) -> HomePage:
    page = window.page("home")
    assert isinstance(page, HomePage)
    return page


def shown(page: QWidget, kind: type[Kind]) -> list[Kind]:
    return [widget for widget in page.findChildren(kind) if widget.isVisible()]


def words(page: QWidget) -> str:
    """Everything that can be read on a page."""
    texts = [
        each.plain if isinstance(each, Paragraph) else each.accessibleName() or each.text()
        for each in shown(page, QLabel)
    ]
    return "\n".join([*texts, *(button.text() for button in shown(page, Button))])


def button(page: QWidget, text: str) -> Button:
    found = [each for each in shown(page, Button) if each.text() == text]
    assert len(found) == 1, f"{text!r} among {[each.text() for each in shown(page, Button)]}"
    return found[0]


def press(qtbot: QtBot, page: QWidget, text: str) -> None:
    qtbot.waitUntil(lambda: text in [each.text() for each in shown(page, Button)])
    QTest.mouseClick(button(page, text), Qt.MouseButton.LeftButton)


def test_while_the_machine_is_looked_at_it_says_so(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([bare_survey()])
    desk.hold_survey.clear()
    window = open_window(desk)
    qtbot.waitUntil(lambda: "Looking at this machine" in words(home_of(window)))
    assert shown(home_of(window), Button) == []
    desk.hold_survey.set()


def test_a_recommendation_has_one_filled_button_with_the_size(open_window: OpenWindow) -> None:
    page = home_of(open_window(FakeDesk([offering_survey(fim=release_of(Role.FIM))])))
    filled = [each.text() for each in shown(page, Button) if each.property("look") == "primary"]
    assert filled == ["Install · 4.7 GB"]
    text = words(page)
    assert "Ready to install" in text
    assert "Registry: models.example.com · stable · checked just now" in text
    assert "Expect 30–50 tokens per second." in text  # noqa: RUF001 - an en dash it is
    assert "Your 8 GB of graphics memory decide." in text
    assert "Add bbj-coder-fim 1.5B · 1.1 GB" in text


def test_technical_names_are_explained_to_mouse_and_keyboard(open_window: OpenWindow) -> None:
    page = home_of(open_window(FakeDesk([offering_survey()])))
    tags = {tag.text(): tag for tag in shown(page, Tag)}
    assert "4 bits" in tags["Q4_K_M"].toolTip()
    assert tags["Q4_K_M"].focusPolicy() == Qt.FocusPolicy.TabFocus
    assert tags["signed"].accessibleDescription()


def test_a_stand_in_is_labelled_wherever_it_is_offered_or_ready(open_window: OpenWindow) -> None:
    release = release_of(notice="A stand-in, not a BBj model.")
    assert "A stand-in, not a BBj model." in words(home_of(open_window(FakeDesk([offering_survey(release)]))))
    ready = offering_survey(release, installed=(installed_of(release),))
    assert "A stand-in, not a BBj model." in words(home_of(open_window(FakeDesk([ready]))))


def test_what_is_partly_here_is_offered_to_be_resumed(open_window: OpenWindow) -> None:
    survey = offering_survey()
    candidate = survey.choice(Role.CHAT)
    assert candidate is not None
    partly = offering_survey(plans=(plan_of(candidate, here_bytes=3_700_000_000),))
    page = home_of(open_window(FakeDesk([partly])))
    assert button(page, "Resume · 1 GB").isEnabled()
    assert "3.7 GB are here already" in words(page)


def test_installing_shows_progress_and_ends_in_a_button_to_chat(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey()], after_install=offering_survey(installed=(installed_of(release_of()),)))
    desk.hold_install.clear()
    window = open_window(desk)
    page = home_of(window)
    press(qtbot, page, "Install · 4.7 GB")
    qtbot.waitUntil(lambda: "2.4 GB of 4.7 GB · 24 MB/s · 2 min left" in words(page))
    assert "Downloading and verifying" in words(page)
    desk.hold_install.set()
    qtbot.waitUntil(lambda: "bbj-coder 7B is ready" in words(page))
    press(qtbot, page, "Start chatting")
    assert window.page("chat").isVisible()


def test_a_stopped_install_can_be_resumed(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey()], after_install=offering_survey(installed=(installed_of(release_of()),)))
    desk.hold_install.clear()
    page = home_of(open_window(desk))
    press(qtbot, page, "Install · 4.7 GB")
    press(qtbot, page, "Cancel")
    qtbot.waitUntil(lambda: "Installation stopped" in words(page))
    desk.hold_install.set()
    press(qtbot, page, "Resume")
    qtbot.waitUntil(lambda: "bbj-coder 7B is ready" in words(page))
    assert desk.installs[0] == desk.installs[1]


def test_a_download_can_be_paused_and_goes_on(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey()], after_install=offering_survey(installed=(installed_of(release_of()),)))
    desk.hold_install.clear()
    page = home_of(open_window(desk))
    press(qtbot, page, "Install · 4.7 GB")
    press(qtbot, page, "Pause")
    qtbot.waitUntil(lambda: desk.install_cancel is not None and desk.install_cancel.paused)
    assert "Installation paused" in words(page)
    assert "nothing is sent or received" in words(page)
    assert "2.4 GB of 4.7 GB" in words(page).splitlines()  # neither speed nor time left
    page.render_state()  # what it shows anew is the same
    qtbot.waitUntil(lambda: "nothing is sent or received" in words(page))
    press(qtbot, page, "Resume")
    qtbot.waitUntil(lambda: desk.install_cancel is not None and not desk.install_cancel.paused)
    assert "Downloading and verifying" in words(page)
    assert "2.4 GB of 4.7 GB · 24 MB/s · 2 min left" in words(page)
    desk.hold_install.set()
    qtbot.waitUntil(lambda: "bbj-coder 7B is ready" in words(page))


def test_a_paused_download_can_be_cancelled(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey()])
    desk.hold_install.clear()
    page = home_of(open_window(desk))
    press(qtbot, page, "Install · 4.7 GB")
    press(qtbot, page, "Pause")
    press(qtbot, page, "Cancel")
    qtbot.waitUntil(lambda: "Installation stopped" in words(page))
    assert "Pause" not in [each.text() for each in shown(page, Button)]


def test_a_failed_install_says_what_why_and_what_next_and_tries_again(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey()], after_install=offering_survey(installed=(installed_of(release_of()),)))
    desk.install_error = StalledError("models.example.com gives no bytes.", hint="Check the network.")
    page = home_of(open_window(desk))
    press(qtbot, page, "Install · 4.7 GB")
    qtbot.waitUntil(lambda: "bbj-coder 7B could not be installed" in words(page))
    assert "models.example.com gives no bytes." in words(page)
    assert "Check the network." in words(page)
    press(qtbot, page, "Try again")
    qtbot.waitUntil(lambda: "bbj-coder 7B is ready" in words(page))


def test_a_dismissed_failure_shows_the_offer_again(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey()], install_error=StalledError("No bytes."))
    page = home_of(open_window(desk))
    press(qtbot, page, "Install · 4.7 GB")
    qtbot.waitUntil(lambda: "No bytes." in words(page))
    press(qtbot, page, "Not now")
    qtbot.waitUntil(lambda: "Ready to install" in words(page))


def test_the_first_start_shows_the_fingerprint_before_it_trusts(
    qtbot: QtBot, open_window: OpenWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "Wurzel für Köln.json"
    root.write_bytes(b"{}")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(root), ""))
    desk = FakeDesk([bare_survey(), offering_survey()])
    page = home_of(open_window(desk))
    card = shown(page, FirstStartCard)[0]
    assert not card.confirm.isEnabled()
    QTest.keyClicks(card.address, "https://models.example.com")
    press(qtbot, page, "Choose root file…")
    qtbot.waitUntil(card.confirm.isEnabled)
    assert card.fingerprint.text().replace("\n", " ") == FINGERPRINT
    assert desk.registries == []
    press(qtbot, page, "Confirm and use this registry")
    qtbot.waitUntil(lambda: "Ready to install" in words(page))
    assert desk.registries == [("https://models.example.com", b"{}")]


def test_a_file_that_is_no_root_is_refused_with_the_reason(
    qtbot: QtBot, open_window: OpenWindow, tmp_path: Path
) -> None:
    desk = FakeDesk([bare_survey()], root_error=FormatError("This root isn't valid JSON."))
    page = home_of(open_window(desk))
    card = shown(page, FirstStartCard)[0]
    card.address.setText("https://models.example.com")
    card.read_root(tmp_path / "x")
    qtbot.waitUntil(lambda: "This root isn't valid JSON." in words(page))
    assert not card.confirm.isEnabled()


def test_nothing_that_fits_is_explained_with_what_would(open_window: OpenWindow) -> None:
    survey = offering_survey()
    small = candidate_of(release_of(size="0.5b"))
    choice = RoleChoice(
        role=Role.CHAT,
        choice=None,
        reasons=(Reason(kind=ReasonKind.DECIDED, code="too_little", text="2 GB of memory are too little."),),
        others=(small,),
    )
    nothing = offering_survey(recommendation=Recommendation(tier=None, choices=(choice,)), offering=survey.offering)
    text = words(home_of(open_window(FakeDesk([nothing]))))
    assert "2 GB of memory are too little." in text
    assert "What would run here: bbj-coder 0.5B Q4_K_M." in text


def test_a_gpu_that_no_engine_can_use_is_told_before_any_download(open_window: OpenWindow) -> None:
    survey = offering_survey()
    assert survey.recommendation is not None
    remark = Reason(kind=ReasonKind.ENGINE, code="gpu_unused", text="Install Ollama to use your graphics card.")
    told = offering_survey(recommendation=survey.recommendation.model_copy(update={"remarks": (remark,)}))
    assert "Install Ollama to use your graphics card." in words(home_of(open_window(FakeDesk([told]))))


def test_without_a_connection_nothing_installed_says_why_and_tries_again(qtbot: QtBot, open_window: OpenWindow) -> None:
    offline = bare_survey(registry="https://models.example.com", trouble=ConnectError("The name isn't known."))
    desk = FakeDesk([offline, offering_survey()])
    page = home_of(open_window(desk))
    assert "The name isn't known." in words(page)
    press(qtbot, page, "Try again")
    qtbot.waitUntil(lambda: "Ready to install" in words(page))
    assert desk.asked == [False, True]


def test_a_registry_that_must_not_be_asked_unasked_waits_for_a_click(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([bare_survey(registry="https://models.example.com"), offering_survey()])
    page = home_of(open_window(desk))
    assert "https://models.example.com hasn't been asked yet" in words(page)
    assert desk.asked == [False]
    primary = next(each for each in shown(page, Button) if each.property("look") == "primary")
    assert primary.text() == "Check now"
    QTest.mouseClick(primary, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Ready to install" in words(page))
    assert desk.asked == [False, True]


def test_without_a_connection_an_installed_model_stays_usable(open_window: OpenWindow) -> None:
    offline = bare_survey(
        registry="https://models.example.com",
        installed=(installed_of(release_of()),),
        trouble=ConnectError("The name isn't known."),
    )
    page = home_of(open_window(FakeDesk([offline])))
    assert button(page, "Start chatting").isEnabled()
    assert "You can go on working." in words(page)


def test_an_update_is_offered_and_installed(qtbot: QtBot, open_window: OpenWindow) -> None:
    old, new = installed_of(release_of()), release_of(version="2026.2", changelog="Better answers about DWC.")
    survey = offering_survey(installed=(old,), updates=(Update(installed=old, offer=offer_of(new)),))
    desk = FakeDesk([survey], after_install=offering_survey(new, installed=(installed_of(new),)))
    page = home_of(open_window(desk))
    assert "bbj-coder 2026.2 · 7B is available" in words(page)
    assert "Better answers about DWC." in words(page)
    press(qtbot, page, "Update")
    qtbot.waitUntil(lambda: "Version 2026.2 answers" in words(page))


def test_a_withdrawn_version_is_flagged(open_window: OpenWindow) -> None:
    version = installed_of(release_of())
    survey = offering_survey(
        installed=(version,), withdrawn=(Withdrawn(installed=version, reason="It invents methods."),)
    )
    assert "It invents methods." in words(home_of(open_window(FakeDesk([survey]))))


def test_a_survey_that_fails_altogether_is_an_error_with_a_way_on(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([FormatError("A record is damaged."), offering_survey()])
    page = home_of(open_window(desk))
    assert "A record is damaged." in words(page)
    press(qtbot, page, "Try again")
    qtbot.waitUntil(lambda: "Ready to install" in words(page))


def test_a_keyboard_user_keeps_a_focused_button_when_the_state_changes(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey()])
    desk.hold_install.clear()
    window = open_window(desk)
    page = home_of(window)
    window.activateWindow()
    install = button(page, "Install · 4.7 GB")
    install.setFocus()
    qtbot.waitUntil(install.hasFocus)
    QTest.keyClick(install, Qt.Key.Key_Return)
    focused = (["Cancel"], ["Pause"])  # the second one is there as soon as the download has begun
    qtbot.waitUntil(lambda: [each.text() for each in shown(page, Button) if each.hasFocus()] in focused)


def test_paths_too_long_for_their_place_can_be_read_whole(open_window: OpenWindow) -> None:
    page = home_of(open_window(FakeDesk([offering_survey()])))
    disk = next(each for each in shown(page, ElidedLabel) if "Jürgen Groß" in each.accessibleName())
    assert "…" in disk.text()
    assert "/home/Jürgen Groß/BBj Desktop/store" in disk.toolTip()


@pytest.mark.parametrize("name", ["Home", "Chat"])
def test_the_sidebar_names_only_pages_that_exist(open_window: OpenWindow, name: str) -> None:
    window = open_window(FakeDesk([bare_survey()]))
    assert name in [each.text() for each in window.sidebar.buttons.values()]
    assert len(window.sidebar.buttons) == 2


def test_closing_the_window_ends_what_is_under_way(qtbot: QtBot, open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey()])
    desk.hold_install.clear()
    window = open_window(desk)
    press(qtbot, home_of(window), "Install · 4.7 GB")
    window.close()
    assert desk.closed


def test_closing_the_window_ends_the_engine_on_another_thread(open_window: OpenWindow) -> None:
    desk = FakeDesk([offering_survey()])
    open_window(desk).close()
    assert desk.closed_on not in ("", threading.main_thread().name)
