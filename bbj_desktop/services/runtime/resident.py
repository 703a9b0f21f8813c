"""How much memory a process takes, its children with it."""

from __future__ import annotations

import psutil


def resident_bytes(pid: int | None) -> int | None:
    """Resident memory: mapped pages of the model's file that were read, too. None for a process that isn't there."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return None
