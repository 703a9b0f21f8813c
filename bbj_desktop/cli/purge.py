"""``purge``."""

from __future__ import annotations

from functools import partial

from bbj_desktop.actions import purging
from bbj_desktop.actions.purging import Ours
from bbj_desktop.cli.results import PurgeResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.progress import Cancel, Event, Remark, Report
from bbj_desktop.core.units import format_bytes


def purge(session: Session) -> Outcome:
    """Lists everything of ours on this machine, asks, and removes it."""
    ours = purging.list_ours(session.context)
    for each in ours:
        session.screen.message(_line(each))
    if not ours:
        return Outcome(PurgeResult(removed=()), lambda screen: screen.line("Nothing of ours is on this machine."))
    session.confirm("Remove all of it?")
    kept: list[str] = []
    removed = session.work(partial(_purge, session, kept))
    return Outcome(PurgeResult(removed=removed), lambda screen: _show(screen, removed, whole=not kept))


def _purge(session: Session, kept: list[str], report: Report, cancel: Cancel) -> tuple[Ours, ...]:
    """Purges, and notes the warnings: what could not be removed."""

    def watching(event: Event) -> None:
        if isinstance(event, Remark) and event.level == "warning":
            kept.append(event.text)
        report(event)

    return purging.purge(session.context, watching, cancel)


def _line(each: Ours) -> str:
    if each.kind == "tag":
        return f"{'tag':>8}  {each.name} in {each.runtime}"
    return f"{format_bytes(each.size_bytes):>8}  {each.name}"


def _show(screen: Screen, removed: tuple[Ours, ...], *, whole: bool) -> None:
    freed = f"{format_bytes(sum(each.size_bytes for each in removed))} freed."
    screen.line(f"{freed} Nothing of ours is left." if whole else f"{freed} What is named above is left.")
