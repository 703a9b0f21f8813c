"""``purge``."""

from __future__ import annotations

from functools import partial

from bbj_desktop.actions import purging
from bbj_desktop.actions.ide import is_applied
from bbj_desktop.actions.purging import Ours
from bbj_desktop.cli.results.purging import PurgeResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.errors import EngineError
from bbj_desktop.core.units import format_bytes


def purge(session: Session) -> Outcome:
    """Lists everything of ours on this machine, asks, and removes it."""
    ours = purging.list_ours(session.context)
    for each in ours:
        session.screen.message(_line(each))
    if not ours:
        return Outcome(PurgeResult(removed=()), lambda screen: screen.line("Nothing of ours is on this machine."))
    if is_applied(session.context):
        session.screen.message("An IDE's configuration names our models, and keeps them. To take them out before:")
        session.screen.message("  bbj-desktop ide undo")
    session.confirm("Remove all of it?")
    purged = session.work(partial(purging.purge, session.context))
    result = PurgeResult(removed=purged.removed, kept=purged.kept)
    return Outcome(result, lambda screen: _show(screen, result), EngineError.exit_code if result.kept else 0)


def _line(each: Ours) -> str:
    if each.kind == "tag":
        return f"{'tag':>8}  {each.name} in {each.runtime}"
    if each.kind == "credential":
        return f"{'login':>8}  {each.name} in the keyring"
    return f"{format_bytes(each.size_bytes):>8}  {each.name}"


def _show(screen: Screen, result: PurgeResult) -> None:
    freed = format_bytes(sum(each.size_bytes for each in result.removed))
    left = f"Left: {', '.join(each.name for each in result.kept)}." if result.kept else "Nothing of ours is left."
    screen.line(f"{freed} freed. {left}")
