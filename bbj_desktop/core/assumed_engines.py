"""Which engines a machine is taken to have of which only its profile is known."""

from __future__ import annotations

from bbj_desktop.core.engines import OLLAMA_ACCELERATORS, EngineName, RuntimeStatus, embedded_accelerators
from bbj_desktop.core.fit import usable
from bbj_desktop.core.hardware import GpuKind, HardwareProfile


def assumed_engines(profile: HardwareProfile, wanted: EngineName | None = None) -> tuple[RuntimeStatus, ...]:
    """The engines of a machine of which only the profile is known: the embedded one, and Ollama where it would make a
    difference (a graphics card that it can use) or is asked about."""
    card = any(
        gpu.kind is GpuKind.DISCRETE and gpu.vendor in OLLAMA_ACCELERATORS and usable(gpu, None) for gpu in profile.gpus
    )
    embedded = RuntimeStatus(
        name="embedded", available=True, accelerators=embedded_accelerators(macos=profile.os.family == "macos")
    )
    if not card and wanted != "ollama":
        return (embedded,)
    return (RuntimeStatus(name="ollama", available=True, accelerators=OLLAMA_ACCELERATORS), embedded)
