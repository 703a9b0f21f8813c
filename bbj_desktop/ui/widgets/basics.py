"""The small parts that everything is made of."""

from __future__ import annotations

import html
from typing import Literal, TypeVar

from PySide6.QtCore import Property, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLayoutItem,
    QPushButton,
    QSizePolicy,
    QToolTip,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from bbj_desktop.ui import theme
from bbj_desktop.ui.icons import NAV_ICON, icon

ButtonLook = Literal["plain", "primary", "small", "link", "prompt"]
_LINE_PERCENT = 135
_LEAST_ELIDED = 40  # pixels
_DOT = 8
_Box = TypeVar("_Box", bound=QBoxLayout)
TagKind = Literal["plain", "good", "warning", "error"]


def label(text: str, look: str = "body", *, wrap: bool = False, selectable: bool = False) -> QLabel:
    """A line or a paragraph of plain text: nothing in it is ever taken for markup."""
    result = QLabel(text)
    result.setTextFormat(Qt.TextFormat.PlainText)
    result.setProperty("look", look)
    result.setWordWrap(wrap)
    if selectable:
        result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return result


class Paragraph(QLabel):
    """Text that wraps, with air between its lines. Whatever it says is shown as it is: markup is escaped.

    Attributes:
        plain: The text.
    """

    def __init__(self, text: str, look: str = "body", *, strong: str = "") -> None:
        super().__init__()
        self.setProperty("look", look)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setWordWrap(True)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumWidth(80)
        self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.say(text, strong=strong)

    def say(self, text: str, *, strong: str = "") -> None:
        """Shows another text; the part of it that equals ``strong`` stands out."""
        self.plain = text
        shown = html.escape(text)
        if strong:
            shown = shown.replace(html.escape(strong), f"<b>{html.escape(strong)}</b>")
        shown = shown.replace("\n", "<br>")
        self.setText(f'<p style="margin: 0; line-height: {_LINE_PERCENT}%; white-space: pre-wrap">{shown}</p>')
        self.setAccessibleName(text)

    @override
    def sizeHint(self) -> QSize:
        return super().sizeHint() - QSize(0, self._air())

    @override
    def minimumSizeHint(self) -> QSize:
        return super().minimumSizeHint() - QSize(0, self._air())

    @override
    def heightForWidth(self, width: int) -> int:
        return super().heightForWidth(width) - self._air()

    def _air(self) -> int:
        """What Qt adds below the last line, too, where it would only look like a larger margin."""
        return round(self.fontMetrics().lineSpacing() * (_LINE_PERCENT - 100) / 100)


def paragraph(text: str, look: str = "body", *, strong: str = "") -> Paragraph:
    """See ``Paragraph``."""
    return Paragraph(text, look, strong=strong)


def row(*items: QWidget | None, spacing: int = theme.S) -> QHBoxLayout:
    """Widgets side by side; None is a stretch."""
    return _fill(QHBoxLayout(), items, spacing)


def column(*items: QWidget | None, spacing: int = theme.S) -> QVBoxLayout:
    """Widgets below each other; None is a stretch."""
    return _fill(QVBoxLayout(), items, spacing)


def _fill(layout: _Box, items: tuple[QWidget | None, ...], spacing: int) -> _Box:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for item in items:
        if item is None:
            layout.addStretch(1)
        else:
            layout.addWidget(item)
    return layout


def clear(layout: QLayout) -> None:
    """Removes everything from a layout, nested layouts included."""
    while (item := layout.takeAt(0)) is not None:
        widget, nested = item.widget(), item.layout()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
        elif nested is not None:
            clear(nested)


class Button(QPushButton):
    """A button. Clicking one doesn't move the keyboard's focus, so the focus ring is seen by those who need it."""

    def __init__(self, text: str, look: ButtonLook = "plain", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setProperty("look", look)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):  # outside dialogs Qt knows only Space
            self.click()
        else:
            super().keyPressEvent(event)


class TextButton(Button):
    """A button whose text may take several lines."""

    def __init__(self, text: str) -> None:
        super().__init__("", "prompt")
        self.setAccessibleName(text)
        words = paragraph(text)
        words.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(theme.L, theme.M, theme.L, theme.M)
        self._layout.addWidget(words)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    @override
    def sizeHint(self) -> QSize:
        return self._layout.totalSizeHint()

    @override
    def minimumSizeHint(self) -> QSize:
        return self._layout.totalMinimumSize()

    @override
    def heightForWidth(self, width: int) -> int:
        return self._layout.totalHeightForWidth(width)


