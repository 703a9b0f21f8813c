"""A command line that touches nothing but ``tmp_path``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.cli.main import run
from bbj_desktop.core.settings import SETTINGS
from bbj_desktop.services.registry.root import identity_of
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication


@dataclass(frozen=True)
class Called:
    """How one call ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def result(self) -> dict[str, Any]:
        assert self.code in (0, 1, 20), self.out + self.err
        result: dict[str, Any] = self.document["result"]
        return result

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.document["error"]
        return error


Call = Callable[..., Called]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder that everything of the program goes into."""
    return tmp_path / "Daten für BBj"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path) -> None:
    """No variable of the developer's reaches the program, and none of its files leaves ``tmp_path``."""
    for setting in SETTINGS.values():
        for variable in setting.environment:
            monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home" / variable))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("BBJ_DESKTOP_DATA", str(data))
    # nothing goes on running
    monkeypatch.setenv("BBJ_DESKTOP_SHARED_ENGINE", "off")
    # nothing listens there
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Where this test's policy lies, if it writes one."""
    return tmp_path / "policy.toml"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], policy: Path) -> Call:
    """Runs the command line in this process."""

    def call(*arguments: str | Path) -> Called:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments], policy=policy)
        out, err = capsys.readouterr()
        return Called(code, out, err)

    return call


PROGRAM = (sys.executable, "-m", "bbj_desktop")
"""The command that starts the program in a process of its own."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """A registry with one release; made once, because encrypted keys take their time."""
    publication = Publication.create(tmp_path_factory.mktemp("makers"))
    publication.publish("2026.1", quantisations=("Q4_0", "Q8_0"), hidden=256)
    return publication


@pytest.fixture
def publication(made: Publication, tmp_path: Path) -> Publication:
    """A copy of it that the test may change."""
    below = tmp_path / "Hersteller für BBj"
    shutil.copytree(made.folder.parent, below)
    return Publication(*(below / path.name for path in (made.folder, made.keys, made.work)))


@pytest.fixture
def identity(publication: Publication) -> str:
    """The digest of the registry's first root."""
    return identity_of(publication.root)


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    """An Ollama that answers, and that the settings name."""
    with FakeOllama() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", "ollama")
        yield server


@pytest.fixture
def customer(call: Call, publication: Publication, identity: str, ollama: FakeOllama) -> Call:
    """A customer who trusts the registry and has an Ollama."""
    assert ollama.models == {}
    called = call("registry", "add", publication.folder, "--fingerprint", identity)
    assert called.code == 0, called.err
    return call


@pytest.fixture
def installed(customer: Call) -> Call:
    """A customer with the release installed."""
    called = customer("install", "7b-q4_0")
    assert called.code == 0, called.err
    return customer
