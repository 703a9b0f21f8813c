"""Bugs: everything that isn't in our tree of errors ends in one dialog with the details and where the log is."""

from __future__ import annotations

import logging
import platform
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType

from PySide6 import __version__ as qt_version
from PySide6.QtCore import QObject, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QVBoxLayout, QWidget

from bbj_desktop import __version__
from bbj_desktop.core.errors import Cancelled
from bbj_desktop.ui import theme
from bbj_desktop.ui.text import translate
from bbj_desktop.ui.widgets.basics import Button, paragraph, row

log = logging.getLogger(__name__)


def describe(error: BaseException) -> str:
    """What support needs to see: versions, system, traceback."""
    versions = f"BBj Desktop {__version__}, Python {platform.python_version()}, PySide6 {qt_version}"
    return f"{versions}\n{platform.platform()}\n\n{''.join(traceback.format_exception(error))}"


class CrashDialog(QDialog):
    """Says that something went wrong inside, with details to copy."""

    def __init__(self, error: BaseException, logs: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.details = describe(error)
        self.setWindowTitle(translate("Crash", "Something went wrong"))
        self.setMinimumSize(560, 400)
        view = QPlainTextEdit(self.details)
        view.setReadOnly(True)
        view.setProperty("look", "code")
        view.setAccessibleName(translate("Crash", "Details"))
        text = translate(
            "Crash", "This is a mistake in BBj Desktop, not yours. What you installed is safe; you can keep working."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.XL, theme.XL, theme.XL, theme.XL)
        layout.setSpacing(theme.M)
        layout.addWidget(paragraph(translate("Crash", "Something inside BBj Desktop went wrong"), "hero"))
        layout.addWidget(paragraph(text))
        layout.addWidget(view, 1)
        layout.addWidget(paragraph(translate("Crash", "Log files: {folder}").format(folder=logs), "small"))
        copy = Button(translate("Crash", "Copy details"))
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.details))
        folder = Button(translate("Crash", "Open log folder"))
        folder.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(logs))))
        close = Button(translate("Crash", "Close"), "primary")
        close.clicked.connect(self.accept)
        layout.addLayout(row(copy, folder, None, close))


class CrashReporter(QObject):
    """Catches what nobody caught, on every thread, and shows it on the UI thread: one dialog at a time."""

    _caught = Signal(object)

    def __init__(self, logs: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._logs = logs
        self._window: QWidget | None = None
        self.dialog: CrashDialog | None = None
        self._caught.connect(self._show, Qt.ConnectionType.QueuedConnection)

    def install(self, window: QWidget) -> None:
        """Takes over the interpreter's hooks."""
        self._window = window
        sys.excepthook = self._on_uncaught
        threading.excepthook = lambda arguments: self.report(arguments.exc_value or RuntimeError(arguments.exc_type))

    def uninstall(self) -> None:
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__

    def report(self, error: BaseException) -> None:
        """May be called on any thread."""
        if isinstance(error, Cancelled):
            return
        log.error("a bug", exc_info=error)
        self._caught.emit(error)

    def _on_uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        self.report(error)

    def _show(self, error: BaseException) -> None:
        if self.dialog is not None:
            return  # the first one is the one that counts; the rest is in the log
        self.dialog = CrashDialog(error, self._logs, self._window)
        self.dialog.finished.connect(self._forget)
        self.dialog.open()

    def _forget(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
