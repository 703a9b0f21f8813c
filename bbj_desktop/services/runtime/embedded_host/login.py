"""When a login session is over: the engine's host must not outlive it.

Linux with systemd: logind tells for each user whether any session is left (``/run/systemd/users/UID``, ``STATE``). A
parent's death says nothing here, because the host has none, and the session's controlling terminal neither, because the
host gave it up. Where there is no logind (containers, macOS), each client names the leader of its session, mostly the
login shell or the desktop; when the last of them is gone, so is the host. Windows ends all processes of a session by
itself (never run).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bbj_desktop.services.runtime.embedded_host.record import process_mark, runs

_USERS = Path("/run/systemd/users")
_SESSION_LEFT = frozenset({"opening", "active", "online"})


@dataclass(frozen=True, slots=True)
class Anchor:
    """A process that lives as long as a client's login session.

    Attributes:
        pid: Its number.
        created: Its start, seconds since the epoch.
        mark: Of ``process_mark``.
    """

    pid: int
    created: float
    mark: str = ""

    @property
    def alive(self) -> bool:
        return runs(self.pid, self.created, self.mark)


def own_anchor() -> Anchor | None:
    """The leader of this process's session; where that is this process itself, its parent. None when there is none
    that would say something."""
    if sys.platform == "win32":
        return None
    leader = os.getsid(0)
    pid = leader if leader not in (0, os.getpid()) else os.getppid()
    if pid <= 1:
        return None
    try:
        return Anchor(pid, psutil.Process(pid).create_time(), process_mark(pid))
    except psutil.Error:
        return None


def logind_state(users: Path = _USERS, uid: int | None = None) -> str | None:
    """``active``, ``online``, ``lingering``, ``closing`` …; empty when logind no longer knows the user; None where
    there is no logind."""
    if sys.platform == "win32" or not users.is_dir():
        return None
    try:
        lines = (users / str(os.getuid() if uid is None else uid)).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition("=")[2] for line in lines if line.startswith("STATE=")), "")


@dataclass(slots=True)
class LoginWatch:
    """Says when the login session that a host belongs to is over.

    Attributes:
        had_session: At the start, logind knew a session of this user. Without one (a service, a container) only the
            anchors count.
        anchors: Of every client so far.
    """

    had_session: bool
    anchors: set[Anchor] = field(default_factory=set)

    @classmethod
    def begin(cls) -> LoginWatch:
        return cls(had_session=logind_state() in _SESSION_LEFT)

    def over(self, state: str | None, *, leases: int) -> bool:
        """Whether to end now.

        Args:
            state: Of ``logind_state``.
            leases: Clients that are connected.
        """
        if self.had_session:
            return state not in _SESSION_LEFT
        gone = {anchor for anchor in self.anchors if not anchor.alive}
        ended = bool(gone) and gone == self.anchors
        self.anchors -= gone if not ended else set()
        return ended and leases == 0
