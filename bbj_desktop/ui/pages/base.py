"""What a page is. A new page is one class here beside, and one line in ``pages.PAGES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from bbj_desktop.ui import theme
from bbj_desktop.ui.desk import Desk
from bbj_desktop.ui.models.situation import Situation
from bbj_desktop.ui.tasks import Tasks
from bbj_desktop.ui.widgets.basics import label


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
        self.header = QHBoxLayout()
        self.header.setSpacing(theme.S)
        self.header.addWidget(self.title_label, 1)
        self.content = QVBoxLayout()
        self.content.setSpacing(theme.L)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.XXL, theme.XL + 2, theme.XXL, theme.XL + 4)
        layout.setSpacing(theme.M + 2)
        layout.addLayout(self.header)
        layout.addLayout(self.content, 1)

    @classmethod
    def title(cls) -> str:
        """Its name in the sidebar, translated."""
        raise NotImplementedError(cls)

    def shown(self) -> None:
        """It came to the front."""


def scroll_area(body: QWidget) -> QScrollArea:
    """``body`` as wide as the area, scrolled up and down only; the bar lies in the page's margin."""
    body.setObjectName("pageBody")
    area = QScrollArea()
    area.setWidget(body)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area
