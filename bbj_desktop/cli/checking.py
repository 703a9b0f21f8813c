"""What the compiler says of an answer, on the screen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bbj_desktop.actions.checking import MENDING_ATTEMPTS, ask_until_it_compiles, check_answer, compiler_for
from bbj_desktop.actions.generating import lines_of
from bbj_desktop.cli.results.answers import AskResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Session
from bbj_desktop.core.compiling import CheckedAnswer, CheckedBlock, Verdict
from bbj_desktop.core.errors import Cancelled
from bbj_desktop.core.progress import Cancel

_STYLES = {Verdict.COMPILES: "green", Verdict.FAILS: "bold red", Verdict.NOT_JUDGED: "yellow"}


def answer_checked(session: Session, question: str, ask: Callable[[str], AskResult], cancel: Cancel) -> AskResult:
    """Asks, has the answer compiled, and has it mended where that is wanted.

    Returns:
        The last answer, with what the compiler said of each.
    """
    compiler = compiler_for(session.context.settings.values)
    results: list[AskResult] = []
    checks: list[CheckedAnswer] = []

    def answer(text: str) -> str:
        results.append(ask(text))
        return results[-1].answer

    def check(text: str) -> CheckedAnswer:
        reason = results[-1].statistics.stop_reason
        judge = partial(check_answer, compiler, text, cancel, cut_off=reason == "length")
        try:
            return CheckedAnswer() if reason == "cancelled" else session.wait_for(judge)
        except Cancelled:  # the answer is here all the same
            session.screen.message("Not compiled: stopped.", "yellow")
            return CheckedAnswer()

    for _, checked in ask_until_it_compiles(question, answer, check, partial(_may_mend, session)):
        checks.append(checked)
        if not session.screen.json and not cancel.is_set:
            show_checked(session.screen, checked)
    return results[-1].model_copy(update={"checks": tuple(checks)})


def show_checked(screen: Screen, checked: CheckedAnswer) -> None:
    """One line for each block, and below it what the compiler refuses. On stderr: the answer alone is on stdout."""
    if not checked.blocks:
        screen.message("The answer holds no block of BBj to compile.", "dim")
    for block in checked.blocks:
        _show_block(screen, block)


def _show_block(screen: Screen, block: CheckedBlock) -> None:
    judgement = block.report.syntax
    said = f"Code from line {block.line} of the answer: {judgement.verdict}"
    screen.message(f"{said}. {judgement.reason}" if judgement.reason else said, _STYLES[judgement.verdict])
    for line in lines_of(judgement) if judgement.errors else ():
        screen.message(f"  {line}")
    if (types := block.report.types) is not None:
        screen.message(f"  Types: {types.verdict}. {types.reason}".rstrip(". "), _STYLES[types.verdict])
        for line in lines_of(types) if types.errors else ():
            screen.message(f"    {line}")


def _may_mend(session: Session, attempt: int) -> bool:
    if attempt > MENDING_ATTEMPTS:
        session.screen.message(f"It doesn't compile after {MENDING_ATTEMPTS} attempts to mend it.", "bold red")
        return False
    if not session.arguments.mend and not _wished(session):
        return False
    session.screen.message(f"Asking the model to mend it, attempt {attempt} of {MENDING_ATTEMPTS}.", "bold")
    return True


def _wished(session: Session) -> bool:
    """A person at a terminal is asked; nobody else."""
    if session.screen.json or not session.interactive:
        return False
    try:
        return session.ask("Ask the model to mend it? [y/N] ").strip().lower() in ("y", "yes")
    except Cancelled:
        return False
