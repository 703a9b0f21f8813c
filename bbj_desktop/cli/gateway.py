"""``gateway``: the embedded engine's address for IDEs."""

from __future__ import annotations

from bbj_desktop.actions.gateway import GatewayStatus, gateway_access, gateway_status, start_gateway, stop_gateway
from bbj_desktop.cli.results.engine import GatewayResult, GatewayStopResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session


def start(session: Session) -> Outcome:
    """Opens it."""
    renew = session.arguments.renew_key
    found = session.work_silently(lambda _report, cancel: start_gateway(session.context, cancel, renew_key=renew))
    return _told(session, found)


def stop(session: Session) -> Outcome:
    """Closes it."""
    closed = session.work_silently(lambda _report, _cancel: stop_gateway(session.context))
    text = "The gateway is closed." if closed else "The gateway wasn't open."
    return Outcome(GatewayStopResult(closed=closed), lambda screen: screen.line(text))


def status(session: Session) -> Outcome:
    """Whether it is open, and how to reach it."""
    return _told(session, session.work_silently(lambda _report, _cancel: gateway_status(session.context)))


def _told(session: Session, found: GatewayStatus) -> Outcome:
    key = gateway_access(session.context)[1] if session.arguments.show_key else None

    def show(screen: Screen) -> None:
        screen.line(f"The gateway is {'open' if found.open else 'closed'}: {found.address}")
        if found.trouble:
            screen.line(f"  It couldn't be opened: {found.trouble}", "yellow")
        screen.line(f"  Key: {key or f'in {found.key_file} (--show-key prints it)'}")
        if not found.open:
            screen.line("  bbj-desktop gateway start opens it.")

    return Outcome(GatewayResult(gateway=found, key=key), show)
