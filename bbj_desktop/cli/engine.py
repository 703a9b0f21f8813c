"""``engine``: the host of the embedded engine."""

from __future__ import annotations

from bbj_desktop.actions.engine import EngineStatus, engine_logs, engine_status, stop_engine
from bbj_desktop.cli.results.engine import EngineLogsResult, EngineStatusResult, EngineStopResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.units import format_memory


def status(session: Session) -> Outcome:
    """What runs, who uses it, and what it has in memory."""
    found = session.work_silently(lambda _report, _cancel: engine_status(session.context))
    return Outcome(EngineStatusResult(engine=found), lambda screen: _show(screen, found))


def stop(session: Session) -> Outcome:
    """Ends it; the next question starts a new one."""
    pid = session.work_silently(lambda _report, cancel: stop_engine(session.context, cancel))
    text = "No engine runs." if pid is None else f"The engine's host (process {pid}) has ended."
    return Outcome(EngineStopResult(pid=pid), lambda screen: screen.line(text))


def logs(session: Session) -> Outcome:
    """The ends of the logs."""
    found = session.work_silently(lambda _report, _cancel: engine_logs(session.context))

    def show(screen: Screen) -> None:
        for each in found:
            screen.line(str(each.path), "bold")
            for line in each.lines:
                screen.line(f"  {line}")
        if not found:
            screen.line("There is no log yet.")

    return Outcome(EngineLogsResult(logs=found), show)


def _show(screen: Screen, found: EngineStatus) -> None:
    if not found.running:
        screen.line("No engine runs. The next question to the embedded engine starts one.")
        return
    screen.line(f"The engine's host runs: process {found.pid}, version {found.app_version}")
    if found.model is None:
        screen.line("  No model is in memory.")
    else:
        answering = f", answering {found.answering}" if found.answering else ""
        taken = "" if found.memory_bytes is None else f", {format_memory(found.memory_bytes)}"
        screen.line(f"  In memory: {found.model}, {found.context_length:,} tokens of context{taken}{answering}")
    clients = ", ".join(str(client.pid) for client in found.clients)
    screen.line(f"  Programs that use it: {clients or 'none'}")
    if found.gateway:
        screen.line(f"  Open for IDEs: {found.gateway}")
    if found.gateway_trouble:
        screen.line(f"  Not open for IDEs: {found.gateway_trouble}", "yellow")
    if found.last_crash:
        times = "once" if found.crashes == 1 else f"{found.crashes} times, the last time"
        screen.line(f"  Ended by itself {times}: {found.last_crash}", "yellow")
    screen.line(f"  Logs: {found.logs}")
