"""Whether the system killed a process for lack of memory: a SIGKILL says only that somebody did.

Linux counts such kills for each control group (``memory.events`` in version 2, ``memory.oom_control`` in version 1) and
for the whole machine (``oom_kill`` in ``/proc/vmstat``): Documentation/admin-guide/cgroup-v2.rst and mm/vmstat.c.
Elsewhere nothing can be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Starved = Literal["group", "machine", "no", "unknown"]

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryKills:
    """How many processes were killed for lack of memory so far.

    Attributes:
        group: In this process's control group and those below it; None when it can't be read.
        machine: In all; None when it can't be read.
    """

    group: int | None
    machine: int | None

    def since(self, before: MemoryKills) -> Starved:
        """What happened between two looks: the limit of the group was reached, or the machine had no more."""
        if _rose(before.group, self.group):
            return "group"
        if _rose(before.machine, self.machine):
            return "machine"
        return "unknown" if self.group is None and self.machine is None else "no"


def memory_kills(proc: Path = _PROC, cgroup: Path = _CGROUP) -> MemoryKills:
    """Looks now."""
    counts = (_count(file) for file in _group_files(proc / "self" / "cgroup", cgroup))
    group = next((count for count in counts if count is not None), None)
    return MemoryKills(group=group, machine=_count(proc / "vmstat"))


def _group_files(membership: Path, cgroup: Path) -> list[Path]:
    """Where the count of this process's group may stand; in a container its own group is the root of what is seen."""
    files = []
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        below = path.lstrip("/")
        if number == "0" and not controllers:
            files += [cgroup / below / "memory.events", cgroup / "memory.events"]
        elif "memory" in controllers.split(","):
            files += [cgroup / "memory" / below / "memory.oom_control", cgroup / "memory" / "memory.oom_control"]
    return files


def _count(file: Path) -> int | None:
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = next((line.split() for line in lines if line.startswith("oom_kill ")), [])
    return int(found[1]) if len(found) == 2 and found[1].isdigit() else None  # noqa: PLR2004 - name and number


def _rose(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now > before
