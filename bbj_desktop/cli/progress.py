"""A job's events as lines or as bars."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from bbj_desktop.core.progress import Event, Remark, Report, Step, Transfer
from bbj_desktop.core.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from rich.console import Console

LINE_INTERVAL_S = 5.0


def lines(stream: TextIO, clock: Callable[[], float] = time.monotonic) -> Report:
    """Plain lines for logs and pipes: each step, and of a transfer a line every few seconds and its end."""
    last = float("-inf")

    def report(event: Event) -> None:
        nonlocal last
        if isinstance(event, Step):
            last = float("-inf")
            print(f"{event.text} …", file=stream, flush=True)
        elif isinstance(event, Remark):
            print(f"{_LABELS[event.level]}: {event.text}", file=stream, flush=True)
        elif clock() - last >= LINE_INTERVAL_S or event.done_bytes == event.total_bytes:
            last = clock()
            print(f"  {describe(event)}", file=stream, flush=True)

    return report


_LABELS = {"info": "note", "warning": "warning"}


def describe(transfer: Transfer) -> str:
    """``42 %  41 MB of 98 MB, 12 MB/s, 5 s left``."""
    share = 100 * transfer.done_bytes // transfer.total_bytes if transfer.total_bytes else 100
    text = f"{share:3d} %  {format_bytes(transfer.done_bytes)} of {format_bytes(transfer.total_bytes)}"
    if transfer.rate_bytes_per_s:
        text += f", {format_bytes(round(transfer.rate_bytes_per_s))}/s"
    if transfer.remaining_s and transfer.done_bytes < transfer.total_bytes:
        text += f", {format_seconds(transfer.remaining_s)} left"
    return text


class Bars:
    """A spinner for the step at work, a bar while bytes move, and a tick for what is done."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TextColumn
        from rich.progress_bar import ProgressBar

        class KnownBar(BarColumn):
            """A bar only where the end is known; elsewhere the spinner says enough."""

            def render(self, task: Task) -> ProgressBar:
                bar = super().render(task)
                if task.total is None:
                    bar.width = 0
                return bar

        self._progress = Progress(
            SpinnerColumn(style="cyan"),
            TextColumn("{task.description}"),
            KnownBar(bar_width=24, complete_style="cyan", finished_style="green"),
            TextColumn("{task.fields[detail]}", style="dim"),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._text = ""

    def report(self, event: Event) -> None:
        if isinstance(event, Step):
            self.rest()
            self._text = event.text
            self._progress.add_task(event.text, total=None, detail="")
            self._progress.start()
        elif isinstance(event, Remark):
            style = "yellow" if event.level == "warning" else "dim"
            self._progress.console.print(f"{_LABELS[event.level]}: {event.text}", style=style)
        elif self._progress.tasks:
            task = self._progress.tasks[-1].id
            detail = describe(event)
            self._progress.update(task, total=event.total_bytes, completed=event.done_bytes, detail=detail)

    def rest(self) -> None:
        """The step is done; nothing moves until the next one, so that other text can be written."""
        if self._progress.tasks:
            self._progress.stop()
            self._progress.remove_task(self._progress.tasks[-1].id)
            self._progress.console.print(f"✓ {self._text}", style="green")

    def abandon(self) -> None:
        """The step failed: no tick."""
        self._progress.stop()
