"""Dozens of machines, each from a recording of what it (or its documentation) answers, against ``expected.txt``.

A recording's volumes are those of the store, Ollama's models and the temporary folder, in this order.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bbj_desktop.core.hardware import HardwareProfile, VolumePurpose, load_profile
from bbj_desktop.services.probe.interpreting.profile import interpret
from bbj_desktop.services.probe.raw import RawInputs, dump_recording, load_recording

HERE = Path(__file__).parent
RECORDINGS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((HERE / "recordings").glob("*.txt"))}
_BLOCKS = re.split(r"^### (.+)\n", (HERE / "expected.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
EXPECTED = dict(zip(_BLOCKS[1::2], _BLOCKS[2::2], strict=True))

HANGING_STORE = Path("/home/kim/.local/share/bbj-desktop")


def places_of(raw: RawInputs) -> dict[VolumePurpose, Path]:
    paths = [Path(path) for path, answer in raw.answer("volumes").items() if isinstance(answer, dict)]
    if "volumes" in raw.failures and paths:
        paths.insert(0, HANGING_STORE)
    return dict(zip(VolumePurpose, paths, strict=False))


def profile_of(name: str) -> HardwareProfile:
    raw = load_recording(RECORDINGS[name])
    return interpret(raw, places_of(raw))


def size(value: int | None) -> str:
    """Bytes as GiB; what is unknown as a question mark."""
    return "?" if value is None else f"{value / 2**30:.1f}"


def summary(profile: HardwareProfile) -> str:
    """A profile in a few lines that can be read and compared."""
    os, cpu, memory = profile.os, profile.cpu, profile.memory
    features = " ".join(sorted(cpu.features)) if cpu.features is not None else "unknown"
    where = f" in {os.container}" if os.container else ""
    lines = [
        f"{os.name}, {os.architecture}{where}",
        f"{cpu.model}: {cpu.physical_cores or '?'}/{cpu.logical_cores} cores, {cpu.usable_cores:g} usable, {features}",
        f"{size(memory.total_bytes)} GiB, {size(memory.available_bytes)} free"
        + (f", of {size(memory.machine_total_bytes)} by {memory.limited_by}" if memory.limited_by else ""),
    ]
    for gpu in profile.gpus:
        bandwidth = f", {gpu.bandwidth_bytes_per_s / 1e9:.0f} GB/s" if gpu.bandwidth_bytes_per_s else ""
        capability = f", cc {gpu.compute_capability}" if gpu.compute_capability else ""
        memory_text = f"{size(gpu.vram_total_bytes)} GiB, {size(gpu.vram_free_bytes)} free"
        lines.append(f"{gpu.vendor} {gpu.index} {gpu.kind}: {gpu.name}, {memory_text}{capability}{bandwidth}")
    for volume in profile.volumes:
        access = "" if volume.writable else ", not writable"
        free = f"{size(volume.free_bytes)} GiB free"
        lines.append(f"{'+'.join(volume.purposes)}: {volume.filesystem or '?'} {volume.device}, {free}{access}")
    return "\n".join([*lines, *(f"! {note.probe}: {note.message}" for note in profile.notes)])


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_machine_is_understood(name: str) -> None:
    assert summary(profile_of(name)).rstrip() == EXPECTED[name].rstrip()


def test_every_expectation_has_its_recording() -> None:
    assert set(EXPECTED) == set(RECORDINGS)


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_says_where_it_comes_from(name: str) -> None:
    source = re.match(r"source: (.+)\n", RECORDINGS[name])
    assert source is not None
    assert re.match(r"composed|recorded|.*(published|reported)", source[1])


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_survives_writing_and_reading(name: str) -> None:
    raw = load_recording(RECORDINGS[name])
    again = load_recording(dump_recording(raw, source="a test"))
    assert interpret(again, places_of(raw)) == interpret(raw, places_of(raw))


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_profile_survives_saving_and_loading(name: str) -> None:
    profile = profile_of(name)
    assert load_profile(profile.model_dump_json()) == profile
