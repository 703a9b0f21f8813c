"""``engine`` and ``gateway`` as they are typed. No model is needed: the host starts without one."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.configuration import load_settings
from bbj_desktop.services.runtime.embedded_host.client import find_or_start, stop
from bbj_desktop.services.runtime.embedded_host.record import HostPlace
from tests.cli.conftest import Call
from tests.engine_host.conftest import is_running, wait_until


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch, data: Path, port: int) -> Iterator[None]:
    """A host that several calls share, ended with the test."""
    monkeypatch.setenv("BBJ_DESKTOP_SHARED_ENGINE", "on")
    monkeypatch.setenv("BBJ_DESKTOP_GATEWAY_PORT", str(port))
    yield
    stop(HostPlace(data / "run"), Cancel())


def test_without_a_host_it_says_so_and_starts_none(call: Call, data: Path) -> None:
    called = call("engine", "status")
    assert called.out.startswith("No engine runs.")
    assert call("engine", "stop").out == "No engine runs.\n"
    assert not (data / "run").exists()


def test_the_gateway_opens_answers_and_closes(call: Call, port: int) -> None:
    opened = call("gateway", "start", "--show-key", "--json").result
    assert opened["gateway"]["open"]
    assert opened["gateway"]["address"] == f"http://127.0.0.1:{port}/v1"
    headers = {"Authorization": f"Bearer {opened['key']}"}
    listed = httpx.get(f"{opened['gateway']['address']}/models", headers=headers, trust_env=False)
    assert listed.json() == {"object": "list", "data": []}
    assert f"Open for IDEs: http://127.0.0.1:{port}/v1" in call("engine", "status").out
    assert call("gateway", "stop", "--json").result == {"closed": True}
    assert call("gateway", "status", "--json").result["gateway"]["open"] is False


def test_the_key_is_printed_only_when_asked_for(call: Call) -> None:
    key = call("gateway", "start", "--show-key", "--json").result["key"]
    for called in (call("gateway", "status"), call("gateway", "status", "--json"), call("engine", "status", "--json")):
        assert key not in called.out + called.err
    assert key in call("gateway", "status", "--show-key").out


def test_the_key_stays_until_a_new_one_is_wanted(call: Call) -> None:
    first, again, renewed = (
        call("gateway", "start", "--show-key", "--json", *more).result["key"] for more in ((), (), ("--renew-key",))
    )
    assert first == again
    assert renewed != first


def test_the_gateways_key_is_on_no_command_line_and_in_no_log(call: Call, data: Path) -> None:
    key = call("gateway", "start", "--show-key", "--json").result["key"]
    host = psutil.Process(call("engine", "status", "--json").result["engine"]["pid"])
    assert key not in " ".join(host.cmdline())
    logs = [path.read_text(encoding="utf-8") for path in data.rglob("*.log*")]
    assert logs
    assert not any(key in text for text in logs)


def test_a_port_that_is_taken_is_said_with_what_to_do(call: Call, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        called = call("gateway", "start")
    assert called.code == 2
    assert f"Port {port} is taken by another program" in called.err
    assert "--gateway-port" in called.err


def test_with_the_setting_it_opens_whenever_a_host_starts(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call("gateway", "status", "--show-key")
    monkeypatch.setenv("BBJ_DESKTOP_GATEWAY", "on")
    settings = load_settings({})
    shared = Context(settings, paths_for(settings)).shared_engine()
    with find_or_start(shared.place, shared.options, Cancel()):
        assert call("gateway", "status", "--json").result["gateway"]["open"]


def test_a_gateway_that_couldnt_open_is_told_where_one_looks(
    call: Call, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_GATEWAY", "on")
    settings = load_settings({})
    shared = Context(settings, paths_for(settings)).shared_engine()
    with socket.create_server(("127.0.0.1", port)), find_or_start(shared.place, shared.options, Cancel()):
        assert f"Not open for IDEs: Port {port} is taken" in call("engine", "status").out
        told = call("engine", "status", "--json").result["engine"]
    assert (told["gateway"], told["unload_s"], told["memory_bytes"]) == ("", 300.0, None)


def test_a_host_that_was_killed_isnt_shown_as_running(call: Call) -> None:
    call("gateway", "start")
    pid = call("engine", "status", "--json").result["engine"]["pid"]
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_running(pid))
    assert call("engine", "status", "--json").result["engine"]["running"] is False
    assert call("gateway", "status", "--json").result["gateway"]["open"] is False


def test_the_logs_can_be_read(call: Call) -> None:
    assert call("engine", "logs").out == "There is no log yet.\n"
    call("gateway", "start")
    logs = call("engine", "logs", "--json").result["logs"]
    assert any("gateway open on port" in line for log in logs for line in log["lines"])


def test_purge_ends_the_host_and_leaves_nothing(call: Call, data: Path) -> None:
    call("gateway", "start")
    pid = call("engine", "status", "--json").result["engine"]["pid"]
    assert call("purge", "--yes").code == 0
    assert not is_running(pid)
    assert not data.exists()
