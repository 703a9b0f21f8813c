"""The window: a sidebar with the pages and, below, what runs here; beside it the page."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget
from typing_extensions import override

from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.ui import theme
from bbj_desktop.ui.desk import Desk
from bbj_desktop.ui.models.situation import Situation
from bbj_desktop.ui.pages.base import Page, Surroundings
from bbj_desktop.ui.tasks import Tasks
from bbj_desktop.ui.text import translate, version_title
from bbj_desktop.ui.widgets.basics import BrandMark, ElidedLabel, NavButton, StatusDot, divider, label, paragraph, row

DEFAULT_SIZE = QSize(1180, 760)
MINIMUM_SIZE = QSize(860, 560)


class RuntimeLine(QWidget):
    """What runs models here, and which one is active."""

    def __init__(self) -> None:
        super().__init__()
        self._dot = StatusDot()
        self._runtime = paragraph("", "small")
        self._model = ElidedLabel("", "small")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, theme.M, 10, 0)
        layout.setSpacing(2)
        line = row(self._dot, self._runtime)
        line.setAlignment(self._dot, Qt.AlignmentFlag.AlignTop)
        line.setStretchFactor(self._runtime, 1)
        layout.addLayout(line)
        layout.addWidget(self._model)

    def show_situation(self, situation: Situation) -> None:
        survey = situation.survey
        if survey is None:
            self._dot.set_state("bad" if situation.error else "idle")
            self._runtime.say("" if situation.error else translate("MainWindow", "Looking at this machine…"))
            self._model.say("")
            return
        self._dot.set_state("good" if survey.runtime else "bad")
        self._runtime.say(runtime_text(survey.runtime))
        version = survey.chat_version
        self._model.say(version_title(version.release) if version else translate("MainWindow", "no model yet"))


def runtime_text(status: RuntimeStatus | None) -> str:
    """``Ollama 0.33 · running``."""
    if status is None:
        return translate("MainWindow", "No engine can be used")
    if status.name == "embedded":
        return translate("MainWindow", "Built-in engine · ready")
    return translate("MainWindow", "Ollama {version} · running").format(version=status.version or "")


class Sidebar(QFrame):
    """Brand, pages, status. Attributes: ``buttons`` by the page's key."""

    def __init__(self, pages: Sequence[Page]) -> None:
        super().__init__()
        self.setObjectName("sidebar")
        self.setFixedWidth(theme.SIDEBAR_WIDTH)
        self.buttons = {page.key: NavButton(page.title(), page.icon) for page in pages}
        self.group = QButtonGroup(self)
        self.status = RuntimeLine()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.M, theme.L + 5, theme.M, theme.L + 4)
        layout.setSpacing(2)
        brand = row(BrandMark(), label("BBj Desktop", "brand"), None)
        brand.setContentsMargins(10, 0, 10, theme.L + 2)
        layout.addLayout(brand)
        for button in self.buttons.values():
            self.group.addButton(button)
            layout.addWidget(button)
        layout.addStretch(1)
        layout.addWidget(divider())
        layout.addWidget(self.status)


class MainWindow(QMainWindow):
    """Attributes:
    situation: What the pages watch.
    sidebar: For tests and for keyboard users.
    """

    def __init__(self, desk: Desk, tasks: Tasks, pages: Sequence[type[Page]]) -> None:
        super().__init__()
        self._desk = desk
        self._tasks = tasks
        self.situation = Situation(desk, tasks, self)
        surroundings = Surroundings(desk, tasks, self.situation, self.go_to)
        self._pages = {page.key: page(surroundings) for page in pages}
        self._stack = QStackedWidget()
        self.sidebar = Sidebar(list(self._pages.values()))
        self._build()
        self.situation.changed.connect(lambda: self.sidebar.status.show_situation(self.situation))
        self.go_to(next(iter(self._pages)))

    def _build(self) -> None:
        self.setWindowTitle("BBj Desktop")
        self.setMinimumSize(MINIMUM_SIZE)
        self.resize(DEFAULT_SIZE)
        for number, (key, page) in enumerate(self._pages.items(), start=1):
            self._stack.addWidget(page)
            self.sidebar.buttons[key].clicked.connect(lambda _checked, key=key: self.go_to(key))
            QShortcut(QKeySequence(f"Ctrl+{number}"), self, lambda key=key: self.go_to(key))
        body = QWidget()
        layout = QHBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.sidebar)
        layout.addWidget(self._stack, 1)
        self.setCentralWidget(body)
        body.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        body.setFocus()  # so that no ring greets the user

    def start(self) -> None:
        """Begins to look at the machine."""
        self.situation.refresh()

    def page(self, key: str) -> Page:
        return self._pages[key]

    def go_to(self, key: str) -> None:
        page = self._pages[key]
        self._stack.setCurrentWidget(page)
        self.sidebar.buttons[key].setChecked(True)
        page.shown()

    @override
    def closeEvent(self, event: QCloseEvent) -> None:
        """What is under way is cancelled; a download takes up where it ended at the next start."""
        self.hide()
        self._tasks.shutdown(last=self._desk.close)
        super().closeEvent(event)
