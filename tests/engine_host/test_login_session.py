"""A host must not outlive the login session that it belongs to."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from bbj_desktop.services.runtime.embedded_host.login import Anchor, LoginWatch, logind_state, own_anchor
from tests.engine_host.conftest import Home, is_running, wait_until


def _anchor(process: subprocess.Popen[bytes]) -> Anchor:
    return Anchor(process.pid, psutil.Process(process.pid).create_time())


@pytest.mark.parametrize(
    ("state", "over"),
    [("active", False), ("online", False), ("opening", False), ("closing", True), ("lingering", True), ("", True)],
)
def test_it_is_over_when_the_users_last_session_is(state: str, over: bool) -> None:
    assert LoginWatch(had_session=True).over(state, leases=3) is over


def test_a_host_of_a_service_has_no_session_to_lose() -> None:
    assert not LoginWatch(had_session=False).over("lingering", leases=0)
    assert not LoginWatch(had_session=False).over(None, leases=0)


def test_without_logind_the_last_leader_of_a_session_takes_the_host_along() -> None:
    command = [sys.executable, "-c", "input()"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE) as first,
        subprocess.Popen(command, stdin=subprocess.PIPE) as second,
    ):
        watch = LoginWatch(had_session=False, anchors={_anchor(first), _anchor(second)})
        assert not watch.over(None, leases=0)
        first.kill()
        first.wait()
        assert not watch.over(None, leases=0)
        second.kill()
        second.wait()
        assert not watch.over(None, leases=1)
        assert watch.over(None, leases=0)


def test_a_number_that_was_given_again_isnt_the_old_leader() -> None:
    assert not Anchor(psutil.Process().pid, 1.0).alive


def test_logind_is_read_as_it_writes(tmp_path: Path) -> None:
    (tmp_path / "1000").write_text("# This is private data. Do not parse.\nNAME=u\nSTATE=closing\nSTOPPING=no\n")
    assert logind_state(tmp_path, 1000) == "closing"
    assert logind_state(tmp_path, 1001) == ""
    assert logind_state(tmp_path / "none", 1000) is None


def test_this_process_names_a_leader_that_isnt_itself() -> None:
    anchor = own_anchor()
    assert anchor is None or (anchor.alive and anchor.pid != psutil.Process().pid)


@pytest.mark.skipif(logind_state() in ("opening", "active", "online"), reason="needs a user without a logind session")
def test_a_host_ends_with_the_session_of_its_only_program(home: Home) -> None:
    """A session leader starts a program, which starts the host; when both are gone, so is the host."""
    program = (
        "import json, os, subprocess, sys, time\n"
        "if sys.argv[2] == 'leader':\n"
        "    os.setsid()\n"
        "    subprocess.run([sys.executable, __file__, sys.argv[1], 'program'], check=True)\n"
        "    input()\n"
        "else:\n"
        "    from pathlib import Path\n"
        "    from bbj_desktop.core.progress import Cancel\n"
        "    from bbj_desktop.services.runtime.embedded_host.client import find_or_start\n"
        "    from bbj_desktop.services.runtime.embedded_host.host import HostOptions\n"
        "    from bbj_desktop.services.runtime.embedded_host.record import HostPlace\n"
        "    options = HostOptions(**json.loads(sys.argv[1]))\n"
        "    find_or_start(HostPlace(Path(options.folder)), options, Cancel()).close()\n"
        "    print('started', flush=True)\n"
    )
    file = home.place.folder.with_name("session.py")
    file.write_text(program)
    command = [sys.executable, str(file), _options(home), "leader"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == "started\n"
        pid = home.record.pid
        assert is_running(pid)
        leader.kill()
    assert wait_until(lambda: not is_running(pid))


def _options(home: Home) -> str:
    return json.dumps(asdict(home.options))
