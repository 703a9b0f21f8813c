"""``ollama status``, ``start``, ``stop``, and the offer to start it, with a stand-in program that is a real process."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions.ollama import OllamaState, gpu_use, is_cloud, ollama_findings
from bbj_desktop.cli.results.ollama import OllamaStartResult, OllamaStatusResult, OllamaStopResult
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.services.runtime.base import RunningModel
from bbj_desktop.services.runtime.ollama_finding import OllamaFinding
from tests.cli.conftest import Call
from tests.fakes.machines import machine, nvidia
from tests.fakes.ollama import FakeOllama, Model
from tests.fakes.ollama_program import write_program
from tests.fakes.published import Publication

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX scripts and signals")


@pytest.fixture
def program(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Ollama is installed and doesn't run."""
    path = write_program(tmp_path / "Programme")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{probe.getsockname()[1]}")
    monkeypatch.setenv("PATH", str(path.parent), prepend=":")
    yield path
    call("ollama", "stop")


@posix
def test_it_is_started_seen_and_ended(call: Call, program: Path) -> None:
    started = OllamaStartResult.model_validate(call("ollama", "start", "--json").result).started
    assert started.executable == program
    state = OllamaStatusResult.model_validate(call("ollama", "status", "--json").result)
    assert state.status.available
    assert state.started == started
    assert state.finding.server is not None
    assert OllamaStopResult.model_validate(call("ollama", "stop", "--json").result).stopped == started
    assert not OllamaStatusResult.model_validate(call("ollama", "status", "--json").result).status.available


@posix
def test_status_and_doctor_say_that_it_could_be_started(call: Call, program: Path) -> None:
    for command in ("status", "doctor"):
        out = call("ollama", command).out if command == "status" else call(command).out
        assert "doesn't run" in " ".join(out.split())
        assert "bbj-desktop ollama start" in " ".join(out.split())
    assert program.exists()


@posix
@pytest.mark.usefixtures("program")
def test_without_a_person_to_ask_it_is_not_started(call: Call) -> None:
    called = call("ask", "PRINT?", "--runtime", "ollama")
    assert called.code != 0
    assert call("ollama", "stop").out.startswith("No Ollama runs")


@posix
@pytest.mark.usefixtures("program")
def test_install_starts_it_when_told_to(call: Call, publication: Publication, identity: str) -> None:
    assert call("registry", "add", publication.folder, "--fingerprint", identity).code == 0
    called = call("install", "7b-q4_0", "--runtime", "ollama", "--start-ollama", "yes")
    assert called.code == 0, called.err
    assert "Starting Ollama" in called.err
    assert call("ask", "PRINT?", "--runtime", "ollama").code == 0  # it goes on


@posix
@pytest.mark.usefixtures("program")
def test_yes_answers_that_question_too(call: Call) -> None:
    called = call("ask", "PRINT?", "--runtime", "ollama", "--yes")
    assert called.code == 3  # no model is installed
    assert "has ended" in call("ollama", "stop").out


@posix
@pytest.mark.usefixtures("program")
def test_a_person_at_the_terminal_is_asked(
    call: Call, publication: Publication, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(_session: object, prompt: str) -> str:
        asked.append(prompt)
        return "n"

    monkeypatch.setattr("bbj_desktop.cli.session.Session.interactive", True)
    monkeypatch.setattr("bbj_desktop.cli.session.Session.ask", answer)
    assert call("registry", "add", publication.folder, "--fingerprint", identity).code == 0
    assert call("install", "7b-q4_0", "--runtime", "ollama").code != 0
    assert "Start it? [Y/n]" in asked[0]


def test_a_stopped_service_is_said_with_what_its_administrator_types() -> None:
    address = "http://127.0.0.1:11434"
    seen = OllamaState(
        status=RuntimeStatus(name="ollama", available=False, address=address),
        finding=OllamaFinding(address=address, local=True, executable="/usr/bin/ollama", service="inactive"),
    )
    (finding,) = ollama_findings(seen, machine(16))
    assert "bbj-desktop ollama start" in finding.hint
    assert "sudo systemctl start ollama" in finding.hint


def test_one_of_somebody_else_is_not_ended(call: Call, ollama: FakeOllama) -> None:
    assert call("ollama", "stop").out == "No Ollama runs that this program started; others aren't ended.\n"
    assert call("ollama", "status", "--json").result["status"]["available"]
    assert ollama.problems == []


def test_starting_where_one_answers_is_refused(call: Call, ollama: FakeOllama) -> None:
    called = call("ollama", "start")
    assert called.code == 9
    assert f"Something answers at {ollama.address} already." in called.err


@pytest.mark.parametrize("text", ["a:b:c", "http://[x", "tcp://gpu.example.com"])
def test_an_address_that_is_none_is_said_and_everything_else_works(
    call: Call, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", text)
    started = call("ollama", "start")
    assert started.code == 2
    assert "Write it like http://127.0.0.1:11434" in started.err
    assert text in call("doctor").out


def test_of_what_may_not_be_ollama_nothing_is_claimed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{other.getsockname()[1]}")
        finding = call("ollama", "status", "--json").result["finding"]
    assert (finding["models"], finding["notes"]) == (None, [])


def test_without_ollama_start_says_where_to_get_it(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    called = call("ollama", "start")
    assert called.code == 9
    assert "ollama.com" in called.err


def test_an_old_version_is_shown_with_what_it_lacks(call: Call, ollama: FakeOllama) -> None:
    ollama.version = "0.24.0"
    assert "older than 0.30.0" in " ".join(call("ollama", "status").out.split())


def test_models_of_the_cloud_are_recognised(call: Call, ollama: FakeOllama) -> None:
    ollama.models["gpt-oss:120b-cloud"] = Model(blob="", template="", system="", parameters={}, licences=())
    assert call("ollama", "status", "--json").result["cloud_models"] == ["gpt-oss:120b-cloud"]
    assert is_cloud("glm-4.6:cloud")
    assert not is_cloud("cloud-model:7b")


@pytest.mark.parametrize(("vram", "use"), [(None, "unknown"), (0, "none"), (500, "part"), (1000, "all"), (1200, "all")])
def test_how_much_of_a_model_lies_in_graphics_memory(vram: int | None, use: str) -> None:
    assert gpu_use(RunningModel(name="x", size_bytes=1000, vram_bytes=vram)) == use


@pytest.mark.parametrize(
    ("vram", "state", "words"),
    [(0, "warning", "doesn't use"), (2**30, "warning", "only 1 GB"), (4 * 2**30, "ok", "in graphics memory")],
)
def test_a_gpu_that_ollama_does_not_see_is_a_warning(vram: int, state: str, words: str) -> None:
    address = "http://127.0.0.1:11434"
    seen = OllamaState(
        status=RuntimeStatus(name="ollama", available=True, address=address),
        finding=OllamaFinding(address=address, local=True),
        running=(RunningModel(name="bbj-coder:7b", size_bytes=4 * 2**30, vram_bytes=vram),),
    )
    profile: HardwareProfile = machine(32, nvidia())
    (finding,) = ollama_findings(seen, profile)
    assert (finding.state, words in finding.text) == (state, True), finding.text
