"""``purge``."""

from __future__ import annotations

from functools import partial

from bbj_desktop.actions import purging
from bbj_desktop.actions.purging import Ours
from bbj_desktop.cli.results import PurgeResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.units import format_bytes


def purge(session: Session) -> Outcome:
    """Lists everything of ours on this machine, asks, and removes it."""
    ours = purging.list_ours(session.context)
    for each in ours:
        session.screen.message(_line(each))
    if not ours:
        return Outcome(PurgeResult(removed=()), lambda screen: screen.line("Nothing of ours is on this machine."))
    session.confirm("Remove all of it?")
    removed = session.work(partial(purging.purge, session.context))
    return Outcome(PurgeResult(removed=removed), lambda screen: _show(screen, removed))


def _line(each: Ours) -> str:
    if each.kind == "tag":
        return f"{'tag':>8}  {each.name} in {each.runtime}"
    return f"{format_bytes(each.size_bytes):>8}  {each.name}"


def _show(screen: Screen, removed: tuple[Ours, ...]) -> None:
    screen.line(f"{format_bytes(sum(each.size_bytes for each in removed))} freed. Nothing of ours is left.")
