"""``demo``."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bbj_desktop.actions.demo import run_demo
from bbj_desktop.cli.describe import statistics_line
from bbj_desktop.cli.results.answers import DemoView
from bbj_desktop.cli.session import Outcome, Session


def demo(session: Session) -> Outcome:
    """The whole line in a folder of its own."""
    arguments, screen = session.arguments, session.screen
    model = Path(arguments.model).expanduser().absolute() if arguments.model else None

    def say(text: str) -> None:
        screen.write(text, beside=screen.json)  # the story is for a person; with --json only its result is data

    with _folder(arguments.folder) as folder:
        done = session.work(
            lambda report, cancel: run_demo(
                session.context, folder, ollama=arguments.ollama, model=model, report=report, cancel=cancel, say=say
            )
        )
    result = DemoView(**{name: getattr(done, name) for name in DemoView.model_fields})
    return Outcome(result, lambda out: out.line(statistics_line(done.statistics)))


@contextmanager
def _folder(given: str | None) -> Iterator[Path]:
    """The folder to work in: the given one stays, a temporary one goes."""
    if given is not None:
        yield Path(given).expanduser().absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="bbj-desktop-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
