"""Main memory, as this process may use it."""

from __future__ import annotations

from bbj_desktop.core.hardware import Memory
from bbj_desktop.services.probe.interpreting.cgroups import memory_limits
from bbj_desktop.services.probe.interpreting.texts import colon_pairs, sysctl, whole_number
from bbj_desktop.services.probe.raw import RawInputs


def main_memory(raw: RawInputs) -> Memory:
    """The tightest of machine and control groups; all zero when nothing could be read."""
    total, available = _linux(raw) if raw.platform.startswith("linux") else _elsewhere(raw)
    limits = [limit for limit in memory_limits(raw) if limit.limit_bytes < total]
    tightest = min(limits, key=lambda limit: limit.limit_bytes, default=None)
    return Memory(
        total_bytes=tightest.limit_bytes if tightest else total,
        available_bytes=min([available, *(limit.available_bytes for limit in limits)]),
        machine_total_bytes=total,
        limited_by=tightest.name if tightest else None,
    )


def _linux(raw: RawInputs) -> tuple[int, int]:
    """Source: proc(5), /proc/meminfo, in KiB. MemAvailable came with Linux 3.14; before it, free and cached."""
    values = colon_pairs(raw.files.get("/proc/meminfo", ""))
    kib = {name: whole_number(text) or 0 for name, text in values.items()}
    roughly = kib.get("MemFree", 0) + kib.get("Cached", 0)
    return kib.get("MemTotal", 0) * 1024, kib.get("MemAvailable", roughly) * 1024


def _elsewhere(raw: RawInputs) -> tuple[int, int]:
    """psutil's figures; without it macOS still tells its size, of which half is taken to be free."""
    said = raw.answer("process").get("memory")
    if said:
        return int(said["total"]), int(said["available"])
    total = whole_number(sysctl(raw).get("hw.memsize")) or 0
    return total, total // 2
