"""Broken inputs for every parser of foreign bytes; ``scripts/fuzz.py`` feeds more of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bbj_desktop.core.errors import BBjDesktopError
from tests.fuzz.fuzzing import kept, try_input
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
BROKE_ONCE = [(name, data) for name in TARGETS for data in kept(name)]


@pytest.mark.parametrize("name", TARGETS)
def test_valid_inputs_are_read_to_their_end(name: str) -> None:
    """Answers that are valid refusals end in errors of ours."""
    read = 0
    for data in TARGETS[name].seeds():
        try:
            TARGETS[name].parse(data)
        except BBjDesktopError:
            continue
        read += 1
    assert read > 0


@pytest.mark.parametrize(("name", "data"), BROKE_ONCE, ids=[f"{name} {len(data)} bytes" for name, data in BROKE_ONCE])
def test_what_broke_a_parser_once_is_refused(name: str, data: bytes) -> None:
    finding = try_input(name, data)
    assert finding is None, finding.said


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and RLIMIT_AS")
def test_no_broken_input_ends_in_anything_but_an_error_of_ours() -> None:
    ended = subprocess.run(
        [sys.executable, "scripts/fuzz.py", "--seconds", "0.4"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    fed = {line.split()[0]: int(line.split()[1]) for line in ended.stdout.splitlines()[1:] if line.split()[1].isdigit()}
    assert set(fed) == set(TARGETS)
    assert min(fed.values()) > 0
