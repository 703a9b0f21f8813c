"""``update``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bbj_desktop.actions import updating
from bbj_desktop.actions.updating import Update, UpdateCheck
from bbj_desktop.cli.install import bytes_of, installed_view, show_installed
from bbj_desktop.cli.results.installing import InstalledView, UpdateResult, UpdateView, WithdrawnView
from bbj_desktop.cli.results.views import ReleaseView, VersionView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.cli.trusting import with_registry

EXIT_UPDATE_AVAILABLE = 20


def update(session: Session) -> Outcome:
    """Installs newer releases of what is active here; with ``--check`` it only asks."""
    found = with_registry(session, lambda: session.work(partial(updating.check, session.context)))
    channel = session.settings.values.channel
    if session.arguments.check or not found.updates:
        result = _result(found, channel, session.remarks)
        available = bool(found.updates)
        return Outcome(result, lambda screen: _show(screen, result), EXIT_UPDATE_AVAILABLE if available else 0)
    plans = session.work(lambda _, cancel: updating.plan_updates(session.context, found, cancel))
    for each, plan in zip(found.updates, plans, strict=True):
        release = each.offer.release
        session.screen.message(f"{each.installed.key} → {release.title} {release.version}: {bytes_of(plan)}")
    session.confirm_if_interactive("Install?")
    force = session.arguments.force
    installed = session.work(
        lambda report, cancel: updating.update(session.context, found, report, cancel, force=force, plans=plans)
    )
    result = _result(found, channel, session.remarks, tuple(map(installed_view, installed)))
    return Outcome(result, lambda screen: _show(screen, result))


def _result(
    found: UpdateCheck, channel: str, remarks: Sequence[str], installed: tuple[InstalledView, ...] = ()
) -> UpdateResult:
    return UpdateResult(
        registry=found.offering.registry,
        channel=channel,
        updates=tuple(map(_view, found.updates)),
        pinned=tuple(map(_view, found.held)),
        withdrawn=tuple(
            WithdrawnView(installed=VersionView.of(each.installed), reason=each.reason) for each in found.withdrawn
        ),
        skipped=found.offering.skipped,
        installed=installed,
        remarks=tuple(remarks),
    )


def _view(update: Update) -> UpdateView:
    return UpdateView(installed=VersionView.of(update.installed), available=ReleaseView.of(update.offer.release))


def _show(screen: Screen, result: UpdateResult) -> None:
    for why in result.skipped:
        screen.line(why, "yellow")
    for gone in result.withdrawn:
        screen.line(f"{gone.installed.key} was withdrawn by its makers: {gone.reason}", "bold yellow")
    for each in result.pinned:
        screen.line(f"{each.installed.key} is pinned: {each.available.version} isn't installed in its place.", "yellow")
    if result.installed:
        show_installed(screen, result.installed)
    elif result.updates:
        for each in result.updates:
            screen.line(f"{each.available.version} is available for {each.installed.key}.")
        screen.line("Install it: bbj-desktop update")
    else:
        rest = "Everything else" if result.skipped or result.withdrawn or result.pinned else "Everything"
        screen.line(f"{rest} is up to date ({result.registry}, {result.channel}).")
