"""``bundle export`` and ``bundle import``."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.cli.bundle import EXIT_INCOMPLETE
from bbj_desktop.cli.results.bundles import BundleExportResult, BundleImportResult
from bbj_desktop.cli.results.installing import UpdateResult
from bbj_desktop.cli.results.versions import VersionsResult
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.units import parse_size
from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication


@pytest.fixture
def bundle(customer: Call, tmp_path: Path, publication: Publication) -> Path:
    """Exported by a customer; afterwards the registry is gone."""
    folder = tmp_path / "Stick" / "Bündel"
    called = customer("bundle", "export", folder, "7b-q4_0", "--json")
    assert [each.name for each in BundleExportResult.model_validate(called.result).contents] == [
        "bbj-coder:2026.1-7b-q4_0"
    ]
    publication.folder.rename(publication.folder.with_name("gone"))
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> tuple[str, Path]:
    """The data folder of another machine."""
    return "--data", tmp_path / "Krankenhaus Süd"


def test_a_bundle_installs_without_any_network(
    call: Call, bundle: Path, elsewhere: tuple[str, Path], identity: str, ollama: FakeOllama
) -> None:
    called = call("bundle", "import", bundle, "--fingerprint", identity, "--install", "--json", *elsewhere)
    result = BundleImportResult.model_validate(called.result)
    assert [each.version.key for each in result.installed] == ["bbj-coder:2026.1-7b-q4_0"]
    assert result.installed[0].fetched_bytes == 0
    assert "bbj-coder:7b" in ollama.models


def test_the_ordinary_install_works_after_an_import(
    call: Call, bundle: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    assert call("bundle", "import", bundle, "--fingerprint", identity, *elsewhere).code == 0
    assert call("install", "7b-q4_0", "--yes", *elsewhere).code == 0
    versions = VersionsResult.model_validate(call("versions", "--json", *elsewhere).result)
    assert [version.key for version in versions.versions] == ["bbj-coder:2026.1-7b-q4_0"]


def test_what_is_said_to_install_is_what_the_bundle_brought(
    call: Call, bundle: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    said = call("bundle", "import", bundle, "--fingerprint", identity, *elsewhere).out.splitlines()[-1]
    line = said.removeprefix("Install it: bbj-desktop ").split()
    assert line == ["install", "bbj-coder:2026.1-7b-q4_0"]
    assert call(*line, "--yes", *elsewhere).code == 0


def test_another_fingerprint_is_refused_and_nothing_is_trusted(
    call: Call, bundle: Path, elsewhere: tuple[str, Path]
) -> None:
    called = call("bundle", "import", bundle, "--fingerprint", "sha256:" + "0" * 64, "--json", *elsewhere)
    assert (called.code, called.error["code"]) == (5, "SignatureError")
    assert call("registry", "show", "--json", *elsewhere).result["registries"] == []


def test_an_unknown_registry_asks_for_its_fingerprint(call: Call, bundle: Path, elsewhere: tuple[str, Path]) -> None:
    assert call("bundle", "import", bundle, *elsewhere).code == 2


def test_an_older_release_needs_a_word_of_its_own(
    customer: Call, publication: Publication, tmp_path: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    january, february = tmp_path / "Januar", tmp_path / "Februar"
    assert customer("bundle", "export", january, "7b-q4_0").code == 0
    publication.publish("2026.2", quantisations=("Q4_0",), seed=9)
    assert customer("bundle", "export", february, "7b-q4_0").code == 0
    assert customer("bundle", "import", february, "--fingerprint", identity, "--install", "--yes", *elsewhere).code == 0
    refused = customer("bundle", "import", january, "--install", "--json", *elsewhere)
    assert (refused.code, refused.error["code"]) == (2, "UserInputError")
    taken = customer("bundle", "import", january, "--install", "--allow-older", "--json", *elsewhere)
    result = BundleImportResult.model_validate(taken.result)
    assert result.newer_known
    assert [each.version.key for each in result.installed] == ["bbj-coder:2026.1-7b-q4_0"]


def test_a_newer_bundle_is_an_update(
    customer: Call, publication: Publication, tmp_path: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    january, february = tmp_path / "Januar", tmp_path / "Februar"
    assert customer("bundle", "export", january, "7b-q4_0").code == 0
    publication.publish("2026.2", quantisations=("Q4_0",), seed=9)
    assert customer("bundle", "export", february, "7b-q4_0").code == 0
    assert customer("bundle", "import", january, "--fingerprint", identity, "--install", *elsewhere).code == 0
    assert customer("bundle", "import", february, *elsewhere).code == 0
    updated = UpdateResult.model_validate(customer("update", "--json", *elsewhere).result)
    assert [(each.version.release.version, each.fetched_bytes) for each in updated.installed] == [("2026.2", 0)]


def test_a_bundle_of_another_channel_says_how_to_install_it(
    customer: Call, publication: Publication, tmp_path: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    publication.publish("2026.9", quantisations=("Q4_0",), channel="beta", seed=3)
    folder = tmp_path / "Vorab"
    assert customer("bundle", "export", folder, "7b", "--channel", "beta").code == 0
    called = customer("bundle", "import", folder, "--fingerprint", identity, *elsewhere)
    assert "bbj-desktop install bbj-coder:2026.9-7b-q4_0 --channel beta" in called.out
    assert customer("install", "7b", "--channel", "beta", *elsewhere).code == 0


def test_a_missing_volume_is_named_and_told_by_exit_code(
    customer: Call, publication: Publication, tmp_path: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    publication.publish("2026.3", quantisations=("Q4_0",), hidden=2048)
    folder = tmp_path / "Sticks"
    assert customer("bundle", "export", folder, "7b", "--volume-size", "12MB").code == 0
    called = customer("bundle", "import", folder / "volume-2", "--fingerprint", identity, *elsewhere)
    assert called.code == EXIT_INCOMPLETE
    assert "volume 1: blobs/sha256/" in called.out
    assert customer("bundle", "import", folder / "volume-1", *elsewhere).code == 0


@pytest.mark.parametrize(
    ("text", "size"), [("4GB", 4 * 10**9), ("4GiB", 4 * 2**30), ("700 mb", 7 * 10**8), ("1.5g", 15 * 10**8), ("9", 9)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-4GB", "4 sticks", "1e9", "4GB\n4"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserInputError, match="isn't a size"):
        parse_size(text)
