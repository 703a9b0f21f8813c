"""``doctor``."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.actions.doctoring import Diagnosis, diagnose
from bbj_desktop.actions.reporting import ReportFile, collect_report
from bbj_desktop.cli.results.machine import DoctorResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.units import format_bytes
from bbj_desktop.services.logs import LOG_FILE

EXIT_TROUBLE = 1

_STYLES = {"ok": "", "note": "dim", "warning": "yellow", "error": "bold red"}


def doctor(session: Session) -> Outcome:
    """Looks at everything once. Exit code 1 when something is broken."""
    online = session.arguments.online
    diagnosis = session.work(lambda report, cancel: diagnose(session.context, report, cancel, online=online))
    bundle = Path(session.arguments.bundle) if session.arguments.bundle else None
    result = DoctorResult(
        worst=diagnosis.worst,
        findings=diagnosis.findings,
        profile=diagnosis.profile,
        log_file=session.paths.logs / LOG_FILE,
        bundle=bundle,
        bundle_files=() if bundle is None else _write_bundle(session, diagnosis, bundle),
    )
    return Outcome(result, lambda screen: _show(screen, result), EXIT_TROUBLE if result.worst == "error" else 0)


def _write_bundle(session: Session, diagnosis: Diagnosis, path: Path) -> tuple[ReportFile, ...]:
    """Lists what would be inside, asks, and writes it."""
    report = session.work(lambda _report, _cancel: collect_report(session.context, diagnosis))
    session.screen.message(f"{path} would hold:")
    for file in report.files:
        session.screen.message(f"  {format_bytes(file.size_bytes):>9}  {file.name}: {file.about}")
    session.screen.message("Secrets, names of users and machines, home folders and prompts are taken out.")
    session.confirm("Write it?")
    report.write(path)
    return report.files


def _show(screen: Screen, result: DoctorResult) -> None:
    area = ""
    for finding in result.findings:
        if finding.area != area:
            area = finding.area
            screen.line(area.capitalize(), "bold")
        screen.line(f"  {finding.state:<8} {finding.text}", _STYLES[finding.state])
        if finding.hint:
            screen.line(f"  {'':<8} {finding.hint}")
    screen.line(f"Log: {result.log_file}", "dim")
    if result.bundle is not None:
        screen.line(f"Written: {result.bundle}. Look through it before you send it.")
