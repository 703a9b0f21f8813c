"""``verify`` and ``repair``."""

from __future__ import annotations

from bbj_desktop.actions import repairing, versions
from bbj_desktop.cli.naming import find_installed
from bbj_desktop.cli.results import RepairResult, VerifyResult, VersionView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.units import format_bytes, format_seconds


def verify(session: Session) -> Outcome:
    """Compares a version's file with what was signed."""
    key = _key(session)
    version = session.work(lambda report, cancel: versions.verify(session.context, key, report, cancel))
    digest = version.variant.file.digest
    result = VerifyResult(version=VersionView.of(version), digest=digest)
    length = format_bytes(version.variant.file.length_bytes)
    return Outcome(result, lambda screen: screen.line(f"{key} is as it was signed: {length}, {digest}"))


def repair(session: Session) -> Outcome:
    """Fetches what of a version's file is damaged."""
    key = _key(session)
    done = session.work(lambda report, cancel: repairing.repair(session.context, key, report, cancel))
    result = RepairResult(
        version=VersionView.of(done.version),
        damaged_bytes=done.damaged_bytes,
        fetched_bytes=done.fetched_bytes,
        seconds=done.seconds,
    )
    return Outcome(result, lambda screen: _show(screen, result))


def _show(screen: Screen, result: RepairResult) -> None:
    if result.damaged_bytes or result.fetched_bytes:
        fetched = f"{format_bytes(result.fetched_bytes)} fetched in {format_seconds(result.seconds)}"
        screen.line(f"{result.version.key} is mended: {format_bytes(result.damaged_bytes)} were damaged, {fetched}.")
    else:
        screen.line(f"{result.version.key} is as it was signed; nothing was fetched.")


def _key(session: Session) -> str:
    return find_installed(versions.list_versions(session.context), session.arguments.version).key
