"""NVIDIA's GPUs from NVML's answers.

Source: NVML API reference (return codes: ``nvmlReturn_t``), MIG User Guide, both docs.nvidia.com.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bbj_desktop.core.hardware import Gpu, GpuKind, Memory, ProbeNote
from bbj_desktop.services.probe.interpreting.system import architecture
from bbj_desktop.services.probe.raw import Failure, RawInputs

_NOT_SUPPORTED, _DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND, _UNKNOWN = 3, 9, 12, 999
_MEANINGS = {
    4: "this user has no permission to use the GPU. Ask an administrator for access to /dev/nvidia*.",
    8: "the GPU lacks power. Check its power cables.",
    _DRIVER_NOT_LOADED: "the driver isn't loaded. Install it, or restart the computer if it was just installed.",
    _LIBRARY_NOT_FOUND: "its driver's library isn't to be found here. In a container, start it with access to the GPU "
    "(docker run --gpus all); else install NVIDIA's driver.",
    15: "the GPU has fallen off the bus. Restart the computer; if it happens again, card or power may be faulty.",
    16: "the GPU must be reset. Restart the computer.",
    18: "the driver was updated while the old one is still running. Restart the computer.",
    _UNKNOWN: "the driver reports an unknown error. In a container, restart it; else restart the computer.",
}
_INTEGRATED_NAMES = re.compile(r"\b(GB10|Orin|Xavier|Thor|Tegra|nvgpu)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """GPUs, and what could not be found out about GPUs."""

    gpus: tuple[Gpu, ...] = ()
    notes: tuple[ProbeNote, ...] = ()


def nvidia_gpus(raw: RawInputs, memory: Memory) -> Found:
    """Every GPU that NVML answers for; MIG instances in the place of a GPU that is divided.

    Args:
        raw: The machine's answers.
        memory: Main memory, which is also the GPU's where it has none of its own (Jetson, GB10).
    """
    answers = raw.answer("nvml")
    gpus: list[Gpu] = []
    notes = list(_general_notes(raw, answers))
    for key, answer in answers.items():
        if key.startswith("gpu ") and isinstance(answer, dict):
            found = _gpu(answer, str(key), _plain(answers.get("driver_version")), raw, memory)
            gpus += [gpu.model_copy(update={"index": len(gpus) + at}) for at, gpu in enumerate(found.gpus)]
            notes += found.notes
    return Found(tuple(gpus), tuple(notes))


def _general_notes(raw: RawInputs, answers: Mapping[str, Any]) -> Iterator[ProbeNote]:
    failure = raw.failures.get("nvml")
    if failure:
        yield _note(_failure_text(failure, sum(key.startswith("gpu ") for key in answers)))
    error = answers.get("error")
    count = answers.get("count")
    if error and error.get("call") == "import":
        yield _note("NVIDIA GPUs can't be asked: the library nvidia-ml-py is missing. Install BBj Desktop again.")
    elif error:
        yield _note(f"NVIDIA GPUs can't be used: {_meaning(error)}")
    elif isinstance(count, dict):
        yield _note(f"NVIDIA GPUs can't be counted: {_meaning(count)}")
    elif not answers and not failure and _on_the_bus(raw):
        yield _note("There is an NVIDIA GPU, but its driver isn't running. Install NVIDIA's driver to use it.")


def _failure_text(failure: Failure, answered: int) -> str:
    after = f" after {answered} GPU{'s' if answered > 1 else ''}" if answered else ""
    match failure.kind:
        case "timeout":
            return f"NVIDIA's driver did not answer within {failure.detail} s{after}. Restarting the computer may help."
        case "crash":
            return f"NVIDIA's driver library crashed ({failure.detail}){after}. Install the driver again."
        case "missing":
            return f"NVIDIA's driver could not be asked: {failure.detail}."
        case _:
            return f"NVIDIA's driver gave an answer that can't be understood{after}."


def _on_the_bus(raw: RawInputs) -> bool:
    """An NVIDIA display controller on Linux' PCI bus, or in Windows' registry."""
    linux = any(path.endswith("/vendor") and text.strip() == "0x10de" for path, text in raw.files.items())
    adapters = raw.answer("windows").get("display_adapters", {})
    return linux or any("ven_10de" in str(it.get("MatchingDeviceId", "")).lower() for it in adapters.values())


def _gpu(answer: Mapping[str, Any], key: str, driver: str | None, raw: RawInputs, memory: Memory) -> Found:
    if "error" in answer:
        return Found(notes=(_note(f"NVIDIA {key.upper()} can't be used: {_meaning(answer)}"),))
    mode = answer.get("mig_mode")
    if isinstance(mode, list) and mode[0]:
        return _divided(answer, key, driver)
    total, free = _sizes(answer.get("memory"))
    unified = _is_unified(answer, total, raw)
    gpu = Gpu(
        vendor="nvidia",
        name=_plain(answer.get("name")) or "NVIDIA GPU",
        kind=GpuKind.UNIFIED if unified else GpuKind.DISCRETE,
        vram_total_bytes=memory.total_bytes if unified else total,
        vram_free_bytes=memory.available_bytes if unified else free,
        driver=driver,
        compute_capability=_capability(answer),
        bandwidth_bytes_per_s=None if unified else _bandwidth(answer),
    )
    if gpu.vram_total_bytes is None:
        return Found((gpu,), (_note(f"The memory of {gpu.name} can't be read: {_meaning(answer.get('memory'))}"),))
    return Found((gpu,))


def _divided(answer: Mapping[str, Any], key: str, driver: str | None) -> Found:
    """A program may use one MIG instance at a time, never the GPU as a whole.

    An instance has a share of the memory's channels, so the same share of size and bandwidth (MIG User Guide, "Memory
    Slice").
    """
    whole_total, _ = _sizes(answer.get("memory"))
    whole_bandwidth = _bandwidth(answer)
    gpus = []
    for instance in answer.get("mig") or []:
        total, free = _sizes(instance.get("memory"))
        share = total / whole_total if total and whole_total else None
        gpus.append(
            Gpu(
                vendor="nvidia",
                name=_plain(instance.get("name")) or f"{_plain(answer.get('name'))} MIG",
                kind=GpuKind.DISCRETE,
                vram_total_bytes=total,
                vram_free_bytes=free,
                driver=driver,
                compute_capability=_capability(answer),
                bandwidth_bytes_per_s=whole_bandwidth * share if whole_bandwidth and share else None,
            )
        )
    if not gpus:
        name = _plain(answer.get("name")) or key.upper()
        text = f"{name} is in MIG mode and has no instance that this program may use. Ask its administrator for one."
        return Found(notes=(_note(text),))
    return Found(tuple(gpus))


def _is_unified(answer: Mapping[str, Any], total: int | None, raw: RawInputs) -> bool:
    """GPUs that use main memory say "not supported" (or 0) when asked for their own; so may a virtual one on x86."""
    if _INTEGRATED_NAMES.search(_plain(answer.get("name")) or ""):
        return True
    memory = answer.get("memory")
    unsupported = isinstance(memory, dict) and memory.get("error") == _NOT_SUPPORTED
    return (unsupported or total == 0) and architecture(raw) == "arm64"


def _sizes(memory: object) -> tuple[int | None, int | None]:
    if not isinstance(memory, dict) or "error" in memory:
        return None, None
    return memory.get("total"), memory.get("free")


def _capability(answer: Mapping[str, Any]) -> str | None:
    capability = answer.get("compute_capability")
    return ".".join(str(part) for part in capability) if isinstance(capability, list) else None


def _bandwidth(answer: Mapping[str, Any]) -> float | None:
    """Bytes a second: memory clock x two transfers a cycle x bus width, as NVIDIA's CUDA samples reckon it.

    NVML's clock of GDDR memory is such that this holds there too (RTX 4090: 10,501 MHz x 2 x 384 bit = 1,008 GB/s).
    """
    clock, width = answer.get("max_memory_clock_mhz"), answer.get("memory_bus_width_bits")
    if not isinstance(clock, int) or not isinstance(width, int) or not clock or not width:
        return None
    return clock * 1e6 * 2 * width / 8


def _meaning(error: object) -> str:
    if not isinstance(error, dict):
        return "the driver gave no answer."
    code = error.get("error")
    known = _MEANINGS.get(code) if isinstance(code, int) else None
    return known or f"{error.get('text') or 'unknown error'} (NVML error {code})."


def _plain(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _note(message: str) -> ProbeNote:
    return ProbeNote(probe="nvidia", message=message)
