"""A store that several users of a machine share: read by all, changed by its owner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bbj_desktop.core.errors import StoreAccessError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.store.store import Store
from tests.fakes.installed import installed
from tests.fakes.payload import digest_of
from tests.fakes.volumes import read_only_volume

KEY = "bbj-coder:2026.1-7b-q4_1"


def add(store: Store, version: str) -> InstalledVersion:
    path = store.blob_path(digest_of(version.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(version.encode())
    return store.install(installed(path, version=version, model="bbj-coder", size="7b"))


@pytest.fixture
def owner(tmp_path: Path) -> Store:
    """The shared store, as its owner sees it."""
    store = Store(tmp_path / "gemeinsam für alle")
    store.activate(add(store, "2026.1").key)
    return store


@pytest.fixture
def store(tmp_path: Path, owner: Store) -> Store:
    """One user's own store."""
    return Store(tmp_path / "eigener", shared=owner.root)


def test_what_is_shared_is_listed_apart_and_active_nowhere(store: Store) -> None:
    assert store.versions() == ()
    (version,) = store.shared_versions()
    assert (version.key, version.active) == (KEY, False)
    assert store.problems() == ()


def test_what_is_installed_here_too_is_not_listed_twice(store: Store, owner: Store) -> None:
    store.install(owner.get(KEY).model_copy(update={"active": False}))
    assert store.shared_versions() == ()


def test_a_shared_file_serves_a_version_of_ones_own(store: Store, owner: Store) -> None:
    file = owner.get(KEY).variant.file
    path = store.shared_file(file)
    assert path == owner.blob_path(file.digest)
    store.install(owner.get(KEY))
    assert Store(store.root).get(KEY).path == path
    assert store.held_bytes()[file.digest] == file.length_bytes
    assert store.remove(KEY).bytes == 0
    owner.verify(KEY, silent, Cancel())


def test_ones_own_file_goes_before_the_shared_one(store: Store) -> None:
    own = add(store, "2026.1")
    assert store.shared_file(own.variant.file) is None
    assert own.path.parent.parent == store.root


def test_a_shared_file_of_another_length_is_not_taken(store: Store, owner: Store) -> None:
    version = owner.get(KEY)
    version.path.write_bytes(b"cut")
    assert store.shared_file(version.variant.file) is None


def test_a_store_opened_for_reading_refuses_every_change(owner: Store) -> None:
    reader = Store(owner.root, writable=False)
    assert reader.get(KEY).active
    with pytest.raises(StoreAccessError, match="only read"):
        reader.remove(KEY)


def test_an_interrupted_change_of_the_owners_is_left_to_the_owner(owner: Store, tmp_path: Path) -> None:
    journal = owner.root / "journal.json"
    place = f"versions/{KEY.replace(':', '+')}.json"
    text = json.dumps({"format": 1, "sequence": 9, "steps": [{"kind": "unlink", "place": place}]})
    journal.write_text(text, encoding="utf-8")
    assert Store(tmp_path / "eigener", shared=owner.root).shared_versions() == ()
    assert journal.read_text(encoding="utf-8") == text


def test_a_shared_store_on_a_volume_that_nobody_can_write_will_do(owner: Store, tmp_path: Path) -> None:
    with read_only_volume(owner.root):
        assert [version.key for version in Store(tmp_path / "eigener", shared=owner.root).shared_versions()] == [KEY]


@pytest.mark.parametrize("damage", ["gone", "a file", "another program's"])
def test_a_shared_store_that_cannot_be_read_is_told_and_stops_nobody(tmp_path: Path, damage: str) -> None:
    shared = tmp_path / "gemeinsam"
    if damage == "a file":
        shared.write_text("x")
    elif damage == "another program's":
        shared.mkdir()
        (shared / "store.json").write_text("{")
    store = Store(tmp_path / "eigener", shared=shared)
    add(store, "2026.1")
    assert store.shared_versions() == ()
    assert "shared store" in store.problems()[0]
