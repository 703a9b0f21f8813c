"""An answer on the screen: paragraphs of Markdown and blocks of code, growing while it streams."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QGuiApplication, QResizeEvent, QTextBlockFormat, QTextCursor, QTextDocument, QWheelEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QTextEdit, QVBoxLayout, QWidget
from typing_extensions import override

from bbj_desktop.ui import theme
from bbj_desktop.ui.models.answer import AnswerParser, Segment
from bbj_desktop.ui.text import translate
from bbj_desktop.ui.widgets.basics import Button, label, row

_MARKDOWN = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
_COPIED_MS = 1500
_INDENT = 22  # pixels
_LINES = QTextBlockFormat()
_LINES.setLineHeight(130, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)  # percent


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
        cursor.mergeBlockFormat(_LINES)
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


class _CodeText(QTextEdit):
    """Verbatim text as high as its lines; long lines scroll sideways."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setProperty("look", "code")
        self.setLineWrapMode(QTextEdit.LineWrapMode.NoWrap)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.horizontalScrollBar().rangeChanged.connect(self.fit_height)

    def append_text(self, text: str) -> None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.setBlockFormat(_LINES)
        cursor.insertText(text)
        self.fit_height()

    def fit_height(self) -> None:
        bar = self.horizontalScrollBar()
        room = bar.sizeHint().height() + theme.XS if bar.maximum() > 0 else 0
        self.setFixedHeight(math.ceil(self.document().size().height()) + room)

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit_height()

    @override
    def wheelEvent(self, event: QWheelEvent) -> None:
        if abs(event.angleDelta().x()) > abs(event.angleDelta().y()):
            super().wheelEvent(event)
        else:
            event.ignore()


class CodeBlock(QFrame):
    """Code on a sunken ground with its language and a button that copies it."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.setProperty("look", "sunken")
        self._shown = 0
        self._code = _CodeText()
        self._code.setAccessibleName(translate("Answer", "Code"))
        self._copy = Button(translate("Answer", "Copy"), "link")
        self._copy.setAccessibleName(translate("Answer", "Copy this code"))
        self._copy.clicked.connect(self._copy_code)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.M, theme.XS, theme.M, theme.M - 2)
        layout.setSpacing(theme.XS)
        layout.addLayout(row(label(language, "small"), None, self._copy))
        layout.addWidget(self._code)

    def show_text(self, text: str) -> None:
        """Shows ``text``, which begins with what is shown already: only the rest is added."""
        shown = text.removesuffix("\n")
        self._code.append_text(shown[self._shown :])
        self._shown = len(shown)

    def text(self) -> str:
        return self._code.toPlainText()

    def _copy_code(self) -> None:
        QGuiApplication.clipboard().setText(self.text())
        self._copy.setText(translate("Answer", "Copied"))
        QTimer.singleShot(_COPIED_MS, self._copy, lambda: self._copy.setText(translate("Answer", "Copy")))


class AnswerView(QWidget):
    """Shows an answer as it comes. However fast the pieces arrive, one turn of the event loop draws them once."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = AnswerParser()
        self._blocks: list[Prose | CodeBlock] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.S + 2)
        self._drawing = QTimer(self, singleShot=True, interval=0)
        self._drawing.timeout.connect(self._draw)

    @property
    def blocks(self) -> tuple[Prose | CodeBlock, ...]:
        return tuple(self._blocks)

    def append(self, piece: str) -> None:
        self._parser.feed(piece)
        self._drawing.start()

    def finish(self) -> None:
        self._parser.finish()
        self._draw()

    def text(self) -> str:
        """What has come, without fences."""
        return "\n\n".join(segment.text.rstrip("\n") for segment in self._parser.segments)

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
