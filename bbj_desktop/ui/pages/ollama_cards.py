"""The cards about an Ollama that is installed and doesn't run, and about one that was started from here."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QProgressBar

from bbj_desktop.actions.ollama import OllamaHere
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama_starting import StartedOllama
from bbj_desktop.ui import theme
from bbj_desktop.ui.pages.home_cards import HeroCard, TextCard
from bbj_desktop.ui.text import model_title, translate
from bbj_desktop.ui.widgets.basics import Button, paragraph, row


class OllamaCard(HeroCard):
    """Offers to start an Ollama, and says what will happen.

    Signals:
        start: Start it.
        cancel: Don't go on starting it.
    """

    start = Signal()
    cancel = Signal()

    def __init__(self, ollama: OllamaHere, version: InstalledVersion | None, *, primary: bool) -> None:
        """Args:
        version: What answers through it alone.
        primary: Nothing works without it.
        """
        super().__init__()
        self.add_heading(translate("Home", "Ollama is installed and doesn't run"))
        self.left.addWidget(paragraph(_why(version, needed=ollama.needed)))
        text = translate(
            "Home",
            "It will be started as your user ({program}), answer at {address}, and be told to stay off the models in "
            "its makers' cloud. It goes on when this window is closed, because your editor uses it too, until you end "
            "it on Home.",
        )
        self.left.addWidget(paragraph(text.format(program=ollama.executable, address=ollama.address), "muted"))
        self.button = Button(translate("Home", "Start Ollama"), "primary" if primary else "plain")
        self.button.clicked.connect(self.start)
        self.add_button(self.button)
        self.cancel_button = Button(translate("Home", "Cancel"), "link")
        self.cancel_button.clicked.connect(self.cancel)
        self.cancel_button.hide()
        self.add_button(self.cancel_button)
        self.close_right()
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(translate("Home", "Starting Ollama"))
        self._bar.hide()
        self.body.addWidget(self._bar)

    def show_starting(self) -> None:
        self.button.setText(translate("Home", "Starting…"))
        self.button.setEnabled(False)
        self.cancel_button.show()
        self._bar.show()


def _why(version: InstalledVersion | None, *, needed: bool) -> str:
    if version is not None:
        return translate("Home", "{model} answers through it.").format(model=model_title(version.release))
    if needed:
        return translate("Home", "Nothing else on this machine can run a model.")
    return translate("Home", "The built-in engine answers without it. With it, a graphics card can be used.")


class StartedOllamaCard(TextCard):
    """The Ollama that this program started, and a button that ends it.

    Signals:
        stop: End it.
    """

    stop = Signal()

    def __init__(self, started: StartedOllama) -> None:
        text = translate(
            "Home", "Started from here, it answers at {address} (process {pid}), also when this window is closed."
        )
        super().__init__(translate("Home", "Ollama"), text.format(address=started.address, pid=started.pid))
        self.button = Button(translate("Home", "End Ollama"), "small")
        self.button.clicked.connect(self.stop)
        self.body.insertSpacing(self.body.count() - 1, theme.XS)
        self.body.insertLayout(self.body.count() - 1, row(self.button, None))

    def show_ending(self) -> None:
        self.button.setText(translate("Home", "Ending…"))
        self.button.setEnabled(False)
