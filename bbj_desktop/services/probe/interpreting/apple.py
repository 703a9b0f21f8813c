"""GPUs of Macs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from bbj_desktop.core.hardware import Gpu, GpuKind, Memory
from bbj_desktop.services.probe.interpreting.system import architecture
from bbj_desktop.services.probe.interpreting.texts import json_object, sysctl, whole_number
from bbj_desktop.services.probe.raw import RawInputs

_SMALL_UP_TO_BYTES = 36 * 2**30
_UNITS = {"MB": 2**20, "GB": 2**30}


def apple_gpus(raw: RawInputs, memory: Memory) -> tuple[Gpu, ...]:
    """The one GPU of Apple silicon, or the ones that an Intel Mac's system_profiler lists."""
    if raw.platform != "darwin":
        return ()
    if architecture(raw) != "arm64":
        return _intel_mac(raw)
    limit = gpu_limit(memory.machine_total_bytes, whole_number(sysctl(raw).get("iogpu.wired_limit_mb")) or 0)
    return (
        Gpu(
            vendor="apple",
            name=sysctl(raw).get("machdep.cpu.brand_string", "Apple silicon"),
            kind=GpuKind.UNIFIED,
            vram_total_bytes=limit,
            vram_free_bytes=min(limit, memory.available_bytes),
        ),
    )


def gpu_limit(memory_bytes: int, wired_limit_mib: int) -> int:
    """How much of unified memory macOS lets the GPU take, in bytes.

    Metal tells it as ``recommendedMaxWorkingSetSize`` of MTLDevice, which can't be asked without Metal. It follows the
    setting ``iogpu.wired_limit_mb`` where that isn't 0. Else users' reports of it (GiB)
    show two thirds up to 36 GB (a 16 GB M4: 10.67, a 32 GB M2: 21) and three quarters above (64 GB: 48); newer systems
    allow more (16 GB: 11.84, llmfit pull request 754; 128 GB: 107.52, ds4 pull request 893). So this errs on the small
    side.

    Args:
        memory_bytes: All of the machine's memory.
        wired_limit_mib: The setting, 0 for the system's choice.
    """
    if wired_limit_mib:
        return min(wired_limit_mib * 2**20, memory_bytes)
    return memory_bytes * 2 // 3 if memory_bytes <= _SMALL_UP_TO_BYTES else memory_bytes * 3 // 4


def _intel_mac(raw: RawInputs) -> tuple[Gpu, ...]:
    """Source: keys of ``system_profiler -json SPDisplaysDataType``."""
    text = next((text for command, text in raw.tools.items() if command.startswith("system_profiler")), "")
    cards = json_object(text).get("SPDisplaysDataType")
    found = [_card(card) for card in cards if isinstance(card, dict)] if isinstance(cards, list) else []
    counts: dict[str, int] = {}
    numbered = []
    for gpu in found:
        index = counts.get(gpu.vendor, 0)
        counts[gpu.vendor] = index + 1
        numbered.append(gpu.model_copy(update={"index": index}))
    return tuple(numbered)


def _card(card: Mapping[str, Any]) -> Gpu:
    name = str(card.get("sppci_model") or card.get("_name") or "GPU")
    own = _size(card.get("spdisplays_vram"))
    return Gpu(
        vendor=_vendor(f"{card.get('spdisplays_vendor', '')} {name}"),
        name=name,
        kind=GpuKind.INTEGRATED if own is None else GpuKind.DISCRETE,
        vram_total_bytes=own if own is not None else _size(card.get("spdisplays_vram_shared")),
    )


def _vendor(text: str) -> Literal["amd", "intel", "nvidia", "other"]:
    vendors: tuple[Literal["amd", "intel", "nvidia"], ...] = ("amd", "intel", "nvidia")
    return next((vendor for vendor in vendors if vendor in text.lower()), "other")


def _size(text: object) -> int | None:
    """``8 GB`` or ``1536 MB``."""
    match = re.fullmatch(r"(\d+) (MB|GB)", str(text).strip())
    return int(match[1]) * _UNITS[match[2]] if match else None
