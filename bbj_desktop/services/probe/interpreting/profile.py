"""Puts the profile together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bbj_desktop.core.hardware import Cpu, HardwareProfile, Memory, ProbeNote, VolumePurpose
from bbj_desktop.services.probe.interpreting.apple import apple_gpus
from bbj_desktop.services.probe.interpreting.cpu import processor
from bbj_desktop.services.probe.interpreting.memory import main_memory
from bbj_desktop.services.probe.interpreting.nvidia import nvidia_gpus
from bbj_desktop.services.probe.interpreting.pci import pci_gpus
from bbj_desktop.services.probe.interpreting.system import operating_system
from bbj_desktop.services.probe.interpreting.texts import sysctl
from bbj_desktop.services.probe.interpreting.volumes import volumes
from bbj_desktop.services.probe.interpreting.windows import windows_gpus
from bbj_desktop.services.probe.raw import Failure, RawInputs

_NAMES = {"drm": "The graphics driver", "windows": "The Windows registry"}


def interpret(raw: RawInputs, places: Mapping[VolumePurpose, Path]) -> HardwareProfile:
    """The profile that these raw inputs mean.

    Args:
        raw: A machine's answers.
        places: The folders that were asked for.
    """
    cpu, memory = processor(raw), main_memory(raw)
    nvidia = nvidia_gpus(raw, memory)
    disks, disk_notes = volumes(raw, places)
    return HardwareProfile(
        os=operating_system(raw),
        cpu=cpu,
        memory=memory,
        gpus=(*nvidia.gpus, *apple_gpus(raw, memory), *pci_gpus(raw), *windows_gpus(raw)),
        volumes=disks,
        notes=(*_notes(raw, cpu, memory), *nvidia.notes, *disk_notes),
    )


def _notes(raw: RawInputs, cpu: Cpu, memory: Memory) -> Iterator[ProbeNote]:
    for name, failure in raw.failures.items():
        if name not in ("nvml", "volumes"):  # they have words of their own
            yield ProbeNote(probe=name.split()[0], message=_failure_text(_NAMES.get(name, name), failure))
    if missing := raw.answer("process").get("psutil"):
        yield ProbeNote(
            probe="memory", message=f"Free memory can't be read: the library psutil is missing ({missing})."
        )
    if not memory.machine_total_bytes:
        yield ProbeNote(probe="memory", message="The size of main memory can't be read.")
    if cpu.features is None:
        yield ProbeNote(probe="cpu", message="The processor's instruction sets can't be read.")
    if sysctl(raw).get("sysctl.proc_translated") == "1":
        text = "BBj Desktop runs translated by Rosetta. Its version for Apple silicon is faster and can use the GPU."
        yield ProbeNote(probe="os", message=text)


def _failure_text(who: str, failure: Failure) -> str:
    match failure.kind:
        case "timeout":
            return f"{who} did not answer within {failure.detail} s."
        case "crash":
            return f"{who} could not be asked: the probe crashed ({failure.detail})."
        case "missing":
            return f"{who} could not be started ({failure.detail or 'not found'})."
        case "garbage":
            return f"{who} gave an answer that can't be understood."
        case "exit":
            return f"{who} gave no full answer (exit status {failure.detail})."
