"""The cache of trusted metadata, and the habits of python-tuf that it relies on."""

from __future__ import annotations

import errno
import importlib.metadata
import inspect
import os
from pathlib import Path

import pytest
from tuf.ngclient.updater import Updater

from bbj_desktop.core.errors import NotFoundError, NoTrustedRootError, RollbackError, SignatureError, StoreAccessError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.updater import TrustedUpdater
from tests.fakes.permissions import read_only
from tests.fakes.registry import Open, RegistrySimulator, make_release


def versions(open_registry: Open) -> list[str]:
    offering = open_registry().offering("stable", Cancel(), app_version="1.0.0")
    return [offer.release.version for offer in offering.offers]


def test_python_tuf_is_the_version_whose_habits_are_recorded_here() -> None:
    assert importlib.metadata.version("tuf") == "7.0.1"


@pytest.mark.parametrize(
    "method", ["_load_timestamp", "_load_snapshot", "_persist_file", "_update_root_symlink", "_load_local_metadata"]
)
def test_what_is_replaced_or_used_is_python_tuf_s_own(method: str) -> None:
    own, ours = getattr(Updater, method), getattr(TrustedUpdater, method)
    assert inspect.signature(own) == inspect.signature(ours)


def test_nothing_in_the_cache_is_a_link(simulator: RegistrySimulator, open_registry: Open, state: Path) -> None:
    simulator.rotate("root")
    versions(open_registry)
    assert [path for path in state.rglob("*") if path.is_symlink()] == []


def test_a_file_system_without_links_will_do(
    simulator: RegistrySimulator, open_registry: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr(os, "link", refuse)
    simulator.offer(make_release())
    simulator.rotate("root")
    assert versions(open_registry) == ["2026.1"]


def test_what_is_cached_is_synced_before_it_gets_its_name(
    simulator: RegistrySimulator, open_registry: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        done.append("sync")
        fsync(descriptor)

    def watched_replace(source: str | Path, target: str | Path) -> None:
        done.append(Path(target).name)
        replace(source, target)

    registry = open_registry()
    registry.refresh(Cancel())
    simulator.update("stable")
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    registry.refresh(Cancel())
    for name in ("timestamp.json", "snapshot.json"):
        at = done.index(name)
        assert done[at - 1] == "sync"
        assert done[at + 1] == "sync"


def test_what_did_not_change_is_not_written_again(open_registry: Open, state: Path) -> None:
    open_registry().refresh(Cancel())
    before = {path: path.stat().st_ino for path in (state / "metadata").rglob("*.json")}
    open_registry().refresh(Cancel())
    assert {path: path.stat().st_ino for path in (state / "metadata").rglob("*.json")} == before


CACHED = ["timestamp.json", "snapshot.json", "targets.json", "stable.json", "root_history/2.root.json"]


@pytest.mark.parametrize("name", CACHED)
@pytest.mark.parametrize("damage", ["emptied", "cut", "flipped", "zeroed", "gone"])
def test_a_damaged_cached_file_heals(
    simulator: RegistrySimulator, open_registry: Open, state: Path, name: str, damage: str
) -> None:
    simulator.rotate("root")
    simulator.offer(make_release())
    versions(open_registry)
    _damage(state / "metadata" / name, damage)
    assert versions(open_registry) == ["2026.1"]
    assert open_registry().offering_cached("stable", Cancel(), app_version="1.0.0").offers


def _damage(path: Path, damage: str) -> None:
    data = path.read_bytes()
    changed = {
        "emptied": b"",
        "cut": data[: len(data) // 2],
        "flipped": data.replace(b'"version": 2', b'"version": 3').replace(b'"version":2', b'"version":3'),
        "zeroed": bytes(len(data)),
    }
    path.unlink()
    if damage != "gone":
        path.write_bytes(changed[damage])


def test_a_damaged_snapshot_does_not_let_an_older_timestamp_in(
    simulator: RegistrySimulator, open_registry: Open, state: Path
) -> None:
    simulator.update()
    open_registry().refresh(Cancel())
    (state / "metadata" / "snapshot.json").write_bytes(b"")
    simulator.timestamp.version -= 1
    with pytest.raises(RollbackError):
        open_registry().refresh(Cancel())


def test_a_forged_cached_file_is_never_accepted(open_registry: Open, state: Path) -> None:
    versions(open_registry)
    forged = RegistrySimulator()
    forged.offer(make_release("6.6.6"))
    for name in ("timestamp", "snapshot", "targets", "stable"):
        path = "metadata/timestamp.json" if name == "timestamp" else f"metadata/2.{name}.json"
        (state / "metadata" / f"{name}.json").write_bytes(forged.content(path))
    assert versions(open_registry) == []


def test_a_damaged_first_root_is_trusted_no_more_and_can_be_given_again(
    simulator: RegistrySimulator, open_registry: Open, state: Path
) -> None:
    open_registry().refresh(Cancel())
    (state / "initial_root.json").write_bytes(bytes(100))
    with pytest.raises(NoTrustedRootError) as caught:
        Registry.open(simulator, state)
    assert "registry add" in caught.value.hint
    open_registry().refresh(Cancel())
    Registry.open(simulator, state, now=lambda: simulator.now).refresh(Cancel())


def test_a_cache_that_can_not_be_written_is_said(
    simulator: RegistrySimulator, open_registry: Open, state: Path
) -> None:
    open_registry().refresh(Cancel())
    simulator.update()
    with read_only(state / "metadata"), pytest.raises(StoreAccessError):
        open_registry().refresh(Cancel())
    open_registry().refresh(Cancel())


# who delegates, and what is cached


def test_a_cached_role_is_verified_against_whoever_delegates_to_it_now(
    simulator: RegistrySimulator, open_registry: Open, state: Path
) -> None:
    versions(open_registry)
    cached = (state / "metadata" / "stable.json").read_bytes()
    old = simulator.signers["stable"]
    simulator.rotate("stable")
    simulator.signers["stable"] = old
    simulator.update()
    assert simulator.content("metadata/1.stable.json") == cached
    with pytest.raises(SignatureError):
        versions(open_registry)
    with pytest.raises(NotFoundError, match="isn't trusted any more"):
        open_registry().offering_cached("stable", Cancel(), app_version="1.0.0")


def test_an_open_registry_verifies_a_cached_role_again_at_each_refresh(
    simulator: RegistrySimulator, open_registry: Open
) -> None:
    registry = open_registry()
    registry.offering("stable", Cancel(), app_version="1.0.0")
    old = simulator.signers["stable"]
    simulator.rotate("stable")
    simulator.signers["stable"] = old
    simulator.update()
    with pytest.raises(SignatureError):
        registry.offering("stable", Cancel(), app_version="1.0.0")
