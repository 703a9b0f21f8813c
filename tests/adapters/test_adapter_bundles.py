"""Bundles and mirrors carry the base and the adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions import exporting, importing, installing
from bbj_desktop.actions.context import Context
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.services.registry.bundle import find_bundles
from tests.fakes.adapter_makers import AdapterMakers
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import customer

BOTH = 2


@pytest.fixture
def hospital(tmp_path: Path, ollama: FakeOllama) -> Iterator[Context]:
    made = customer(tmp_path / "Krankenhaus Süd", ollama_host=ollama.address)
    yield made
    made.close()


def _export(context: Context, folder: Path, version: str, volume_bytes: int | None = None) -> exporting.Exported:
    chosen = exporting.choose_variants(context, [Wishes(version=version)], silent, Cancel(), everything=True)
    return exporting.export_bundle(context, folder, chosen, silent, Cancel(), volume_bytes=volume_bytes)


def _import(context: Context, folder: Path, makers: AdapterMakers) -> importing.Imported:
    found = find_bundles([folder])
    return importing.import_bundle(context, found, silent, Cancel(), root=makers.publication.root)


@pytest.mark.parametrize("volume_bytes", [None, 16 * 2**20])
def test_a_bundle_brings_both_files(
    context: Context, hospital: Context, makers: AdapterMakers, tmp_path: Path, volume_bytes: int | None
) -> None:
    exported = _export(context, tmp_path / "Stick", "2026.1", volume_bytes)
    imported = _import(hospital, tmp_path / "Stick", makers)
    (model,) = imported.models
    assert (model.key, model.whole) == ("bbj-coder:2026.1-7b-q4_0_lora", True)
    length = makers.base.stat().st_size + makers.adapter().stat().st_size
    assert imported.copied_bytes == exported.fetched_bytes == exported.size_bytes == model.length_bytes == length


def test_what_came_is_installed_without_a_network(
    context: Context, hospital: Context, makers: AdapterMakers, tmp_path: Path
) -> None:
    _export(context, tmp_path / "Stick", "2026.1")
    imported = _import(hospital, tmp_path / "Stick", makers)
    (plan,) = importing.plan_imported(hospital, imported, silent, Cancel())
    assert plan.to_fetch_bytes == 0
    installed = installing.install(importing.reading(hospital, imported), plan, silent, Cancel())
    assert len(installed.version.files) == BOTH
    assert installed.fetched_bytes == 0


def test_a_second_stick_with_the_same_base_copies_the_new_adapter_only(
    context: Context, hospital: Context, makers: AdapterMakers, tmp_path: Path
) -> None:
    _export(context, tmp_path / "January", "2026.1")
    _import(hospital, tmp_path / "January", makers)
    makers.publish(makers.draft("2026.2", makers.adapter(seed=2)))
    _export(context, tmp_path / "February", "2026.2")
    imported = _import(hospital, tmp_path / "February", makers)
    assert [model.key for model in imported.models] == ["bbj-coder:2026.2-7b-q4_0_lora"]
    assert imported.copied_bytes == makers.adapter(seed=2).stat().st_size
