"""From the connected side to the one without a network, and everything that may happen on the way."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from bbj_desktop.actions import importing, registering
from bbj_desktop.actions.recommending import read_offering
from bbj_desktop.core.errors import NotFoundError, NoTrustedRootError
from bbj_desktop.core.progress import Cancel, Event, Remark, Step, silent
from bbj_desktop.services.registry.bundle import find_bundles
from bbj_desktop.services.registry.bundle_writing import write_order
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.layout import blob_path
from bbj_desktop.services.registry.publish import renew
from bbj_desktop.services.registry.serve import serve_folder
from bbj_desktop.services.transfer.sources import open_source
from tests.bundle.conftest import Desk
from tests.fakes.published import PASSPHRASE, Publication, customer

VOLUME_BYTES = 12 * 2**20


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_bundle_brings_a_model_to_a_machine_that_has_nothing(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication
) -> None:
    exported = staff.export(stick)
    imported = hospital.import_(stick, root=publication.root)
    (model,) = imported.models
    assert [content.name for content in exported.contents] == [model.key]
    assert model.whole
    assert _digest(hospital.blob(model.digest)) == model.digest


def test_after_an_import_the_registry_is_read_without_the_stick(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication
) -> None:
    staff.export(stick)
    hospital.import_(stick, root=publication.root)
    shutil.rmtree(stick)
    offering = read_offering(hospital.context, Cancel())
    assert [offer.release.version for offer in offering.offers] == ["2026.1"]


def test_a_bundle_of_a_registry_that_nobody_trusted_is_refused(staff: Desk, hospital: Desk, stick: Path) -> None:
    staff.export(stick)
    with pytest.raises(NoTrustedRootError, match="isn't trusted"):
        hospital.import_(stick)


def test_a_second_import_needs_no_root_and_copies_nothing(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication
) -> None:
    staff.export(stick)
    hospital.import_(stick, root=publication.root)
    again = hospital.import_(stick)
    assert (again.copied_bytes, again.models[0].whole) == (0, True)


def test_a_second_export_writes_no_model_again(staff: Desk, stick: Path) -> None:
    first = staff.export(stick)
    assert first.fetched_bytes == first.size_bytes
    assert staff.export(stick).fetched_bytes == 0


def test_a_bundle_served_by_a_web_server_is_a_mirror(
    staff: Desk, stick: Path, tmp_path: Path, publication: Publication
) -> None:
    exported = staff.export(stick)
    with serve_folder(stick) as address:
        source = open_source(address, staff.context.network())
        registry = Registry.open(source, tmp_path / "fresh", initial_root=publication.root)
        offering = registry.offering("stable", Cancel(), app_version="0.1.0")
        index = registry.chunk_index(offering.offers[0].release.variants[0], Cancel())
        source.close()
    assert index.file.digest == exported.contents[0].digest
    assert _digest(stick / blob_path(index.file.digest)) == index.file.digest


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_volumes_come_one_at_a_time_in_any_order(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication, order: tuple[int, ...]
) -> None:
    assert staff.export(stick, volume_bytes=VOLUME_BYTES).volumes == len(order)
    first, second = (stick / f"volume-{number}" for number in order)
    half = hospital.import_(first, root=publication.root).models[0]
    assert not half.whole
    assert [name.partition(":")[0] for name in half.missing] == [f"volume {order[1]}"]
    whole = hospital.import_(second).models[0]
    assert whole.whole
    assert _digest(hospital.blob(whole.digest)) == whole.digest


def test_only_pieces_that_never_came_are_named(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication
) -> None:
    publication.publish("2026.2", hidden=3072)
    assert staff.export(stick, volume_bytes=15 * 2**20).volumes == 4
    hospital.import_(stick / "volume-2", root=publication.root)
    (model,) = hospital.import_(stick / "volume-3", stick / "volume-4").models
    assert [name.partition(":")[0] for name in model.missing] == ["volume 1"]


def test_all_volumes_together_are_taken_in_one_go(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication
) -> None:
    staff.export(stick, volume_bytes=VOLUME_BYTES)
    (model,) = hospital.import_(stick, root=publication.root).models
    assert model.whole


def test_no_volume_is_larger_than_it_may_be(staff: Desk, stick: Path) -> None:
    exported = staff.export(stick, volume_bytes=VOLUME_BYTES)
    for number in range(1, exported.volumes + 1):
        files = [path for path in (stick / f"volume-{number}").rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) <= VOLUME_BYTES


def test_the_store_serves_an_export_that_the_registry_can_no_longer_serve(
    staff: Desk, stick: Path, tmp_path: Path, publication: Publication
) -> None:
    staff.export(stick)
    staff.import_(stick)
    shutil.rmtree(publication.folder / "blobs" / "sha256", ignore_errors=False)
    shutil.copytree(stick / "blobs", publication.folder / "blobs", dirs_exist_ok=True)
    digest = staff.export(tmp_path / "zwei").contents[0].digest
    (publication.folder / blob_path(digest)).unlink()
    assert staff.export(tmp_path / "drei").contents[0].digest == digest


def test_a_stick_may_be_named_instead_of_the_bundle_on_it(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication
) -> None:
    staff.export(stick)
    (stick.parent / "System Volume Information").mkdir()
    assert hospital.import_(stick.parent, root=publication.root).models[0].whole


def test_a_folder_that_is_no_bundle_is_named(hospital: Desk, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds no whole bundle"):
        hospital.import_(tmp_path)


def test_an_offline_mirror_is_asked_when_the_network_is_gone(
    staff: Desk, stick: Path, publication: Publication
) -> None:
    staff.export(stick)
    staff.import_(stick)
    shutil.rmtree(publication.folder)
    assert read_offering(staff.context, Cancel(), report=silent).offers


def test_a_stick_that_is_pulled_and_put_back_costs_nothing_but_a_wait(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication
) -> None:
    staff.export(stick)
    pocket, waits = stick.with_name("in der Tasche"), []

    def handle(event: Event) -> None:
        if isinstance(event, Step) and event.name == "import":
            stick.rename(pocket)
        if isinstance(event, Remark) and "There is no folder" in event.text and pocket.exists():
            waits.append(event)
            pocket.rename(stick)

    imported = importing.import_bundle(hospital.context, find_bundles([stick]), handle, Cancel(), root=publication.root)
    assert imported.models[0].whole
    assert len(waits) == 1


def test_the_history_of_roots_travels_along(staff: Desk, hospital: Desk, stick: Path, publication: Publication) -> None:
    renew(publication.folder, publication.keys, PASSPHRASE, "root")
    staff.export(stick)
    assert {path.name for path in (stick / "metadata").glob("*.root.json")} == {"1.root.json", "2.root.json"}
    assert hospital.import_(stick, root=publication.root).models[0].whole


def test_who_began_with_a_later_root_exports_the_earlier_ones_too(
    hospital: Desk, stick: Path, tmp_path: Path, publication: Publication
) -> None:
    renew(publication.folder, publication.keys, PASSPHRASE, "root")
    late = Desk(customer(tmp_path / "später"))
    newest = (publication.folder / "metadata" / "2.root.json").read_bytes()
    registering.add_registry(late.context, str(publication.folder), newest, silent, Cancel())
    late.export(stick)
    assert hospital.import_(stick, root=publication.root).models[0].whole


def test_who_began_with_a_later_root_imports_without_being_asked(
    staff: Desk, stick: Path, tmp_path: Path, publication: Publication
) -> None:
    renew(publication.folder, publication.keys, PASSPHRASE, "root")
    staff.export(stick)
    late = Desk(customer(tmp_path / "später"))
    newest = (publication.folder / "metadata" / "2.root.json").read_bytes()
    late.import_(stick, root=newest)
    assert late.import_(stick).models[0].whole


def test_a_newer_bundle_updates_the_mirror_on_the_machine(
    staff: Desk, hospital: Desk, stick: Path, tmp_path: Path, publication: Publication
) -> None:
    staff.export(stick)
    hospital.import_(stick, root=publication.root)
    publication.publish("2026.2", seed=5)
    staff.export(tmp_path / "Februar")
    assert not hospital.import_(tmp_path / "Februar").newer_known
    assert [offer.release.version for offer in read_offering(hospital.context, Cancel()).offers] == ["2026.2"]


def test_a_mirror_is_written_so_that_it_can_be_read_at_every_moment() -> None:
    paths = [
        "metadata/timestamp.json",
        "metadata/2.root.json",
        "blobs/sha256/ab/x",
        "metadata/3.snapshot.json",
        "targets/a",
    ]
    assert sorted(paths, key=write_order) == [paths[2], paths[4], paths[3], paths[1], paths[0]]
