"""Code in an answer: coloured while it grows, copied with a click, and what the compiler says of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pygments.token import Comment, Keyword, Literal, Name, Operator, _TokenType
from PySide6.QtCore import Property, Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QFont,
    QGuiApplication,
    QResizeEvent,
    QSyntaxHighlighter,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextEdit, QVBoxLayout, QWidget
from typing_extensions import override

from bbj_desktop.core.compiling import CheckedBlock, Judgement, Verdict, is_bbj
from bbj_desktop.core.highlighting import AT_START, LineLexer, Stack, lexer_for
from bbj_desktop.ui import theme
from bbj_desktop.ui.text import translate
from bbj_desktop.ui.widgets.basics import Button, ElidedLabel, label, paragraph, row

LINES = QTextBlockFormat()
LINES.setLineHeight(130, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)  # percent

_COPIED_MS = 1500
_LONGEST_COLOURED = 4_000  # characters of a line; a longer one is data
_LONGEST_LIST = 5  # refused lines that are shown: errors cascade, the first ones tell most

# The first kind that a token belongs to decides its colour; what isn't here has the text's own.
_COLOURS: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "comment"),
    (Literal.String.Doc, "comment"),
    (Literal.String, "string"),
    (Keyword, "keyword"),
    (Operator.Word, "keyword"),
    (Name.Builtin.Pseudo, "object"),
    (Name.Builtin, "keyword"),
    (Name.Variable.Instance, "object"),
    (Name.Label, "label"),
)


def _colour_of(kind: _TokenType, text: str) -> str | None:
    if text.endswith("!") and _is(kind, Name.Variable):
        return "object"
    return next((colour for each, colour in _COLOURS if _is(kind, each)), None)


def _is(kind: _TokenType, broader: _TokenType) -> bool:
    return kind[: len(broader)] == broader


class _Colours(QSyntaxHighlighter):
    """Colours a document line by line; Qt asks only for the lines that have changed."""

    def __init__(self, document: QTextDocument, lexer: LineLexer) -> None:
        super().__init__(document)
        self._lexer = lexer
        self._stacks: list[Stack] = [AT_START]  # a line's state is an index into it
        self.formats: dict[str, QTextCharFormat] = {}

    @override
    def highlightBlock(self, text: str) -> None:
        stack = self._stacks[max(0, self.previousBlockState())]
        if len(text) > _LONGEST_COLOURED:
            self.setCurrentBlockState(self._stacks.index(stack))
            return
        tokens, after = self._lexer.tokens(text, stack)
        place = 0
        for kind, part in tokens:
            length = _utf16_length(part)
            colour = self.formats.get(_colour_of(kind, part) or "")
            if colour is not None:
                self.setFormat(place, length, colour)
            place += length
        if after not in self._stacks:
            self._stacks.append(after)
        self.setCurrentBlockState(self._stacks.index(after))


def _utf16_length(text: str) -> int:
    """As Qt counts: what lies outside the Basic Multilingual Plane is two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _ink(name: str) -> Property:
    """A colour that the style sheet fills in."""
    return Property(QColor, lambda self: self.ink(name), lambda self, colour: self.set_ink(name, colour))


