"""``doctor``."""

from __future__ import annotations

from bbj_desktop.actions.doctoring import diagnose
from bbj_desktop.cli.results import DoctorResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.services.logs import LOG_FILE

EXIT_TROUBLE = 1

_STYLES = {"ok": "", "note": "dim", "warning": "yellow", "error": "bold red"}


def doctor(session: Session) -> Outcome:
    """Looks at everything once. Exit code 1 when something is broken."""
    online = session.arguments.online
    diagnosis = session.work(lambda report, cancel: diagnose(session.context, report, cancel, online=online))
    result = DoctorResult(
        worst=diagnosis.worst,
        findings=diagnosis.findings,
        profile=diagnosis.profile,
        log_file=session.paths.logs / LOG_FILE,
    )
    return Outcome(result, lambda screen: _show(screen, result), EXIT_TROUBLE if result.worst == "error" else 0)


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
