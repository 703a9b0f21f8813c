"""Hardware profiles by a few words: for tests of what is decided about a machine, not of how it is probed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.hardware import (
    Cpu,
    Gpu,
    GpuKind,
    HardwareProfile,
    Memory,
    OperatingSystem,
    Volume,
    VolumePurpose,
)

GIB = 2**30

OLLAMA = RuntimeStatus(
    name="ollama",
    available=True,
    version="0.12.3",
    address="http://127.0.0.1:11434",
    accelerators=frozenset({"nvidia", "amd", "apple"}),
)
NO_OLLAMA = RuntimeStatus(name="ollama", available=False, reason="Nothing answers at http://127.0.0.1:11434.")
EMBEDDED = RuntimeStatus(name="embedded", available=True, version="2026.10")
EMBEDDED_METAL = EMBEDDED.model_copy(update={"accelerators": frozenset({"apple"})})


def nvidia(
    name: str = "NVIDIA GeForce RTX 3060",
    gib: float = 12,
    *,
    free_gib: float | None = None,
    capability: str = "8.6",
    index: int = 0,
) -> Gpu:
    return Gpu(
        vendor="nvidia",
        name=name,
        kind=GpuKind.DISCRETE,
        index=index,
        vram_total_bytes=int(gib * GIB),
        vram_free_bytes=int((gib if free_gib is None else free_gib) * GIB),
        driver="560.35",
        compute_capability=capability,
    )


def amd(name: str = "AMD Radeon RX 7900 XTX", gib: float = 24) -> Gpu:
    size = int(gib * GIB)
    return Gpu(vendor="amd", name=name, kind=GpuKind.DISCRETE, vram_total_bytes=size, vram_free_bytes=size)


def integrated() -> Gpu:
    return Gpu(vendor="intel", name="Intel Iris Xe Graphics", kind=GpuKind.INTEGRATED, vram_total_bytes=GIB // 8)


def apple(name: str = "Apple M2", gib: float = 16) -> Gpu:
    return Gpu(vendor="apple", name=name, kind=GpuKind.UNIFIED, vram_total_bytes=int(gib * GIB * 2 / 3))


def machine(
    ram_gib: float = 16,
    *gpus: Gpu,
    cores: int = 8,
    available_gib: float | None = None,
    features: frozenset[str] | None = frozenset({"avx", "avx2", "fma", "f16c"}),
    system: Literal["linux", "windows", "macos"] = "windows",
    architecture: str = "x86_64",
    limited_by: str | None = None,
    disk_gb: float | None = 500,
    bandwidth: float | None = None,
    ollama_elsewhere: bool = False,
) -> HardwareProfile:
    """A machine. Memory in units of 2**30 bytes, free disk in 10**9 bytes."""
    total = int(ram_gib * GIB)
    free = None if disk_gb is None else int(disk_gb * 1e9)
    store_purposes: tuple[VolumePurpose, ...] = (VolumePurpose.STORE, VolumePurpose.TEMPORARY)
    if not ollama_elsewhere:
        store_purposes = (*store_purposes, VolumePurpose.OLLAMA)
    volumes = [Volume(purposes=store_purposes, path=Path("/home/jürgen müller"), device="1", free_bytes=free)]
    if ollama_elsewhere:
        volumes.append(
            Volume(purposes=(VolumePurpose.OLLAMA,), path=Path("/usr/share/ollama"), device="2", free_bytes=free)
        )
    return HardwareProfile(
        os=OperatingSystem(family=system, name=system.title(), architecture=architecture),
        cpu=Cpu(
            model="A processor", physical_cores=cores, logical_cores=cores * 2, usable_cores=cores, features=features
        ),
        memory=Memory(
            total_bytes=total,
            available_bytes=total if available_gib is None else int(available_gib * GIB),
            machine_total_bytes=total,
            limited_by=limited_by,
        ),
        memory_bandwidth_bytes_per_s=bandwidth,
        gpus=gpus,
        volumes=tuple(volumes),
    )


def mac(name: str = "Apple M2", gib: float = 16, *, cores: int = 8) -> HardwareProfile:
    return machine(
        gib, apple(name, gib), cores=cores, features=frozenset({"neon"}), system="macos", architecture="arm64"
    )
