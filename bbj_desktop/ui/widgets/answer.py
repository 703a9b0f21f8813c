"""An answer on the screen: paragraphs of Markdown and blocks of code, growing while it streams."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QResizeEvent, QTextCursor, QTextDocument, QWheelEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QVBoxLayout, QWidget
from typing_extensions import override

from bbj_desktop.core.compiling import CheckedBlock
from bbj_desktop.ui import theme
from bbj_desktop.ui.models.answer import AnswerParser, Segment
from bbj_desktop.ui.widgets.code import LINES, CodeBlock, CompileMark

_MARKDOWN = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
_INDENT = 22  # pixels


class Prose(QTextBrowser):
    """A paragraph, a list, a table. Nothing is loaded for it: no pictures, no links followed, no HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.setOpenLinks(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.document().setIndentWidth(_INDENT)

    def show_text(self, markdown: str) -> None:
        self.document().setMarkdown(markdown, _MARKDOWN)
        cursor = QTextCursor(self.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.mergeBlockFormat(LINES)
        self._fit_height()

    @override
    def loadResource(self, kind: int, name: QUrl | str) -> object:
        return None

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_height()

    @override
    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the page scrolls, not the paragraph

    def _fit_height(self) -> None:
        self.document().setTextWidth(self.viewport().width())
        self.setFixedHeight(max(1, math.ceil(self.document().size().height())))


class AnswerView(QWidget):
    """Shows an answer as it comes. However fast the pieces arrive, one turn of the event loop draws them once."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = AnswerParser()
        self._pieces: list[str] = []
        self._blocks: list[Prose | CodeBlock] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.S + 2)
        self._drawing = QTimer(self, singleShot=True, interval=0)
        self._drawing.timeout.connect(self._draw)

    @property
    def blocks(self) -> tuple[Prose | CodeBlock, ...]:
        return tuple(self._blocks)

    @property
    def whole(self) -> str:
        """What has come, as it came."""
        return "".join(self._pieces)

    def append(self, piece: str) -> None:
        self._pieces.append(piece)
        self._parser.feed(piece)
        self._drawing.start()

    def finish(self) -> None:
        self._parser.finish()
        self._draw()

    def text(self) -> str:
        """What has come, without fences."""
        return "\n\n".join(segment.text.rstrip("\n") for segment in self._parser.segments)

    def show_checked(self, checked: Sequence[CheckedBlock]) -> list[CompileMark]:
        """Puts below each block of BBj what the compiler says of it.

        Args:
            checked: For each such block that isn't empty, in their order.
        """
        asked = [block for block in self.code_blocks if block.is_bbj and block.text().strip()]
        marks = []
        for block, found in zip(asked, checked, strict=False):
            block.show_judgement(found.report.syntax)
            marks.append(CompileMark(found, alone=len(checked) == 1))
            marks[-1].setVisible(bool(marks[-1].texts))
            self._layout.insertWidget(self._layout.indexOf(block) + 1, marks[-1])
        return marks

    @property
    def code_blocks(self) -> list[CodeBlock]:
        return [block for block in self._blocks if isinstance(block, CodeBlock)]

    def _draw(self) -> None:
        first = max(0, len(self._blocks) - 1)  # only the last one grows
        for index, segment in enumerate(self._parser.segments[first:], start=first):
            if index == len(self._blocks):
                self._blocks.append(self._new_block(segment))
                self._layout.addWidget(self._blocks[index])
            self._blocks[index].show_text(segment.text)

    @staticmethod
    def _new_block(segment: Segment) -> Prose | CodeBlock:
        return CodeBlock(segment.language) if segment.kind == "code" else Prose()
