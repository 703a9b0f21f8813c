"""What control groups leave to this process.

Source: the kernel's ``Documentation/admin-guide/cgroup-v2.rst``, ``cgroup-v1/memory.rst``, ``scheduler/sched-bwc.rst``;
proc(5) for the mount table. Free memory of a group counts as the kubelet's ``memory.available`` does: limit less usage
less ``inactive_file``, since the kernel gives inactive file cache back first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from bbj_desktop.services.probe.raw import RawInputs

GROUPS = "/proc/self/cgroup"
MOUNTS = "/proc/self/mountinfo"

_FILES = {
    "v2": ("memory.max", "memory.high", "memory.current", "memory.stat", "cpu.max"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"),
    "cpu": ("cpu.cfs_quota_us", "cpu.cfs_period_us"),
}


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table."""

    root: str
    point: str
    filesystem: str
    source: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupFolder:
    """One of the groups that this process is in: its own or one above it."""

    kind: Literal["v2", "memory", "cpu"]
    path: str

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(f"{self.path}/{name}" for name in _FILES[self.kind])


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """Attributes:
    limit_bytes: What the group may use.
    available_bytes: What it could still take.
    name: Which limit, for a person.
    """

    limit_bytes: int
    available_bytes: int
    name: str


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """Reads ``/proc/self/mountinfo``."""
    mounts = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields, tail = before.split(), after.split()
        if separator and len(fields) >= 5 and len(tail) >= 2:  # noqa: PLR2004 - proc(5) numbers the fields
            options = tuple(tail[2].split(",")) if len(tail) > 2 else ()  # noqa: PLR2004
            mounts.append(Mount(_unescape(fields[3]), _unescape(fields[4]), tail[0], _unescape(tail[1]), options))
    return tuple(mounts)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def group_folders(groups: str, mounts: str) -> tuple[GroupFolder, ...]:
    """Where the limits of this process lie: its own groups first, then those above, up to what is mounted.

    Args:
        groups: Text of ``/proc/self/cgroup``.
        mounts: Text of ``/proc/self/mountinfo``.
    """
    table = parse_mounts(mounts)
    folders: list[GroupFolder] = []
    for line in groups.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            folders += _ladder("v2", path, [it for it in table if it.filesystem == "cgroup2"])
        for kind in ("memory", "cpu"):
            if kind in controllers.split(","):
                folders += _ladder(kind, path, [it for it in table if it.filesystem == "cgroup" and kind in it.options])
    return tuple(folders)


def _ladder(kind: Literal["v2", "memory", "cpu"], path: str, mounts: list[Mount]) -> Iterator[GroupFolder]:
    for mount in mounts[:1]:
        # Inside a container without a cgroup namespace, path and mount root both carry the host's names.
        inside = path.removeprefix(mount.root) if mount.root != "/" else path
        if ".." in inside.split("/") or (mount.root != "/" and not path.startswith(mount.root)):
            inside = ""
        folder = PurePosixPath(mount.point, inside.strip("/"))
        while True:
            yield GroupFolder(kind, str(folder))
            if folder == PurePosixPath(mount.point):
                return
            folder = folder.parent


def memory_limits(raw: RawInputs) -> tuple[MemoryLimit, ...]:
    """Every limit on memory that holds for this process; "unlimited" ones are left out or larger than any machine."""
    folders = group_folders(raw.files.get(GROUPS, ""), raw.files.get(MOUNTS, ""))
    limits = []
    for folder in folders:
        if folder.kind == "v2":
            limits += [_limit(raw, folder, name, "memory.current", "inactive_file") for name in _FILES["v2"][:2]]
        elif folder.kind == "memory":
            limits.append(_limit(raw, folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))
    return tuple(limit for limit in limits if limit is not None)


def _limit(raw: RawInputs, folder: GroupFolder, name: str, usage_name: str, cache_name: str) -> MemoryLimit | None:
    limit = raw.number(f"{folder.path}/{name}")  # "max" isn't a number
    if limit is None:
        return None
    usage = raw.number(f"{folder.path}/{usage_name}") or 0
    cache = re.search(rf"^{cache_name} (\d+)$", raw.files.get(f"{folder.path}/memory.stat", ""), re.MULTILINE)
    working_set = max(usage - (int(cache[1]) if cache else 0), 0)
    return MemoryLimit(limit, max(limit - working_set, 0), f"cgroup {'v2' if folder.kind == 'v2' else 'v1'} {name}")


def cpu_quota(raw: RawInputs) -> float:
    """Cores' worth of time that the tightest group grants; infinity without a limit."""
    folders = group_folders(raw.files.get(GROUPS, ""), raw.files.get(MOUNTS, ""))
    return min((_quota(raw, folder) for folder in folders), default=math.inf)


def _quota(raw: RawInputs, folder: GroupFolder) -> float:
    if folder.kind == "v2":
        quota, _, period = (raw.text(f"{folder.path}/cpu.max") or "max").partition(" ")
    elif folder.kind == "cpu":
        quota, period = (raw.text(path) or "" for path in folder.files)
    else:
        return math.inf
    if not (quota.isdecimal() and period.isdecimal() and int(period)):  # "max", "-1" and what can't be read
        return math.inf
    return int(quota) / int(period)
