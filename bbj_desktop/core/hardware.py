"""What a machine is, as far as running a language model goes.

Values only: ``services.probe`` fills them in, ``core.fit`` and ``core.recommend`` read them. A profile can be saved and
sent to the makers, who then see what this machine would get.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bbj_desktop.core.documents import parse_document

PROFILE_FORMAT = 1

Bytes = Annotated[int, Field(ge=0)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class OperatingSystem(_Value):
    """Attributes:
    family: Which of the three, or ``other``.
    name: As a person says it, e.g. ``Windows 11 Pro``, ``Debian GNU/Linux 12``.
    version: Kernel or build number.
    architecture: ``x86_64`` or ``arm64`` (normalised), else as the system says it.
    container: Kind of container or VM layer (``docker``, ``wsl2``, …), None when none was seen.
    """

    family: Literal["linux", "windows", "macos", "other"]
    name: str
    version: str = ""
    architecture: str
    container: str | None = None


class Cpu(_Value):
    """Attributes:
    model: Marketing name.
    physical_cores: None when the system doesn't tell.
    logical_cores: Hardware threads of the machine.
    usable_cores: Cores that this process may use (affinity and cgroup quota), may be a fraction.
    features: Lower-case names of the instruction sets that matter here: ``avx``, ``avx2``, ``avx512f``,
        ``avx512_bf16``, ``amx_tile``, ``fma``, ``f16c``, ``neon``. None when they could not be read.
    """

    model: str
    physical_cores: int | None = None
    logical_cores: int
    usable_cores: float
    features: frozenset[str] | None = None

    def has(self, feature: str) -> bool | None:
        """Whether the CPU has an instruction set; None when that isn't known."""
        return None if self.features is None else feature in self.features


class Memory(_Value):
    """Attributes:
    total_bytes: What this process may use in all (cgroup limits count).
    available_bytes: What it could take now without swapping.
    machine_total_bytes: What the machine has, whatever the limits.
    limited_by: What makes ``total_bytes`` smaller than the machine's, e.g. ``cgroup v2 memory.max``.
    """

    total_bytes: Bytes
    available_bytes: Bytes
    machine_total_bytes: Bytes
    limited_by: str | None = None


class GpuKind(StrEnum):
    DISCRETE = "discrete"
    INTEGRATED = "integrated"
    UNIFIED = "unified"  # Apple silicon and the like: the GPU uses the machine's memory at full speed


class Gpu(_Value):
    """Attributes:
    vendor: Maker.
    index: Number within its vendor, as the driver counts.
    vram_total_bytes: Own memory; for unified memory what the system lets the GPU take; None when unknown.
    vram_free_bytes: Free now; None when unknown.
    driver: Driver version.
    compute_capability: NVIDIA's, e.g. ``8.9``; None elsewhere.
    bandwidth_bytes_per_s: Memory bandwidth; None when unknown.
    """

    vendor: Literal["nvidia", "amd", "apple", "intel", "other"]
    name: str
    kind: GpuKind
    index: int = 0
    vram_total_bytes: Bytes | None = None
    vram_free_bytes: Bytes | None = None
    driver: str | None = None
    compute_capability: str | None = None
    bandwidth_bytes_per_s: float | None = None


class VolumePurpose(StrEnum):
    STORE = "store"
    OLLAMA = "ollama"
    TEMPORARY = "temporary"


class Volume(_Value):
    """One volume that will be used.

    Attributes:
        purposes: What it will be used for; several when they share a volume.
        path: A folder on it (the first purpose's).
        device: Identifies the volume: equal for two paths on the same one.
        filesystem: e.g. ``ext4``, ``ntfs``; None when unknown.
        free_bytes: Free for this user; None when it can't be read.
    """

    purposes: tuple[VolumePurpose, ...]
    path: Path
    device: str
    filesystem: str | None = None
    total_bytes: Bytes | None = None
    free_bytes: Bytes | None = None
    writable: bool = True


class ProbeNote(_Value):
    """Something that a probe could not find out, and why.

    Attributes:
        probe: Which one, e.g. ``nvidia``.
        message: For a person.
    """

    probe: str
    message: str


class HardwareProfile(_Value):
    """One machine at one moment.

    Attributes:
        format: Version of this document.
        memory_bandwidth_bytes_per_s: Main memory's bandwidth if measured or known; None otherwise.
        gpus: In the order of their vendors' drivers; empty when none was seen.
        notes: What could not be found out.
    """

    format: int = PROFILE_FORMAT
    os: OperatingSystem
    cpu: Cpu
    memory: Memory
    memory_bandwidth_bytes_per_s: float | None = None
    gpus: tuple[Gpu, ...] = ()
    volumes: tuple[Volume, ...] = ()
    notes: tuple[ProbeNote, ...] = ()

    def volume_for(self, purpose: VolumePurpose) -> Volume | None:
        return next((volume for volume in self.volumes if purpose in volume.purposes), None)


def load_profile(text: str | bytes) -> HardwareProfile:
    """Reads a saved profile.

    Raises:
        TooNewError: A newer program wrote it.
        FormatError: It isn't a profile.
    """
    return parse_document(HardwareProfile, text, what="hardware profile", newest=PROFILE_FORMAT)