class Flow(QLayout):
    """Widgets side by side as long as there is room, then on further lines."""

    def __init__(self, spacing: int) -> None:
        super().__init__()
        self._items: list[QLayoutItem] = []
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(spacing)

    @override
    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    @override
    def count(self) -> int:
        return len(self._items)

    @override
    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    @override
    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    @override
    def hasHeightForWidth(self) -> bool:
        return True

    @override
    def heightForWidth(self, width: int) -> int:
        return self._arrange(QRect(0, 0, width, 0), move=False)

    @override
    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._arrange(rect, move=True)

    @override
    def sizeHint(self) -> QSize:
        hints = [item.sizeHint() for item in self._items]
        width = sum(hint.width() for hint in hints) + self.spacing() * max(0, len(hints) - 1)
        return QSize(width, max((hint.height() for hint in hints), default=0))

    @override
    def minimumSize(self) -> QSize:
        hints = [item.minimumSize() for item in self._items]
        return QSize(max((h.width() for h in hints), default=0), max((h.height() for h in hints), default=0))

    def _arrange(self, rect: QRect, *, move: bool) -> int:
        x, y, line_height = rect.x(), rect.y(), 0
        for item in self._items:
            hint = item.sizeHint()
            if x > rect.x() and x + hint.width() > rect.right() + 1:
                x, y, line_height = rect.x(), y + line_height + theme.XS, 0
            if move:
                item.setGeometry(QRect(QPoint(x, y), hint))
            x += hint.width() + self.spacing()
            line_height = max(line_height, hint.height())
        return y + line_height - rect.y()


class Card(QFrame):
    """A surface with a border. Attributes: ``body``, the layout to fill."""

    def __init__(self, *, padding: int = theme.CARD_PADDING, spacing: int = theme.S, look: str = "card") -> None:
        super().__init__()
        self.setProperty("look", look)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(padding, padding - 2, padding, padding - 2)
        self.body.setSpacing(spacing)


class Tag(QLabel):
    """A technical name in a pill; its explanation shows on hover and when it gets the keyboard's focus."""

    def __init__(self, text: str, explanation: str = "", kind: TagKind = "plain") -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("kind", kind)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(text)
        if explanation:
            self.setToolTip(explanation)
            self.setAccessibleDescription(explanation)
            self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def say(self, text: str, kind: TagKind) -> None:
        """Shows another text, in the colours of another kind."""
        self.setText(text)
        self.setAccessibleName(text)
        if self.property("kind") != kind:
            self.setProperty("kind", kind)
            self.style().unpolish(self)
            self.style().polish(self)

    @override
    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        QToolTip.showText(self.mapToGlobal(QPoint(0, self.height() + theme.XS)), self.toolTip(), self)

    @override
    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        QToolTip.hideText()


class ElidedLabel(QLabel):
    """One line that is cut in the middle where room is short: a path, a device's name. The tooltip has it whole."""

    def __init__(self, text: str, look: str = "body") -> None:
        super().__init__()
        self._whole = text
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("look", look)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.say(text)

    def say(self, text: str) -> None:
        """Shows another text."""
        self._whole = text
        self.setAccessibleName(text)
        self.updateGeometry()
        self._fit()

    @override
    def sizeHint(self) -> QSize:
        return QSize(self.fontMetrics().horizontalAdvance(self._whole) + 2, super().sizeHint().height())

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(_LEAST_ELIDED, super().minimumSizeHint().height())

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        shown = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideMiddle, self.width())
        self.setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")


class Painted(QWidget):
    """A widget that paints itself in colours from the style sheet."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours: dict[str, QColor] = {}

    def _get(self, name: str) -> QColor:
        return self._colours.get(name, QColor("#808080"))

    def _set(self, name: str, colour: QColor) -> None:
        self._colours[name] = colour
        self.update()


def colour_property(name: str) -> Property:
    """A Qt property that the style sheet fills in (``qproperty-<name>``)."""
    return Property(QColor, lambda self: self._get(name), lambda self, colour: self._set(name, colour))


class StatusDot(Painted):
    """A dot that says how something is; always beside words that say the same."""

    good = colour_property("good")
    warning = colour_property("warning")
    bad = colour_property("bad")
    idle = colour_property("idle")

    def __init__(self) -> None:
        super().__init__()
        self._state = "idle"
        self.setFixedSize(QSize(_DOT, 2 * _DOT))  # as high as the line beside it

    def set_state(self, state: Literal["good", "warning", "bad", "idle"]) -> None:
        self._state = state
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._get(self._state))
        painter.drawEllipse(0, (self.height() - _DOT) // 2, _DOT, _DOT)


class BrandMark(Painted):
    """The square before the program's name."""

    ink = colour_property("ink")

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(QSize(18, 18))

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._get("ink"))
        painter.drawRoundedRect(self.rect(), 5, 5)


class NavButton(QPushButton):
    """An entry of the sidebar."""

    def __init__(self, text: str, icon_name: str) -> None:
        super().__init__(text)
        self._icon_name = icon_name
        self._inks = {"ink": QColor("#808080"), "inkChecked": QColor("#808080")}
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setIconSize(NAV_ICON)

    def _get(self, name: str) -> QColor:
        return self._inks[name]

    def _set(self, name: str, colour: QColor) -> None:
        self._inks[name] = colour
        self.setIcon(
            icon(self._icon_name, NAV_ICON, self._inks["ink"], self._inks["inkChecked"], self.devicePixelRatioF())
        )

    ink = colour_property("ink")
    inkChecked = colour_property("inkChecked")  # noqa: N815 - the style sheet's name


def divider() -> QFrame:
    """A hairline."""
    line = QFrame()
    line.setProperty("look", "line")
    line.setFixedHeight(1)
    return line
