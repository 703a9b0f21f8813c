"""Going back to what was active before, and keeping versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bbj_desktop.core.errors import InUseError
from bbj_desktop.core.versions import InstalledVersion, Registration
from bbj_desktop.services.store.store import Store
from tests.fakes.installed import installed
from tests.fakes.payload import digest_of

SLOT = "bbj-coder:7b"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "Modelle für Müller")


def add(store: Store, version: str) -> str:
    content = version.encode()
    path = store.blob_path(digest_of(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return store.install(installed(path, version=version, model="bbj-coder", size="7b")).key


def previous(store: Store) -> str | None:
    version = store.previous(SLOT)
    return None if version is None else version.key


def test_a_slot_goes_back_to_what_was_active_before(store: Store) -> None:
    first, second, third = (add(store, version) for version in ("2026.1", "2026.2", "2026.3"))
    for key in (first, third, second):
        store.activate(key)
    assert previous(store) == third
    store.activate(third)
    assert previous(store) == second


def test_what_was_never_active_is_nothing_to_go_back_to(store: Store) -> None:
    first = add(store, "2026.1")
    add(store, "2026.2")
    store.activate(first)
    assert previous(store) is None


def test_what_is_gone_is_nothing_to_go_back_to(store: Store) -> None:
    keys = [add(store, version) for version in ("2026.1", "2026.2", "2026.3")]
    for key in keys:
        store.activate(key)
    store.remove(keys[1])
    assert previous(store) == keys[0]


def test_activating_the_active_one_again_changes_no_order(store: Store) -> None:
    first, second = add(store, "2026.1"), add(store, "2026.2")
    for key in (first, second, second):
        store.activate(key)
    assert previous(store) == first


def test_a_clock_that_was_set_back_mixes_nothing_up(store: Store) -> None:
    keys = [add(store, version) for version in ("2026.1", "2026.2", "2026.3")]
    times = iter([datetime(2030, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC), datetime(2010, 1, 1, tzinfo=UTC)])
    store = Store(store.root, now=lambda: next(times))
    activated = [store.activate(key).activated_at for key in keys]
    assert activated == [datetime(2030, 1, 1, tzinfo=UTC) + timedelta(microseconds=tick) for tick in range(3)]
    assert previous(store) == keys[1]


def test_what_an_earlier_program_activated_can_be_gone_back_to(store: Store) -> None:
    first, second = add(store, "2026.1"), add(store, "2026.2")
    record = store.root / "versions" / f"{first.replace(':', '+')}.json"
    old = InstalledVersion.model_validate_json(record.read_text(encoding="utf-8")).model_copy(update={"active": True})
    record.write_text(old.model_dump_json(exclude={"activated_at", "pinned"}), encoding="utf-8")
    store.activate(second)
    assert previous(store) == first


def test_activating_notes_the_runtimes_names_in_the_same_step(store: Store) -> None:
    key = add(store, "2026.1")
    version = store.activate(key, [Registration(runtime="ollama", tag=key, aliases=(SLOT,))])
    assert version.active
    assert version.registration("ollama") is not None


def test_a_pinned_version_is_not_removed(store: Store) -> None:
    first, second = add(store, "2026.1"), add(store, "2026.2")
    store.activate(second)
    assert store.pin(first).pinned
    with pytest.raises(InUseError, match="pinned"):
        store.remove(first)
    store.pin(first, pinned=False)
    store.remove(first)
    assert [version.key for version in store.versions()] == [second]


def test_installing_again_keeps_pin_and_order(store: Store) -> None:
    first, second = add(store, "2026.1"), add(store, "2026.2")
    store.activate(first)
    store.activate(second)
    store.pin(first)
    add(store, "2026.1")
    assert store.get(first).pinned
    assert previous(store) == first
