"""Manifests and records with and without adapters: what is read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, TooNewError
from bbj_desktop.core.release import Release, parse_release
from bbj_desktop.core.versions import InstalledVersion
from tests.fakes.installed import installed
from tests.fakes.with_adapter import with_adapter

OLDEST_RELEASE = (Path(__file__).parent / "release-format-1.json").read_text(encoding="utf-8")


@pytest.fixture
def version(tmp_path: Path) -> InstalledVersion:
    base, adapter = tmp_path / "Grundmodell ä.gguf", tmp_path / "adapter.gguf"
    base.write_bytes(b"GGUF base")
    adapter.write_bytes(b"GGUF adapter")
    return with_adapter(base, adapter)


def test_a_manifest_of_the_first_format_is_read() -> None:
    release = parse_release(OLDEST_RELEASE)
    assert release.format == 1
    assert [variant.adapter for variant in release.variants] == [None]


def test_a_release_without_adapters_keeps_the_format_that_older_programs_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    version = installed(path)
    assert version.format == version.release.format == 1


def test_a_manifest_with_an_adapter_survives_the_way_through_json(version: InstalledVersion) -> None:
    assert parse_release(version.release.model_dump_json()) == version.release


def test_a_record_with_an_adapter_survives_the_way_through_json(version: InstalledVersion) -> None:
    assert InstalledVersion.model_validate_json(version.model_dump_json()) == version


def _changed(release: Release, **changes: object) -> str:
    document = json.loads(release.model_dump_json())
    variant = {key: value for key, value in changes.items() if key in document["variants"][0]}
    document["variants"][0] |= variant
    return json.dumps(document | {key: value for key, value in changes.items() if key not in variant})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": 1}, "adapters need format 2"),
        ({"quantisation": "Q4_1"}, "_LORA ends the names"),
        ({"adapter": None}, "_LORA ends the names"),
    ],
)
def test_an_older_program_never_takes_a_base_for_the_whole(
    version: InstalledVersion, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(FormatError, match=complaint):
        parse_release(_changed(version.release, **changes))


@pytest.mark.parametrize("changes", [{"adapter_path": None}, {"format": 1}])
def test_a_record_that_lost_its_adapter_is_refused(version: InstalledVersion, changes: dict[str, object]) -> None:
    document = json.loads(version.model_dump_json()) | changes
    with pytest.raises(ValueError, match="adapter"):
        InstalledVersion.model_validate_json(json.dumps(document))


def test_a_program_that_knows_no_adapters_asks_for_an_update(version: InstalledVersion) -> None:
    with pytest.raises(TooNewError, match="of format 2"):
        parse_document(Release, version.release.model_dump_json(), what="release manifest", newest=1)


def test_the_files_come_model_first(version: InstalledVersion) -> None:
    assert [path for _, path in version.files] == [version.path, version.adapter_path]
    assert [part.file.length_bytes for part, _ in version.files] == [len(b"GGUF base"), len(b"GGUF adapter")]
