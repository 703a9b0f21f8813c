"""``report``: a failed answer for the makers, as a file that its author hands on."""

from __future__ import annotations

import sys
from pathlib import Path

from bbj_desktop.actions.checking import check_answer, compiler_for
from bbj_desktop.actions.field_report import field_report
from bbj_desktop.cli.results.answers import FieldReportResult
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.errors import NotFoundError, StoreAccessError, UserInputError
from bbj_desktop.services.redacting import Redactor

MAX_BYTES = 2**20  # of an answer


def report(session: Session) -> Outcome:
    """Compiles, redacts, shows, asks, writes. Nothing is sent."""
    arguments = session.arguments
    path = Path(arguments.file)
    if path.exists():
        raise UserInputError(f"There is a file {path} already.", hint="Name another one.")
    answer = _read(arguments.answer)
    compiler = compiler_for(session.settings.values)
    made = field_report(
        arguments.question,
        answer,
        session.wait_for(lambda: check_answer(compiler, answer)),
        Redactor.for_this_machine(),
        correction=_read(arguments.correction) if arguments.correction else "",
        generation=arguments.generation,
    )
    if not session.screen.json:
        session.screen.message(made.text)
    session.confirm(f"Write this to {path}? Nothing is sent.")
    made.write(path)
    result = FieldReportResult(file=str(path), verdict=made.verdict)
    return Outcome(result, lambda screen: screen.line(f"Written: {path}. Look through it before you hand it on."))


def _read(name: str) -> str:
    """A file's text; ``-`` is stdin."""
    if name == "-":
        return sys.stdin.read(MAX_BYTES)
    try:
        with Path(name).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {name}.") from error
    except OSError as error:
        raise StoreAccessError(f"{name} can't be read: {error.strerror or error}.") from error
    if len(raw) > MAX_BYTES:
        raise UserInputError(f"{name} is longer than {MAX_BYTES:,} bytes.", hint="Report one answer at a time.")
    return raw.decode("utf-8", errors="replace")
