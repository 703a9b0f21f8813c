"""A version of which another user's Ollama has the only bytes: looked at, and mended by Ollama's own pull."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bbj_desktop.actions import repairing, serving_bytes, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.drifting import find_drift
from bbj_desktop.core.errors import (
    DigestError,
    EngineCrashedError,
    EngineRefusedError,
    NotFoundError,
    StoreAccessError,
    TransportError,
)
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.versions import InstalledVersion
from tests.actions.conftest import install
from tests.fakes.ollama import FakeOllama, Fault
from tests.fakes.permissions import give_away
from tests.fakes.release_server import ReleaseServer

ALIAS = "bbj-coder:7b"
Bytes = serving_bytes.Bytes


@pytest.fixture
def ollama(service: FakeOllama) -> FakeOllama:
    return service


@pytest.fixture
def version(context: Context) -> InstalledVersion:
    installed = install(context).version
    assert not context.open_store().keeps(installed)
    return installed


@pytest.fixture
def damaged(version: InstalledVersion) -> InstalledVersion:
    """Its header, a chunk of its own."""
    with version.path.open("r+b") as file:
        file.write(b"damage")
    return version


def unread(service: FakeOllama, version: InstalledVersion) -> None:
    """Ollama has the file as before; here it can't be opened."""
    service.blobs, service.models = dict(service.blobs), dict(service.models)
    version.path.unlink()
    version.path.symlink_to(version.path.name)


def sent(server: ReleaseServer, version: InstalledVersion) -> int:
    name = version.variant.file.digest.removeprefix("sha256:")
    return sum(each.sent_bytes for each in server.requests if each.path.endswith(name))


def as_signed(context: Context, service: FakeOllama, key: str) -> bool:
    verified = versions.verify(context, key, silent, Cancel())
    return (
        verified.files is Bytes.HASHED
        and find_drift(context) == ()
        and service.models[key] == service.models[ALIAS] == service.models["bbj-coder:latest"]
    )


def repair(context: Context, version: InstalledVersion) -> repairing.Repaired:
    return repairing.repair(context, version.key, silent, Cancel())


def test_what_can_be_read_is_hashed(context: Context, version: InstalledVersion) -> None:
    verified = versions.verify(context, version.key, silent, Cancel())
    assert (verified.files, verified.served) == (Bytes.HASHED, Bytes.HASHED)


def test_what_cant_be_read_is_as_named_by_ollama(
    context: Context, service: FakeOllama, version: InstalledVersion
) -> None:
    unread(service, version)
    verified = versions.verify(context, version.key, silent, Cancel())
    assert (verified.files, verified.served) == (Bytes.AS_NAMED, Bytes.AS_NAMED)


def test_what_cant_be_read_isnt_fetched_again(
    context: Context, service: FakeOllama, server: ReleaseServer, version: InstalledVersion
) -> None:
    unread(service, version)
    before = sent(server, version)
    done = repairing.repair(context, version.key, silent, Cancel())
    assert (done.damaged_bytes, done.fetched_bytes, done.files) == (0, 0, Bytes.AS_NAMED)
    assert sent(server, version) == before


def test_what_cant_be_read_while_ollama_is_away_isnt_judged(
    context: Context, service: FakeOllama, version: InstalledVersion
) -> None:
    unread(service, version)
    service.stop()
    with pytest.raises(StoreAccessError, match="no Ollama answers"):
        versions.verify(context, version.key, silent, Cancel())


def test_damage_is_found(context: Context, damaged: InstalledVersion) -> None:
    with pytest.raises(DigestError) as caught:
        versions.verify(context, damaged.key, silent, Cancel())
    assert f"repair {damaged.key}" in caught.value.hint


def test_ollama_takes_it_again_and_only_the_damaged_chunk_is_fetched(
    context: Context, service: FakeOllama, server: ReleaseServer, damaged: InstalledVersion
) -> None:
    broken = damaged.path.stat()
    before = sent(server, damaged)
    done = repair(context, damaged)
    assert done.mended == ()  # that we removed its names ourselves is no news
    assert 0 < done.damaged_bytes < damaged.variant.length_bytes
    assert done.fetched_bytes == sent(server, damaged) - before == done.damaged_bytes
    assert as_signed(context, service, damaged.key)
    assert damaged.path.stat().st_ino != broken.st_ino or damaged.path.stat().st_mtime_ns != broken.st_mtime_ns
    assert not context.open_store().blob_path(damaged.variant.file.digest).exists()


def test_its_file_is_never_written_into(context: Context, damaged: InstalledVersion, tmp_path: Path) -> None:
    witness = tmp_path / "the damaged file by another name"
    os.link(damaged.path, witness)
    content = witness.read_bytes()
    repair(context, damaged)
    assert witness.read_bytes() == content
    assert damaged.path.read_bytes() != content


