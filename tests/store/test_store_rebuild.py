"""Records that were lost or damaged, restored from what verifies."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.core.errors import Cancelled
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.versions import Registration
from bbj_desktop.services.store.rebuilding import Rebuilt
from bbj_desktop.services.store.store import Store
from tests.fakes.installed import installed
from tests.fakes.payload import digest_of

OLD, NEW = "bbj-coder:2026.1-7b-q4_1", "bbj-coder:2026.2-7b-q4_1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two versions, the older one active, registered and pinned."""
    store = Store(tmp_path / "Modelle für Müller")
    for version in ("2026.1", "2026.2"):
        path = store.blob_path(digest_of(version.encode()))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(version.encode())
        store.install(installed(path, version=version, model="bbj-coder", size="7b"))
    store.activate(OLD, [Registration(runtime="ollama", tag=OLD)])
    store.pin(OLD)
    return store


def record(store: Store, key: str) -> Path:
    return store.root / "versions" / f"{key.replace(':', '+')}.json"


def rebuild(store: Store) -> Rebuilt:
    return Store(store.root).rebuild(silent, Cancel())


@pytest.mark.parametrize("damage", ["lost", "", "{", '{"format": 1}'])
def test_a_record_comes_back_as_it_was(store: Store, damage: str) -> None:
    before = store.versions()
    record(store, OLD).unlink()
    if damage != "lost":
        record(store, OLD).write_text(damage, encoding="utf-8")
    assert [version.key for version in store.versions()] == [NEW]
    assert store.problems() != ()
    assert rebuild(store).restored == (OLD,)
    assert store.versions() == before
    assert store.problems() == ()


def test_all_records_come_back_when_their_folder_is_lost(store: Store) -> None:
    before = store.versions()
    for key in (OLD, NEW):
        record(store, key).unlink()
    (store.root / "versions").rmdir()
    assert set(rebuild(store).restored) == {OLD, NEW}
    assert store.versions() == before


def test_a_file_that_does_not_verify_brings_no_record_back(store: Store) -> None:
    store.get(OLD).path.write_bytes(b"2026.X")  # as long as before
    record(store, OLD).unlink()
    rebuilt = rebuild(store)
    assert rebuilt.restored == ()
    assert OLD in rebuilt.lost[0]
    assert [version.key for version in store.versions()] == [NEW]
    assert [leftover.path.read_bytes() for leftover in store.leftovers()] == [b"2026.X"]
    assert rebuild(store) == Rebuilt()


def test_the_file_of_a_lost_record_is_not_cleaned_up(store: Store) -> None:
    record(store, OLD).unlink()
    assert store.leftovers() == ()
    assert store.discard_partials().paths == ()
    assert rebuild(store).restored == (OLD,)


def test_a_record_that_nothing_restores_goes_so_that_its_file_can_be_cleaned_up(store: Store) -> None:
    for copy in (store.root / "blobs").glob("*.json"):
        copy.unlink()
    record(store, NEW).write_text("{", encoding="utf-8")
    rebuilt = rebuild(store)
    assert record(store, NEW).name in rebuilt.lost[0]
    assert not record(store, NEW).exists()
    assert store.discard_partials().bytes > 0
    assert store.problems() == ()


def test_a_newer_programs_record_is_left_alone(store: Store) -> None:
    record(store, NEW).write_text('{"format": 99}', encoding="utf-8")
    assert rebuild(store) == Rebuilt()
    assert record(store, NEW).read_text(encoding="utf-8") == '{"format": 99}'


def test_of_two_active_versions_the_one_activated_last_stays(store: Store) -> None:
    saved = record(store, OLD).read_bytes()
    copy = next((store.root / "blobs").glob("*+2026.1-*.json"))
    store.activate(NEW)
    record(store, OLD).unlink()
    copy.write_bytes(saved)  # says that it is active, from before
    assert rebuild(store).restored == (OLD,)
    assert [version.key for version in store.versions() if version.active] == [NEW]


def test_a_store_of_an_earlier_program_gets_its_copies(store: Store) -> None:
    for copy in (store.root / "blobs").glob("*.json"):
        copy.unlink()
    assert rebuild(store) == Rebuilt()
    assert len(list((store.root / "blobs").glob("*.json"))) == 2


def test_a_sound_store_is_not_touched(store: Store) -> None:
    before = (store.root / "journal.json").read_bytes()
    assert rebuild(store) == Rebuilt()
    assert (store.root / "journal.json").read_bytes() == before


def test_a_stopped_rebuild_changes_nothing(store: Store) -> None:
    record(store, OLD).unlink()
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(Cancelled):
        store.rebuild(silent, cancel)
    assert [version.key for version in store.versions()] == [NEW]


def test_copies_are_neither_leftovers_nor_counted_as_what_is_here(store: Store) -> None:
    assert store.leftovers() == ()
    assert sorted(store.held_bytes().values()) == [6, 6]


def test_removing_takes_the_copy_along(store: Store) -> None:
    store.remove(NEW)
    assert [path.name for path in (store.root / "blobs").glob("*.json") if "2026.2" in path.name] == []
    assert rebuild(store) == Rebuilt()
