"""Where a question is written: Enter sends, Shift+Enter breaks the line, Esc stops an answer."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit
from typing_extensions import override

from bbj_desktop.ui import theme
from bbj_desktop.ui.text import translate
from bbj_desktop.ui.widgets.basics import Button, label

_MAX_LINES = 6


class _Editor(QPlainTextEdit):
    """Signals:
    sent: Enter.
    stopped: Esc.
    focus_changed: It got or lost the keyboard.
    """

    sent = Signal()
    stopped = Signal()
    focus_changed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("composer")
        self.setPlaceholderText(translate("Chat", "Ask about BBj…"))
        self.setAccessibleName(translate("Chat", "Your question"))
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().documentSizeChanged.connect(self._fit_height)
        self._fit_height()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not (
            event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        ):
            self.sent.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.stopped.emit()
        else:
            super().keyPressEvent(event)

    @override
    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.focus_changed.emit(True)

    @override
    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.focus_changed.emit(False)

    def _fit_height(self) -> None:
        lines = min(_MAX_LINES, max(1, math.ceil(self.document().size().height())))
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + theme.XS)
        more = lines == _MAX_LINES
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(policy.ScrollBarAsNeeded if more else policy.ScrollBarAlwaysOff)


class Composer(QFrame):
    """Signals:
    sent: A question, stripped and not empty. The editor keeps it until ``clear``.
    stopped: The answer is to stop.
    """

    sent = Signal(str)
    stopped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("composerFrame")
        self._streaming = False
        self.editor = _Editor()
        self.context = label("", "small")
        self.send = Button(translate("Chat", "Send"), "primary")
        self.stop = Button(translate("Chat", "Stop"))
        self.stop.hide()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(theme.M + 2, theme.M, theme.M, theme.M)
        layout.setSpacing(theme.M)
        layout.addWidget(self.editor, 1, Qt.AlignmentFlag.AlignVCenter)
        for widget in (self.context, self.send, self.stop):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignBottom)
        self.context.setFixedHeight(theme.CONTROL_HEIGHT)
        self.editor.sent.connect(self._send)
        self.editor.stopped.connect(self._stop)
        self.editor.textChanged.connect(self._refresh)
        self.editor.focus_changed.connect(self._show_focus)
        self.send.clicked.connect(self._send)
        self.stop.clicked.connect(self._stop)
        self._refresh()

    def set_streaming(self, streaming: bool) -> None:
        """Stop takes Send's place while an answer comes."""
        had_focus = self.send.hasFocus() or self.stop.hasFocus()
        self._streaming = streaming
        self.send.setVisible(not streaming)
        self.stop.setVisible(streaming)
        self.stop.setEnabled(streaming)
        if had_focus:
            self.editor.setFocus()
        self._refresh()

    def clear(self) -> None:
        self.editor.clear()

    def _send(self) -> None:
        text = self.editor.toPlainText().strip()
        if text and not self._streaming:
            self.sent.emit(text)

    def _stop(self) -> None:
        if self._streaming:
            self.stop.setEnabled(False)
            self.stopped.emit()

    def _refresh(self) -> None:
        self.send.setEnabled(bool(self.editor.toPlainText().strip()) and not self._streaming)

    def _show_focus(self, focused: bool) -> None:
        self.setProperty("focused", focused)
        self.style().unpolish(self)
        self.style().polish(self)
