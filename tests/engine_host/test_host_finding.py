"""One host per user: how it is found, started, replaced and ended. No engine is needed for that."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.errors import Cancelled, EngineRefusedError, StoreAccessError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.settings import ResolvedSettings, Settings
from bbj_desktop.services.runtime.embedded_host import client, record
from bbj_desktop.services.runtime.embedded_host.channel import from_line, proof, proves, to_line
from bbj_desktop.services.runtime.embedded_host.client import find, find_or_start, stop
from bbj_desktop.services.runtime.embedded_host.host import MAX_CLIENTS, MAX_STRANGERS
from bbj_desktop.services.runtime.embedded_host.record import HostRecord, read_record, write_record
from tests.engine_host.conftest import Home, is_running, wait_until


def test_two_programs_that_start_at_once_share_one_host(home: Home) -> None:
    with ThreadPoolExecutor(4) as pool:
        leases = list(pool.map(lambda _: home.lease(), range(4)))
    pids = {lease.ask("status")["pid"] for lease in leases}
    for lease in leases:
        lease.close()
    assert pids == {home.record.pid}


def test_two_processes_that_start_at_once_share_one_host(home: Home) -> None:
    program = (
        "import json, sys\n"
        "from bbj_desktop.core.progress import Cancel\n"
        "from bbj_desktop.services.runtime.embedded_host.client import find_or_start\n"
        "from bbj_desktop.services.runtime.embedded_host.host import HostOptions\n"
        "from bbj_desktop.services.runtime.embedded_host.record import HostPlace\n"
        "from pathlib import Path\n"
        "options = HostOptions(**json.loads(sys.argv[1]))\n"
        "print(find_or_start(HostPlace(Path(options.folder)), options, Cancel()).ask('status')['pid'])\n"
    )
    command = [sys.executable, "-c", program, json.dumps(asdict(home.options))]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate(timeout=60)[0] for process in started}
    assert said == {f"{home.record.pid}\n"}


def test_only_its_owner_can_read_the_discovery_file(home: Home) -> None:
    home.lease().close()
    assert stat.S_IMODE(home.place.record.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.place.folder.stat().st_mode) == 0o700


def test_a_discovery_file_that_others_could_write_isnt_believed(home: Home) -> None:
    home.lease().close()
    home.place.record.chmod(0o644)
    assert read_record(home.place.record) is None
    home.place.record.chmod(0o600)  # so that the host is found at the end


def test_the_key_is_neither_on_a_command_line_nor_in_an_environment(home: Home) -> None:
    home.lease().close()
    key = home.record.key
    process = psutil.Process(home.record.pid)
    assert key not in " ".join(process.cmdline())
    assert key not in json.dumps(process.environ())
    listed = subprocess.run(["ps", "-ww", "-A", "-o", "args", "e"], capture_output=True, text=True, check=True).stdout
    assert key not in listed


def test_the_host_belongs_to_nobodys_terminal(home: Home) -> None:
    home.lease().close()
    pid = home.record.pid
    assert os.getsid(pid) != os.getsid(0)
    assert psutil.Process(pid).ppid() != os.getpid()


def test_a_host_that_was_killed_is_replaced_by_the_next_program(home: Home) -> None:
    home.lease().close()
    first = home.record
    os.kill(first.pid, signal.SIGKILL)
    assert wait_until(lambda: not first.alive)
    with home.lease() as lease:
        assert lease.ask("status")["pid"] != first.pid


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 99}', b"\xff\xfe", b'{"format": 1, "pid": "x"}'])
def test_a_broken_discovery_file_is_healed(home: Home, content: bytes) -> None:
    home.place.make()
    home.place.record.write_bytes(content)
    home.place.record.chmod(0o600)
    with home.lease() as lease:
        assert lease.ask("status")["pid"] == home.record.pid


def test_another_process_that_got_the_old_number_isnt_taken_for_the_host(home: Home) -> None:
    home.place.make()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    stale = HostRecord(os.getpid(), record.own_start() - 1000, f"127.0.0.1:{port}", "k" * 40, "1.0")
    write_record(home.place.record, stale)
    assert not stale.alive
    home.lease().close()
    assert home.record.pid != os.getpid()


def test_whoever_took_over_a_dead_hosts_port_learns_no_key(home: Home) -> None:
    home.place.make()
    with socket.create_server(("127.0.0.1", 0)) as thief:
        address = f"127.0.0.1:{thief.getsockname()[1]}"
        stale = HostRecord(2**22 - 1, 1.0, address, "the secret key of the dead host", "1.0")
        write_record(home.place.record, stale)
        with ThreadPoolExecutor(1) as pool:
            heard = pool.submit(_listen, thief)
            assert find(home.place) is None
            assert b"secret" not in heard.result(10)


def _listen(thief: socket.socket) -> bytes:
    connection, _ = thief.accept()
    with connection:
        connection.sendall(to_line({"nonce": "n"}))
        heard = connection.recv(4096)
        connection.sendall(to_line({"proof": "guess"}))
    return heard


def test_without_the_key_the_host_says_nothing(home: Home) -> None:
    home.lease().close()
    with socket.create_connection(("127.0.0.1", home.record.port)) as stranger, stranger.makefile("rb") as file:
        from_line(file.readline())
        stranger.sendall(to_line({"nonce": "x", "proof": "0" * 64, "hello": {}}) + to_line({"do": "status"}))
        assert file.read() == b""


def test_strangers_who_only_hold_a_connection_keep_no_program_out(home: Home) -> None:
    """Another user of this machine sees the port; a host that seemed full would be taken for a hung one and ended."""
    home.lease().close()
    pid = home.record.pid
    with contextlib.ExitStack() as held:
        for _ in range(MAX_STRANGERS * 2):
            held.enter_context(socket.create_connection(("127.0.0.1", home.record.port)))
        with home.lease() as lease:
            assert lease.ask("status")["pid"] == pid


def test_a_host_with_too_many_programs_says_so_and_isnt_ended(home: Home) -> None:
    with contextlib.ExitStack() as held:
        leases = [held.enter_context(home.lease()) for _ in range(MAX_CLIENTS)]
        with home.lease() as one_more, pytest.raises(EngineRefusedError, match="64 programs use the engine already"):
            one_more.ask("status")
        assert leases[0].ask("status")["pid"] == home.record.pid


def test_a_hung_host_is_ended_and_replaced(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "HANDSHAKE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(client, "_END_TIMEOUT_S", 0.3)
    home.lease().close()
    first = home.record
    os.kill(first.pid, signal.SIGSTOP)
    with home.lease() as lease:
        assert lease.ask("status")["pid"] != first.pid
    assert not is_running(first.pid)


def test_it_ends_when_nobody_needs_it(home: Home) -> None:
    lease = home.lease(exit_s=0.1)
    pid = home.record.pid
    assert is_running(pid)
    lease.close()
    assert wait_until(lambda: not is_running(pid))
    assert not home.place.record.exists()


def test_it_stays_while_a_program_is_there(home: Home) -> None:
    with home.lease(exit_s=0.05) as lease:
        for _ in range(20):
            assert lease.ask("status")["pid"] == home.record.pid


def test_a_killed_program_no_longer_keeps_it(home: Home) -> None:
    program = (
        "import json, sys, time\n"
        "from bbj_desktop.core.progress import Cancel\n"
        "from bbj_desktop.services.runtime.embedded_host.client import find_or_start\n"
        "from bbj_desktop.services.runtime.embedded_host.host import HostOptions\n"
        "from bbj_desktop.services.runtime.embedded_host.record import HostPlace\n"
        "from pathlib import Path\n"
        "options = HostOptions(**json.loads(sys.argv[1]))\n"
        "lease = find_or_start(HostPlace(Path(options.folder)), options, Cancel())\n"
        "print('there', flush=True)\n"
        "time.sleep(60)\n"
    )
    options = replace(home.options, exit_s=0.1)
    command = [sys.executable, "-c", program, json.dumps(asdict(options))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "there\n"
        pid = home.record.pid
        other.kill()
    assert wait_until(lambda: not is_running(pid))


def test_sigterm_ends_it_in_order(home: Home) -> None:
    home.lease().close()
    pid = home.record.pid
    os.kill(pid, signal.SIGTERM)
    assert wait_until(lambda: not is_running(pid))
    assert not home.place.record.exists()


def test_stop_ends_it_whoever_uses_it(home: Home) -> None:
    with home.lease():
        assert stop(home.place, Cancel()).pid is not None
        assert find(home.place) is None
    assert stop(home.place, Cancel()).pid is None


def test_a_host_of_another_version_is_replaced_when_nobody_uses_it(home: Home) -> None:
    home.lease(app_version="0.9").close()
    first = home.record.pid
    with home.lease() as lease:
        assert lease.app_version == "1.0"
    assert not is_running(first)


def test_a_host_of_another_version_that_is_in_use_is_shared(home: Home) -> None:
    with home.lease(app_version="0.9") as first, home.lease() as second:
        assert second.ask("status")["pid"] == first.ask("status")["pid"]


def test_a_host_that_speaks_otherwise_and_is_in_use_is_left_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with home.lease(app_version="0.9"):
        monkeypatch.setattr(client, "PROTOCOL", 99)
        with pytest.raises(EngineRefusedError, match=r"BBj Desktop 0\.9 is using the engine") as caught:
            home.lease()
    assert "engine stop" in caught.value.hint


def test_a_host_that_speaks_otherwise_is_replaced_when_nobody_uses_it_whatever_its_version(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.lease().close()
    first = home.record.pid
    monkeypatch.setattr(client, "PROTOCOL", 99)
    home.lease().close()
    assert not is_running(first)


def test_the_first_versions_greeting_is_understood(home: Home) -> None:
    """So that its ``engine stop`` ends a newer host, and the other way round."""
    home.lease().close()
    found = home.record
    with socket.create_connection(("127.0.0.1", found.port)) as old, old.makefile("rb") as file:
        nonce = from_line(file.readline())["nonce"]
        hello = {"pid": os.getpid(), "what": "", "anchor": [os.getppid(), 1.5]}
        said = {"nonce": "n", "proof": proof(found.key, "client", nonce, "n"), "hello": hello}
        old.sendall(to_line(said) + to_line({"do": "status"}))
        assert proves(from_line(file.readline())["proof"], found.key, "host", "n", nonce)
        assert from_line(file.readline())["ok"]["pid"] == found.pid


def test_waiting_for_another_programs_start_can_be_cancelled(home: Home) -> None:
    home.place.make()
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(Cancelled):
        find_or_start(home.place, home.options, cancel)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, which tells a process's start in ticks")
def test_a_clock_that_was_set_makes_no_host_look_dead_and_no_other_process_like_it(home: Home) -> None:
    home.lease().close()
    jumped = replace(home.record, created=home.record.created + 3600)
    assert jumped.alive
    assert not replace(jumped, mark=record.process_mark(os.getpid())).alive


def test_a_pipe_in_place_of_the_discovery_file_keeps_nobody_waiting(home: Home) -> None:
    home.place.make()
    os.mkfifo(home.place.record)
    home.lease().close()
    assert stat.S_ISREG(home.place.record.stat().st_mode)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a link away")
def test_a_folder_that_somebody_elses_link_leads_to_isnt_used(home: Home, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    home.place.folder.symlink_to(tmp_path / "mine")
    os.lchown(home.place.folder, 12345, 12345)
    with pytest.raises(StoreAccessError, match="belongs to user 12345"):
        home.lease()
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o755


def test_a_session_folder_that_isnt_ours_isnt_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``sudo`` and ``su`` may leave it."""
    foreign = tmp_path / "run-user"
    foreign.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(foreign))
    settings = ResolvedSettings(Settings(), {})
    assert paths_for(settings).runtime == foreign / "bbj-desktop"
    if os.getuid() == 0:
        os.chown(foreign, 12345, 12345)
    else:
        foreign.chmod(0o500)
    assert paths_for(settings).runtime.name == "run"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a folder away")
def test_a_folder_of_somebody_else_isnt_used(home: Home) -> None:
    home.place.folder.mkdir()
    os.chown(home.place.folder, 12345, 12345)
    with pytest.raises(StoreAccessError, match="belongs to user 12345"):
        home.lease()


def test_nonsense_from_a_client_ends_its_connection_and_nothing_else(home: Home) -> None:
    with home.lease() as good:
        with home.lease() as bad:
            bad._connection.sendall(b"\x00\xff not json\n")
            assert bad._file.read() == b""
        assert good.ask("status")["pid"] == home.record.pid


def test_the_oldest_discovery_file_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "engine-host.json"
    path.write_text(
        '{"pid": 7, "created": 1.5, "address": "127.0.0.1:4711", "key": "kkkk", "app_version": "0.1.0", '
        '"protocol": 1, "format": 1}'
    )
    path.chmod(0o600)
    assert read_record(path) == HostRecord(7, 1.5, "127.0.0.1:4711", "kkkk", "0.1.0", 1, mark="")
