"""The one thing that every page watches: what is known about this machine, its registry and its models."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.core.progress import Event, Step
from bbj_desktop.ui.desk import Desk, Survey
from bbj_desktop.ui.tasks import Task, Tasks
from bbj_desktop.ui.text import step_text, translate


class Situation(QObject):
    """Holds the newest survey.

    Attributes:
        survey: None until the first one has come.
        error: Why the last survey failed altogether; None when it didn't.
        looking: A survey is under way.
        doing: What it does just now, for a person.

    Signals:
        changed: Any of these has changed.
        step: Only ``doing`` has changed.
    """

    changed = Signal()
    step = Signal()

    def __init__(self, desk: Desk, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._tasks = tasks
        self._task: Task[Event, Survey] | None = None
        self.survey: Survey | None = None
        self.error: BBjDesktopError | None = None
        self.doing = translate("Situation", "Looking at this machine")

    @property
    def looking(self) -> bool:
        return self._task is not None

    def refresh(self, *, ask_registry: bool = False) -> None:
        """Surveys anew; nothing happens while one is under way."""
        if self._task is not None:
            return
        self.error = None
        self._task = self._tasks.run(
            lambda report, cancel: self._desk.survey(report, cancel, ask_registry=ask_registry),
            on_progress=self._on_progress,
            on_done=self._on_done,
            on_error=self._on_error,
        )
        self.changed.emit()

    def _on_progress(self, event: Event) -> None:
        if isinstance(event, Step):
            self.doing = step_text(event)
            self.step.emit()

    def _on_done(self, survey: Survey) -> None:
        self._task = None
        self.survey = survey
        self.changed.emit()

    def _on_error(self, error: BBjDesktopError) -> None:
        self._task = None
        self.error = error
        self.changed.emit()
