"""What a page is. A new page is one class here beside, and one line in ``pages.PAGES``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget
from typing_extensions import override

from bbj_desktop.ui import theme
from bbj_desktop.ui.desk import Desk
from bbj_desktop.ui.models.situation import Situation
from bbj_desktop.ui.tasks import Tasks
from bbj_desktop.ui.widgets.basics import label

_HEADER_HEIGHT = 34  # pixels
_LEAST_TITLE = 220
_BAR_WIDTH = 10  # pixels, as in the style sheet
_BAR_ROOM = _BAR_WIDTH + 2


@dataclass(frozen=True)
class Surroundings:
    """What every page is given.

    Attributes:
        go_to: Brings the page of that key to the front.
    """

    desk: Desk
    tasks: Tasks
    situation: Situation
    go_to: Callable[[str], None]


class Page(QWidget):
    """One entry of the sidebar and what it shows: a title line, and ``content`` below it.

    Attributes:
        key: Stable name, for ``go_to``.
        icon: Name in ``icons``.
    """

    key: ClassVar[str]
    icon: ClassVar[str]

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__()
        self.setObjectName("page")
        self.surroundings = surroundings
        self.title_label = label(self.title(), "pageTitle", wrap=True)
        self.title_label.setMinimumWidth(_LEAST_TITLE)
        self.title_label.setMinimumHeight(_HEADER_HEIGHT)
        self.header = QHBoxLayout()
        self.header.setContentsMargins(0, 0, _BAR_ROOM, 0)
        self.header.setSpacing(theme.S)
        self.header.addWidget(self.title_label, 1)
        self.content = QVBoxLayout()
        self.content.setSpacing(theme.L)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.XXL, theme.XL + 2, theme.XXL - _BAR_ROOM, theme.XL + 4)
        layout.setSpacing(theme.L)
        layout.addLayout(self.header)
        layout.addLayout(self.content, 1)

    @classmethod
    @abstractmethod
    def title(cls) -> str:
        """Its name in the sidebar, translated."""

    def shown(self) -> None:
        """It came to the front."""


def beside_bar(widget: QWidget) -> QHBoxLayout:
    """A layout that keeps ``widget`` as wide as the cards that scroll above it."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, _BAR_ROOM, 0)
    layout.addWidget(widget)
    return layout


class _Area(QScrollArea):
    """Never wider inside than outside: what has too little room wraps or is elided, and nothing is cut off."""

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        if (body := self.widget()) is not None:
            body.setMaximumWidth(self.viewport().width())
        super().resizeEvent(event)


def scroll_area(body: QWidget, cards: QVBoxLayout) -> QScrollArea:
    """``body`` as wide as the area, scrolled up and down only. The bar lies in the page's margin, so that the cards
    keep their width when it comes and goes.

    Args:
        cards: The layout of ``body``.
    """
    body.setObjectName("pageBody")
    cards.setContentsMargins(0, 0, _BAR_ROOM, 0)
    area = _Area()
    area.setWidget(body)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.verticalScrollBar().rangeChanged.connect(
        lambda _low, high: cards.setContentsMargins(0, 0, _BAR_ROOM - (_BAR_WIDTH if high else 0), 0)
    )
    return area