class CodeText(QTextEdit):
    """Verbatim text as high as its lines; long lines scroll sideways."""

    keyword, object, string = _ink("keyword"), _ink("object"), _ink("string")
    comment, label, refused = _ink("comment"), _ink("label"), _ink("refused")

    def __init__(self, language: str) -> None:
        super().__init__()
        lexer = lexer_for(language)
        self._inks: dict[str, QColor] = {}
        self._refused: tuple[int, ...] = ()
        self._colours = _Colours(self.document(), LineLexer(lexer)) if lexer else None
        self._dressing = QTimer(self, singleShot=True, interval=0)
        self._dressing.timeout.connect(self._dress)
        self.setReadOnly(True)
        self.setProperty("look", "code")
        self.setLineWrapMode(QTextEdit.LineWrapMode.NoWrap)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.horizontalScrollBar().rangeChanged.connect(self.fit_height)

    def ink(self, name: str) -> QColor:
        return self._inks.get(name, QColor())

    def set_ink(self, name: str, colour: QColor) -> None:
        """Called for each colour when the theme is put on; they are used once all are there."""
        if self._inks.get(name) != colour:
            self._inks[name] = colour
            self._dressing.start()

    def _dress(self) -> None:
        if self._colours is not None:
            self._colours.formats = {name: _format(name, colour) for name, colour in self._inks.items()}
            self._colours.rehighlight()
        self.mark(self._refused)

    def append_text(self, text: str) -> None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.setBlockFormat(LINES)
        cursor.insertText(text)
        self.fit_height()

    def mark(self, lines: Sequence[int]) -> None:
        """Puts the ground of an error behind lines, counted from 1."""
        self._refused = tuple(lines)
        self.setExtraSelections([self._band(line) for line in lines])

    def _band(self, line: int) -> QTextEdit.ExtraSelection:
        band = QTextEdit.ExtraSelection()
        selection: Any = band  # the stubs don't know these fields
        selection.cursor = QTextCursor(self.document().findBlockByNumber(line - 1))
        selection.format.setBackground(self.ink("refused"))
        selection.format.setProperty(QTextFormat.Property.FullWidthSelection, True)
        return band

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


def _format(name: str, colour: QColor) -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(colour)
    made.setFontItalic(name == "comment")
    if name == "keyword":
        made.setFontWeight(QFont.Weight.Bold)
    return made


class CodeBlock(QFrame):
    """Code on a sunken ground with its language and a button that copies it."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.setProperty("look", "sunken")
        self.is_bbj = is_bbj(language)
        self._shown = 0
        self._code = CodeText(language)
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

    def show_judgement(self, judgement: Judgement) -> None:
        """Marks the lines that the compiler refuses."""
        self._code.mark([error.line for error in judgement.errors])

    def _copy_code(self) -> None:
        QGuiApplication.clipboard().setText(self.text())
        self._copy.setText(translate("Answer", "Copied"))
        QTimer.singleShot(_COPIED_MS, self._copy, lambda: self._copy.setText(translate("Answer", "Copy")))


class CompileMark(QWidget):
    """Below a block: whether it compiles, and which lines don't; and what the type check adds.

    Args:
        alone: The answer's own mark says already whether this one block compiles.

    Attributes:
        texts: What it says, a line each.
    """

    def __init__(self, checked: CheckedBlock, *, alone: bool) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.XS)
        self._show(checked.report.syntax, alone)
        if checked.report.types is not None:
            self._show_types(checked.report.types)

    def _show(self, judgement: Judgement, alone: bool) -> None:
        if judgement.verdict is Verdict.FAILS:
            self._list(judgement, "errorSmall")
        elif judgement.verdict is Verdict.NOT_JUDGED:
            text = "{reason}" if alone else translate("Answer", "Not judged. {reason}")
            self._say(text.format(reason=judgement.reason), "small")
        elif not alone:
            self._say(translate("Answer", "Compiles."), "goodSmall")

    def _show_types(self, judgement: Judgement) -> None:
        if judgement.verdict is Verdict.COMPILES:
            self._say(translate("Answer", "Its types are right."), "goodSmall")
        elif judgement.verdict is Verdict.NOT_JUDGED:
            self._say(translate("Answer", "Types not judged. {reason}").format(reason=judgement.reason), "small")
        else:
            self._say(translate("Answer", "The type check complains of:"), "warningSmall")
            self._list(judgement, "warningSmall")

    def _list(self, judgement: Judgement, look: str) -> None:
        for error in judgement.errors[:_LONGEST_LIST]:
            text = translate("Answer", "Line {line}: {source}").format(line=error.line, source=error.source)
            self.texts.append(text)
            self._layout.addWidget(ElidedLabel(text, look))
        if len(judgement.errors) > _LONGEST_LIST:
            self._say(translate("Answer", "More lines follow; they may be consequences of these."), "small")

    def _say(self, text: str, look: str) -> None:
        self.texts.append(text)
        self._layout.addWidget(paragraph(text, look))

    def offer(self, text: str, action: Callable[[], None]) -> Button:
        """Adds a link."""
        button = Button(text, "link")
        button.clicked.connect(lambda _checked: action())
        self._layout.addLayout(row(button, None))
        return button
