"""What wheels don't carry: found missing, installed where that may be done, else named with the line to type."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from scripts import system_libraries
from scripts.system_libraries import SetUpError, ensure, is_here, missing

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux and its shared libraries")


@pytest.fixture
def apt_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for apt-get that writes down its calls, and fails on a package named `broken`."""
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    calls = tmp_path / "calls"
    program.write_text(f'#!/bin/sh\necho "$DEBIAN_FRONTEND: $*" >> "{calls}"\ncase "$*" in *broken*) exit 100;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return calls


@linux_only
def test_only_what_is_absent_is_missing() -> None:
    wanted = {"libhere1": "libhere.so.1", "libgone1": "libgone.so.1", "tool": "tool"}
    assert missing(wanted, here=lambda needed: needed == "libhere.so.1") == ("libgone1", "tool")


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_wheels_bring_everything_elsewhere(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert missing({"libgone1": "libgone.so.1"}, here=lambda _needed: False) == ()


@linux_only
def test_a_library_is_here_when_it_loads() -> None:
    assert is_here("libc.so.6")
    assert not is_here("libbbj-no-such.so.1")


def test_a_program_is_here_when_it_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bbj-tool"
    program.touch(mode=0o755)
    assert not is_here("bbj-tool")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert is_here("bbj-tool")


def test_a_folder_is_here_when_it_exists(tmp_path: Path) -> None:
    assert is_here(str(tmp_path))
    assert not is_here(str(tmp_path / "fonts"))


def test_without_permission_the_exact_line_is_named(apt_calls: Path) -> None:
    with pytest.raises(SetUpError, match="sudo apt-get install -y libegl1 xvfb"):
        ensure(("libegl1", "xvfb"), "scripts/test.py", allowed=False)
    assert not apt_calls.exists()


def test_with_permission_they_are_installed_without_questions(apt_calls: Path) -> None:
    ensure(("libegl1", "xvfb"), "scripts/test.py", allowed=True)
    update, install = apt_calls.read_text().splitlines()
    assert update == "noninteractive: -qq update"
    assert install == "noninteractive: -qq install -y --no-install-recommends libegl1 xvfb"


def test_nothing_missing_calls_nobody(apt_calls: Path) -> None:
    ensure((), "scripts/test.py", allowed=True)
    assert not apt_calls.exists()


def test_a_failing_apt_names_the_line_too(apt_calls: Path) -> None:
    with pytest.raises(SetUpError, match="sudo apt-get install -y broken"):
        ensure(("broken",), "scripts/test.py", allowed=True)
    assert apt_calls.exists()


def test_the_tests_need_all_that_the_demo_needs() -> None:
    assert system_libraries.DEMO.items() <= system_libraries.TESTS.items()
