"""A customer with an installed model, an Ollama on loopback and a registry on a server."""

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
from tests.fakes.published import Publication, customer, trust
from tests.fakes.release_server import ReleaseServer

CHAT = Wishes(roles=(Role.CHAT,))


@pytest.fixture(scope="session")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """Nobody here changes it."""
    made = Publication.create(tmp_path_factory.mktemp("Hersteller für BBj"))
    made.publish("2026.1")
    return made


@pytest.fixture
def registry(publication: Publication) -> Iterator[ReleaseServer]:
    with ReleaseServer(publication.folder) as served:
        yield served


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def context(tmp_path: Path, registry: ReleaseServer, ollama: FakeOllama, publication: Publication) -> Iterator[Context]:
    """Trusts the registry; its server has forgotten that it was asked."""
    made = customer(tmp_path / "Kunde Müller", ollama_host=ollama.address)
    trust(made, registry.address, publication)
    registry.requests.clear()
    yield made
    made.close()


@pytest.fixture
def installed(context: Context, registry: ReleaseServer) -> Context:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    plan = installing.plan_install(context, recommending.choose(recommended, CHAT), Cancel())
    installing.install(context, plan, silent, Cancel(), force=True)
    registry.requests.clear()
    return context
