"""A customer at a command line that touches nothing but ``tmp_path``, and the ways by which a registry reaches him."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.cli.main import run
from bbj_desktop.core.settings import SETTINGS
from tests.fakes.hub import Hub
from tests.fakes.release_server import ReleaseServer

Files = Mapping[str, bytes]
TRANSPORTS = ("folder", "http", "hub")


@dataclass
class Transport:
    """A way to a registry.

    Attributes:
        address: As a customer writes it.
        serve: Replaces everything that is there.
        server: Where faults can be scripted; None for a folder.
        prefix: Of the paths on that server.
    """

    address: str
    serve: Callable[[Files], None]
    server: ReleaseServer | None = None
    prefix: str = ""


@contextmanager
def folder_transport(below: Path) -> Iterator[Transport]:
    folder = below / "Spiegel für alle"

    def serve(files: Files) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)

    yield Transport(str(folder), serve)


@contextmanager
def http_transport() -> Iterator[Transport]:
    with ReleaseServer({}) as server:

        def serve(files: Files) -> None:
            server.files = files

        yield Transport(server.address, serve, server)


@contextmanager
def hub_transport(monkeypatch: pytest.MonkeyPatch) -> Iterator[Transport]:
    with Hub({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield Transport("hf://basis/bbj-coder", hub.replace, hub, f"{hub.repository}/resolve/main/")


@pytest.fixture
def transport(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transport]:
    """The one that the test's parameter names."""
    ways: dict[str, AbstractContextManager[Transport]] = {
        "folder": folder_transport(tmp_path),
        "http": http_transport(),
        "hub": hub_transport(monkeypatch),
    }
    with ways[request.param] as made:
        yield made


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that everything of the program goes into; no variable of the developer's reaches it."""
    for setting in SETTINGS.values():
        for variable in setting.environment:
            monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home" / variable))
    folder = tmp_path / "Kunde Müller"
    monkeypatch.setenv("BBJ_DESKTOP_DATA", str(folder))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")  # nothing listens there
    return folder


@dataclass(frozen=True)
class Called:
    """How one call ended.

    Attributes:
        document: What it printed with ``--json``.
    """

    code: int
    document: dict[str, Any]

    @property
    def error(self) -> str:
        """The error's code; empty when it went well."""
        return str((self.document.get("error") or {}).get("code", ""))


Call = Callable[..., Called]


@pytest.fixture
def call(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Runs the command line in this process, with ``--json``."""
    assert not data.exists()

    def call(*arguments: str | Path) -> Called:
        capsys.readouterr()
        code = run([*map(str, arguments), "--json"], policy=tmp_path / "policy.toml")
        return Called(code, json.loads(capsys.readouterr().out))

    return call
