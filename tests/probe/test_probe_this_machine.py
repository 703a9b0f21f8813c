"""The whole probe, for real, on the machine that runs the tests."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import pytest

from bbj_desktop.core.hardware import VolumePurpose
from bbj_desktop.services.probe import probe_hardware, record_hardware
from bbj_desktop.services.probe.interpreting.profile import interpret
from bbj_desktop.services.probe.raw import load_recording
from bbj_desktop.services.probe.reading.volumes import nearest_existing


@pytest.fixture
def places(tmp_path: Path) -> dict[VolumePurpose, Path]:
    return {
        VolumePurpose.STORE: tmp_path / "noch nicht da" / "Größe",
        VolumePurpose.OLLAMA: tmp_path,
        VolumePurpose.TEMPORARY: tmp_path / "temp",
    }


def test_this_machine_is_plausible(places: dict[VolumePurpose, Path]) -> None:
    profile = probe_hardware(places, timeout_s=20)
    assert profile.os.family == {"Linux": "linux", "Darwin": "macos", "Windows": "windows"}[platform.system()]
    assert profile.os.architecture in ("x86_64", "arm64")
    assert profile.cpu.model
    assert 0 < profile.cpu.usable_cores <= profile.cpu.logical_cores
    assert profile.cpu.features
    assert 0 < profile.memory.available_bytes <= profile.memory.total_bytes <= profile.memory.machine_total_bytes
    assert profile.memory.total_bytes > 2**28


def test_a_folder_that_does_not_exist_yet_shares_its_volume_with_its_parent(
    places: dict[VolumePurpose, Path],
) -> None:
    volumes = probe_hardware(places, timeout_s=20).volumes
    assert [volume.purposes for volume in volumes] == [tuple(VolumePurpose)]
    assert volumes[0].path == places[VolumePurpose.STORE]
    assert volumes[0].writable
    assert volumes[0].filesystem
    assert 0 < (volumes[0].free_bytes or 0) <= (volumes[0].total_bytes or 0)


def test_the_probe_is_quick(places: dict[VolumePurpose, Path]) -> None:
    durations = []
    for _ in range(3):
        begun = time.monotonic()
        probe_hardware(places)
        durations.append(time.monotonic() - begun)
    assert min(durations) < 2  # 0.1 s on an idle machine; the bound is for a busy one


def test_a_recording_of_this_machine_means_the_same(places: dict[VolumePurpose, Path]) -> None:
    recorded = interpret(load_recording(record_hardware(places, timeout_s=20)), places)
    assert recorded.cpu == probe_hardware(places, timeout_s=20).cpu
    assert recorded.volume_for(VolumePurpose.STORE)


def test_a_file_in_the_way_bars_writing(tmp_path: Path) -> None:
    (tmp_path / "Datei").write_text("")
    assert nearest_existing(tmp_path / "Datei" / "models") == (tmp_path, False)


def test_missing_folders_do_not_bar_writing(tmp_path: Path) -> None:
    assert nearest_existing(tmp_path / "a" / "b c" / "d") == (tmp_path, True)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind (not root)")
def test_a_folder_that_may_not_be_entered_bars_writing(tmp_path: Path) -> None:
    closed = tmp_path / "zu"
    closed.mkdir(mode=0o000)
    try:
        assert nearest_existing(closed / "models") == (tmp_path, False)
    finally:
        closed.chmod(0o700)
