"""The little that must be known of the processor before the embedded engine is started on it."""

from __future__ import annotations

import math
import os
import platform
import sys
from pathlib import Path

import psutil

_CPUINFO = Path("/proc/cpuinfo")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_PF_AVX2_INSTRUCTIONS_AVAILABLE = 40  # winnt.h


def has_avx2(cpuinfo: Path = _CPUINFO) -> bool | None:
    """Whether the processor has AVX2, without which the engine's x86 wheels end with an illegal instruction.

    Returns:
        True also for processors that need none (ARM); None when it can't be seen.
    """
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return True
    if sys.platform == "win32":  # never run
        import ctypes

        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(_PF_AVX2_INSTRUCTIONS_AVAILABLE))
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    flags = next((line for line in text.splitlines() if line.startswith("flags")), None)
    return None if flags is None else "avx2" in flags.split()


def good_thread_count(quota: Path = _QUOTA) -> int:
    """Threads to compute with: the physical cores (a second thread on a core slows llama.cpp down), as far as this
    process may use them. A container's limit counts (``cpu.max`` of cgroup v2: microseconds of each period)."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(psutil.cpu_count(logical=False) or usable, usable)
    try:
        share, period = quota.read_text(encoding="ascii").split()
        if share != "max":
            cores = min(cores, math.ceil(int(share) / int(period)))
    except (OSError, ValueError):
        pass  # no limit that could be read
    return max(1, cores)
