"""The processor: name, cores, instruction sets."""

from __future__ import annotations

import re

from bbj_desktop.core.hardware import Cpu
from bbj_desktop.services.probe.interpreting.cgroups import cpu_quota
from bbj_desktop.services.probe.interpreting.system import architecture
from bbj_desktop.services.probe.interpreting.texts import blocks, sysctl, whole_number
from bbj_desktop.services.probe.raw import RawInputs

FEATURES = frozenset({"avx", "avx2", "avx512f", "avx512_bf16", "amx_tile", "fma", "f16c", "neon"})

# CPU implementer and part of MIDR_EL1, names as in util-linux, sys-utils/lscpu-arm.c.
_ARM_PARTS = {
    (0x41, 0xD03): "Arm Cortex-A53",
    (0x41, 0xD05): "Arm Cortex-A55",
    (0x41, 0xD08): "Arm Cortex-A72",
    (0x41, 0xD0B): "Arm Cortex-A76",
    (0x41, 0xD0C): "Arm Neoverse-N1",
    (0x41, 0xD40): "Arm Neoverse-V1",
    (0x41, 0xD41): "Arm Cortex-A78",
    (0x41, 0xD42): "Arm Cortex-A78AE",
    (0x41, 0xD49): "Arm Neoverse-N2",
    (0x41, 0xD4F): "Arm Neoverse-V2",
    (0x41, 0xD85): "Arm Cortex-X925",
    (0x41, 0xD87): "Arm Cortex-A725",
    (0x51, 0x001): "Qualcomm Oryon",
    (0x61, 0x000): "Apple silicon (virtual)",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1a",
}
# Names that x86 processors have for the instruction sets in sysctl, Intel Macs.
_SYSCTL_FEATURES = {
    "hw.optional.avx1_0": "avx",
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx512f": "avx512f",
    "hw.optional.fma": "fma",
    "hw.optional.f16c": "f16c",
    "hw.optional.neon": "neon",
    "hw.optional.AdvSIMD": "neon",
}
# PF_… of winnt.h. Windows has no flag for FMA and F16C: every processor with AVX2 that Windows 10 supports has both.
_WINDOWS_FEATURES = {"19": {"neon"}, "39": {"avx"}, "40": {"avx2", "fma", "f16c"}, "41": {"avx512f"}}


def processor(raw: RawInputs) -> Cpu:
    """What computes here, and how much of it this process may use."""
    logical = _logical_cores(raw)
    affinity = raw.answer("process").get("affinity") or logical
    return Cpu(
        model=_model(raw),
        physical_cores=_physical_cores(raw, logical),
        logical_cores=logical,
        usable_cores=min(float(affinity), cpu_quota(raw)),
        features=_features(raw),
    )


def _model(raw: RawInputs) -> str:
    names = {"darwin": sysctl(raw).get("machdep.cpu.brand_string"), "win32": _windows_name(raw)}
    name = names.get(raw.platform) or _linux_model(raw)
    return re.sub(r"\s+", " ", name).strip() or f"{architecture(raw)} processor"


def _windows_name(raw: RawInputs) -> str | None:
    name = raw.answer("windows").get("processor", {}).get("ProcessorNameString")
    return name if isinstance(name, str) else None


def _linux_model(raw: RawInputs) -> str:
    """``model name`` on x86; on ARM the part number, and the board's name where it has one."""
    first = next(blocks(raw.files.get("/proc/cpuinfo", "")), {})
    if name := first.get("model name"):
        return name
    part = (whole_number(first.get("CPU implementer")), whole_number(first.get("CPU part")))
    name = next((known for key, known in _ARM_PARTS.items() if key == part), "")
    board = raw.text("/proc/device-tree/model")
    return f"{name} ({board})" if name and board else name or board or ""


def _logical_cores(raw: RawInputs) -> int:
    online = raw.text("/sys/devices/system/cpu/online")
    counted = _count_range(online) if online else 0
    said = raw.answer("process").get("logical_cores") or whole_number(sysctl(raw).get("hw.logicalcpu"))
    return counted or said or len(_processors(raw)) or 1


def _count_range(text: str) -> int:
    """Length of a list such as ``0-3,8,10-11`` (kernel, ``cpulist``)."""
    spans = re.findall(r"(\d+)(?:-(\d+))?", text)
    return sum(int(last or first) - int(first) + 1 for first, last in spans)


def _processors(raw: RawInputs) -> list[dict[str, str]]:
    return [block for block in blocks(raw.files.get("/proc/cpuinfo", "")) if "processor" in block]


def _physical_cores(raw: RawInputs, logical: int) -> int | None:
    if raw.platform == "darwin" and (cores := whole_number(sysctl(raw).get("hw.physicalcpu"))):
        return cores
    if said := raw.answer("process").get("physical_cores"):
        return int(said)
    packages = {block.get("physical id"): whole_number(block.get("cpu cores")) for block in _processors(raw)}
    cores = sum(count or 0 for package, count in packages.items() if package is not None)
    if cores:
        return min(cores, logical)
    return logical if raw.text("/sys/devices/system/cpu/smt/active") == "0" else None


def _features(raw: RawInputs) -> frozenset[str] | None:
    if raw.platform == "darwin":
        return _macos_features(raw)
    if raw.platform == "win32":
        return _windows_features(raw)
    return _linux_features(raw)


def _linux_features(raw: RawInputs) -> frozenset[str] | None:
    first = next(blocks(raw.files.get("/proc/cpuinfo", "")), {})
    flags = first.get("flags") or first.get("Features")
    if flags is None:
        return None
    names = {"neon" if flag == "asimd" else flag for flag in flags.split()}
    return FEATURES & names


def _macos_features(raw: RawInputs) -> frozenset[str] | None:
    values = sysctl(raw)
    if not values:
        return None
    neon = {"neon"} if architecture(raw) == "arm64" else set()
    return frozenset({name for key, name in _SYSCTL_FEATURES.items() if values.get(key) == "1"} | neon)


def _windows_features(raw: RawInputs) -> frozenset[str] | None:
    present = raw.answer("windows").get("processor_features")
    if not present:
        return None
    found: set[str] = set().union(*(names for key, names in _WINDOWS_FEATURES.items() if present.get(key)))
    return frozenset(found | ({"neon"} if architecture(raw) == "arm64" else set()))
