"""Killed while a model goes straight into Ollama, through us or from a mirror that only Ollama reads: nothing of others
is touched, the next run ends, nothing is left over, and little is fetched twice."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bbj_desktop.actions import registering
from bbj_desktop.core import chunks
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.runtime import ollama_place
from tests.campaign import customers
from tests.campaign.forking import Forker, Outcome, Place
from tests.campaign.world import FIRST, HIDDEN, customer_at
from tests.fakes.ollama import FakeOllama, Model
from tests.fakes.ollama_library import OllamaLibrary
from tests.fakes.published import Publication, customer, trust
from tests.fakes.release_server import ReleaseServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")

KILLS = int(os.environ.get("BBJ_TEST_ROUTE_KILLS", "8"))  # of each way, at steps of chance; 0 for every step
SEED = int(os.environ.get("BBJ_TEST_SEED", "7"))
OTHER = Model(blob="sha256:" + "f" * 64, template="t", system="", parameters={}, licences=("theirs",))
NAMES = {"llama3:latest", FIRST, "bbj-coder:7b", "bbj-coder:latest"}
SOMEBODY = 61234
CHUNK_BYTES = 16 * 1024
PARTS = 2  # that Ollama asks for at once here
READ_AHEAD_BYTES = 64 * 1024  # that httpx takes from a connection at once
AGAIN_BYTES = PARTS * (3 * CHUNK_BYTES + READ_AHEAD_BYTES)
"""What may come twice: for each of Ollama's connections the chunk that it was being given, the next one that was on its
way, and the one that its part shares with the next part; and what was read with them."""


@dataclass(frozen=True)
class Way:
    """How a model comes.

    Attributes:
        mirror: Ollama pulls it itself, from a library.
        ours: Ollama's folder is this user's.
    """

    name: str
    mirror: bool
    ours: bool


STREAM = Way("stream", mirror=False, ours=False)
ADOPTED = Way("mirror, own Ollama", mirror=True, ours=True)
STREAMED = Way("mirror, another user's Ollama", mirror=True, ours=False)
WAYS = (STREAM, ADOPTED, STREAMED)


def _install(place: Place, *, ours: bool) -> None:
    os.environ["OLLAMA_MODELS"] = str(place.folder / "Modelle")
    ollama_place._is_ours = (lambda _: True) if ours else (lambda _: False)  # type: ignore[assignment]  # its name
    customers.install(place)


def _install_own(place: Place) -> None:
    _install(place, ours=True)


def _install_foreign(place: Place) -> None:
    _install(place, ours=False)


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with Forker({way.name: _install_own if way.ours else _install_foreign for way in WAYS}) as made:
        yield made


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """In small chunks."""
    made = Publication.create(tmp_path_factory.mktemp("published"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "MIN_CHUNK_BYTES", CHUNK_BYTES // 2)
        patch.setattr(chunks, "MAX_CHUNK_BYTES", CHUNK_BYTES)
        made.publish("2026.1", hidden=HIDDEN)
    return made


@pytest.fixture(scope="module")
def model(publication: Publication) -> bytes:
    (path,) = publication.work.glob("*2026.1*.gguf")
    content = path.read_bytes()
    assert len(content) > 3 * AGAIN_BYTES
    return content


@pytest.fixture(scope="module")
def server(publication: Publication) -> Iterator[ReleaseServer]:
    with ReleaseServer(publication.folder) as served:
        yield served


@pytest.fixture(scope="module")
def library(model: bytes) -> Iterator[OllamaLibrary]:
    with OllamaLibrary() as made:
        made.publish("team/bbj-coder:1", ("model", model))
        yield made


@dataclass
class World:
    """One customer after the other, and their Ollama.

    Attributes:
        fresh: A customer who trusts the registry and has nothing yet.
    """

    forker: Forker
    server: ReleaseServer
    library: OllamaLibrary
    model: bytes
    fresh: Path
    below: Path

    @contextmanager
    def begun(self, way: Way, name: str) -> Iterator[tuple[FakeOllama, Place]]:
        folder = self.below / name
        shutil.copytree(self.fresh, folder)
        models = folder / "Modelle"
        models.mkdir()
        if not way.ours and os.getuid() == 0:
            os.chown(models, SOMEBODY, SOMEBODY)
        with FakeOllama(folder=models, service_user=not way.ours, part_bytes=-(-len(self.model) // PARTS)) as ollama:
            ollama.models["llama3:latest"] = OTHER
            place = Place(folder, self.server.address, ollama.address)
            if way.mirror:
                with closing(customer_at(place)) as context:
                    registering.add_mirror(context, f"ollama://{self.library.host}/team/bbj-coder:1", silent, Cancel())
            yield ollama, place
        shutil.rmtree(folder)

    def check(self, way: Way, ollama: FakeOllama, place: Place) -> None:
        """As if nothing had happened."""
        assert set(ollama.models) == NAMES
        assert ollama.models["llama3:latest"] == OTHER
        named = {digest for model in ollama.models.values() for digest in model.digests}
        assert set(ollama.blobs) <= named
        assert ollama.partials == {}
        assert list(place.folder.rglob("*.json.new")) == []
        with closing(customer_at(place)) as context:
            assert [path.name for path in (context.paths.temporary / "ollama").glob("*") if path.name != "lock"] == []
            store = context.open_store()
            assert store.leftovers() == ()
            assert store.problems() == ()
            version = store.get(FIRST)
            assert version.active
            assert version.path.read_bytes() == self.model
            assert store.keeps(version) is way.ours


@pytest.fixture(scope="module")
def world(
    forker: Forker,
    publication: Publication,
    server: ReleaseServer,
    library: OllamaLibrary,
    model: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> World:
    below = tmp_path_factory.mktemp("killed ü")
    made = customer(below / "fresh" / "Kunde Müller")
    with closing(made):
        trust(made, server.address, publication)
    return World(forker, server, library, model, below / "fresh", below)


def _settle(ollama: FakeOllama) -> None:
    """A server goes on for a moment when its client is dead."""
    deadline = time.monotonic() + 30
    while ollama.busy and time.monotonic() < deadline:
        time.sleep(0.002)


def _killed(world: World, way: Way, step: int, received: int) -> Outcome:
    with world.begun(way, f"{way.name} {step}") as (ollama, place):
        outcome = world.forker.run(way.name, place, kill_at=step)
        _settle(ollama)
        assert ollama.models["llama3:latest"] == OTHER
        again = world.forker.run(way.name, place)
        assert not again.said, again.said
        _settle(ollama)
        world.check(way, ollama, place)
        assert ollama.written_bytes <= len(world.model) + 20_000, "Ollama wrote the model twice"  # texts beside it
        assert outcome.received_bytes + again.received_bytes - received <= AGAIN_BYTES, "too much came twice"
    return outcome


def _steps_of(whole: Outcome) -> list[int]:
    """From the first that concerns Ollama on: those before it the campaign kills at."""
    first = next(n for n, name in enumerate(whole.names, 1) if name.endswith(("/api/show", "/api/pull")))
    steps = whole.distinct_steps(first)
    return sorted(random.Random(SEED).sample(steps, KILLS)) if 0 < KILLS < len(steps) else steps  # noqa: S311 - repeatable on purpose


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_killed_at_any_step_the_next_run_ends_and_little_comes_twice(world: World, way: Way) -> None:
    if way is STREAMED and os.getuid() != 0:
        pytest.skip("needs root: only root can give a folder away")
    with world.begun(way, way.name) as (ollama, place):
        whole = world.forker.run(way.name, place)
        assert not whole.said, whole.said
        world.check(way, ollama, place)
    assert whole.received_bytes == (0 if way.mirror else len(world.model))
    steps = _steps_of(whole)
    killed = sum(_killed(world, way, step, whole.received_bytes).killed for step in steps)
    assert killed >= 0.9 * len(steps), "threads take turns in another way; but not so often"
    print(f"{way.name}: {killed} kills at {len(steps)} steps, seed {SEED}")
