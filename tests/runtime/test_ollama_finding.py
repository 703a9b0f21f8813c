"""Ollama as it is found, from recordings of raw inputs. Each recording names its source; those of Windows and macOS
were never run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bbj_desktop.services.probe.raw import RawInputs, dump_recording, load_recording
from bbj_desktop.services.runtime.ollama import models_folder
from bbj_desktop.services.runtime.ollama_finding import OllamaFinding, candidate_folders, interpret
from bbj_desktop.services.runtime.ollama_reading import find_ollama, read_ollama
from bbj_desktop.services.runtime.ollama_versions import version_notes
from tests.fakes.ollama import FakeOllama
from tests.fakes.permissions import closed

ADDRESS = "http://127.0.0.1:11434"
RECORDINGS = {
    path.stem: load_recording(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "ollama_recordings").glob("*.txt"))
}
SERVICE_FOLDER = "/usr/share/ollama/.ollama/models"


def found(name: str) -> OllamaFinding:
    return interpret(RECORDINGS[name], ADDRESS)


@pytest.mark.parametrize(
    ("name", "kind", "user", "mine"),
    [
        ("linux-service", "service", "ollama", False),
        ("linux-service-own-folder", "service", "ollama", False),
        ("linux-own-command", "command", "ada", True),
        ("linux-other-user", "command", "bob", False),
        ("linux-two-servers", "service", "ollama", False),
        ("linux-docker", "container", "root", False),
        ("macos-app", "app", "ada", True),
        ("windows-app", "app", "ada", True),
        ("windows-service", "service", "SYSTEM", False),
        ("wsl2-windows-host", "unseen", None, False),
    ],
)
def test_who_runs_the_server_and_how(name: str, kind: str, user: str | None, *, mine: bool) -> None:
    server = found(name).server
    assert server is not None
    assert (server.kind, server.user, server.mine) == (kind, user, mine)


@pytest.mark.parametrize(
    ("name", "path", "source"),
    [
        ("linux-service", SERVICE_FOLDER, "unit"),
        ("linux-service-own-folder", "/srv/große Modelle", "unit"),
        ("linux-service-environment-file", SERVICE_FOLDER, "guess"),
        ("linux-service-stopped", SERVICE_FOLDER, "unit"),
        ("linux-own-command", "/data/Modelle", "process"),
        ("linux-other-user", "/home/bob/.ollama/models", "guess"),
        ("linux-two-servers", SERVICE_FOLDER, "unit"),
        ("macos-app", "/Users/ada/.ollama/models", "process"),
        ("macos-app-closed-launchctl", "/Volumes/Modelle", "settings"),
        ("windows-app", "D:\\Große Modelle", "process"),
        ("windows-app-closed", "D:\\Große Modelle", "settings"),
        ("windows-service", "E:\\models", "settings"),
        ("linux-nothing", "/home/ada/.ollama/models", "guess"),
    ],
)
def test_where_its_models_lie_and_who_said_so(name: str, path: str, source: str) -> None:
    models = found(name).models
    assert models is not None
    assert (models.path, models.source) == (path, source)


def test_a_folder_inside_a_container_means_nothing_here() -> None:
    assert found("linux-docker").models is None


def test_a_guess_is_said_to_be_one() -> None:
    assert any("is a guess" in note for note in found("linux-other-user").notes)
    assert not any("is a guess" in note for note in found("linux-service").notes)


def test_whose_folder_it_is_and_what_that_forbids_is_said() -> None:
    models = found("linux-service").models
    assert models is not None
    assert (models.owner, models.readable, models.writable) == ("ollama", True, False)
    assert any("belongs to ollama" in note for note in found("linux-service").notes)


@pytest.mark.parametrize("name", ["linux-service-stopped", "macos-app-closed-launchctl", "windows-app-closed"])
def test_what_is_installed_and_not_running_can_be_started(name: str) -> None:
    assert found(name).startable


@pytest.mark.parametrize("name", ["linux-service", "linux-nothing", "wsl2-windows-host", "macos-app"])
def test_what_runs_or_is_not_there_can_not_be_started(name: str) -> None:
    assert not found(name).startable


def test_a_stopped_service_is_said() -> None:
    assert "Ollama's service is inactive." in found("linux-service-stopped").notes


def test_nothing_is_said_where_there_is_nothing() -> None:
    assert found("linux-nothing").notes == ()


def test_our_own_variable_counts_where_nothing_surer_is_known() -> None:
    raw = RECORDINGS["linux-other-user"]
    told = RawInputs(raw.platform, answers={**raw.answers, "environment": {"OLLAMA_MODELS": '"/mnt/Modelle"'}})
    models = interpret(told, ADDRESS).models
    assert models is not None
    assert (models.path, models.source) == ("/mnt/Modelle", "environment")


def test_of_another_machine_nothing_is_claimed() -> None:
    finding = interpret(RECORDINGS["linux-service"], "http://192.0.2.7:11434")
    assert (finding.local, finding.models, finding.server, finding.executable) == (False, None, None, None)
    assert "another machine" in finding.notes[0]


def test_the_folders_to_look_at_are_known_before_their_rights() -> None:
    assert candidate_folders(RECORDINGS["linux-service"], ADDRESS) == (SERVICE_FOLDER,)


def test_recordings_say_where_they_come_from() -> None:
    for path in (Path(__file__).parent / "ollama_recordings").glob("*.txt"):
        source = path.read_text(encoding="utf-8").partition("\n")[0]
        assert source.startswith("source: ")
        assert "never run" in source or path.stem in ("linux-own-command", "linux-nothing")


def test_this_machine_can_be_read_and_recorded() -> None:
    with FakeOllama() as server:
        raw = read_ollama(server.address)
        assert interpret(load_recording(dump_recording(raw, source="here")), server.address) == interpret(
            raw, server.address
        )
        server_found = find_ollama(server.address).server
        assert server_found is not None
        assert server_found.kind == "unseen"  # this test isn't called ollama


def test_an_installed_program_and_its_folder_are_found(tmp_path: Path) -> None:
    program = tmp_path / "Programme für alle" / "ollama"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    models = tmp_path / "Modelle"
    (models / "blobs").mkdir(parents=True)
    environment = {"PATH": str(program.parent), "OLLAMA_MODELS": str(models)}
    finding = find_ollama("http://127.0.0.1:9", environment=environment, root=tmp_path)
    assert finding.executable == str(program)
    assert finding.startable
    assert finding.models is not None
    assert (finding.models.path, finding.models.writable) == (str(models), True)


def test_a_folder_of_a_user_without_a_name_is_judged_by_its_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32" or os.getuid() != 0:
        pytest.skip("needs root: only root can give a folder away")
    (tmp_path / "blobs").mkdir()
    os.chown(tmp_path / "blobs", 61234, 61234)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    with FakeOllama() as fake:
        models = find_ollama(fake.address).models
    assert models is not None
    assert (models.owner, models.readable) == ("user 61234", True)


def test_a_folder_in_a_closed_home_is_there_and_can_not_be_read(tmp_path: Path) -> None:
    home = tmp_path / "ihr Ordner"
    models = home / ".ollama" / "models"
    (models / "blobs").mkdir(parents=True)
    with closed(home):
        place = find_ollama("http://127.0.0.1:9", environment={"OLLAMA_MODELS": str(models)}, root=tmp_path).models
    assert place is not None
    assert (place.exists, place.readable, place.writable) == (True, False, False)


def test_a_closed_home_of_the_service_keeps_nobody_from_asking_where_models_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "share"
    (home / "models").mkdir(parents=True)
    monkeypatch.setattr("bbj_desktop.services.runtime.ollama._SERVICE_MODELS", home / "models")
    with closed(home):
        assert models_folder({}) == Path.home() / ".ollama" / "models"


@pytest.mark.parametrize("address", ["tcp://localhost:11434", "tcp://localhost:99999"])
def test_of_an_address_that_is_none_nothing_is_claimed(address: str) -> None:
    assert find_ollama(address) == OllamaFinding(address=address, local=False)


def test_no_key_is_read_from_an_environment() -> None:
    secret = {"OLLAMA_API_KEY": "secret-key", "OLLAMA_HOST": "127.0.0.1:9", "AWS_SECRET": "x"}
    raw = read_ollama("http://127.0.0.1:9", environment={**os.environ, **secret})
    assert raw.answer("environment")["OLLAMA_HOST"] == "127.0.0.1:9"
    assert "secret-key" not in dump_recording(raw, source="here")


@pytest.mark.parametrize(
    ("version", "state", "word"),
    [
        ("0.5.4", "error", "uploaded file"),
        ("0.8.0", "error", "made for 0.9.0"),
        ("0.24.0", "note", "own engine"),
        ("0.34.1", "note", "adapter"),
        ("0.0.0", "warning", "without a version"),
        ("", "warning", "without a version"),
    ],
)
def test_what_a_version_can_not_do_is_said_with_the_reason(version: str, state: str, word: str) -> None:
    assert any(note.state == state and word in note.text for note in version_notes(version))


def test_a_version_as_measured_needs_no_words() -> None:
    assert version_notes("0.33.0-rc2") == ()
