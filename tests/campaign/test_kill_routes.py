"""Killed on the way into Ollama, by each route: nothing of others is touched, and the next run mends it."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.routes import Route
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from tests.campaign.forking import Forker, Outcome, Place
from tests.fakes.installed import installed
from tests.fakes.ollama import FakeOllama, Model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")

WAYS = (Route.LINK, Route.PULL, Route.CREATE)
KILLS = int(os.environ.get("BBJ_TEST_ROUTE_KILLS", "0"))  # of each route; 0 for every step
SEED = int(os.environ.get("BBJ_TEST_SEED", "7"))
OTHER = Model(blob="sha256:" + "f" * 64, template="t", system="", parameters={}, licences=("theirs",))


def _register(way: Route, place: Place) -> None:
    runtime = OllamaRuntime(
        place.ollama,
        environment={"OLLAMA_MODELS": str(place.folder / "models")},
        notes=place.folder / "notes",
        routes=[way],
    )
    runtime.register(installed(place.folder / "Modell ü.gguf"), silent, Cancel())
    runtime.close()


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with Forker({way.value: partial(_register, way) for way in WAYS}) as made:
        yield made


def _world(folder: Path) -> FakeOllama:
    folder.mkdir(parents=True)
    (folder / "Modell ü.gguf").write_bytes(b"GGUF" + bytes(range(256)) * 1024)
    fake = FakeOllama(folder=folder / "models", part_bytes=70_000)
    fake.models["llama3:latest"] = OTHER
    return fake


def _settle(fake: FakeOllama) -> None:
    """A server goes on for a moment when its client is dead."""
    deadline = time.monotonic() + 30
    while fake.busy and time.monotonic() < deadline:
        time.sleep(0.002)


def _check(fake: FakeOllama, folder: Path, way: Route) -> None:
    version = installed(folder / "Modell ü.gguf")
    assert set(fake.models) == {"llama3:latest", version.key}
    assert fake.models["llama3:latest"] == OTHER
    named = {digest for model in fake.models.values() for digest in model.digests}
    unnamed = set(fake.blobs) - named
    if way is Route.CREATE:  # Ollama itself removes an upload that it rewrote, an hour later
        unnamed -= {version.variant.file.digest}
    assert not unnamed
    left = list((folder / "notes").glob("link-*")) if (folder / "notes").exists() else []
    assert not left
    assert {path.name for path in (folder / "models").iterdir()} == {"blobs", "manifests"}


def _run(forker: Forker, way: Route, folder: Path, *, kill_at: int) -> Outcome:
    with _world(folder) as fake:
        place = Place(folder, "", fake.address)
        outcome = forker.run(way.value, place, kill_at=kill_at)
        _settle(fake)
        assert fake.models["llama3:latest"] == OTHER
        if outcome.killed:
            again = forker.run(way.value, place)
            assert not again.said, again.said
        else:
            assert not outcome.said, outcome.said
        _settle(fake)
        _check(fake, folder, way)
    return outcome


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_any_step_the_next_run_mends_it(forker: Forker, way: Route, tmp_path: Path) -> None:
    whole = _run(forker, way, tmp_path / "whole", kill_at=0)
    steps = whole.distinct_steps()
    chosen = sorted(random.Random(SEED).sample(steps, KILLS)) if 0 < KILLS < len(steps) else steps  # noqa: S311 - repeatable on purpose
    for step in chosen:
        outcome = _run(forker, way, tmp_path / f"killed at {step}", kill_at=step)
        assert outcome.killed, f"step {step} of {whole.steps}"
    print(f"{way}: {len(chosen)} kills at {whole.steps} steps, seed {SEED}")