def test_a_model_of_somebody_elses_with_the_same_file_stays(
    context: Context, service: FakeOllama, damaged: InstalledVersion
) -> None:
    theirs = replace(service.models[damaged.key], system="You write COBOL.", manifest="")
    service.models["their-own:latest"] = theirs
    before = dict(service.models)
    with pytest.raises(EngineRefusedError, match="their-own:latest"):
        repair(context, damaged)
    assert dict(service.models) == before


def tag_deleted(service: FakeOllama, key: str) -> None:
    service.drop_unnamed(service.models.pop(key))


def all_names_deleted(service: FakeOllama, key: str) -> None:
    for name in (key, ALIAS, "bbj-coder:latest"):
        service.drop_unnamed(service.models.pop(name))


def recreated(service: FakeOllama, key: str) -> None:
    service.models[key] = replace(service.models[key], system="You write COBOL.", manifest="", others=())


def pruned(service: FakeOllama, key: str) -> None:
    del service.blobs[service.models[key].blob]


def emptied(service: FakeOllama, _key: str) -> None:
    """Ollama was installed anew."""
    service.models.clear()
    service.blobs.clear()


@pytest.mark.parametrize("happened", [tag_deleted, all_names_deleted, recreated, pruned, emptied])
def test_what_somebody_changed_is_mended_with_no_more_than_what_is_gone(
    context: Context,
    service: FakeOllama,
    server: ReleaseServer,
    version: InstalledVersion,
    happened: Callable[[FakeOllama, str], None],
) -> None:
    before = sent(server, version)
    happened(service, version.key)
    gone = version.variant.file.digest not in service.blobs
    done = repair(context, version)
    assert done.mended
    assert done.fetched_bytes == sent(server, version) - before == (version.variant.length_bytes if gone else 0)
    assert as_signed(context, service, version.key)


def test_activating_what_somebody_changed_fetches_nothing_and_loses_nothing(
    context: Context, service: FakeOllama, server: ReleaseServer, version: InstalledVersion
) -> None:
    for alias in (ALIAS, "bbj-coder:latest"):
        service.models.pop(alias)
    recreated(service, version.key)  # the only name that the file has
    before = sent(server, version)
    versions.activate(context, version.key, silent, Cancel())
    assert sent(server, version) == before
    assert as_signed(context, service, version.key)


def test_a_repair_that_was_interrupted_is_taken_up_again(
    context: Context, service: FakeOllama, damaged: InstalledVersion
) -> None:
    service.faults["/api/pull"] = Fault("drop", after=2)
    with pytest.raises(EngineCrashedError):
        repair(context, damaged)
    assert [each.key for each in context.open_store().versions()] == [damaged.key]
    repair(context, damaged)
    assert as_signed(context, service, damaged.key)


def test_a_file_that_is_gone_is_told(context: Context, service: FakeOllama, version: InstalledVersion) -> None:
    pruned(service, version.key)
    with pytest.raises(NotFoundError) as caught:
        versions.verify(context, version.key, silent, Cancel())
    assert f"repair {version.key}" in caught.value.hint


def test_without_the_registry_names_are_mended_and_damage_isnt(
    context: Context, service: FakeOllama, server: ReleaseServer, version: InstalledVersion
) -> None:
    server.close()
    recreated(service, version.key)
    assert repair(context, version).mended
    assert as_signed(context, service, version.key)
    with version.path.open("r+b") as file:
        file.write(b"damage")
    with pytest.raises(TransportError):
        repair(context, version)
    assert version.key in service.models


def test_repair_follows_ollama_to_another_folder(
    tmp_path: Path, context: Context, version: InstalledVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "neuer Ordner"
    elsewhere.mkdir()
    give_away(elsewhere)
    monkeypatch.setenv("OLLAMA_MODELS", str(elsewhere))
    with FakeOllama(folder=elsewhere, service_user=True) as reinstalled:
        values = replace(context.settings.values, ollama_host=reinstalled.address)
        later = Context(settings=type(context.settings)(values, context.settings.origins), paths=context.paths)
        repairing.repair(later, version.key, silent, Cancel())
        assert elsewhere in later.open_store().get(version.key).path.parents
        assert as_signed(later, reinstalled, version.key)
        later.close()


def test_a_models_own_folder_isnt_touched_by_a_repair_that_has_nothing_to_do(
    context: Context, service: FakeOllama, version: InstalledVersion
) -> None:
    before, models = version.path.stat(), dict(service.models)
    done = repair(context, version)
    assert (done.damaged_bytes, done.fetched_bytes, done.mended) == (0, 0, ())
    assert version.path.stat() == before
    assert dict(service.models) == models
