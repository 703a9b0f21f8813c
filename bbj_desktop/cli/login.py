"""``registry login`` and ``registry logout``."""

from __future__ import annotations

import getpass

from bbj_desktop.actions import login as logins
from bbj_desktop.cli.results.registries import RegistryLoginResult, RegistryLogoutResult
from bbj_desktop.cli.session import Outcome, Session


def login(session: Session) -> Outcome:
    """Keeps a token or a password for a registry's server. It is asked for or read from stdin: a command line can be
    seen by every user of the machine, and stays in the shell's history."""
    origin = logins.origin_of(session.context, session.arguments.address)
    kept = logins.log_in(session.context, origin, _secret(session, origin))
    result = RegistryLoginResult(login=kept)
    return Outcome(result, lambda screen: screen.line(f"The {kept.kind} for {kept.origin} is in the keyring."))


def _secret(session: Session, origin: str) -> str:
    if not session.interactive:
        return session.ask("")
    with session.interrupts.asking():
        return getpass.getpass(f"Token for {origin} (or user:password): ")


def logout(session: Session) -> Outcome:
    """Removes it."""
    origin = logins.origin_of(session.context, session.arguments.address)
    result = RegistryLogoutResult(origin=origin, removed=logins.log_out(session.context, origin))
    text = "is removed from the keyring" if result.removed else "wasn't in the keyring"
    return Outcome(result, lambda screen: screen.line(f"The credential for {origin} {text}."))
