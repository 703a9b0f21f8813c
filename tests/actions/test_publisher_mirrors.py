"""``ollama://`` mirrors that a model's makers name in the signed catalogue."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bbj_desktop.actions import installing, publishing, recommending, registering
from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import CatalogueEntry, Role, parse_catalogue
from bbj_desktop.services.registry import publish as writer
from tests.actions.conftest import CHAT
from tests.fakes.ollama import FakeOllama
from tests.fakes.ollama_library import OllamaLibrary
from tests.fakes.published import PASSPHRASE, Publication, customer, trust, unmeasured
from tests.fakes.release_server import ReleaseServer

TAG = "2026.1-7b-q4_0"


@pytest.fixture
def library() -> Iterator[OllamaLibrary]:
    with OllamaLibrary() as library:
        yield library


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    """This user's own Ollama."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "Modelle ü"))
    with FakeOllama(folder=tmp_path / "Modelle ü") as fake:
        yield fake


@pytest.fixture
def context(tmp_path: Path, server: ReleaseServer, fake: FakeOllama, publication: Publication) -> Iterator[Context]:
    made = customer(tmp_path / "Kunde Müller", ollama_host=fake.address)
    trust(made, server.address, publication)
    yield made
    made.close()


@pytest.fixture
def model(publication: Publication) -> bytes:
    (path,) = publication.work.glob("*2026.1*.gguf")
    return path.read_bytes()


@pytest.fixture
def named(publication: Publication, library: OllamaLibrary, model: bytes) -> str:
    """A mirror that the makers name, and that has the model."""
    library.publish(f"team/bbj-coder:{TAG}", ("model", model))
    address = f"ollama://{library.host}/team/bbj-coder"
    name(publication, [address])
    return address


def name(publication: Publication, mirrors: Sequence[str] | None, stage: Path | None = None) -> None:
    """Publishes 2026.1 again, with other mirrors."""
    writer.publish(
        publication.folder, publication.keys, PASSPHRASE, publication.draft("2026.1"), "stable", silent, Cancel(),
        measure=unmeasured, ollama_mirrors=mirrors, terms=writer.Terms(stage=stage),
    )  # fmt: skip


def entry(publication: Publication, channel: str = "stable") -> CatalogueEntry:
    with writer.opened(publication.folder, publication.keys, PASSPHRASE) as publisher:
        (found,) = publisher.catalogue(channel).entries
    return found


def allow(context: Context, **values: bool) -> None:
    changed = dataclasses.replace(context.settings.values, **values)  # type: ignore[arg-type]  # names of switches
    context.settings = type(context.settings)(changed, context.settings.origins)


def plan_of(context: Context) -> installing.InstallPlan:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    return installing.plan_install(context, recommending.choose(recommended, CHAT), Cancel())


def install(context: Context) -> installing.Installed:
    return installing.install(context, plan_of(context), silent, Cancel(), force=True)


def test_nobody_is_asked_unless_the_customer_allows_it(context: Context, library: OllamaLibrary, named: str) -> None:
    plan = plan_of(context)
    assert plan.by_ollama == ()
    (mirror,) = plan.named
    assert mirror.name == f"{named.removeprefix('ollama://')}:{TAG}"
    assert "publisher_mirrors is off" in mirror.reason
    install(context)
    assert library.requests == []


def test_allowed_ollama_fetches_it_there(
    context: Context, library: OllamaLibrary, named: str, server: ReleaseServer, model: bytes
) -> None:
    allow(context, publisher_mirrors=True)
    installed = install(context)
    assert named
    assert installed.fetched_bytes == len(model)
    assert library.sent_bytes >= len(model)
    digest = installed.version.variant.file.digest.removeprefix("sha256:")
    assert not any(each.path.endswith(digest) for each in server.requests)


def test_with_update_checks_off_allowing_it_changes_nothing(
    context: Context, library: OllamaLibrary, named: str
) -> None:
    allow(context, publisher_mirrors=True, update_checks=False)
    (mirror,) = plan_of(context).named
    assert named
    assert mirror.reason == "update_checks is off."
    install(context)
    assert library.requests == []


def test_other_bytes_than_the_signed_ones_count_for_nothing(
    context: Context, fake: FakeOllama, library: OllamaLibrary, named: str, model: bytes
) -> None:
    library.publish(f"team/bbj-coder:{TAG}", ("model", b"GGUF" + bytes(3000)))
    allow(context, publisher_mirrors=True)
    version = install(context).version
    assert named
    assert version.path.read_bytes() == model
    assert not any("team/bbj-coder" in each for each in fake.models)


