"""Versions side by side: installed, listed, found, activated, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.errors import (
    Cancelled,
    DigestError,
    FormatError,
    InUseError,
    NoSpaceError,
    NotFoundError,
    StoreAccessError,
    TooNewError,
    UserInputError,
)
from bbj_desktop.core.progress import Cancel, Event, Transfer, silent
from bbj_desktop.core.versions import InstalledVersion, Registration
from bbj_desktop.services.store.store import Store
from tests.fakes.installed import installed
from tests.fakes.payload import digest_of
from tests.fakes.permissions import read_only


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "Modelle für Müller"


@pytest.fixture
def store(root: Path) -> Store:
    return Store(root)


def add(store: Store, version: str = "2026.1", content: bytes = b"weights", **changes: Any) -> InstalledVersion:
    """Installs a version whose file has just been downloaded."""
    path = store.blob_path(digest_of(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    fields = {"model": "bbj-coder", "size": "7b", **changes}
    return store.install(installed(path, version=version, **fields))


def keys(store: Store) -> list[str]:
    return [version.key for version in store.versions()]


def test_a_new_store_is_empty_and_writes_nothing(store: Store, root: Path) -> None:
    assert store.versions() == ()
    assert store.problems() == ()
    assert store.leftovers() == ()
    assert not root.exists()


def test_an_installed_version_is_there_for_the_next_process(store: Store, root: Path) -> None:
    version = add(store)
    assert Store(root).versions() == (version,)
    assert Store(root).get(version.key) == version


def test_versions_come_by_slot_and_newest_first(store: Store) -> None:
    add(store, "2026.9")
    add(store, "2026.10")
    add(store, "2026.10-rc1")
    add(store, "2026.1", size="3b")
    assert keys(store) == [
        "bbj-coder:2026.1-3b-q4_1",
        "bbj-coder:2026.10-7b-q4_1",
        "bbj-coder:2026.10-rc1-7b-q4_1",
        "bbj-coder:2026.9-7b-q4_1",
    ]


def test_a_version_without_its_file_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"weights")
    version = installed(tmp_path / "file")
    (tmp_path / "file").unlink()
    with pytest.raises(StoreAccessError):
        store.install(version)


def test_a_file_of_another_length_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"weights")
    version = installed(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"weight")
    with pytest.raises(StoreAccessError):
        store.install(version)


def test_installing_again_keeps_what_is_known(store: Store) -> None:
    version = add(store)
    store.register(version.key, Registration(runtime="ollama", tag=version.key))
    store.activate(version.key)
    again = add(store)
    assert again.active
    assert again.registration("ollama") is not None


def test_nothing_is_active_until_it_is_activated(store: Store) -> None:
    add(store)
    assert store.active("bbj-coder:7b") is None


def test_a_version_may_be_installed_as_the_active_one(store: Store) -> None:
    old = store.activate(add(store).key)
    path = store.blob_path(digest_of(b"weights"))
    new = installed(path, version="2026.2", model="bbj-coder", size="7b").model_copy(update={"active": True})
    store.install(new)
    assert not store.get(old.key).active
    assert store.active("bbj-coder:7b") == store.get(new.key)


def test_one_version_of_a_slot_is_active(store: Store) -> None:
    first, second, other = add(store), add(store, "2026.2"), add(store, size="3b")
    for key in (other.key, first.key, second.key):
        store.activate(key)
    assert [version.key for version in store.versions() if version.active] == [other.key, second.key]


def test_a_registration_replaces_that_of_the_same_runtime(store: Store) -> None:
    key = add(store).key
    store.register(key, Registration(runtime="embedded", tag=key))
    store.register(key, Registration(runtime="ollama", tag="old"))
    version = store.register(key, Registration(runtime="ollama", tag="new"))
    assert [entry.tag for entry in version.registrations] == [key, "new"]


def test_removing_frees_its_file(store: Store) -> None:
    version = add(store, content=b"x" * 100_000)
    freed = store.remove(version.key)
    assert freed.paths == (version.path,)
    assert freed.bytes == 100_000
    assert not version.path.exists()
    assert store.versions() == ()


def test_removing_keeps_a_file_that_another_version_uses(store: Store) -> None:
    first, second = add(store, "2026.1"), add(store, "2026.2")
    assert store.remove(first.key).bytes == 0
    assert second.path.exists()
    assert keys(store) == [second.key]


def test_the_active_version_is_not_removed_before_another_is_active(store: Store) -> None:
    first, second = add(store), add(store, "2026.2")
    store.activate(first.key)
    with pytest.raises(InUseError):
        store.remove(first.key)
    store.activate(second.key)
    store.remove(first.key)
    assert keys(store) == [second.key]


def test_the_last_version_of_a_slot_may_go_although_it_is_active(store: Store) -> None:
    key = store.activate(add(store).key).key
    store.remove(key)
    assert store.versions() == ()


def test_the_active_version_may_be_removed_by_force(store: Store) -> None:
    first, second = add(store), add(store, "2026.2")
    store.activate(first.key)
    store.remove(first.key, force=True)
    assert keys(store) == [second.key]


@pytest.mark.parametrize("call", ["get", "activate", "remove"])
def test_what_is_not_installed_is_not_found(store: Store, call: str) -> None:
    with pytest.raises(NotFoundError):
        getattr(store, call)("bbj-coder:2026.1-7b-q4_1")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bbj-coder:2026.1-7b-q4_1", "bbj-coder:2026.1-7b-q4_1"),
        ("BBJ-Coder:2026.1-7B-Q4_1 ", "bbj-coder:2026.1-7b-q4_1"),
        ("bbj-coder:2026.1", "bbj-coder:2026.1-7b-q4_1"),
        ("2026.2", "bbj-coder:2026.2-7b-q4_1"),
        ("bbj-coder:7b", "bbj-coder:2026.1-7b-q4_1"),  # the active one
        ("bbj-coder", "bbj-coder:2026.1-7b-q4_1"),
        ("bbj-coder:latest", "bbj-coder:2026.1-7b-q4_1"),
        ("bbj-coder-fim:1.5b", "bbj-coder-fim:2026.2-1.5b-q4_1"),  # the newest one
        ("bbj-coder-f", None),
    ],
)
def test_a_version_is_found_by_what_people_type(store: Store, text: str, found: str | None) -> None:
    store.activate(add(store, "2026.1").key)
    add(store, "2026.2")
    add(store, "2026.1", role="fim", size="1.5b")
    add(store, "2026.2", role="fim", size="1.5b")
    if text == "2026.2":
        store.remove("bbj-coder-fim:2026.2-1.5b-q4_1")
    if found is None:
        with pytest.raises(UserInputError, match="could be any of 2"):
            store.find(text)
    else:
        assert store.find(text).key == found


def test_a_misspelt_name_is_answered_with_the_right_one(store: Store) -> None:
    add(store)
    with pytest.raises(NotFoundError) as caught:
        store.find("bbj-codr:7b")
    assert "Did you mean bbj-coder:7b" in caught.value.hint


def test_an_empty_store_says_that_nothing_is_installed(store: Store) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.find("bbj-coder")
    assert "Nothing is installed" in caught.value.hint


def test_a_whole_file_is_verified(store: Store) -> None:
    version = add(store)
    events: list[Event] = []
    store.verify(version.key, events.append, Cancel())
    assert events[-1] == Transfer(7, 7, None, None)


@pytest.mark.parametrize("content", [b"weightS", b"weigh", b"weights and more", b""])
def test_a_damaged_file_is_noticed(store: Store, content: bytes) -> None:
    version = add(store)
    version.path.write_bytes(content)
    with pytest.raises(DigestError):
        store.verify(version.key, silent, Cancel())


def test_verifying_can_be_cancelled(store: Store) -> None:
    version = add(store)
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(Cancelled):
        store.verify(version.key, silent, cancel)


def test_a_damaged_record_hides_no_other(store: Store, root: Path) -> None:
    good, bad = add(store, "2026.1"), add(store, "2026.2")
    next((root / "versions").glob("*2026.2*")).write_text("{")
    assert store.versions() == (good,)
    assert any("2026.2" in problem and "JSON" in problem for problem in store.problems())
    assert bad.key not in keys(store)


def test_a_record_of_a_newer_program_is_told_and_kept(store: Store, root: Path) -> None:
    add(store)
    record = next((root / "versions").glob("*.json"))
    record.write_text(record.read_text().replace('"format": 1', '"format": 99', 1))
    assert store.versions() == ()
    assert "Update" in str(store.problems()) or "format 99" in str(store.problems())
    assert record.exists()


def test_a_record_under_another_name_is_a_problem(store: Store, root: Path) -> None:
    add(store)
    record = next((root / "versions").glob("*.json"))
    record.rename(record.with_name("bbj-coder+2027.1-7b-q4_1.json"))
    assert store.versions() == ()
    assert "It is the record of" in store.problems()[0]


def test_a_missing_file_is_a_problem(store: Store) -> None:
    version = add(store)
    version.path.unlink()
    assert "missing" in store.problems()[0]


def test_a_store_that_was_moved_finds_its_files(store: Store, root: Path, tmp_path: Path) -> None:
    add(store)
    root.rename(tmp_path / "moved")
    (version,) = Store(tmp_path / "moved").versions()
    assert version.path.read_bytes() == b"weights"
    assert version.path.is_relative_to(tmp_path / "moved")


def test_leftovers_are_what_no_version_uses(store: Store) -> None:
    version = add(store)
    orphan = store.blob_path(digest_of(b"orphan"))
    orphan.write_bytes(b"orphan")
    part = store.blob_path(digest_of(b"other"))
    for suffix, content in ((".part", bytes(5000)), (".part.chunks", b"{}"), (".part.lock", b"")):
        part.with_name(part.name + suffix).write_bytes(content)
    found = {leftover.path.name: leftover for leftover in store.leftovers()}
    assert set(found) == {orphan.name, part.name + ".part"}
    assert not found[orphan.name].partial
    assert (found[part.name + ".part"].partial, len(found[part.name + ".part"].paths)) == (True, 3)
    assert store.discard_partials().bytes == sum(leftover.size_bytes for leftover in found.values())
    assert store.leftovers() == ()
    assert version.path.exists()


def test_a_file_without_record_stays_while_a_record_is_damaged(store: Store, root: Path) -> None:
    version = add(store)
    next((root / "versions").glob("*.json")).write_text("{")
    store.discard_partials()
    assert version.path.exists()


def test_too_little_room_is_said(store: Store) -> None:
    store.check_space(0)
    with pytest.raises(NoSpaceError) as caught:
        store.check_space(2**60)
    assert caught.value.free_bytes == pytest.approx(store.free_bytes(), rel=0.2)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreAccessError):
        Store(tmp_path / "file")


def test_a_store_of_a_newer_program_is_left_alone(root: Path) -> None:
    root.mkdir()
    (root / "store.json").write_text('{"format": 2}')
    with pytest.raises(TooNewError):
        Store(root)


def test_a_folder_with_another_store_json_is_no_store(root: Path) -> None:
    root.mkdir()
    (root / "store.json").write_text("[]")
    with pytest.raises(FormatError):
        Store(root)


def test_the_first_format_is_read(root: Path, store: Store) -> None:
    version = add(store)
    assert (root / "store.json").read_text() == '{"format":1}'
    assert (root / "versions" / "bbj-coder+2026.1-7b-q4_1.json").is_file()
    assert version.path == root / "blobs" / f"sha256-{digest_of(b'weights')[7:]}"


def test_a_read_only_store_can_be_read(store: Store, root: Path) -> None:
    version = add(store)
    with read_only(root):
        assert Store(root).versions() == (version,)
        with pytest.raises(StoreAccessError):
            Store(root).activate(version.key)


def test_what_is_held_of_each_file_is_known_by_its_digest(store: Store) -> None:
    version = add(store)
    part = store.blob_path(digest_of(b"other"))
    part.with_name(part.name + ".part").write_bytes(bytes(5000))
    held = store.held_bytes()
    assert held == {version.variant.file.digest: version.path.stat().st_size, digest_of(b"other"): 5000}
