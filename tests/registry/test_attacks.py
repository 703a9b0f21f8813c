"""What a registry, a mirror or somebody in between may try, and the error that each ends in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import MetaFile

from bbj_desktop.core.errors import (
    Cancelled,
    DigestError,
    ExpiredError,
    MixAndMatchError,
    NotFoundError,
    RollbackError,
    ServerError,
    SignatureError,
    StalledError,
    StoreBusyError,
    TrustError,
)
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Catalogue, Release
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.registry.layout import blob_path
from tests.fakes.registry import Open, RegistrySimulator, make_index, make_release

STRANGER = CryptoSigner.generate_ed25519()


def read_stable(open_registry: Open) -> None:
    open_registry().offering("stable", Cancel(), app_version="1.0.0")


def test_an_older_timestamp_is_a_rollback(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.update()
    open_registry().refresh(Cancel())
    simulator.timestamp.version -= 1
    with pytest.raises(RollbackError):
        open_registry().refresh(Cancel())


def test_an_older_snapshot_is_a_rollback(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.update()
    open_registry().refresh(Cancel())
    simulator.snapshot.version -= 2
    simulator.update()
    with pytest.raises(RollbackError):
        open_registry().refresh(Cancel())


def test_an_older_channel_is_a_rollback(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.update("stable")
    read_stable(open_registry)
    simulator.channels["stable"].version -= 1
    simulator.update()
    with pytest.raises(RollbackError):
        read_stable(open_registry)


def test_a_channel_that_disappears_is_refused(simulator: RegistrySimulator, open_registry: Open) -> None:
    read_stable(open_registry)
    del simulator.snapshot.meta["stable.json"]
    simulator.snapshot.version += 1
    simulator.timestamp.version += 1
    simulator.timestamp.snapshot_meta = MetaFile(simulator.snapshot.version)
    with pytest.raises(MixAndMatchError):
        read_stable(open_registry)


def test_a_frozen_registry_expires(simulator: RegistrySimulator, open_registry: Open) -> None:
    open_registry().refresh(Cancel())
    simulator.now += timedelta(days=15)
    with pytest.raises(ExpiredError, match="expired"):
        open_registry().refresh(Cancel())


def test_an_expired_root_is_refused(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.root.expires = simulator.now - timedelta(days=1)
    simulator.publish_root()
    with pytest.raises(ExpiredError, match="root"):
        open_registry().refresh(Cancel())


def test_too_few_signatures_are_refused(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.signers["stable"].pop()
    simulator.update("stable")
    with pytest.raises(SignatureError, match="1/2"):
        read_stable(open_registry)


def test_the_same_signature_twice_counts_once(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.signers["stable"][1] = simulator.signers["stable"][0]
    simulator.update("stable")
    with pytest.raises(TrustError):
        read_stable(open_registry)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "stable"])
def test_a_stranger_s_signature_is_refused(simulator: RegistrySimulator, open_registry: Open, role: str) -> None:
    simulator.signers[role] = [STRANGER]
    simulator.update()
    with pytest.raises(SignatureError):
        read_stable(open_registry)


def test_the_key_of_beta_signs_nothing_in_stable(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.signers["stable"] = simulator.signers["beta"]
    simulator.update("stable")
    with pytest.raises(SignatureError):
        read_stable(open_registry)


def test_a_target_of_another_channel_s_name_is_not_seen(simulator: RegistrySimulator, open_registry: Open) -> None:
    del simulator.channels["stable"].targets["stable/catalogue.json"]
    simulator.put_target("beta", "stable/catalogue.json", Catalogue(channel="stable").model_dump_json().encode())
    simulator.update("stable", "beta")
    with pytest.raises(NotFoundError):
        read_stable(open_registry)


def test_a_new_root_needs_the_old_root_s_signatures(simulator: RegistrySimulator, open_registry: Open) -> None:
    for key in [signer.public_key for signer in simulator.signers["root"]]:
        simulator.root.revoke_key(key.keyid, "root")
    simulator.signers["root"] = [STRANGER, CryptoSigner.generate_ed25519()]
    for signer in simulator.signers["root"]:
        simulator.root.add_key(signer.public_key, "root")
    simulator.publish_root()
    with pytest.raises(SignatureError):
        open_registry().refresh(Cancel())


def test_a_skipped_root_version_is_refused(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.root.version += 1
    simulator.publish_root()
    with pytest.raises(MixAndMatchError):
        open_registry().refresh(Cancel())


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "stable", "root"])
def test_rotated_keys_are_followed(simulator: RegistrySimulator, open_registry: Open, role: str) -> None:
    read_stable(open_registry)
    simulator.rotate(role)
    simulator.update("stable")
    simulator.offer(make_release())
    assert len(open_registry().offering("stable", Cancel(), app_version="1.0.0").offers) == 1


def test_a_revoked_channel_key_is_refused_for_what_is_cached_too(
    simulator: RegistrySimulator, open_registry: Open
) -> None:
    read_stable(open_registry)
    revoked = simulator.signers["stable"]
    simulator.rotate("stable")
    simulator.signers["stable"] = revoked
    simulator.update()
    with pytest.raises(SignatureError):
        read_stable(open_registry)


def test_a_client_recovers_from_a_fast_forward(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.timestamp.version = 1_000_000
    simulator.snapshot.version = 1_000_000
    simulator.update()
    open_registry().refresh(Cancel())
    simulator.timestamp.version = simulator.snapshot.version = 1
    simulator.rotate("timestamp")
    simulator.rotate("snapshot")
    simulator.update()
    open_registry().refresh(Cancel())
    assert "metadata/2.snapshot.json" in [path for path, _ in simulator.requests]


def test_an_older_role_under_a_new_name_is_mix_and_match(simulator: RegistrySimulator, open_registry: Open) -> None:
    old = simulator.content("metadata/1.stable.json")
    simulator.offer(make_release())
    simulator.replaced["metadata/2.stable.json"] = old
    with pytest.raises(MixAndMatchError):
        read_stable(open_registry)


def test_another_snapshot_than_announced_is_mix_and_match(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.snapshot.version += 5
    with pytest.raises(MixAndMatchError):
        open_registry().refresh(Cancel())


def test_one_role_in_place_of_another_is_mix_and_match(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.replaced["metadata/timestamp.json"] = simulator.content("metadata/1.snapshot.json")
    with pytest.raises(MixAndMatchError):
        open_registry().refresh(Cancel())


@pytest.mark.parametrize("path", ["metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/2.root.json"])
def test_endless_metadata_is_cut_off(simulator: RegistrySimulator, open_registry: Open, path: str) -> None:
    simulator.endless.add(path)
    with pytest.raises(MixAndMatchError):
        open_registry().refresh(Cancel())


def test_a_longer_catalogue_is_refused(simulator: RegistrySimulator, open_registry: Open) -> None:
    path = next(path for path in simulator.files if path.startswith("targets/stable/"))
    simulator.files[path] += b" "
    with pytest.raises(MixAndMatchError):
        read_stable(open_registry)


def test_a_changed_catalogue_of_the_same_length_is_refused(simulator: RegistrySimulator, open_registry: Open) -> None:
    path = next(path for path in simulator.files if path.startswith("targets/stable/"))
    simulator.files[path] = simulator.files[path].replace(b"stable", b"static")
    with pytest.raises(MixAndMatchError):
        read_stable(open_registry)


def test_a_sign_in_page_is_not_metadata(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.replaced["metadata/timestamp.json"] = b"<html>Welcome to our hotel</html>"
    with pytest.raises(TrustError, match="isn't signed metadata") as caught:
        open_registry().refresh(Cancel())
    assert "sign-in page" in caught.value.hint


def test_deeply_nested_metadata_is_refused(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.replaced["metadata/timestamp.json"] = b"[" * 8000 + b"]" * 8000
    with pytest.raises(TrustError):
        open_registry().refresh(Cancel())


def test_a_manifest_of_another_release_is_mix_and_match(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.offer(make_release("2026.2"), manifest=make_release("2026.1").model_dump_json().encode())
    with pytest.raises(MixAndMatchError, match="version"):
        read_stable(open_registry)


def with_index(simulator: RegistrySimulator, indexed: bytes, weights: bytes) -> Release:
    """A release whose chunk index is that of ``indexed``."""
    reference = simulator.put_blob(make_index(indexed).model_dump_json().encode())
    release = make_release()
    variant = release.variants[0].model_copy(update={"file": make_index(weights).file, "chunk_index": reference})
    return release.model_copy(update={"variants": (variant,)})


def test_a_changed_chunk_index_has_a_wrong_digest(simulator: RegistrySimulator, open_registry: Open) -> None:
    variant = with_index(simulator, b"weights", b"weights").variants[0]
    path = blob_path(variant.chunk_index.digest)
    simulator.files[path] = simulator.files[path].replace(b"1", b"2")
    with pytest.raises(DigestError) as caught:
        open_registry().chunk_index(variant, Cancel())
    assert caught.value.expected == variant.chunk_index.digest


def test_a_longer_chunk_index_is_refused(simulator: RegistrySimulator, open_registry: Open) -> None:
    variant = with_index(simulator, b"weights", b"weights").variants[0]
    simulator.files[blob_path(variant.chunk_index.digest)] += b" "
    with pytest.raises(MixAndMatchError):
        open_registry().chunk_index(variant, Cancel())


def test_the_chunk_index_of_another_file_is_mix_and_match(simulator: RegistrySimulator, open_registry: Open) -> None:
    variant = with_index(simulator, b"weights", b"other weights").variants[0]
    with pytest.raises(MixAndMatchError, match="another file"):
        open_registry().chunk_index(variant, Cancel())


def test_a_failing_way_stays_a_failing_way(simulator: RegistrySimulator, open_registry: Open) -> None:
    stalled = StalledError("No byte for 30 seconds.")
    simulator.failing["metadata/timestamp.json"] = stalled
    with pytest.raises(StalledError) as caught:
        open_registry().refresh(Cancel())
    assert caught.value is stalled


def test_a_forbidden_next_root_means_that_there_is_none(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.failing["metadata/2.root.json"] = ServerError("Forbidden", status=403)
    open_registry().refresh(Cancel())
    assert simulator.requests[-1][0] == "metadata/1.targets.json"


def test_a_forbidden_timestamp_is_said(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.failing["metadata/timestamp.json"] = ServerError("Forbidden", status=403)
    with pytest.raises(ServerError) as caught:
        open_registry().refresh(Cancel())
    assert caught.value.status == 403


def test_an_address_without_a_registry_is_said(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.failing["metadata/timestamp.json"] = NotFoundError("There is no such file.")
    with pytest.raises(NotFoundError) as caught:
        open_registry().refresh(Cancel())
    assert "address" in caught.value.hint


def test_cancelling_ends_a_refresh(open_registry: Open) -> None:
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(Cancelled):
        open_registry().refresh(cancel)


def test_a_refused_refresh_leaves_the_good_state_usable(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.offer(make_release())
    read_stable(open_registry)
    simulator.signers["timestamp"] = [STRANGER]
    simulator.update()
    with pytest.raises(SignatureError):
        open_registry().refresh(Cancel())
    cached = open_registry().offering_cached("stable", Cancel(), app_version="1.0.0")
    assert [offer.release.version for offer in cached.offers] == ["2026.1"]


def test_a_second_process_waits_and_then_says_so(open_registry: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = open_registry()
    monkeypatch.setattr("bbj_desktop.services.registry.client.LOCK_TIMEOUT_S", 0.1)
    with FileLock(registry.lock_path), pytest.raises(StoreBusyError):
        registry.refresh(Cancel())
