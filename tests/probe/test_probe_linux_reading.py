"""The Linux reader on machines laid out as folders: it must find what the interpretation needs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bbj_desktop.core.hardware import GpuKind, VolumePurpose
from bbj_desktop.services.probe.interpreting.profile import interpret
from bbj_desktop.services.probe.raw import RawInputs, load_recording
from bbj_desktop.services.probe.reading import linux
from bbj_desktop.services.probe.reading.children import child_command
from bbj_desktop.services.probe.reading.gather import gather

RECORDINGS = Path(__file__).parent / "recordings"
LAID_OUT = [
    "laptop-rtx-4060",
    "laptop-iris-xe",
    "laptop-ryzen-7840u",
    "thinkpad-t420",
    "desktop-gtx-1080-ti-old-driver",
    "desktop-rx-7900-xtx",
    "desktop-radeon-beside-apu",
    "desktop-arc-b580-lmem",
    "docker-v1",
    "docker-v2-gpu",
    "kubernetes-pod-limit",
    "podman-memory-high",
    "lxc",
    "raspberry-pi-5",
    "vm-epyc",
]

LayOut = Callable[[str], tuple[RawInputs, Path]]


@pytest.fixture
def lay_out(tmp_path: Path) -> LayOut:
    def lay_out(name: str) -> tuple[RawInputs, Path]:
        raw = load_recording((RECORDINGS / f"{name}.txt").read_text(encoding="utf-8"))
        root = tmp_path / "Rechner [1] ä"
        for path, text in raw.files.items():
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return raw, root

    return lay_out


@pytest.mark.parametrize("name", LAID_OUT)
def test_everything_that_was_recorded_is_read_again(name: str, lay_out: LayOut) -> None:
    raw, root = lay_out(name)
    assert linux.read_files(root) | dict(linux.read_cards(str(root))) == dict(raw.files)


def test_of_the_lists_of_names_only_the_lines_in_question_are_read(lay_out: LayOut) -> None:
    _, root = lay_out("desktop-rx-7900-xtx")
    (root / "usr/share/misc").mkdir(parents=True)
    (root / "usr/share/misc/pci.ids").write_text(
        "# list\n1002  AMD\n\t73bf  Navi 21\n\t744c  Navi 31\n\t\t1002 0e3b  a card\n10ff  Other\n8086  Intel\n"
    )
    read = dict(linux.read_cards(str(root)))
    assert read["/usr/share/misc/pci.ids"] == "1002  AMD\n\t744c  Navi 31\n8086  Intel\n"


def test_no_nvidia_driver_no_question() -> None:
    assert not linux.has_nvidia_driver(Path("/gibt/es/nicht"))


@pytest.mark.parametrize("sign", ["proc/driver/nvidia", "dev/dxg", "dev/nvmap"])
def test_a_driver_shows_itself(tmp_path: Path, sign: str) -> None:
    (tmp_path / sign).mkdir(parents=True)
    assert linux.has_nvidia_driver(tmp_path)


def test_graphics_cards_are_asked_in_a_child(lay_out: LayOut) -> None:
    _, root = lay_out("desktop-rx-7900-xtx")
    profile = interpret(gather({}, timeout_s=20, root=root), {})
    assert [(gpu.name, gpu.kind) for gpu in profile.gpus] == [("AMD Radeon RX 7900 XTX", GpuKind.DISCRETE)]


def stand_in(code: str) -> Callable[[str], list[str]]:
    """The NVML reader replaced by a program, all others real."""
    return lambda name: [sys.executable, "-c", code] if name == "nvml" else child_command(name)


@pytest.mark.parametrize(
    ("code", "note"),
    [
        ("import time; time.sleep(60)", "did not answer within"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed (SIGSEGV)"),
        ("print('%PDF-1.4')", "can't be understood"),
    ],
    ids=["hangs", "crashes", "garbage"],
)
def test_a_bad_driver_costs_a_note_and_nothing_else(code: str, note: str, lay_out: LayOut, tmp_path: Path) -> None:
    _, root = lay_out("desktop-rtx-4090")
    places = {VolumePurpose.STORE: tmp_path}
    profile = interpret(gather(places, timeout_s=2, root=root, command_for=stand_in(code)), places)
    assert [it.probe for it in profile.notes] == ["nvidia"]
    assert note in profile.notes[0].message
    assert profile.cpu.model == "AMD Ryzen 9 7950X 16-Core Processor"
    assert profile.volumes[0].free_bytes


def test_the_real_nvml_reader_says_that_there_is_no_library_here(lay_out: LayOut) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("needs a machine without NVIDIA's driver")
    _, root = lay_out("desktop-rtx-4090")
    raw = gather({}, timeout_s=20, root=root)
    assert json.loads(json.dumps(raw.answer("nvml")))["error"]["call"] == "nvmlInit"
    assert "library isn't to be found" in interpret(raw, {}).notes[0].message
