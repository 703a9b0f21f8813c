"""Starting and ending an Ollama of our own, with a stand-in program that is a real process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from bbj_desktop.core.errors import Cancelled, EngineCrashedError, EngineMissingError, EngineRefusedError
from bbj_desktop.core.progress import Cancel, Event, silent
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_starting import (
    MARK,
    OllamaStarter,
    StartedOllama,
    server_environment,
)
from tests.fakes.ollama import FakeOllama
from tests.fakes.ollama_program import ROOT, write_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX scripts and signals")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Place:
    """A machine with Ollama installed."""

    program: Path
    address: str
    starter: OllamaStarter
    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / "state" / "ollama-started.json"

    def start(self, **environment: str) -> StartedOllama:
        return self.starter.start(
            self.program, self.address, silent, Cancel(), environment={**os.environ, **environment}
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "Daten für BBj"
    starter = OllamaStarter(folder / "state", folder / "logs")
    yield Place(write_program(tmp_path / "Programme"), f"http://127.0.0.1:{free_port()}", starter, folder)
    starter.stop()


def lives(pid: int | None) -> bool:
    return pid is not None and psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_started_server_answers(place: Place) -> None:
    place.start()
    runtime = OllamaRuntime(place.address)
    assert runtime.status().available
    runtime.close()


def test_it_says_that_it_starts(place: Place) -> None:
    events: list[Event] = []
    place.starter.start(place.program, place.address, events.append, Cancel())
    assert "Starting Ollama" in str(events)


def test_it_is_told_to_stay_off_the_network(place: Place, tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    place.start(STAND_IN_NOTES=str(notes))
    environment = json.loads(notes.read_text(encoding="utf-8"))
    assert environment["OLLAMA_NO_CLOUD"] == "1"
    assert environment["OLLAMA_HOST"] == place.address.removeprefix("http://")


def test_what_the_user_set_for_it_stays(place: Place) -> None:
    record = StartedOllama(
        mark="m", executable=place.program, address="http://[::1]:11434", log=Path("x"), started_at=datetime.now(UTC)
    )
    environment = server_environment(record, {"OLLAMA_MODELS": "/data/Modelle", "OLLAMA_HOST": "0.0.0.0"})  # noqa: S104 - a value to be replaced
    assert environment["OLLAMA_MODELS"] == "/data/Modelle"
    assert environment["OLLAMA_HOST"] == "[::1]:11434"


def test_its_log_is_kept_and_the_one_before_too(place: Place) -> None:
    first = place.start()
    place.starter.stop()
    place.start()
    assert "Listening" in first.log.read_text(encoding="utf-8")
    assert "Listening" in first.log.with_name("ollama.log.1").read_text(encoding="utf-8")


def test_it_is_ended_with_all_that_it_started(place: Place) -> None:
    record = place.start(STAND_IN_RUNNER="1")
    assert record.pid is not None
    children = psutil.Process(record.pid).children(recursive=True)
    assert children
    stopped = place.starter.stop()
    assert stopped is not None
    assert stopped.pid == record.pid
    assert not lives(record.pid)
    assert not any(lives(child.pid) for child in children)


def test_starting_twice_gives_the_same_server(place: Place) -> None:
    assert place.start().pid == place.start().pid


def test_while_one_runs_none_is_started_elsewhere(place: Place) -> None:
    first = place.start()
    with pytest.raises(EngineRefusedError, match=r"runs at http://127\.0\.0\.1:\d+.*ollama stop"):
        place.starter.start(place.program, f"http://127.0.0.1:{free_port()}", silent, Cancel())
    stopped = place.starter.stop()
    assert stopped is not None
    assert stopped.pid == first.pid


def test_one_of_ours_that_fell_silent_is_not_started_twice(place: Place) -> None:
    record = place.start()
    assert record.pid is not None
    os.kill(record.pid, signal.SIGSTOP)
    with pytest.raises(EngineRefusedError, match=r"doesn't answer.*ollama stop"):
        place.start()
    os.kill(record.pid, signal.SIGCONT)


def test_what_takes_the_address_meanwhile_is_not_taken_for_ours(place: Place) -> None:
    """Another Ollama begins to listen there while ours doesn't yet."""
    with ExitStack() as others:

        def take(event: Event) -> None:
            del event
            others.enter_context(FakeOllama(port=urlsplit(place.address).port or 0))

        environment = {**os.environ, "STAND_IN_FAULT": "mute"}
        with pytest.raises(EngineCrashedError, match="didn't answer within"):
            place.starter.start(place.program, place.address, take, Cancel(), environment=environment, timeout_s=0.5)
    assert not _marked()


def test_one_that_listens_and_says_nothing_is_not_ready(place: Place) -> None:
    environment = {**os.environ, "STAND_IN_FAULT": "dumb"}
    with pytest.raises(EngineCrashedError, match="didn't answer within"):
        place.starter.start(place.program, place.address, silent, Cancel(), environment=environment, timeout_s=0.3)
    assert not _marked()


