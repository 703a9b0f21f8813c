"""One registry at several addresses: metadata from one of them at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from bbj_desktop.core.errors import ConnectError, DigestError, NotFoundError, RollbackError, SignatureError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.client import Registry, blob_path
from tests.fakes.registry import RegistrySimulator, make_index, make_release


def open_at(state: Path, first: RegistrySimulator, *mirrors: RegistrySimulator) -> Registry:
    return Registry.open(first, state, mirrors=mirrors, initial_root=first.initial_root, now=lambda: first.now)


def test_the_first_address_is_asked_alone_while_it_serves(simulator: RegistrySimulator, state: Path) -> None:
    mirror = simulator.copy("memory:mirror")
    registry = open_at(state, simulator, mirror)
    registry.refresh(Cancel())
    assert registry.source is simulator
    assert mirror.requests == []
    assert registry.remarks == ()


def test_a_mirror_behind_is_set_aside_and_no_attack(simulator: RegistrySimulator, state: Path) -> None:
    old = simulator.copy("memory:old")
    simulator.offer(make_release())
    open_at(state, simulator).refresh(Cancel())
    registry = open_at(state, old, simulator)
    offering = registry.offering("stable", Cancel(), app_version="1.0.0")
    assert [offer.release.version for offer in offering.offers] == ["2026.1"]
    assert registry.source is simulator
    assert offering.registry == simulator.address
    assert [(remark.text, remark.level) for remark in registry.remarks] == [
        ("The mirror memory:old is behind; another one was read.", "info")
    ]


def test_when_every_mirror_is_behind_it_is_a_rollback(simulator: RegistrySimulator, state: Path) -> None:
    one, other = simulator.copy("memory:one"), simulator.copy("memory:other")
    simulator.update()
    open_at(state, simulator).refresh(Cancel())
    with pytest.raises(RollbackError):
        open_at(state, one, other).refresh(Cancel())


def test_a_mirror_that_can_not_be_reached_is_set_aside(simulator: RegistrySimulator, state: Path) -> None:
    dead = simulator.copy("memory:dead")
    dead.failing["metadata/timestamp.json"] = ConnectError("Nobody answers.")
    registry = open_at(state, dead, simulator)
    registry.refresh(Cancel())
    assert registry.source is simulator
    assert "Nobody answers" in registry.remarks[0].text


def test_a_forged_mirror_is_set_aside_with_a_warning(simulator: RegistrySimulator, state: Path) -> None:
    forged = simulator.copy("memory:forged")
    forged.signers["timestamp"] = [CryptoSigner.generate_ed25519()]
    forged.update()
    registry = open_at(state, forged, simulator)
    registry.refresh(Cancel())
    assert registry.source is simulator
    assert registry.remarks[0].level == "warning"
    assert "memory:forged" in registry.remarks[0].text


def test_a_forgery_is_told_before_mirrors_that_are_behind_or_away(simulator: RegistrySimulator, state: Path) -> None:
    behind, forged, dead = (simulator.copy(f"memory:{name}") for name in ("behind", "forged", "dead"))
    forged.signers["timestamp"] = [CryptoSigner.generate_ed25519()]
    dead.failing["metadata/timestamp.json"] = ConnectError("Nobody answers.")
    simulator.update()
    open_at(state, simulator).refresh(Cancel())
    with pytest.raises(SignatureError):
        open_at(state, behind, dead, forged).refresh(Cancel())
    with pytest.raises(ConnectError):
        open_at(state, behind, dead).refresh(Cancel())


def test_a_mirror_in_the_middle_of_its_own_update_is_set_aside(simulator: RegistrySimulator, state: Path) -> None:
    half = simulator.copy("memory:half")
    half.update("stable")
    half.failing["metadata/2.snapshot.json"] = NotFoundError("Not there yet.")
    simulator.update("stable")
    registry = open_at(state, half, simulator)
    registry.refresh(Cancel())
    assert registry.source is simulator


def test_closing_closes_every_source(state: Path) -> None:
    closed: list[str] = []

    class Closing(RegistrySimulator):
        def close(self) -> None:
            closed.append(self.address)

    one, other = Closing(), Closing()
    other.address = "memory:other"
    open_at(state, one, other).close()
    assert closed == ["memory:registry", "memory:other"]


@pytest.mark.parametrize("fault", ["missing", "changed", "longer", "away"])
def test_a_chunk_index_comes_from_whichever_mirror_has_the_signed_one(
    simulator: RegistrySimulator, state: Path, fault: str
) -> None:
    index = make_index(b"weights" * 200)
    reference = simulator.put_blob(index.model_dump_json().encode())
    variant = make_release().variants[0].model_copy(update={"file": index.file, "chunk_index": reference})
    bad, path = simulator.copy("memory:bad"), blob_path(reference.digest)
    if fault == "missing":
        del bad.files[path]
    elif fault == "away":
        bad.failing[path] = ConnectError("Nobody answers.")
    else:
        bad.files[path] = bad.files[path].replace(b"1", b"2") if fault == "changed" else bad.files[path] + b" "
    assert open_at(state, bad, simulator).chunk_index(variant, Cancel()) == index


def test_without_any_mirror_that_has_it_the_forgery_is_told(simulator: RegistrySimulator, state: Path) -> None:
    index = make_index(b"weights" * 200)
    reference = simulator.put_blob(index.model_dump_json().encode())
    variant = make_release().variants[0].model_copy(update={"file": index.file, "chunk_index": reference})
    path = blob_path(reference.digest)
    incomplete, forged = simulator.copy("memory:incomplete"), simulator.copy("memory:forged")
    del incomplete.files[path]
    forged.files[path] = forged.files[path].replace(b"1", b"2")
    with pytest.raises(DigestError, match="memory:forged"):
        open_at(state, incomplete, forged).chunk_index(variant, Cancel())


@pytest.mark.parametrize("kind", ["catalogue", "releases"])
@pytest.mark.parametrize("fault", ["missing", "changed", "away"])
def test_a_mirror_that_lacks_signed_files_is_helped_out_by_another(
    simulator: RegistrySimulator, state: Path, kind: str, fault: str
) -> None:
    simulator.offer(make_release())
    bad = simulator.copy("memory:bad")
    for path in [path for path in bad.files if kind in path]:
        if fault == "missing":
            del bad.files[path]
        elif fault == "away":
            bad.failing[path] = ConnectError("Nobody answers.")
        else:
            bad.files[path] = bad.files[path].replace(b"2026", b"2027")
    registry = open_at(state, bad, simulator)
    offering = registry.offering("stable", Cancel(), app_version="1.0.0")
    assert [offer.release.version for offer in offering.offers] == ["2026.1"]
    assert registry.source is bad


def test_a_channel_s_role_that_a_mirror_lacks_comes_from_another(simulator: RegistrySimulator, state: Path) -> None:
    simulator.offer(make_release())
    bad = simulator.copy("memory:bad")
    bad.withheld.add("metadata/2.stable.json")
    offering = open_at(state, bad, simulator).offering("stable", Cancel(), app_version="1.0.0")
    assert [offer.release.version for offer in offering.offers] == ["2026.1"]
