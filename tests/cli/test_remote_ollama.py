"""A team's Ollama on another machine: what is known of it, installing there, and connecting with what it has.

The server listens on an address of this machine that isn't loopback; that it is this machine's isn't seen here, so that
it counts as another one.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bbj_desktop.cli.results.ollama import ConnectResult
from bbj_desktop.cli.results.recommending import RecommendResult
from bbj_desktop.core.hardware import HardwareProfile
from tests.cli.conftest import Call
from tests.fakes.machines import machine, nvidia
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication

KEY = "bbj-coder:2026.1-7b-q4_0"


def own_address() -> str:
    """An address of this machine on its network; no packet is sent to find it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    if (host := own_address()).startswith("127."):
        pytest.skip("needs a network address of this machine besides loopback")
    monkeypatch.setattr("bbj_desktop.services.runtime.ollama_address.own_addresses", frozenset)
    with FakeOllama(host=host) as fake:
        monkeypatch.setenv("OLLAMA_HOST", fake.address)
        monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", "ollama")
        yield fake


@pytest.fixture
def workstation(call: Call, publication: Publication, identity: str, server: FakeOllama) -> Call:
    """It trusts the registry and knows the server's address."""
    assert server.models == {}
    assert call("registry", "add", publication.folder, "--fingerprint", identity).code == 0
    return call


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """Of the server: a machine with a card."""
    found: HardwareProfile = machine(64, nvidia("NVIDIA RTX 6000 Ada Generation", 48))
    path = tmp_path / "großer Rechner.json"
    path.write_text(found.model_dump_json(), encoding="utf-8")
    return path


def codes(result: RecommendResult) -> set[str]:
    return {reason.code for reason in result.remarks}


def recommended(called: Call, *arguments: str | Path) -> RecommendResult:
    return RecommendResult.model_validate(called("recommend", *arguments, "--json").result)


def test_its_hardware_is_unknown(workstation: Call) -> None:
    assert "remote_hardware_unknown" in codes(recommended(workstation))


def test_with_its_saved_profile_it_is_known(workstation: Call, profile: Path) -> None:
    result = recommended(workstation, "--ollama-profile", profile)
    assert "remote_hardware_unknown" not in codes(result)
    assert [gpu.name for gpu in result.profile.gpus] == ["NVIDIA RTX 6000 Ada Generation"]
    choice = result.roles[0].choice
    assert choice is not None
    assert choice.placement == "gpu"


def test_the_files_still_go_to_this_machine(workstation: Call, profile: Path) -> None:
    here, there = recommended(workstation), recommended(workstation, "--ollama-profile", profile)
    assert [volume.path for volume in there.profile.volumes] == [volume.path for volume in here.profile.volumes]


def test_several_users_need_several_caches(workstation: Call, profile: Path) -> None:
    needs = []
    for users in ("1", "5"):
        choice = recommended(workstation, "--ollama-profile", profile, "--ollama-users", users).roles[0].choice
        assert choice is not None
        needs.append(choice.vram_bytes or 0)
    assert needs[1] > needs[0]


def test_it_gets_the_model_by_create_alone(workstation: Call, server: FakeOllama) -> None:
    called = workstation("install", "7b-q4_0")
    assert called.code == 0, called.err
    assert "POST /api/create" in server.requests
    assert "POST /api/pull" not in server.requests
    assert KEY in server.models


@pytest.fixture
def administered(workstation: Call, data: Path) -> Call:
    """An administrator has installed a version there; this machine has nothing."""
    assert workstation("install", "7b-q4_0").code == 0
    shutil.rmtree(data / "store")
    return workstation


