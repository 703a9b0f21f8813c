"""One published registry, one fake Ollama and one customer for each test of the actions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions import installing, recommending
from bbj_desktop.actions.context import Context
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import Role
from tests.fakes.ollama import FakeOllama
from tests.fakes.permissions import give_away
from tests.fakes.published import Publication, customer, trust
from tests.fakes.release_server import ReleaseServer

CHAT = Wishes(roles=(Role.CHAT,))


@pytest.fixture(scope="session")
def first_publication(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """Made once: sealing and opening keys takes its time on purpose."""
    made = Publication.create(tmp_path_factory.mktemp("published"))
    made.publish("2026.1")
    return made


@pytest.fixture
def publication(tmp_path: Path, first_publication: Publication) -> Publication:
    return first_publication.copy(tmp_path / "hersteller mit Umlaut ü")


@pytest.fixture
def server(publication: Publication) -> Iterator[ReleaseServer]:
    with ReleaseServer(publication.folder) as served:
        yield served


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def context(tmp_path: Path, server: ReleaseServer, ollama: FakeOllama, publication: Publication) -> Iterator[Context]:
    made = customer(tmp_path / "Kunde Müller", ollama_host=ollama.address)
    trust(made, server.address, publication)
    yield made
    made.close()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of another user's, in which Ollama keeps its models."""
    folder = tmp_path / "Modelle des Dienstes ü"
    folder.mkdir()
    monkeypatch.setenv("OLLAMA_MODELS", str(folder))
    return give_away(folder)


@pytest.fixture
def service(models: Path) -> Iterator[FakeOllama]:
    """Another user's Ollama; a module whose customers are to use it gives it the name ``ollama``."""
    with FakeOllama(folder=models, service_user=True, part_bytes=50_000) as fake:
        yield fake


def install(context: Context, wishes: Wishes = CHAT) -> installing.Installed:
    """What a customer does: recommend, choose, plan, install."""
    recommended = recommending.recommend(context, wishes, silent, Cancel())
    candidate = recommending.choose(recommended, wishes)
    plan = installing.plan_install(context, candidate, Cancel())
    return installing.install(context, plan, silent, Cancel(), force=True)
