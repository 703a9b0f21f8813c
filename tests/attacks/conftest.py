"""A customer at a command line that touches nothing but ``tmp_path``, and the ways by which a registry reaches him."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.cli.main import run
from bbj_desktop.core.settings import SETTINGS
from bbj_desktop.services.registry.bundle import BUNDLE_FILE, VOLUME_FILE, Bundle
from bbj_desktop.services.registry.layout import INITIAL_ROOT
from bbj_desktop.services.registry.root import identity_of
from tests.fakes.hub import Hub
from tests.fakes.release_server import ReleaseServer

Files = Mapping[str, bytes]
BLOBS = "blobs/"
NETWORKS = ("folder", "http", "hub", "served bundle")
STICKS = ("bundle", "volumes")
TRANSPORTS = (*NETWORKS, *STICKS)


@dataclass
class Transport:
    """A way to a registry.

    Attributes:
        address: As a customer writes it.
        serve: Replaces everything that is there.
        server: Where faults can be scripted; None for a folder.
        prefix: Of the paths on that server.
        reading: The command that reads what is there.
    """

    address: str
    serve: Callable[[Files], None]
    server: ReleaseServer | None = None
    prefix: str = ""
    reading: tuple[str, ...] = ("update", "--check")

    @property
    def is_mirror(self) -> bool:
        """Whether it is read where it is; a stick is imported."""
        return self.reading[0] != "bundle"


@contextmanager
def folder_transport(below: Path) -> Iterator[Transport]:
    folder = below / "Spiegel für alle"

    def serve(files: Files) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        write(folder, files)

    yield Transport(str(folder), serve)


def write(folder: Path, files: Files) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@contextmanager
def stick_transport(below: Path, *, volumes: int) -> Iterator[Transport]:
    """A bundle in one folder (``volumes`` is 0), or on so many volumes: the first has the models, all have the rest."""
    folder = below / "Stick für alle"

    def serve(files: Files) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        small = {path: content for path, content in files.items() if not path.startswith(BLOBS)}
        for volume in range(1, volumes + 1):
            own = files if volume == 1 else small
            write(folder / f"volume-{volume}", {**own, VOLUME_FILE: described(files, volume, volumes)})
        if not volumes:
            write(folder, {**files, BUNDLE_FILE: described(files, 0, 0)})

    first = folder / "volume-1" if volumes else folder
    yield Transport(str(first), serve, reading=("bundle", "import", str(folder)))


def described(files: Files, volume: int, volumes: int) -> bytes:
    """What an attacker says that a bundle is: nothing in it is signed."""
    registry = identity_of(files[INITIAL_ROOT])
    bundle = Bundle(
        registry=registry, channel="stable", created=datetime(2026, 3, 1, tzinfo=UTC), volume=volume, volumes=volumes
    )
    return bundle.model_dump_json().encode()


@contextmanager
def http_transport(*, bundle: bool = False) -> Iterator[Transport]:
    """A web server; with ``bundle`` the folder that it serves is one."""
    with ReleaseServer({}) as server:

        def serve(files: Files) -> None:
            server.files = {**files, BUNDLE_FILE: described(files, 0, 0)} if bundle else files

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
        "served bundle": http_transport(bundle=True),
        "bundle": stick_transport(tmp_path, volumes=0),
        "volumes": stick_transport(tmp_path, volumes=2),
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
        said: What it printed for people.
    """

    code: int
    document: dict[str, Any]
    said: str

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
        printed = capsys.readouterr()
        return Called(code, json.loads(printed.out), printed.err)

    return call
