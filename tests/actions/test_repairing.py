"""A damaged installed version is told, and mended with few bytes."""

from __future__ import annotations

import pytest

from bbj_desktop.actions import repairing, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import DigestError, NotFoundError
from bbj_desktop.core.progress import Cancel, Event, Remark, silent
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.transfer.donors import recall_index
from tests.actions.conftest import install
from tests.fakes.ollama import FakeOllama, Fault
from tests.fakes.release_server import ReleaseServer


@pytest.fixture
def damaged(context: Context) -> InstalledVersion:
    """Its header, a chunk of its own, is damaged."""
    version = install(context).version
    with version.path.open("r+b") as file:
        file.write(b"damage")
    return version


def test_verifying_names_the_way_out(context: Context, damaged: InstalledVersion) -> None:
    with pytest.raises(DigestError) as caught:
        versions.verify(context, damaged.key, silent, Cancel())
    assert f"repair {damaged.key}" in caught.value.hint


def test_only_the_damaged_part_is_fetched(context: Context, damaged: InstalledVersion, server: ReleaseServer) -> None:
    index = recall_index(damaged.path)
    assert index is not None
    header = index.chunks[0].length_bytes
    server.requests.clear()
    done = repairing.repair(context, "2026.1", silent, Cancel())
    assert (done.damaged_bytes, done.fetched_bytes) == (header, header)
    versions.verify(context, damaged.key, silent, Cancel())
    assert context.open_store().leftovers() == ()


def test_its_runtime_lets_go_of_it_first(context: Context, damaged: InstalledVersion, ollama: FakeOllama) -> None:
    repairing.repair(context, damaged.key, silent, Cancel())
    assert ollama.bodies["/api/generate"]["keep_alive"] == 0


def test_a_runtime_that_is_gone_is_no_obstacle(context: Context, damaged: InstalledVersion, ollama: FakeOllama) -> None:
    ollama.stop()
    repairing.repair(context, damaged.key, silent, Cancel())
    versions.verify(context, damaged.key, silent, Cancel())


def test_a_runtime_that_keeps_it_loaded_is_told(
    context: Context, damaged: InstalledVersion, ollama: FakeOllama
) -> None:
    ollama.faults["/api/generate"] = Fault("status")
    events: list[Event] = []
    repairing.repair(context, damaged.key, events.append, Cancel())
    versions.verify(context, damaged.key, silent, Cancel())
    assert any(isinstance(event, Remark) and "may still be loaded" in event.text for event in events)


def test_a_whole_version_stays_as_it_is(context: Context) -> None:
    version = install(context).version
    before = version.path.stat()
    done = repairing.repair(context, version.key, silent, Cancel())
    assert (done.damaged_bytes, done.fetched_bytes) == (0, 0)
    assert version.path.stat().st_ino == before.st_ino


def test_what_is_not_installed_cannot_be_repaired(context: Context) -> None:
    with pytest.raises(NotFoundError):
        repairing.repair(context, "bbj-coder:2026.1", silent, Cancel())
