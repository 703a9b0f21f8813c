"""What a customer gets from a registry that is in order."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from bbj_desktop.core.errors import (
    FormatError,
    NotFoundError,
    NoTrustedRootError,
    SignatureError,
    StoreAccessError,
    TooNewError,
)
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Catalogue
from bbj_desktop.services.registry.client import Registry, blob_path
from tests.fakes.registry import Open, RegistrySimulator, make_index, make_release


def versions(registry: Registry, app_version: str = "1.0.0") -> list[str]:
    offering = registry.offering("stable", Cancel(), app_version=app_version)
    return [offer.release.version for offer in offering.offers]


def test_an_empty_channel_offers_nothing(open_registry: Open) -> None:
    assert versions(open_registry()) == []


def test_the_newest_release_of_each_model_role_and_size_is_offered(
    simulator: RegistrySimulator, open_registry: Open
) -> None:
    simulator.offer(make_release("2026.9"))
    simulator.offer(make_release("2026.10"))
    simulator.offer(make_release("2025.4", size="14b"))
    assert sorted(versions(open_registry())) == ["2025.4", "2026.10"]


def test_a_withdrawn_release_is_not_offered_but_listed_with_its_reason(
    simulator: RegistrySimulator, open_registry: Open
) -> None:
    simulator.offer(make_release("2026.1"))
    simulator.offer(make_release("2026.2"), withdrawn="It invents methods.")
    offering = open_registry().offering("stable", Cancel(), app_version="1.0.0")
    assert [offer.release.version for offer in offering.offers] == ["2026.1"]
    assert [entry.withdrawn for entry in offering.catalogue.entries] == [None, "It invents methods."]


def test_a_release_for_a_newer_app_makes_room_for_an_older_one_and_says_so(
    simulator: RegistrySimulator, open_registry: Open
) -> None:
    simulator.offer(make_release("2026.1"))
    simulator.offer(make_release("2026.2", min_app_version="2.0.0"))
    offering = open_registry().offering("stable", Cancel(), app_version="1.9.9")
    assert [offer.release.version for offer in offering.offers] == ["2026.1"]
    assert len(offering.skipped) == 1
    assert "needs BBj Desktop 2.0.0" in offering.skipped[0]


def test_an_app_too_old_for_everything_is_told_what_it_needs(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.offer(make_release(min_app_version="2.0.0"))
    with pytest.raises(TooNewError) as caught:
        versions(open_registry(), "1.0.0")
    assert caught.value.needs == "BBj Desktop 2.0.0"


def test_a_manifest_of_a_newer_format_does_not_hide_the_others(
    simulator: RegistrySimulator, open_registry: Open
) -> None:
    newer = json.dumps({"format": 7, "min_app_version": "3.0.0", "shape": "unheard of"}).encode()
    simulator.offer(make_release(size="14b"), manifest=newer)
    simulator.offer(make_release(size="7b"))
    offering = open_registry().offering("stable", Cancel(), app_version="1.0.0")
    assert [offer.release.size for offer in offering.offers] == ["7b"]
    assert "BBj Desktop 3.0.0" in offering.skipped[0]
    assert "14B 2026.1" in offering.skipped[0]


def test_a_catalogue_for_a_newer_app_is_said(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.put_catalogue(Catalogue(channel="stable", min_app_version="2.0.0"))
    simulator.update("stable")
    with pytest.raises(TooNewError):
        versions(open_registry())


def test_an_unknown_channel_is_said(open_registry: Open) -> None:
    with pytest.raises(NotFoundError, match="nightly"):
        open_registry().offering("nightly", Cancel(), app_version="1.0.0")


def test_older_versions_can_be_chosen_explicitly(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.offer(make_release("2026.1"))
    simulator.offer(make_release("2026.2"))
    offers = open_registry().all_offers("stable", Cancel(), app_version="1.0.0")
    assert [offer.release.version for offer in offers] == ["2026.2", "2026.1"]


def test_the_manifest_of_one_entry_can_be_read(simulator: RegistrySimulator, open_registry: Open) -> None:
    entry = simulator.offer(make_release("2026.1"))
    simulator.offer(make_release("2026.2"))
    assert open_registry().release_of(entry, Cancel(), app_version="1.0.0") == make_release("2026.1")


def test_the_chunk_index_is_read_by_its_digest(simulator: RegistrySimulator, open_registry: Open) -> None:
    index = make_index(b"weights" * 200)
    variant = (
        make_release()
        .variants[0]
        .model_copy(update={"file": index.file, "chunk_index": simulator.put_blob(index.model_dump_json().encode())})
    )
    assert open_registry().chunk_index(variant, Cancel()) == index


def test_the_tokenizer_is_read_by_its_digest(simulator: RegistrySimulator, open_registry: Open) -> None:
    release = make_release().model_copy(update={"tokenizer": simulator.put_blob(b"GGUF vocabulary")})
    assert open_registry().tokenizer(release, Cancel()) == b"GGUF vocabulary"


def test_a_release_may_have_no_tokenizer(open_registry: Open) -> None:
    assert open_registry().tokenizer(make_release(), Cancel()) is None


def test_an_unchanged_registry_costs_two_small_requests(simulator: RegistrySimulator, open_registry: Open) -> None:
    for number in range(30):
        simulator.offer(make_release(f"2026.{number}"))
    versions(open_registry())
    simulator.requests.clear()
    open_registry().refresh(Cancel())
    assert [path for path, _ in simulator.requests] == ["metadata/timestamp.json"]  # and one for the next root: none
    assert sum(length for _, length in simulator.requests) <= 4096


def test_an_unchanged_manifest_is_not_fetched_again(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.offer(make_release())
    versions(open_registry())
    simulator.requests.clear()
    assert versions(open_registry()) == ["2026.1"]
    assert not [path for path, _ in simulator.requests if path.startswith("targets/")]


def test_a_damaged_cache_is_fetched_again(simulator: RegistrySimulator, open_registry: Open, state: Path) -> None:
    simulator.offer(make_release())
    versions(open_registry())
    for path in [*(state / "targets").iterdir(), *(state / "metadata").glob("*.json")]:
        path.write_bytes(b"")
    assert versions(open_registry()) == ["2026.1"]


def test_the_cached_offering_needs_no_network(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.offer(make_release())
    online = open_registry().offering("stable", Cancel(), app_version="1.0.0")
    simulator.requests.clear()
    assert open_registry().offering_cached("stable", Cancel(), app_version="1.0.0") == online
    assert simulator.requests == []


def test_the_cached_offering_outlives_its_expiry_and_says_when_that_was(
    simulator: RegistrySimulator, open_registry: Open
) -> None:
    simulator.offer(make_release())
    checked = simulator.now
    versions(open_registry())
    simulator.now += timedelta(days=100)
    offering = open_registry().offering_cached("stable", Cancel(), app_version="1.0.0")
    assert offering.checked_at == checked
    assert offering.expires is not None
    assert offering.expires < simulator.now


def test_nothing_is_cached_before_the_first_refresh(open_registry: Open) -> None:
    with pytest.raises(NotFoundError):
        open_registry().offering_cached("stable", Cancel(), app_version="1.0.0")


def test_without_a_root_nothing_is_trusted(simulator: RegistrySimulator, state: Path) -> None:
    with pytest.raises(NoTrustedRootError) as caught:
        Registry.open(simulator, state)
    assert "fingerprint" in caught.value.hint


def test_the_root_is_needed_once(simulator: RegistrySimulator, open_registry: Open, state: Path) -> None:
    open_registry()
    Registry.open(simulator, state, now=lambda: simulator.now).refresh(Cancel())
    assert simulator.requests[0][0] == "metadata/timestamp.json"


def test_the_identity_is_the_digest_of_the_first_root(simulator: RegistrySimulator, open_registry: Open) -> None:
    first = hashlib.sha256(simulator.initial_root).hexdigest()
    simulator.rotate("root")
    registry = open_registry()
    registry.refresh(Cancel())
    assert registry.identity == f"sha256:{first}"


def test_a_newer_root_of_the_same_registry_changes_nothing(
    simulator: RegistrySimulator, open_registry: Open, state: Path
) -> None:
    simulator.rotate("root")
    registry = open_registry()
    registry.refresh(Cancel())
    newer = simulator.content("metadata/2.root.json")
    assert Registry.open(simulator, state, initial_root=newer).identity == registry.identity


def test_another_root_in_the_same_state_is_refused(open_registry: Open, state: Path) -> None:
    open_registry()
    other = RegistrySimulator()
    with pytest.raises(SignatureError, match="Another root"):
        Registry.open(other, state, initial_root=other.initial_root)


def test_a_state_that_cannot_be_kept_is_said(simulator: RegistrySimulator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreAccessError):
        Registry.open(simulator, tmp_path / "file", initial_root=simulator.initial_root)


def test_reading_says_nothing_in_the_log_above_info(
    simulator: RegistrySimulator, open_registry: Open, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        simulator.offer(make_release())
        versions(open_registry())
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []


def test_blobs_lie_under_their_digest() -> None:
    digest = "ab" + "0" * 62
    assert blob_path(f"sha256:{digest}") == f"blobs/sha256/ab/{digest}"


@pytest.mark.parametrize("digest", ["", "sha256:", "md5:abc", "sha256:../../../etc/passwd", "sha256:" + "G" * 64])
def test_what_is_not_a_digest_has_no_place(digest: str) -> None:
    with pytest.raises(FormatError):
        blob_path(digest)
