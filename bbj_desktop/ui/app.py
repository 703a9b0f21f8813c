"""Where the window is put together."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QLocale, QTimer
from PySide6.QtWidgets import QApplication

from bbj_desktop import __version__
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.settings import ResolvedSettings
from bbj_desktop.services.configuration import load_settings
from bbj_desktop.services.logs import logging_to
from bbj_desktop.ui.collecting import Collector
from bbj_desktop.ui.crash import CrashReporter
from bbj_desktop.ui.desk import ActionsDesk
from bbj_desktop.ui.main_window import MainWindow
from bbj_desktop.ui.pages import PAGES
from bbj_desktop.ui.tasks import Tasks
from bbj_desktop.ui.theme import Appearance, Theme

_SIGNAL_POLL_MS = 200


def main(argv: Sequence[str] | None = None, *, settings: ResolvedSettings | None = None) -> int:
    """Opens the window and returns its exit code.

    Args:
        argv: Qt's own arguments (``-platform`` and the like).
        settings: As the command line has resolved them; None reads them anew.

    Raises:
        SettingsError: Before the window opens, when the settings can't be used.
    """
    settings = settings or load_settings({})
    paths = paths_for(settings)
    with logging_to(paths.logs, settings.values.log_level):
        return _run(Context(settings, paths), ["bbj-desktop", *(argv or ())])


def _run(context: Context, arguments: list[str]) -> int:
    application = QApplication(arguments)
    collector = Collector()
    application.setApplicationName("bbj-desktop")
    application.setApplicationDisplayName("BBj Desktop")
    application.setApplicationVersion(__version__)
    QLocale.setDefault(QLocale(QLocale.Language.English))  # numbers in the language of the words around them
    Theme(application, Appearance(context.settings.values.theme))
    tasks = Tasks()
    window = MainWindow(ActionsDesk(context), tasks, PAGES)
    reporter = CrashReporter(context.paths.logs, window)
    reporter.install(window)
    tasks.crashed.connect(reporter.report)
    _end_on_interrupt(application, window)
    window.show()
    window.start()
    try:
        return application.exec()
    finally:
        reporter.uninstall()
        window.deleteLater()  # before the application, and on this thread
        application.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        collector.close()


def _end_on_interrupt(application: QApplication, window: MainWindow) -> None:
    """Ctrl-C in the terminal closes the window. Qt's loop must give Python a turn for it now and then; the closing
    waits for the loop, which would otherwise begin after its only window has gone, and never end."""
    signal.signal(signal.SIGINT, lambda *_: QTimer.singleShot(0, window.close))
    timer = QTimer(application)
    timer.timeout.connect(lambda: None)
    timer.start(_SIGNAL_POLL_MS)
