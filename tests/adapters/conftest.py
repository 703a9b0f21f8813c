"""Makers who publish adapters over one base, and a customer who trusts them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions.context import Context
from tests.fakes.adapter_makers import AdapterMakers
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import customer, trust
from tests.fakes.release_server import ReleaseServer


@pytest.fixture(scope="session")
def first_makers(tmp_path_factory: pytest.TempPathFactory) -> AdapterMakers:
    """An empty registry, made once: sealing and opening keys takes its time on purpose."""
    return AdapterMakers.create(tmp_path_factory.mktemp("adapters"))


@pytest.fixture
def makers(tmp_path: Path, first_makers: AdapterMakers) -> AdapterMakers:
    return AdapterMakers(first_makers.publication.copy(tmp_path / "Öffentliche Modelle"))


@pytest.fixture
def server(makers: AdapterMakers) -> Iterator[ReleaseServer]:
    """Serves 2026.1: an adapter over the base."""
    makers.publish(makers.draft("2026.1"))
    with ReleaseServer(makers.publication.folder) as served:
        yield served


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def context(tmp_path: Path, server: ReleaseServer, ollama: FakeOllama, makers: AdapterMakers) -> Iterator[Context]:
    made = customer(tmp_path / "Kunde Müller", ollama_host=ollama.address)
    trust(made, server.address, makers.publication)
    yield made
    made.close()
