"""``versions``, ``activate``, ``rollback``, ``pin``, ``unpin``, ``rebuild`` and ``remove``."""

from __future__ import annotations

from bbj_desktop.actions import versions as actions
from bbj_desktop.actions.connected import connected_versions
from bbj_desktop.actions.drifting import drift_or_none
from bbj_desktop.actions.measured import measured_here
from bbj_desktop.cli.describe import version_table
from bbj_desktop.cli.naming import find_installed
from bbj_desktop.cli.results.versions import (
    ActivateResult,
    PinResult,
    RebuildResult,
    RemovedView,
    RemoveResult,
    RollbackResult,
    VersionsResult,
)
from bbj_desktop.cli.results.views import VersionView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.units import format_bytes
from bbj_desktop.core.versions import InstalledVersion


def versions(session: Session) -> Outcome:
    """The installed versions."""
    here = actions.list_versions(session.context)
    keys = {version.key for version in here}
    result = VersionsResult(
        versions=tuple(_measured(session, each) for each in here),
        shared=tuple(map(VersionView.of, actions.list_shared(session.context))),
        connected=tuple(VersionView.of(each) for each in connected_versions(session.context) if each.key not in keys),
        drift=drift_or_none(session.context),
    )
    return Outcome(result, lambda screen: _show(screen, result))


def _measured(session: Session, version: InstalledVersion) -> VersionView:
    return VersionView.of(version).model_copy(update={"measured": measured_here(session.context, version)})


def _show(screen: Screen, result: VersionsResult) -> None:
    if result.versions:
        version_table(screen, result.versions)
    for drift in result.drift:
        screen.message(f"{drift.text} To put it right: bbj-desktop repair {drift.version}", "yellow")
    if result.shared:
        screen.line("In the shared store, not installed here:")
        version_table(screen, result.shared)
    if result.connected:
        screen.line("Used at the Ollama of the settings, not installed here:")
        version_table(screen, result.connected)
    if not (result.versions or result.shared or result.connected):
        screen.message("No model is installed yet. Type: bbj-desktop install")


def activate(session: Session) -> Outcome:
    """Makes a version the one in use."""
    key = find_installed(actions.list_versions(session.context), session.arguments.version).key
    version = session.work(lambda report, cancel: actions.activate(session.context, key, report, cancel))
    result = ActivateResult(version=VersionView.of(version))
    return Outcome(result, lambda screen: screen.line(f"{version.key} is active."))


def rollback(session: Session) -> Outcome:
    """Goes back to the version that was active before."""
    slot = session.arguments.slot
    done = session.work(lambda report, cancel: actions.rollback(session.context, slot, report, cancel))
    result = RollbackResult(version=VersionView.of(done.version), before=done.before)
    instead = f" instead of {done.before}" if done.before else ""
    return Outcome(result, lambda screen: screen.line(f"{done.version.key} is active{instead}."))


def pin(session: Session) -> Outcome:
    """Keeps a version where it is."""
    version = _pin(session, pinned=True)
    here = "No update replaces it, and it isn't removed." if version.active else "It isn't removed."
    return Outcome(
        PinResult(version=VersionView.of(version)), lambda screen: screen.line(f"{version.key} is pinned. {here}")
    )


def unpin(session: Session) -> Outcome:
    """Lifts the pin."""
    version = _pin(session, pinned=False)
    return Outcome(
        PinResult(version=VersionView.of(version)), lambda screen: screen.line(f"{version.key} isn't pinned any more.")
    )


def _pin(session: Session, *, pinned: bool) -> InstalledVersion:
    key = find_installed(actions.list_versions(session.context), session.arguments.version).key
    return actions.pin(session.context, key, pinned=pinned)


def rebuild(session: Session) -> Outcome:
    """Restores lost records from what verifies."""
    done = session.work(lambda report, cancel: actions.rebuild(session.context, report, cancel))
    result = RebuildResult(restored=done.restored, lost=done.lost)
    return Outcome(result, lambda screen: _show_rebuilt(screen, result))


def _show_rebuilt(screen: Screen, result: RebuildResult) -> None:
    for key in result.restored:
        screen.line(f"{key} is here again: its file verifies.")
    for sentence in result.lost:
        screen.line(f"Lost: {sentence}", "yellow")
    if not (result.restored or result.lost):
        screen.line("Every record is as it should be.")


def remove(session: Session) -> Outcome:
    """Removes versions, after asking."""
    here = actions.list_versions(session.context)
    named = [find_installed(here, text) for text in session.arguments.version]
    found = list({version.key: version for version in named}.values())
    for version in found:
        actions.refuse_pinned(version)
    for version in found:
        state = ", active" if version.active else ""
        session.screen.message(f"{format_bytes(version.variant.length_bytes)}  {version.key}{state}")
    session.confirm("Remove it?" if len(found) == 1 else "Remove them?")
    removed = [
        session.work(lambda report, cancel, key=version.key: actions.remove(session.context, key, report, cancel))  # type: ignore[misc]
        for version in found
    ]
    result = RemoveResult(removed=tuple(RemovedView(key=each.key, freed_bytes=each.freed_bytes) for each in removed))
    return Outcome(result, lambda screen: _show_removed(screen, result))


def _show_removed(screen: Screen, result: RemoveResult) -> None:
    for each in result.removed:
        screen.line(f"{format_bytes(each.freed_bytes)} freed: {each.key} is removed.")
