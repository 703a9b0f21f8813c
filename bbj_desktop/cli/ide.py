"""``ide``: installed models in an editor."""

from __future__ import annotations

import difflib
from pathlib import Path

from bbj_desktop.actions.ide import (
    apply_continue,
    continue_file,
    gateway_is_closed,
    gateway_key,
    ide_models,
    plan_continue,
    try_out_models,
    undo_continue,
)
from bbj_desktop.cli.results.ide import IdeApplyResult, IdeShowResult, IdeTestResult, IdeUndoResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.services.local_key import without_keys


def show(session: Session) -> Outcome:
    """The addresses, and what Continue's file would hold."""
    models = ide_models(session.context)
    path = _path(session)
    planned = plan_continue(models, path, gateway_key(session.context, models))
    result = IdeShowResult(models=models, path=path, config=_shown(session, planned.after))
    _hint_at_gateway(session)
    return Outcome(result, lambda screen: _show(screen, result))


def _show(screen: Screen, result: IdeShowResult) -> None:
    for model in result.models:
        screen.line(f"{model.version}, as {model.model}", "bold")
        if model.provider == "ollama":
            screen.line(f"  Ollama: {model.api_base}")
        screen.line(f"  OpenAI-compatible: {model.openai_base}" + (" (with a key)" if model.needs_key else ""))
    screen.line()
    screen.line(f"{result.path} with these models:", "bold")
    screen.write(result.config)


def apply(session: Session) -> Outcome:
    """Puts the models into Continue's file."""
    models = ide_models(session.context)
    planned = plan_continue(models, _path(session), gateway_key(session.context, models))
    difference = _shown(session, _difference(planned.before, planned.after, planned.path))
    if not difference or session.arguments.dry_run:
        result = IdeApplyResult(path=planned.path, difference=difference, written=False)
        return Outcome(result, lambda screen: _show_change(screen, result))
    if not session.screen.json:
        session.screen.message(difference.rstrip())
    if planned.replaces:
        session.screen.message(
            f"Continue won't read {planned.replaces} any more once {planned.path.name} is there: move its models over.",
            "yellow",
        )
    session.confirm_if_interactive(f"Write {planned.path}?")
    done = apply_continue(session.context, planned)
    _hint_at_gateway(session)
    result = IdeApplyResult(path=done.path, difference=difference, written=True, backup=done.backup)
    return Outcome(result, lambda screen: _show_change(screen, result))


def _show_change(screen: Screen, result: IdeApplyResult) -> None:
    if not result.difference:
        screen.line(f"{result.path} has these models already.")
    elif not result.written:
        screen.write(result.difference)
    else:
        screen.line(f"{result.path} is written." + (f" What it was: {result.backup}" if result.backup else ""))
        screen.line("To take it back: bbj-desktop ide undo")


def undo(session: Session) -> Outcome:
    """Takes the last change back."""
    done = undo_continue(session.context)
    result = IdeUndoResult(path=done.path, removed=done.backup is None)
    said = "is removed again" if result.removed else "is as it was before"
    return Outcome(result, lambda screen: screen.line(f"{result.path} {said}."))


def test(session: Session) -> Outcome:
    """Asks each model as an IDE would."""
    tried = session.work_silently(lambda _report, cancel: try_out_models(session.context, cancel))
    result = IdeTestResult(models=tried)
    _hint_at_gateway(session)
    return Outcome(result, lambda screen: _show_test(screen, result))


def _show_test(screen: Screen, result: IdeTestResult) -> None:
    for each in result.models:
        screen.line(f"{each.model} at {each.address}", "bold")
        for tried in each.tried:
            said = "works" if tried.works else f"doesn't here. {tried.reason}"
            screen.line(f"  {tried.ability:24}{said}", "green" if tried.works else "yellow")


def _shown(session: Session, text: str) -> str:
    """What a terminal and whoever looks at it may see of a text that may hold the gateway's key."""
    hidden = text if session.arguments.show_key else without_keys(text)
    if hidden != text:
        session.screen.message("The gateway's key is shown as bbj-… here: --show-key prints it.", "dim")
    return hidden


def _hint_at_gateway(session: Session) -> None:
    if gateway_is_closed(session.context, ide_models(session.context)):
        session.screen.message("The gateway is closed: IDEs can't reach the model.", "yellow")
        session.screen.message("To open it: bbj-desktop gateway start")


def _path(session: Session) -> Path:
    return Path(session.arguments.file).absolute() if session.arguments.file else continue_file()


def _difference(before: str, after: str, path: Path) -> str:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old, new, fromfile=str(path), tofile=str(path)))