def test_it_gets_nothing_that_is_meant_for_this_program(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    record = StartedOllama(
        mark="m", executable=place.program, address=place.address, log=Path("x"), started_at=datetime.now(UTC)
    )
    ours = {
        "BBJ_DESKTOP_TOKEN": "secret",
        "LD_LIBRARY_PATH": "/opt/bbj-desktop",
        "LD_LIBRARY_PATH_ORIG": "/usr/lib/cuda",
    }
    environment = server_environment(record, {**ours, "HOME": "/home/ada"})
    assert set(environment) == {"HOME", "LD_LIBRARY_PATH", "OLLAMA_HOST", "OLLAMA_NO_CLOUD", MARK}
    assert environment["LD_LIBRARY_PATH"] == "/usr/lib/cuda"


def test_a_server_of_somebody_else_is_neither_replaced_nor_ended(place: Place) -> None:
    with FakeOllama() as other:
        with pytest.raises(EngineRefusedError, match=r"answers at .* already"):
            place.starter.start(place.program, other.address, silent, Cancel())
        assert place.starter.stop() is None
        assert OllamaRuntime(other.address).status().available


def test_a_server_that_was_started_by_hand_is_not_ended(place: Place) -> None:
    host = place.address.removeprefix("http://")
    with subprocess.Popen([place.program, "serve"], env={**os.environ, "OLLAMA_HOST": host}) as process:
        stopped = place.starter.stop()
        survives = process.poll() is None
        process.kill()
    assert stopped is None
    assert survives


def test_after_our_crash_the_server_is_known_as_ours(place: Place) -> None:
    """The program that started it is killed right after."""
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from bbj_desktop.core.progress import Cancel, silent\n"
        "from bbj_desktop.services.runtime.ollama_starting import OllamaStarter\n"
        "folder = Path(sys.argv[1])\n"
        "OllamaStarter(folder / 'state', folder / 'logs').start(Path(sys.argv[2]), sys.argv[3], silent, Cancel())\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", code, str(place.folder), str(place.program), place.address]
    killed = subprocess.run(command, cwd=ROOT, check=False)
    assert killed.returncode < 0
    running = place.starter.running()
    assert running is not None
    assert place.starter.stop() is not None
    assert not lives(running.pid)


def test_killed_between_record_and_number_it_is_found_by_its_mark(place: Place) -> None:
    record = place.start(STAND_IN_RUNNER="1")
    early = record.model_copy(update={"pid": None, "created": None})
    place.record.write_text(early.model_dump_json(), encoding="utf-8")
    assert place.starter.stop() is not None
    assert not lives(record.pid)


def test_another_process_with_the_same_number_is_not_ended(place: Place) -> None:
    record = place.start()
    place.starter.stop()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as innocent:
        again = record.model_copy(update={"pid": innocent.pid, "created": psutil.Process(innocent.pid).create_time()})
        place.record.write_text(again.model_dump_json(), encoding="utf-8")
        stopped = place.starter.stop()
        survives = innocent.poll() is None
        innocent.kill()
    assert stopped is None
    assert survives


def test_one_that_ends_at_once_says_why(place: Place) -> None:
    with pytest.raises(EngineCrashedError, match="address already in use"):
        place.start(STAND_IN_FAULT="exit")
    assert place.starter.running() is None


def test_one_that_never_answers_is_ended(place: Place) -> None:
    environment = {**os.environ, "STAND_IN_FAULT": "mute"}
    with pytest.raises(EngineCrashedError, match="didn't answer within"):
        place.starter.start(place.program, place.address, silent, Cancel(), environment=environment, timeout_s=0.3)
    assert not _marked()


def test_cancelled_while_it_starts_nothing_is_left(place: Place) -> None:
    cancel = Cancel()

    def stop(event: Event) -> None:
        del event
        cancel.cancel()

    with pytest.raises(Cancelled):
        place.starter.start(place.program, place.address, stop, cancel)
    assert not _marked()
    assert not place.record.exists()


def test_a_program_that_can_not_be_started_is_an_error(place: Place) -> None:
    with pytest.raises(EngineMissingError, match="can't be started"):
        place.starter.start(place.folder / "no ollama", place.address, silent, Cancel())


def test_another_machine_can_not_be_started_from_here(place: Place) -> None:
    with pytest.raises(EngineRefusedError, match=r"192\.0\.2\.7"):
        place.starter.start(place.program, "http://192.0.2.7:11434", silent, Cancel())


def test_the_record_is_readable_by_its_owner_only(place: Place) -> None:
    place.start()
    assert place.record.stat().st_mode & 0o077 == 0


def test_the_oldest_record_is_read(place: Place) -> None:
    record = {"format": 1, "mark": "abc", "executable": "/usr/bin/ollama", "address": "http://127.0.0.1:11434"}
    record |= {"log": "/var/log/ollama.log", "started_at": "2026-01-01T00:00:00Z", "pid": 2**22 + 1, "created": 1.0}
    place.record.parent.mkdir(parents=True)
    place.record.write_text(json.dumps(record), encoding="utf-8")
    assert place.starter.running() is None  # no such process


def _marked() -> list[int]:
    """Living processes of this test run's user that carry any mark of ours."""
    found = []
    for process in psutil.process_iter():
        try:
            if MARK in process.environ() and process.ppid() == os.getpid():
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
