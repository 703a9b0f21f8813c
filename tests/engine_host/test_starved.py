"""Why a killed engine was killed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bbj_desktop.services.runtime.engine import crash
from bbj_desktop.services.runtime.starved import MemoryKills, Starved, memory_kills


def _machine(folder: Path, membership: str, files: dict[str, str]) -> MemoryKills:
    proc, cgroup = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(membership)
    (proc / "vmstat").write_text("nr_free_pages 5\noom_kill 3\n")
    for name, text in files.items():
        (cgroup / name).parent.mkdir(parents=True, exist_ok=True)
        (cgroup / name).write_text(text)
    return memory_kills(proc, cgroup)


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/user.slice/a\n", {"user.slice/a/memory.events": "low 0\noom 2\noom_kill 7\n"}),
        ("0::/\n", {"memory.events": "oom_kill 7\n"}),
        ("0::/gone/from/here\n", {"memory.events": "oom_kill 7\n"}),
        ("4:cpu,memory:/docker/x\n0::/\n", {"memory/docker/x/memory.oom_control": "under_oom 0\noom_kill 7\n"}),
        ("4:memory:/docker/x\n", {"memory/memory.oom_control": "oom_kill_disable 0\noom_kill 7\n"}),
    ],
    ids=["v2", "v2 in a container", "v2 seen from elsewhere", "v1", "v1 in a container"],
)
def test_the_kills_of_a_group_are_counted(tmp_path: Path, membership: str, files: dict[str, str]) -> None:
    assert _machine(tmp_path, membership, files) == MemoryKills(group=7, machine=3)


@pytest.mark.parametrize("membership", ["", "nonsense", "0::", ":::", "4:memory:/x"])
def test_where_nothing_can_be_read_nothing_is_claimed(tmp_path: Path, membership: str) -> None:
    assert _machine(tmp_path, membership, {}).group is None


@pytest.mark.parametrize(
    ("before", "now", "starved"),
    [
        (MemoryKills(1, 5), MemoryKills(2, 6), "group"),
        (MemoryKills(1, 5), MemoryKills(1, 6), "machine"),
        (MemoryKills(1, 5), MemoryKills(1, 5), "no"),
        (MemoryKills(None, 5), MemoryKills(None, 5), "no"),
        (MemoryKills(None, None), MemoryKills(None, None), "unknown"),
    ],
)
def test_what_rose_tells_who_had_too_little(before: MemoryKills, now: MemoryKills, starved: Starved) -> None:
    assert now.since(before) == starved


@pytest.mark.parametrize(
    ("starved", "said"),
    [
        ("group", "memory limit of its container"),
        ("machine", "the machine ran out of memory"),
        ("no", "counted no lack of memory"),
        ("unknown", "mostly that is the system, out of memory"),
    ],
)
def test_a_kill_is_told_with_what_the_system_counted(starved: Starved, said: str) -> None:
    assert said in crash(-signal.SIGKILL, "", starved).message


def test_another_death_isnt_put_down_to_memory() -> None:
    assert "memory" not in crash(-signal.SIGSEGV, "", "group").message


def test_what_goes_well_isnt_told_at_a_death() -> None:
    tail = "0.00.009.475 I srv load_model: loading\n0.00.413.319 W srv init: odd\nGGML_ASSERT(x) failed"
    message = crash(-signal.SIGABRT, tail).message
    assert "loading" not in message
    assert "srv init: odd\nGGML_ASSERT(x) failed" in message
