"""A registry in a private repository of the hub, by the command line alone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.fakes.hub import Hub
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication
from tests.fakes.vault import vault

ADDRESS = "hf://basis/bbj-coder@v1"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def hub(publication: Publication, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(files_of(publication.folder), private=True, revisions=("v1",), large_bytes=100_000) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


@pytest.fixture
def logged_in(call: Call, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    with vault():
        monkeypatch.setattr("sys.stdin", io.StringIO(hub.token + "\n"))
        assert call("registry", "login", ADDRESS).code == 0
        yield call


def test_a_stranger_is_told_to_log_in(call: Call, hub: Hub, identity: str) -> None:
    called = call("registry", "add", ADDRESS, "--fingerprint", identity)
    assert called.code == 4
    assert f"no repository basis/bbj-coder at {hub.address}, or it is private" in called.err
    assert f"bbj-desktop registry login {ADDRESS}" in called.err


def test_after_login_it_is_a_registry_like_any_other(
    logged_in: Call, hub: Hub, identity: str, ollama: FakeOllama
) -> None:
    assert logged_in("registry", "add", ADDRESS, "--fingerprint", identity).code == 0
    assert logged_in("install", "7b-q8_0", "--force").code == 0
    assert "bbj-coder:2026.1-7b-q8_0" in ollama.models
    assert hub.network.requests
    assert not any("authorization" in request.headers for request in hub.network.requests)


def test_doctor_lists_hub_and_content_network(logged_in: Call, hub: Hub, identity: str) -> None:
    assert logged_in("registry", "add", ADDRESS, "--fingerprint", identity).code == 0
    findings = logged_in("doctor", "--json").result["findings"]
    (hosts,) = (each["text"] for each in findings if each["text"].startswith("Hosts to allow"))
    assert f"127.0.0.1:{hub.port}" in hosts
    assert f"127.0.0.1:{hub.network.port}" in hosts
