"""A customer's registry client on a simulated registry, and makers with a real one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.publish import create_registry
from tests.fakes.makers import PASSPHRASE, Makers
from tests.fakes.people import People
from tests.fakes.published import Publication
from tests.fakes.registry import Open, RegistrySimulator


@pytest.fixture
def simulator() -> RegistrySimulator:
    return RegistrySimulator()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "Überwachte Wurzeln" / "state"


@pytest.fixture
def open_registry(simulator: RegistrySimulator, state: Path) -> Open:
    """Opens the client anew, as each start of the program does; its clock is the makers'."""

    def open_it() -> Registry:
        return Registry.open(simulator, state, initial_root=simulator.initial_root, now=lambda: simulator.now)

    return open_it


@pytest.fixture(scope="session")
def published_twice(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """A registry with 2026.1 in stable and 2026.2 in beta, made once."""
    publication = Publication.create(tmp_path_factory.mktemp("published"))
    publication.publish("2026.1", channel="stable")
    publication.publish("2026.2", channel="beta", seed=7)
    return publication


@pytest.fixture
def people(tmp_path: Path, published_twice: Publication) -> People:
    """Anna, Björn and Çelik hold the first, second and third key of each role that people sign."""
    publication = published_twice.copy(tmp_path / "Ämter")
    people = People(publication, tmp_path / "Leute hier")
    for number, person in enumerate(("Anna", "Björn", "Çelik"), start=1):
        people.of(person).mkdir(parents=True)
        for role in ("root", "targets", "stable"):
            key = publication.keys / f"{role}-{number}.key"
            if key.exists():
                key.rename(people.of(person) / key.name)
    publication.keys.rename(people.online)
    return people


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new registry with its keys, made once: stretching a passphrase takes its time."""
    place = tmp_path_factory.mktemp("fresh")
    makers = Makers(place)
    create_registry(makers.folder, makers.keys, PASSPHRASE)
    return place


@pytest.fixture
def makers(tmp_path: Path, fresh: Path) -> Makers:
    makers = Makers(tmp_path)
    shutil.copytree(fresh, tmp_path, dirs_exist_ok=True)
    return makers