def test_the_customers_own_come_first_and_each_name_once(context: Context, named: str) -> None:
    allow(context, publisher_mirrors=True)
    registering.add_mirror(context, "ollama://127.0.0.1:9/mine/bbj-coder:1", silent, Cancel())
    registering.add_mirror(context, named, silent, Cancel())
    assert plan_of(context).by_ollama == (
        "127.0.0.1:9/mine/bbj-coder:1",
        f"{named.removeprefix('ollama://')}:{TAG}",
    )


def test_where_much_is_here_ollama_isnt_asked_to_fetch_it_all(
    context: Context, library: OllamaLibrary, named: str, publication: Publication
) -> None:
    install(context)
    publication.publish("2026.2", hidden=64, seed=1)  # the same weights
    name_next(publication, named)
    allow(context, publisher_mirrors=True)
    (mirror,) = plan_of(context).named
    assert not mirror.taken
    assert "are here already" in mirror.reason
    assert library.requests == []


def name_next(publication: Publication, address: str) -> None:
    writer.publish(
        publication.folder, publication.keys, PASSPHRASE, publication.draft("2026.2", seed=1), "stable", silent,
        Cancel(), measure=unmeasured, ollama_mirrors=[address],
    )  # fmt: skip


def test_names_are_replaced_removed_and_left_alone(publication: Publication) -> None:
    name(publication, ["ollama://team/a", "ollama://team/b:1", "ollama://team/a"])
    assert entry(publication).ollama_mirrors == ("ollama://team/a", "ollama://team/b:1")
    name(publication, None)
    assert entry(publication).ollama_mirrors == ("ollama://team/a", "ollama://team/b:1")
    name(publication, [])
    assert entry(publication).ollama_mirrors == ()


def test_saying_the_same_again_signs_nothing(publication: Publication) -> None:
    name(publication, ["ollama://team/a"])
    before = {path: path.stat().st_mtime_ns for path in (publication.folder / "metadata").iterdir()}
    name(publication, ["ollama://team/a"])
    assert {path: path.stat().st_mtime_ns for path in (publication.folder / "metadata").iterdir()} == before


def test_promotion_takes_them_along(publication: Publication) -> None:
    draft = publication.draft("2026.3", seed=3)
    writer.publish(
        publication.folder, publication.keys, PASSPHRASE, draft, "beta", silent, Cancel(),
        measure=unmeasured, ollama_mirrors=["ollama://team/a"],
    )  # fmt: skip
    release = publishing.ReleaseName("bbj-coder", Role.CHAT, "7b", "2026.3")
    publishing.promote(publication.folder, publication.keys, PASSPHRASE, release)
    with writer.opened(publication.folder, publication.keys, PASSPHRASE) as publisher:
        found = {each.version: each.ollama_mirrors for each in publisher.catalogue("stable").entries}
    assert found == {"2026.1": (), "2026.3": ("ollama://team/a",)}


def test_whoever_signs_a_stage_sees_them(tmp_path: Path, publication: Publication) -> None:
    name(publication, ["ollama://team/a"], stage=tmp_path / "stage")
    changes = publishing.view_stage(tmp_path / "stage").changes
    assert any("Ollama may pull it from ollama://team/a" in each for each in changes)


@pytest.mark.parametrize("address", ["ollama://x", "https://example.com/x", "ollama://team/gpt:120b-cloud"])
def test_what_ollama_couldnt_pull_isnt_signed(publication: Publication, address: str) -> None:
    with pytest.raises(UserInputError):
        name(publication, [address])
    assert entry(publication).ollama_mirrors == ()


def test_a_name_of_a_newer_kind_does_no_harm_and_catalogues_without_names_are_read() -> None:
    known = b"""{"format": 1, "channel": "stable", "entries": [{"model": "bbj-coder", "role": "chat", "size": "7b",
        "version": "2026.1", "released": "2026-01-14", "manifest": "stable/x.json"%s}]}"""
    assert parse_catalogue(known % b"").entries[0].ollama_mirrors == ()
    newer = parse_catalogue(known % b', "ollama_mirrors": ["oci+torrent://a/b?c=d"]')
    assert newer.entries[0].ollama_mirrors == ("oci+torrent://a/b?c=d",)
