"""AMD's, Intel's and Qualcomm's GPUs on Windows, from the display class in the registry (NVIDIA's: NVML)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from bbj_desktop.core.hardware import Gpu, GpuKind
from bbj_desktop.services.probe.raw import RawInputs

Vendor = Literal["amd", "intel", "other"]

_VENDORS: dict[str, Vendor] = {"ven_1002": "amd", "ven_8086": "intel", "ven_qcom": "other"}
# Names that only cards carry. "Arc Graphics" and "Arc 140V" are parts of processors, "Arc A770" and "Arc B580" are not.
_CARDS = re.compile(r"\bRX\b|Radeon Pro|Radeon VII|FirePro|Instinct|\bArc(\(TM\))?( Pro)? [AB]\d{2,3}", re.IGNORECASE)


def windows_gpus(raw: RawInputs) -> tuple[Gpu, ...]:
    """In the order of the registry; the same adapter under two numbers (an old driver's key) counts once."""
    adapters: Mapping[str, Mapping[str, Any]] = raw.answer("windows").get("display_adapters", {})
    gpus: list[Gpu] = []
    seen: set[tuple[str, object]] = set()
    for _, values in sorted(adapters.items()):
        vendor = _vendor(values)
        identity = (str(values.get("MatchingDeviceId")).lower(), values.get("DriverVersion"))
        if vendor is None or identity in seen:
            continue
        seen.add(identity)
        gpus.append(_gpu(values, vendor, sum(gpu.vendor == vendor for gpu in gpus)))
    return tuple(gpus)


def _vendor(values: Mapping[str, Any]) -> Vendor | None:
    device = str(values.get("MatchingDeviceId", "")).lower()
    return next((vendor for key, vendor in _VENDORS.items() if key in device), None)


def _gpu(values: Mapping[str, Any], vendor: Vendor, index: int) -> Gpu:
    name = str(values.get("DriverDesc") or "GPU")
    size = values.get("HardwareInformation.qwMemorySize", values.get("HardwareInformation.MemorySize"))
    return Gpu(
        vendor=vendor,
        name=name,
        kind=GpuKind.DISCRETE if _CARDS.search(name) else GpuKind.INTEGRATED,
        index=index,
        vram_total_bytes=size if isinstance(size, int) and size > 0 else None,
        driver=str(values["DriverVersion"]) if "DriverVersion" in values else None,
    )
