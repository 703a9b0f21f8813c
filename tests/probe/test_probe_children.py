"""Readers in real child processes that hang, crash, babble or lie."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bbj_desktop.services.probe import child_command
from bbj_desktop.services.probe.raw import Failure
from bbj_desktop.services.probe.reading.children import ask_child, ask_tool

ANSWER = 'print(\'["driver_version", "1.0"]\', flush=True)'
END = "print('[\"end\", true]', flush=True)"


def python(*lines: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(("import os, signal, sys, time", *lines))]


def test_a_child_that_answers_has_no_failure() -> None:
    assert ask_child(python(ANSWER, END), timeout_s=10) == ({"driver_version": "1.0"}, None)


def test_a_hanging_child_is_ended_at_its_time_limit_and_its_answers_are_kept() -> None:
    begun = time.monotonic()
    answers, failure = ask_child(python(ANSWER, "time.sleep(60)"), timeout_s=1)
    assert answers == {"driver_version": "1.0"}
    assert failure == Failure("timeout", "1")
    assert time.monotonic() - begun < 3


def test_what_a_hanging_child_has_started_ends_with_it(tmp_path: Path) -> None:
    marker = tmp_path / "übrig geblieben"
    grandchild = f"import time; time.sleep(1.5); open({str(marker)!r}, 'w')"
    ask_child(
        python(f"import subprocess; subprocess.Popen([sys.executable, '-c', {grandchild!r}])", "time.sleep(60)"),
        timeout_s=0.5,
    )
    time.sleep(1.6)
    assert not marker.exists()


def test_a_grandchild_that_keeps_the_pipe_does_not_keep_the_probe() -> None:
    begun = time.monotonic()
    _, failure = ask_child(python("os.fork() or time.sleep(60)", ANSWER, END), timeout_s=0.5)
    assert failure == Failure("timeout", "0.5")
    assert time.monotonic() - begun < 3


def test_a_crashing_child_is_named_by_its_signal() -> None:
    answers, failure = ask_child(python(ANSWER, "os.kill(os.getpid(), signal.SIGSEGV)"), timeout_s=10)
    assert answers == {"driver_version": "1.0"}
    assert failure == Failure("crash", "SIGSEGV")


@pytest.mark.parametrize(
    "line", ["print('Segmentation fault imminent')", "print('{}')", "os.write(1, bytes(range(256)))"]
)
def test_a_child_that_talks_nonsense_is_garbage(line: str) -> None:
    assert ask_child(python(line), timeout_s=10) == ({}, Failure("garbage"))


def test_chatter_of_a_driver_between_the_answers_does_no_harm() -> None:
    answers, failure = ask_child(python("print('NVRM: hello')", ANSWER, END), timeout_s=10)
    assert (answers, failure) == ({"driver_version": "1.0"}, None)


def test_a_child_that_babbles_without_end_is_stopped_early() -> None:
    begun = time.monotonic()
    _, failure = ask_child(python("while True: os.write(1, b'x' * 65536)"), timeout_s=30)
    assert failure == Failure("garbage")
    assert time.monotonic() - begun < 10


def test_a_child_that_gives_up_is_named_by_its_status() -> None:
    assert ask_child(python("sys.exit(3)"), timeout_s=10) == ({}, Failure("exit", "3"))


def test_a_child_that_cannot_be_started_is_missing(tmp_path: Path) -> None:
    _, failure = ask_child([str(tmp_path / "gibt es nicht")], timeout_s=10)
    assert failure is not None
    assert failure.kind == "missing"


def test_a_tool_that_does_not_know_all_questions_is_still_heard() -> None:
    assert ask_tool(python("print('hw.memsize: 1')", "sys.exit(1)"), timeout_s=10) == ("hw.memsize: 1\n", None)


def test_a_tool_that_says_nothing_and_fails_has_failed() -> None:
    assert ask_tool(python("sys.exit(1)"), timeout_s=10) == ("", Failure("exit", "1"))


def test_a_tool_that_hangs_is_ended() -> None:
    assert ask_tool(python("time.sleep(60)"), timeout_s=0.3)[1] == Failure("timeout", "0.3")


def test_a_packaged_app_starts_itself_as_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert child_command("nvml") == [sys.executable, "--probe-child", "nvml"]


def test_the_child_runs_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ein Ordner mit Umläuten"
    folder.mkdir()
    monkeypatch.chdir(folder)
    answers, failure = ask_child([*child_command("volumes"), f'["{tmp_path}"]'], timeout_s=20)
    assert failure is None
    assert answers[str(tmp_path)]["existing"] == os.path.realpath(tmp_path)


def test_an_unknown_reader_is_refused() -> None:
    _, failure = ask_child(child_command("gibt-es-nicht"), timeout_s=20)
    assert failure == Failure("exit", "1")


def test_a_child_leaves_no_core_file() -> None:
    code = (
        "import resource; from bbj_desktop.services.probe.reading.child import _crash_quietly; _crash_quietly();"
        "raise SystemExit(resource.getrlimit(resource.RLIMIT_CORE) != (0, 0))"
    )
    assert ask_tool([sys.executable, "-c", code], timeout_s=20) == ("", None)


def test_a_killed_child_is_told_from_one_that_gave_up() -> None:
    assert ask_child(python("os.kill(os.getpid(), signal.SIGKILL)"), timeout_s=10) == ({}, Failure("crash", "SIGKILL"))
