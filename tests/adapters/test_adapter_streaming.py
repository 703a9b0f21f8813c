"""A base with an adapter where Ollama is another user's: straight into it, the base once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions import installing, recommending, repairing, updating, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.drifting import find_drift
from bbj_desktop.actions.serving_bytes import Bytes
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import Role
from tests.fakes.adapter_makers import AdapterMakers
from tests.fakes.ollama import FakeOllama
from tests.fakes.permissions import give_away
from tests.fakes.published import customer, trust
from tests.fakes.release_server import ReleaseServer

WISHES = Wishes(roles=(Role.CHAT,), size="7b", quantisation="Q4_0_LORA")


@pytest.fixture
def context(
    tmp_path: Path, server: ReleaseServer, makers: AdapterMakers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Context]:
    folder = tmp_path / "Modelle des Dienstes ü"
    folder.mkdir()
    monkeypatch.setenv("OLLAMA_MODELS", str(give_away(folder)))
    with FakeOllama(folder=folder, service_user=True, part_bytes=2**20) as service:
        made = customer(tmp_path / "Kunde Müller", ollama_host=service.address)
        trust(made, server.address, makers.publication)
        yield made
        made.close()


def test_an_update_brings_the_adapter_alone_into_ollama(context: Context, makers: AdapterMakers) -> None:
    recommended = recommending.recommend(context, WISHES, silent, Cancel())
    plan = installing.plan_install(context, recommending.choose(recommended, WISHES), Cancel())
    first = installing.install(context, plan, silent, Cancel())
    assert first.fetched_bytes >= plan.to_fetch_bytes == first.version.variant.length_bytes
    makers.publish(makers.draft("2026.2", makers.adapter(seed=2)))
    found = updating.check(context, silent, Cancel())
    (planned,) = updating.plan_updates(context, found, Cancel())
    (updated,) = updating.update(context, found, silent, Cancel(), plans=[planned])
    assert updated.fetched_bytes <= makers.adapter().stat().st_size
    assert planned.to_fetch_bytes == updated.fetched_bytes


def test_a_damaged_base_of_two_versions_is_mended_for_both(context: Context, makers: AdapterMakers) -> None:
    recommended = recommending.recommend(context, WISHES, silent, Cancel())
    plan = installing.plan_install(context, recommending.choose(recommended, WISHES), Cancel())
    first = installing.install(context, plan, silent, Cancel()).version
    makers.publish(makers.draft("2026.2", makers.adapter(seed=2)))
    (updated,) = updating.update(context, updating.check(context, silent, Cancel()), silent, Cancel())
    assert updated.version.path == first.path
    with first.path.open("r+b") as file:
        file.write(b"damage")
    repairing.repair(context, updated.version.key, silent, Cancel())
    for version in (first, updated.version):
        assert versions.verify(context, version.key, silent, Cancel()).files is Bytes.HASHED
    assert find_drift(context) == ()
