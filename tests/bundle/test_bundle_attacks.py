"""What is wrong with a bundle is refused, each with its own error, and costs nothing that was right."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from bbj_desktop.actions import registering
from bbj_desktop.actions.recommending import read_offering
from bbj_desktop.core.errors import (
    BBjDesktopError,
    DigestError,
    ExpiredError,
    FormatError,
    SignatureError,
    TooNewError,
    TrustError,
    UserInputError,
)
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.settings import ResolvedSettings, Settings
from bbj_desktop.services.registry.bundle import BUNDLE_FILE, Bundle, find_bundles
from bbj_desktop.services.registry.layout import TIMESTAMP, blob_path
from tests.bundle.conftest import Desk
from tests.fakes.published import Publication

VOLUME_BYTES = 12 * 2**20


@pytest.fixture
def bundle(staff: Desk, stick: Path) -> Path:
    staff.export(stick)
    return stick


def _flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def test_a_flipped_byte_in_a_model_is_found(hospital: Desk, bundle: Path, publication: Publication) -> None:
    digest = Bundle.model_validate_json((bundle / BUNDLE_FILE).read_bytes()).contents[0].digest
    _flip(bundle / blob_path(digest), 9_000_000)
    with pytest.raises(DigestError):
        hospital.import_(bundle, root=publication.root)
    assert not hospital.blob(digest).exists()


def test_after_a_flipped_byte_a_good_copy_ends_the_import(
    hospital: Desk, bundle: Path, publication: Publication
) -> None:
    digest = Bundle.model_validate_json((bundle / BUNDLE_FILE).read_bytes()).contents[0].digest
    _flip(bundle / blob_path(digest), 9_000_000)
    with pytest.raises(DigestError):
        hospital.import_(bundle, root=publication.root)
    _flip(bundle / blob_path(digest), 9_000_000)
    imported = hospital.import_(bundle)
    assert imported.models[0].whole
    assert imported.copied_bytes < imported.models[0].length_bytes


def test_a_flipped_byte_in_a_piece_of_a_volume_is_found(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication
) -> None:
    staff.export(stick, volume_bytes=VOLUME_BYTES)
    (piece,) = (stick / "volume-2").rglob("*.part-0002")
    _flip(piece, 100)
    with pytest.raises(DigestError):
        hospital.import_(stick / "volume-2", root=publication.root)


@pytest.mark.parametrize("pattern", ["metadata/timestamp.json", "metadata/*.snapshot.json", "targets/stable/*.json"])
def test_a_flipped_byte_in_what_is_signed_is_found(
    hospital: Desk, bundle: Path, publication: Publication, pattern: str
) -> None:
    (path,) = bundle.glob(pattern)
    _flip(path, path.stat().st_size // 2)
    with pytest.raises(TrustError):
        hospital.import_(bundle, root=publication.root)


def test_the_bundle_of_another_registry_is_refused(
    hospital: Desk, bundle: Path, tmp_path: Path, publication: Publication
) -> None:
    other = Publication.create(tmp_path / "andere")
    with pytest.raises(SignatureError):
        hospital.import_(bundle, root=other.root)
    assert publication.root != other.root


def test_bundles_of_two_registries_at_once_are_refused(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "zwei")
    document = json.loads((bundle / BUNDLE_FILE).read_text(encoding="utf-8"))
    (tmp_path / "zwei" / BUNDLE_FILE).write_text(json.dumps(document | {"registry": "sha256:" + "0" * 64}))
    with pytest.raises(UserInputError, match="several registries"):
        find_bundles([bundle, tmp_path / "zwei"])


def test_expired_metadata_is_accepted_and_said(hospital: Desk, bundle: Path, publication: Publication) -> None:
    hospital.days = 90
    assert hospital.import_(bundle, root=publication.root).models[0].whole
    assert [text for text in hospital.warnings if "signed 90 days ago" in text and "has expired" in text]


def test_an_offline_mirror_says_its_age_at_every_reading(
    hospital: Desk, bundle: Path, publication: Publication
) -> None:
    hospital.import_(bundle, root=publication.root)
    hospital.days = 90
    read_offering(hospital.context, Cancel(), report=hospital.said.append)
    assert [text for text in hospital.warnings if "has expired" in text]


def test_fresh_metadata_says_its_age_too(hospital: Desk, bundle: Path, publication: Publication) -> None:
    hospital.days = 3
    hospital.import_(bundle, root=publication.root)
    assert [text for text in hospital.remarks if "3 days ago" in text]
    assert hospital.warnings == []


def test_expired_metadata_is_refused_where_the_policy_says_so(
    hospital: Desk, bundle: Path, publication: Publication
) -> None:
    values = Settings(data_folder=hospital.context.settings.values.data_folder, bundle_expiry="block")
    hospital.context.settings = ResolvedSettings(values)
    hospital.days = 90
    with pytest.raises(ExpiredError, match="bundle_expiry"):
        hospital.import_(bundle, root=publication.root)


def test_expiry_stays_an_attack_on_the_network(staff: Desk, bundle: Path) -> None:
    """An imported bundle doesn't soften what is demanded of the registry's own address."""
    staff.import_(bundle)
    staff.days = 90
    with pytest.raises(ExpiredError):
        read_offering(staff.context, Cancel())


def test_without_a_network_the_imported_bundle_is_read_although_it_has_expired(
    staff: Desk, bundle: Path, publication: Publication
) -> None:
    staff.import_(bundle)
    shutil.rmtree(publication.folder)
    staff.days = 90
    assert read_offering(staff.context, Cancel(), report=staff.said.append).offers
    assert [text for text in staff.warnings if "has expired" in text]


def test_an_older_timestamp_isnt_taken_even_when_expiry_is_forgiven(
    staff: Desk, hospital: Desk, bundle: Path, tmp_path: Path, publication: Publication
) -> None:
    publication.publish("2026.2", seed=5)
    staff.export(tmp_path / "Februar")
    hospital.import_(tmp_path / "Februar", root=publication.root)
    mixed = tmp_path / "gemischt"
    shutil.copytree(tmp_path / "Februar", mixed)
    shutil.copy(bundle / TIMESTAMP, mixed / TIMESTAMP)
    assert hospital.import_(mixed).newer_known


def test_january_still_serves_after_february(
    staff: Desk, hospital: Desk, bundle: Path, tmp_path: Path, publication: Publication
) -> None:
    publication.publish("2026.2", seed=5)
    staff.export(tmp_path / "Februar")
    hospital.import_(tmp_path / "Februar", root=publication.root)
    imported = hospital.import_(bundle)
    assert imported.newer_known
    assert [(model.version, model.whole) for model in imported.models] == [("2026.1", True)]
    assert [offer.release.version for offer in read_offering(hospital.context, Cancel()).offers] == ["2026.2"]


def test_what_was_withdrawn_meanwhile_isnt_taken_from_an_older_bundle(
    staff: Desk, hospital: Desk, bundle: Path, tmp_path: Path, publication: Publication
) -> None:
    publication.publish("2026.2", seed=5)
    publication.withdraw("2026.1", "It invents methods.")
    staff.export(tmp_path / "Februar")
    hospital.import_(tmp_path / "Februar", root=publication.root)
    imported = hospital.import_(bundle)
    assert (imported.models, imported.refused) == ((), ("bbj-coder:2026.1-7b-q4_0",))


@pytest.mark.skipif(os.name == "nt", reason="needs the right to make links")
@pytest.mark.parametrize("place", ["blobs/sha256/link", "targets", "metadata/9.root.json"])
def test_a_link_in_a_bundle_is_refused(bundle: Path, tmp_path: Path, place: str) -> None:
    link = bundle / place
    if link.is_dir():
        link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FormatError, match="is a link"):
        find_bundles([bundle])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_a_bundle_is_refused(bundle: Path) -> None:
    os.mkfifo(bundle / "blobs" / "pipe")
    with pytest.raises(FormatError, match="neither a file nor a folder"):
        find_bundles([bundle])


@pytest.mark.skipif(os.name == "nt", reason="needs a file system that takes such names")
@pytest.mark.parametrize("name", ["CON", "a.", "a\u202eb", "x:y", "\u2024\u2024"])
def test_an_unsafe_name_in_a_bundle_is_refused(bundle: Path, name: str) -> None:
    (bundle / "targets" / name).write_bytes(b"")
    with pytest.raises(FormatError, match="isn't a safe path"):
        find_bundles([bundle])


def test_other_things_on_the_stick_dont_matter(bundle: Path) -> None:
    (bundle / "System Volume Information").mkdir()
    (bundle / "autorun.inf").write_text("")
    assert len(find_bundles([bundle])) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"format": 2}, TooNewError),
        ({"format": "x"}, FormatError),
        ({"registry": "../../etc"}, FormatError),
        ({"channel": "../beta"}, FormatError),
        ({"contents": [{"name": "../x", "digest": "sha256:" + "0" * 64, "length_bytes": 1}]}, FormatError),
        ({"pieces": [{"digest": "x", "number": 0, "volume": 0, "offset": 0, "length_bytes": 1}]}, FormatError),
        ({"volumes": 10**9}, FormatError),
    ],
)
def test_a_document_that_lies_about_its_form_is_refused(
    bundle: Path, change: dict[str, object], error: type[BBjDesktopError]
) -> None:
    document = json.loads((bundle / BUNDLE_FILE).read_text(encoding="utf-8"))
    (bundle / BUNDLE_FILE).write_text(json.dumps(document | change))
    with pytest.raises(error):
        find_bundles([bundle])


def test_a_bundle_without_its_document_isnt_whole(hospital: Desk, bundle: Path) -> None:
    (bundle / BUNDLE_FILE).unlink()
    with pytest.raises(BBjDesktopError, match="holds no whole bundle"):
        hospital.import_(bundle)


def test_a_mirror_that_was_declared_offline_may_have_expired(
    hospital: Desk, bundle: Path, publication: Publication
) -> None:
    hospital.days = 90
    add = registering.add_registry
    with pytest.raises(ExpiredError):
        add(hospital.context, str(bundle), publication.root, silent, Cancel())
    add(hospital.context, str(bundle), publication.root, hospital.said.append, Cancel(), offline=True)
    assert [text for text in hospital.warnings if "has expired" in text]
    assert read_offering(hospital.context, Cancel()).offers


def test_an_offline_mirror_is_no_longer_one_when_it_is_added_anew(
    hospital: Desk, bundle: Path, publication: Publication
) -> None:
    registering.add_registry(hospital.context, str(bundle), publication.root, silent, Cancel(), offline=True)
    registering.add_registry(hospital.context, str(bundle), publication.root, silent, Cancel())
    hospital.days = 90
    with pytest.raises(ExpiredError):
        read_offering(hospital.context, Cancel())