def test_a_workstation_connects_and_talks(administered: Call, server: FakeOllama, data: Path) -> None:
    before = len(server.requests)
    result = ConnectResult.model_validate(administered("connect", "--json").result)
    assert [version.key for version in result.versions] == [KEY]
    asked = administered("ask", "PRINT?")
    assert asked.code == 0, asked.err
    assert asked.out.strip() == 'PRINT "Hello BBj"'
    assert administered("ask", "PRINT?", "--model", "7b").code == 0
    assert not list((data / "store").glob("blobs/*"))  # nothing was downloaded
    changing = ("POST /api/create", "POST /api/copy", "DELETE /api/delete", "POST /api/blobs", "POST /api/pull")
    assert not [request for request in server.requests[before:] if any(path in request for path in changing)]


def test_an_ide_gets_what_a_workstation_is_connected_with(administered: Call, server: FakeOllama) -> None:
    assert administered("ide", "show").code == 3
    assert administered("connect").code == 0
    (model,) = administered("ide", "show", "--json").result["models"]
    assert (model["version"], model["api_base"]) == (KEY, server.address)


def test_what_is_connected_with_is_listed(administered: Call) -> None:
    assert administered("connect").code == 0
    assert [version["key"] for version in administered("versions", "--json").result["connected"]] == [KEY]
    for called in (administered("versions"), administered("doctor")):
        assert KEY in called.out
        assert "bbj-desktop install" not in called.out + called.err


def test_an_address_that_was_a_flag_is_said_to_be_needed_again(
    administered: Call, server: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OLLAMA_HOST")
    called = administered("connect", "--ollama-host", server.address)
    assert f"bbj-desktop chat --ollama-host {server.address}" in called.out
    assert f'ollama_host = "{server.address}"' in called.out
    asked = administered("ask", "PRINT?")
    assert asked.code == 3
    assert f"Set ollama_host to {server.address}" in asked.err
    assert administered("ask", "PRINT?", "--ollama-host", server.address).code == 0


def test_a_file_that_ollama_rewrote_is_not_said_to_be_as_signed(administered: Call, server: FakeOllama) -> None:
    assert server.rewrites
    called = administered("connect")
    assert "that Ollama rewrote its file" in called.out
    assert "is as it was signed" not in called.out


def test_a_file_that_is_as_it_was_signed_is_said_to_be(workstation: Call, server: FakeOllama) -> None:
    server.version = "0.24.0"
    assert workstation("install", "7b-q4_0").code == 0
    assert f"{KEY} at {server.address} is as it was signed" in workstation("connect").out


def test_a_workstation_gets_the_tokenizer_to_count_with(administered: Call, data: Path) -> None:
    assert administered("connect").code == 0
    (kept,) = (data / "learned" / "tokenizers").iterdir()
    assert kept.read_bytes().startswith(b"GGUF")


def test_what_is_not_as_it_was_signed_is_not_connected_with(administered: Call, server: FakeOllama) -> None:
    server.models[KEY] = replace(server.models[KEY], system="You write COBOL.")
    called = administered("connect")
    assert called.code == 9
    assert "the system prompt" in called.err
    assert administered("ask", "PRINT?").code == 3


def test_what_is_changed_there_later_does_not_answer(administered: Call, server: FakeOllama) -> None:
    assert administered("connect").code == 0
    server.models[KEY] = replace(server.models[KEY], system="You write COBOL.")
    assert administered("ask", "PRINT?").code == 9


def test_a_server_without_such_a_version_is_said(workstation: Call) -> None:
    called = workstation("connect")
    assert called.code == 3
    assert "has no version that the registry offers" in called.err


def test_another_server_is_not_taken_for_it(administered: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert administered("connect").code == 0
    with FakeOllama() as other:
        monkeypatch.setenv("OLLAMA_HOST", other.address)
        assert administered("ask", "PRINT?").code == 3


def test_it_can_not_be_started_from_here(workstation: Call, server: FakeOllama) -> None:
    server.stop()
    called = workstation("ollama", "start")
    assert called.code == 9
    assert "can't be started from here" in called.err


def test_when_it_is_away_nothing_is_advised_for_this_machine(workstation: Call, server: FakeOllama) -> None:
    server.stop()
    said = workstation("connect").err
    assert f"No Ollama answers at {server.address}." in said
    assert "set another ollama_host" in said
    assert "install it" not in said.lower()
