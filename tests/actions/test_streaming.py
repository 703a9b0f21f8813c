"""Installing where Ollama is another user's: fetched straight into it, with no copy of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.actions import installing, recommending, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import DigestError, EngineCrashedError
from bbj_desktop.core.ownership import OwnershipKind
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.transfer.donors import recall_index
from tests.actions.conftest import CHAT, install
from tests.fakes.ollama import FakeOllama, Fault
from tests.fakes.published import Publication
from tests.fakes.release_server import ReleaseServer


@pytest.fixture
def ollama(service: FakeOllama) -> FakeOllama:
    return service


def test_the_plan_says_that_no_copy_is_kept(context: Context) -> None:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    plan = installing.plan_install(context, recommending.choose(recommended, CHAT), Cancel())
    assert plan.ownership is not None
    assert (plan.ownership.route, plan.ownership.kind) == ("stream", OwnershipKind.OLLAMAS)
    assert plan.disk_bytes == 0
    assert plan.to_fetch_bytes == plan.candidate.variant.length_bytes
    assert any(each.startswith("not link: ") for each in plan.ownership.routes)


def test_the_room_is_looked_for_where_ollama_really_keeps_its_models(
    context: Context, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = context.runtime("ollama")
    assert isinstance(found, OllamaRuntime)
    assert found.models_folder == models
    monkeypatch.setattr("bbj_desktop.services.runtime.ollama.models_folder", lambda _: models.parent / "not there")
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    plan = installing.plan_install(context, recommending.choose(recommended, CHAT), Cancel())
    assert not any("not there" in str(need.path) for need in plan.needs)


def test_the_model_is_written_once_and_lies_with_ollama_only(context: Context, service: FakeOllama) -> None:
    installed = install(context)
    version = installed.version
    length = version.variant.length_bytes
    assert service.written_bytes <= 1.02 * length + 20_000  # texts are longer than 2 % of so small a model
    assert version.path.read_bytes() == service.blobs[version.variant.file.digest]
    assert not context.open_store().blob_path(version.variant.file.digest).exists()
    registration = version.registration("ollama")
    assert registration is not None
    assert (registration.route, registration.served_digest) == ("stream", version.variant.file.digest)
    assert registration.verified
    assert version.active


def test_a_first_install_fetches_every_byte_once(
    context: Context, service: FakeOllama, server: ReleaseServer, publication: Publication
) -> None:
    service.part_bytes = 3_000
    publication.publish("2026.2", hidden=256)
    version = install(context).version
    length = version.variant.length_bytes
    assert length > 10 * service.part_bytes
    assert served_by(server, version.variant.file.digest) == length


def served_by(server: ReleaseServer, digest: str) -> int:
    """Bytes of a file that were sent."""
    return sum(each.sent_bytes for each in server.requests if each.path.endswith(digest.removeprefix("sha256:")))


def test_it_can_be_verified_activated_and_removed(context: Context, service: FakeOllama) -> None:
    version = install(context).version
    versions.verify(context, version.key, silent, Cancel())
    versions.activate(context, version.key, silent, Cancel())
    removed = versions.remove(context, version.key, silent, Cancel())
    assert dict(service.models) == {}
    assert removed.freed_bytes >= version.variant.length_bytes  # in Ollama's folder
    assert dict(service.blobs) == {}


def test_installing_again_fetches_nothing(context: Context) -> None:
    install(context)
    again = install(context)
    assert again.already
    assert again.fetched_bytes == 0


def test_an_update_fetches_only_what_ollamas_file_of_the_former_version_hasnt(
    context: Context, service: FakeOllama, server: ReleaseServer, publication: Publication
) -> None:
    first = install(context).version
    index = recall_index(context.open_store().blob_path(first.variant.file.digest))
    assert index is not None
    header = index.chunks[0].length_bytes  # a chunk of its own, the same in both
    publication.publish("2026.2", seed=2)
    second = install(context)
    length = second.version.variant.length_bytes
    assert second.fetched_bytes == served_by(server, second.version.variant.file.digest) == length - header
    assert second.version.path.read_bytes() == service.blobs[second.version.variant.file.digest]
    for version in (first, second.version):
        versions.remove(context, version.key, silent, Cancel())
    assert list((context.paths.store / "blobs").iterdir()) == []


def test_what_was_interrupted_goes_on_where_it_ended(context: Context, service: FakeOllama) -> None:
    service.faults["/api/pull"] = Fault("drop", after=3)
    service.piece_s = 0.01
    with pytest.raises(EngineCrashedError):
        install(context)
    assert context.open_store().versions() == ()
    service.piece_s = 0.0
    version = install(context).version
    assert service.written_bytes <= 1.02 * version.variant.length_bytes + 20_000


def test_forged_bytes_never_reach_ollama(context: Context, service: FakeOllama, publication: Publication) -> None:
    for path in (publication.folder / "blobs").rglob("*"):
        if path.is_file() and (content := path.read_bytes()).startswith(b"GGUF"):
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DigestError):
        install(context)
    assert dict(service.models) == {}
    assert not [content for content in service.blobs.values() if content.startswith(b"GGUF")]
