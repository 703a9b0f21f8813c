"""The discovery file: how programs of one user find the host that is running.

It holds the key to the engine, so only its owner may read it, and a file that others could have written isn't
believed.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import secrets
import stat
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bbj_desktop.core.errors import StoreAccessError

RECORD_FORMAT = 1
PROTOCOL = 2
"""Of the conversation with the host; raised when an older program couldn't follow it. 2: ``EngineConfig.stamp``."""

_SAME_START_S = 1.0  # psutil's start times of one process differ by less, as long as nobody sets the clock
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class HostRecord:
    """A host that runs, or did.

    Attributes:
        pid: Of its process.
        created: Start of that process as ``psutil`` tells it, seconds since the epoch: another process with the same
            number has another one.
        address: ``127.0.0.1:PORT`` of its conversation.
        key: Proves both sides to each other.
        app_version: Of the program that started it.
        protocol: ``PROTOCOL`` of that program.
        mark: Of that process, see ``process_mark``; empty where there is none.
    """

    pid: int
    created: float
    address: str
    key: str
    app_version: str
    protocol: int = PROTOCOL
    format: int = RECORD_FORMAT
    mark: str = ""

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return runs(self.pid, self.created, self.mark)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class HostPlace:
    """Where a user's host is found.

    Attributes:
        folder: Only its owner may enter it.
    """

    folder: Path

    @property
    def _stem(self) -> str:
        """A home may be shared by several machines; a host belongs to one."""
        return f"engine-host-{re.sub(r'[^A-Za-z0-9.-]', '_', platform.node()) or 'here'}"

    @property
    def record(self) -> Path:
        return self.folder / f"{self._stem}.json"

    @property
    def starting(self) -> Path:
        """Locked by whoever starts a host."""
        return self.folder / f"{self._stem}.starting"

    @property
    def running(self) -> Path:
        """Locked by the host for as long as it lives."""
        return self.folder / f"{self._stem}.running"

    def make(self) -> None:
        """Raises StoreAccessError when the folder can't be made, or belongs to somebody else."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if sys.platform != "win32":
                for found in (self.folder.lstat(), self.folder.stat()):  # a link of somebody else leads anywhere
                    if found.st_uid != os.getuid():
                        raise PermissionError(f"it belongs to user {found.st_uid}")
                self.folder.chmod(0o700)
        except OSError as error:
            raise StoreAccessError(
                f"The folder of the engine's host, {self.folder}, can't be used: {error}.",
                hint="Check its owner and permissions.",
            ) from error


def runs(pid: int, created: float, mark: str = "") -> bool:
    """Whether the process of that number is still the one that was started then.

    Args:
        mark: Of ``process_mark``; it counts where it is known, because somebody may have set the clock since.
    """
    try:
        process = psutil.Process(pid)
        same = process_mark(pid) == mark if mark else abs(process.create_time() - created) < _SAME_START_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def process_mark(pid: int) -> str:
    """This start of the system and the process's start within it, in clock ticks (Linux: proc(5), field 22 of
    ``stat``), which no change of the clock touches; empty where it can't be told."""
    if sys.platform != "linux":
        return ""
    try:
        behind_name = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
        return f"{_BOOT.read_text(encoding='ascii').strip()} {behind_name.split()[19]}"
    except (OSError, IndexError):
        return ""


def own_start() -> float:
    """Start of this process, seconds since the epoch."""
    return psutil.Process().create_time()


def write_record(path: Path, record: HostRecord) -> None:
    """Puts the record in place in one step; at no moment can another user read it. Raises StoreAccessError."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(record), file)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreAccessError(f"{path} can't be written: {error}.", hint="Check the folder's permissions.") from error


def read_record(path: Path) -> HostRecord | None:
    """The record; None when there is none, it can't be understood, or others could have written it."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not _ours(os.fstat(file.fileno())):
                return None
            said = json.loads(file.read(64 * 1024))
        if not isinstance(said, dict) or said.get("format") != RECORD_FORMAT:
            return None
        record = HostRecord(**{name: said[name] for name in HostRecord.__dataclass_fields__ if name in said})
        return record if record.address.startswith("127.0.0.1:") and record.port and record.key else None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _at_once(path: str, flags: int) -> int:
    """A pipe that lies there must not make anybody wait."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _ours(found: os.stat_result) -> bool:
    if sys.platform == "win32":  # the profile's folders are private by their inherited rights; never run
        return True
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
