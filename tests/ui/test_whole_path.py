"""From the first start to the first answer by clicks alone, over the real actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from bbj_desktop.actions import demo, exporting, importing, publishing
from bbj_desktop.actions.context import Context
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.services.registry.bundle import find_bundles
from bbj_desktop.services.registry.draft import ReleaseDraft
from bbj_desktop.services.registry.serve import serve_folder
from bbj_desktop.ui.desk import ActionsDesk
from bbj_desktop.ui.main_window import MainWindow
from bbj_desktop.ui.pages import PAGES
from bbj_desktop.ui.pages.chat import ChatPage
from bbj_desktop.ui.pages.first_start import FirstStartCard
from bbj_desktop.ui.pages.home import HomePage
from bbj_desktop.ui.tasks import Tasks
from bbj_desktop.ui.widgets.basics import Button
from bbj_desktop.ui.widgets.error_panel import ErrorPanel
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication, customer, trust
from tests.fakes.release_server import Fault, ReleaseServer

PATIENCE_MS = 60_000
ANSWER_TOKENS = 16


class User:
    """Somebody with a mouse and a keyboard, and nothing else."""

    def __init__(self, qtbot: QtBot, window: MainWindow) -> None:
        self._qtbot = qtbot
        self.window = window
        home, chat = window.page("home"), window.page("chat")
        assert isinstance(home, HomePage)
        assert isinstance(chat, ChatPage)
        self.home, self.chat = home, chat

    def sees(self, text: str) -> Button | None:
        buttons = [each for each in self.window.findChildren(Button) if each.isVisible() and each.isEnabled()]
        return next((each for each in buttons if each.text().startswith(text)), None)

    def clicks(self, text: str) -> None:
        """Waits for a button and presses it."""
        self._qtbot.waitUntil(lambda: self.sees(text) is not None, timeout=PATIENCE_MS)
        button = self.sees(text)
        assert button is not None
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def trusts(self, address: str) -> None:
        self.waits(lambda: bool(self.home.findChildren(FirstStartCard)))
        QTest.keyClicks(self.home.findChildren(FirstStartCard)[-1].address, address)
        self.clicks("Choose root file")
        self.clicks("Confirm")

    def asks_an_example(self) -> None:
        self.waits(self.chat.empty.isVisible)
        QTest.mouseClick(self.chat.empty.buttons[0], Qt.MouseButton.LeftButton)
        self.waits(lambda: bool(self.chat.answers) and not self.chat.streaming)

    def waits(self, condition: Callable[[], bool]) -> None:
        self._qtbot.waitUntil(condition, timeout=PATIENCE_MS)


@pytest.fixture
def sit_down(qtbot: QtBot) -> Iterator[Callable[[Context], User]]:
    """Opens the window over a context, as ``main`` does."""
    opened: list[tuple[MainWindow, Tasks]] = []

    def open_it(context: Context) -> User:
        tasks = Tasks()
        window = MainWindow(ActionsDesk(context), tasks, PAGES)
        opened.append((window, tasks))
        tasks.crashed.connect(lambda bug: pytest.fail(f"a bug: {bug!r}"))
        window.show()
        window.start()
        return User(qtbot, window)

    yield open_it
    for window, _tasks in opened:
        window.close()
        window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    made = Publication.create(tmp_path_factory.mktemp("Hersteller Süd"))
    made.publish("2026.1")
    return made


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


def _choose_in_dialog(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """The system's file dialog is the one thing that isn't ours to click."""

    def chosen(_parent: QWidget, *_: object) -> tuple[str, str]:
        return str(path), ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", chosen)


def _root_of(folder: Path) -> Path:
    return folder / "metadata" / "1.root.json"


def test_from_the_first_start_to_the_first_answer_by_clicks_alone(
    sit_down: Callable[[Context], User],
    publication: Publication,
    ollama: FakeOllama,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _choose_in_dialog(monkeypatch, _root_of(publication.folder))
    with ReleaseServer(publication.folder) as server:
        user = sit_down(customer(tmp_path / "Kunde Müller", ollama_host=ollama.address))
        user.trusts(server.address)
        user.clicks("Install · ")
        user.clicks("Start chatting")
        user.asks_an_example()
    answer = user.chat.answers[0]
    assert answer.view.text() == 'PRINT "Hello BBj"'
    assert answer.foot.plain.endswith("finished")
    assert "bbj-coder:latest" in ollama.models


def test_without_update_checks_the_registry_hears_nothing_before_a_click(
    sit_down: Callable[[Context], User], publication: Publication, ollama: FakeOllama, tmp_path: Path
) -> None:
    context = customer(tmp_path / "Kunde", ollama_host=ollama.address)
    quiet = replace(context.settings, values=replace(context.settings.values, update_checks=False))
    with ReleaseServer(publication.folder) as server:
        trust(context, server.address, publication)
        before = len(server.requests)
        user = sit_down(Context(quiet, context.paths))
        user.waits(lambda: user.sees("Check now") is not None)
        assert server.requests[before:] == []
        user.clicks("Check now")
        user.clicks("Install · ")
        user.waits(lambda: user.sees("Start chatting") is not None)


def test_a_download_is_stopped_and_resumed_and_its_failure_is_said(
    sit_down: Callable[[Context], User],
    publication: Publication,
    ollama: FakeOllama,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _choose_in_dialog(monkeypatch, _root_of(publication.folder))
    blob = max(publication.folder.glob("blobs/sha256/*/*"), key=lambda path: path.stat().st_size)
    place = blob.relative_to(publication.folder).as_posix()
    with ReleaseServer(publication.folder) as server:
        user = sit_down(customer(tmp_path / "Kunde", ollama_host=ollama.address))
        user.trusts(server.address)
        slow = Fault(rate_bytes_per_s=500)
        server.script(place, slow, slow)  # one or two requests at once
        user.clicks("Install · ")
        user.waits(lambda: server.sent_bytes(place) > 0)
        user.clicks("Cancel")
        user.waits(lambda: user.sees("Resume") is not None)
        server.forget(place)
        server.script(place, Fault(status=404))
        user.clicks("Resume")
        user.waits(lambda: bool(user.home.findChildren(ErrorPanel)))
        user.clicks("Try again")
        user.clicks("Start chatting")


def test_without_a_network_home_installs_what_was_brought_and_names_what_would_be_better(
    sit_down: Callable[[Context], User], publication: Publication, ollama: FakeOllama, tmp_path: Path
) -> None:
    makers = publication.copy(tmp_path / "Hersteller")
    makers.publish("2026.2", quantisations=("Q4_0", "Q8_0"))
    staff = customer(tmp_path / "Büro")
    trust(staff, str(makers.folder), makers)
    wish = Wishes(roles=(Role.CHAT,), size="7b", quantisation="Q8_0")
    chosen = exporting.choose_variants(staff, [wish], silent, Cancel())
    exporting.export_bundle(staff, tmp_path / "Stick", chosen, silent, Cancel())
    context = customer(tmp_path / "Krankenhaus Süd", ollama_host=ollama.address)
    importing.import_bundle(context, find_bundles([tmp_path / "Stick"]), silent, Cancel(), root=makers.root)
    user = sit_down(context)
    user.waits(lambda: user.sees("Install") is not None)
    said = " ".join(each.text() for each in user.home.findChildren(QLabel))
    assert "ask for a bundle with bbj-coder:2026.2-7b-q4_0" in said
    user.clicks("Install")
    user.clicks("Start chatting")
    user.asks_an_example()


def _short_spoken(draft: ReleaseDraft) -> ReleaseDraft:
    """A busy machine takes long for each token."""
    parameters = draft.prompt.parameters.model_copy(update={"max_tokens": ANSWER_TOKENS})
    return draft.model_copy(update={"prompt": draft.prompt.model_copy(update={"parameters": parameters})})


@pytest.mark.model
def test_a_real_model_answers_in_the_embedded_engine_by_clicks_alone(
    sit_down: Callable[[Context], User], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, keys = tmp_path / "registry", tmp_path / "keys"
    publishing.create(registry, keys, "a passphrase for a test")
    draft = _short_spoken(demo.make_draft(demo.packaged_model()))
    publishing.publish(registry, keys, "a passphrase for a test", draft, demo.CHANNEL, silent, Cancel())
    _choose_in_dialog(monkeypatch, _root_of(registry))
    context = demo.customer_context(customer(tmp_path / "x"), tmp_path / "Kundin Möller", "embedded")
    with serve_folder(registry) as address:
        user = sit_down(context)
        user.trusts(address)
        user.clicks("Install · ")
        user.clicks("Start chatting")
        user.asks_an_example()
    answer = user.chat.answers[0]
    assert len(answer.view.text()) > 20
    assert answer.foot.plain.startswith("first token")
