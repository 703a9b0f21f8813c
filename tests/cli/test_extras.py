"""Installers and IDE extensions that a registry signs, by the command line alone."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from bbj_desktop.cli.results.bundles import BundleExportResult, BundleImportResult
from bbj_desktop.cli.results.extras import ExtrasFetchResult, ExtrasListResult
from bbj_desktop.cli.results.publishing import RegistryExtraResult
from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import parse_catalogue
from bbj_desktop.services.registry.extras import ExtraDraft, add_extra
from bbj_desktop.services.registry.layout import blob_path
from tests.cli.conftest import Call, Called
from tests.cli.test_hub_registry import files_of
from tests.fakes.hub import Hub
from tests.fakes.published import PASSPHRASE, Publication

Add = Callable[..., Called]
INSTALLER = random.Random(5).randbytes(17 * 2**20)  # noqa: S311 - three chunks, the same in every run
OLLAMA = ("--name", "ollama", "--kind", "ollama-installer", "--platform", "windows-x86_64")
EXTENSION = ("--name", "bbj-vscode", "--kind", "ide-extension", "--version", "1.4.0")
KEY, NEXT = "ollama-0.33.1-windows-x86_64", "ollama-0.34.0-windows-x86_64"


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """A registry with a release and two extras; made once, because encrypted keys take their time."""
    publication = Publication.create(tmp_path_factory.mktemp("stocked"))
    publication.publish("2026.1", quantisations=("Q4_0",))
    installer, extension = publication.work / "Ollama Setup für alle.exe", publication.work / "bbj.vsix"
    installer.write_bytes(INSTALLER)
    extension.write_bytes(b"PK an extension")
    drafts = (
        ExtraDraft(installer, "ollama", "ollama-installer", "windows-x86_64", "0.33.1"),
        ExtraDraft(extension, "bbj-vscode", "ide-extension", "any", "1.4.0"),
    )
    for draft in drafts:
        add_extra(publication.folder, publication.keys, PASSPHRASE, draft, "stable", silent, Cancel())
    return publication


@pytest.fixture
def publication(stocked: Publication, tmp_path: Path) -> Publication:
    return stocked.copy(tmp_path / "Hersteller für BBj")


@pytest.fixture
def installer(publication: Publication) -> Path:
    return publication.work / "Ollama Setup für alle.exe"


@pytest.fixture
def extension(publication: Publication) -> Path:
    return publication.work / "bbj.vsix"


@pytest.fixture
def signing(publication: Publication, tmp_path: Path) -> tuple[str | Path, ...]:
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    return "--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", secret


@pytest.fixture
def add(call: Call, signing: tuple[str | Path, ...]) -> Add:
    """Adds an extra and makes sure that it worked."""

    def add(path: Path, *arguments: str | Path) -> Called:
        called = call("registry", "add-extra", path, *arguments, *signing, "--json")
        assert called.code == 0, called.out
        return called

    return add


@pytest.fixture
def elsewhere(tmp_path: Path) -> tuple[str, Path]:
    return "--data", tmp_path / "Krankenhaus Süd"


# the makers


def test_an_extra_is_signed_with_the_catalogue(add: Add, call: Call, installer: Path, publication: Publication) -> None:
    result = RegistryExtraResult.model_validate(add(installer, *OLLAMA, "--version", "0.34.0").result)
    listed = call("registry", "list-extras", "--folder", publication.folder, "--json")
    assert ExtrasListResult.model_validate(listed.result).extras[-1] == result.extra
    assert (publication.folder / blob_path(result.extra.file.digest)).read_bytes() == INSTALLER
    assert call("registry", "verify", publication.folder).code == 0


def test_the_same_again_changes_nothing(add: Add, installer: Path, publication: Publication) -> None:
    before = files_of(publication.folder)
    add(installer, *OLLAMA, "--version", "0.33.1")
    assert files_of(publication.folder) == before


def test_other_content_needs_another_version(
    add: Add, call: Call, extension: Path, signing: tuple[str | Path, ...]
) -> None:
    refused = call("registry", "add-extra", extension, *OLLAMA, "--version", "0.33.1", *signing, "--json")
    assert refused.error["code"] == "PublishError"
    add(extension, *OLLAMA, "--version", "0.33.2")


@pytest.mark.parametrize("name", ["CON.exe", "trailing.", "a\u202eexe.txt"])
def test_a_file_name_that_some_system_reads_otherwise_is_refused(
    call: Call, tmp_path: Path, name: str, signing: tuple[str | Path, ...]
) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    refused = call("registry", "add-extra", path, *EXTENSION, *signing, "--json")
    assert refused.error["code"] == "PublishError"


def test_an_empty_file_is_refused(call: Call, tmp_path: Path, signing: tuple[str | Path, ...]) -> None:
    (tmp_path / "leer.vsix").touch()
    assert call("registry", "add-extra", tmp_path / "leer.vsix", *EXTENSION, *signing).code == 6


def test_a_release_that_is_published_later_leaves_the_extras(customer: Call, publication: Publication) -> None:
    publication.publish("2026.2", seed=4)
    assert len(ExtrasListResult.model_validate(customer("extras", "list", "--json").result).extras) == 2


def test_an_extra_is_removed(call: Call, publication: Publication, signing: tuple[str | Path, ...]) -> None:
    assert call("registry", "remove-extra", KEY, *signing, "--yes").code == 0
    listed = call("registry", "list-extras", "--folder", publication.folder)
    assert KEY not in listed.out
    assert "bbj-vscode-1.4.0-any" in listed.out
    assert call("registry", "remove-extra", KEY, *signing, "--yes").code == 3


def test_several_people_sign_an_extra(
    call: Call,
    customer: Call,
    installer: Path,
    publication: Publication,
    signing: tuple[str | Path, ...],
    tmp_path: Path,
) -> None:
    stage = tmp_path / "Übergabe"
    staged = call(
        "registry", "add-extra", installer, *OLLAMA, "--version", "0.34.0", "--folder", publication.folder,
        "--stage", stage,
    )  # fmt: skip
    assert f"extra: {NEXT} (ollama-installer) as Ollama Setup für alle.exe" in staged.out
    assert "17825792 bytes, sha256:" in staged.out
    assert NEXT not in customer("extras", "list").out
    keys = signing[2:]
    assert call("registry", "sign", stage, *keys, "--yes").code == 0
    assert call("registry", "publish-staged", stage, *signing).code == 0
    assert NEXT in customer("extras", "list").out


def test_a_stage_whose_extra_is_not_there_is_not_published(
    call: Call, installer: Path, publication: Publication, signing: tuple[str | Path, ...], tmp_path: Path
) -> None:
    stage = tmp_path / "Übergabe"
    arguments = ("--folder", publication.folder, "--stage", stage)
    called = call("registry", "add-extra", installer, *OLLAMA, "--version", "0.34.0", *arguments, "--json")
    extra = RegistryExtraResult.model_validate(called.result).extra
    assert call("registry", "sign", stage, *signing[2:], "--yes").code == 0
    (publication.folder / blob_path(extra.file.digest)).unlink()
    refused = call("registry", "publish-staged", stage, *signing)
    assert refused.code == 10
    assert f"of {KEY} isn't in" in refused.err


def test_registry_verify_reads_extras(call: Call, publication: Publication) -> None:
    (damaged,) = (
        path for path in publication.folder.rglob("*") if path.is_file() and path.stat().st_size == 17 * 2**20
    )
    damaged.write_bytes(INSTALLER[:-1] + b"x")
    called = call("registry", "verify", publication.folder)
    assert called.code == 1
    assert damaged.name in called.out


# connected customers


def test_extras_are_fetched_into_a_folder_and_not_run(customer: Call, tmp_path: Path) -> None:
    folder = tmp_path / "Zum Verteilen"
    called = customer("extras", "fetch", "ollama:windows-x86_64", "--folder", folder, "--json")
    (fetched,) = ExtrasFetchResult.model_validate(called.result).extras
    assert fetched.path == folder / KEY / "Ollama Setup für alle.exe"
    assert fetched.path.read_bytes() == INSTALLER
    assert not fetched.path.stat().st_mode & 0o111
    assert "Run it yourself" in fetched.advice
    again = customer("extras", "fetch", "ollama", "--folder", folder, "--json")
    assert ExtrasFetchResult.model_validate(again.result).extras[0].fetched_bytes == 0


def test_without_a_folder_they_go_below_the_data_folder(customer: Call, data: Path) -> None:
    called = customer("extras", "fetch", "ide-extension")
    extension = data / "extras" / "bbj-vscode-1.4.0-any" / "bbj.vsix"
    assert f"code --install-extension '{extension}'" in called.out.replace("\n", " ")
    assert customer("purge", "--yes").code == 0
    assert not extension.exists()


def test_the_newest_is_meant_unless_a_version_is_named(customer: Call, add: Add, extension: Path) -> None:
    add(extension, *OLLAMA, "--version", "0.4.0")
    for word, expected in (("ollama", KEY), ("ollama:0.4.0", "ollama-0.4.0-windows-x86_64")):
        fetched = ExtrasFetchResult.model_validate(customer("extras", "fetch", word, "--json").result).extras
        assert [each.key for each in fetched] == [expected]


def test_what_is_not_offered_is_named_with_what_is(customer: Call) -> None:
    called = customer("extras", "fetch", "emacs")
    assert called.code == 3
    assert f"bbj-vscode-1.4.0-any, {KEY}" in called.err.replace("\n", " ")


def test_a_damaged_extra_is_refused(customer: Call, publication: Publication, tmp_path: Path) -> None:
    (blob,) = (path for path in publication.folder.rglob("*") if path.is_file() and path.stat().st_size == 17 * 2**20)
    blob.write_bytes(INSTALLER[:-1] + b"x")
    called = customer("extras", "fetch", "ollama", "--folder", tmp_path / "Ziel", "--json")
    assert called.error["code"] == "DigestError"
    assert not (tmp_path / "Ziel" / KEY / "Ollama Setup für alle.exe").exists()


def test_a_large_extra_is_split_for_the_hub(
    call: Call, add: Add, installer: Path, publication: Publication, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(installer, *OLLAMA, "--version", "0.34.0", "--max-file-size", "9MB")
    assert len(list(publication.folder.rglob("*.part-*-of-0003"))) == 3
    assert call("registry", "verify", publication.folder).code == 0
    with Hub(files_of(publication.folder), large_bytes=100_000) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        assert call("registry", "add", "hf://basis/bbj-coder", "--fingerprint", identity).code == 0
        fetched = ExtrasFetchResult.model_validate(call("extras", "fetch", "ollama", "--json").result).extras[0]
    assert fetched.path.read_bytes() == INSTALLER


# bundles


def test_a_bundle_carries_extras_and_says_what_to_do(
    customer: Call, tmp_path: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    stick, folder = tmp_path / "Stick", tmp_path / "Für die Kollegen"
    exported = customer("bundle", "export", stick, "7b-q4_0", "--extras", "all", "--json")
    assert [each.name for each in BundleExportResult.model_validate(exported.result).extras] == [
        "bbj-vscode-1.4.0-any",
        KEY,
    ]
    called = customer(
        "bundle", "import", stick, "--fingerprint", identity, "--extras-folder", folder, "--json", *elsewhere
    )
    result = BundleImportResult.model_validate(called.result)
    assert (folder / KEY / "Ollama Setup für alle.exe").read_bytes() == INSTALLER
    assert [(each.whole, bool(each.advice)) for each in result.extras] == [(True, True)] * 2
    assert result.models[0].whole
    again = customer("bundle", "import", stick, "--extras-folder", folder, "--json", *elsewhere)
    assert BundleImportResult.model_validate(again.result).copied_bytes == 0


def test_extras_come_in_volumes_in_any_order(
    customer: Call, tmp_path: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    stick = tmp_path / "Sticks"
    assert customer("bundle", "export", stick, "7b-q4_0", "--extras", "ollama", "--volume-size", "11MB").code == 0
    half = customer("bundle", "import", stick / "volume-2", "--fingerprint", identity, *elsewhere)
    assert half.code == 21
    assert f"of {KEY} are missing" in half.out
    assert "volume 1: blobs/" in half.out
    names = sorted(path.name for path in stick.iterdir())
    assert len(names) == 3
    whole = customer("bundle", "import", stick / "volume-3", stick / "volume-1", *elsewhere)
    assert whole.code == 0
    assert (elsewhere[1] / "extras" / KEY / "Ollama Setup für alle.exe").read_bytes() == INSTALLER


def test_an_extra_that_was_removed_meanwhile_is_not_taken_from_an_older_bundle(
    customer: Call,
    tmp_path: Path,
    elsewhere: tuple[str, Path],
    identity: str,
    signing: tuple[str | Path, ...],
) -> None:
    january, february = tmp_path / "Januar", tmp_path / "Februar"
    assert customer("bundle", "export", january, "7b-q4_0", "--extras", "ollama").code == 0
    assert customer("registry", "remove-extra", KEY, *signing, "--yes").code == 0
    assert customer("bundle", "export", february, "7b-q4_0").code == 0
    assert customer("bundle", "import", february, "--fingerprint", identity, *elsewhere).code == 0
    result = BundleImportResult.model_validate(customer("bundle", "import", january, "--json", *elsewhere).result)
    assert (result.extras, result.refused, result.newer_known) == ((), (KEY,), True)
    assert not (elsewhere[1] / "extras").exists()


def test_a_forged_extra_in_a_bundle_is_refused(
    customer: Call, tmp_path: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    stick = tmp_path / "Stick"
    assert customer("bundle", "export", stick, "7b-q4_0", "--extras", "ollama").code == 0
    document = json.loads((stick / "bundle.json").read_text(encoding="utf-8"))
    blob = stick / blob_path(document["extras"][0]["digest"])
    blob.write_bytes(b"MZ" + INSTALLER[2:])
    called = customer("bundle", "import", stick, "--fingerprint", identity, "--json", *elsewhere)
    assert called.error["code"] == "DigestError"
    assert not list((elsewhere[1] / "extras").rglob("*.exe"))


def test_a_catalogue_from_before_there_were_extras_has_none() -> None:
    assert parse_catalogue(b'{"format": 1, "channel": "stable"}').extras == ()


@pytest.mark.parametrize("name", ["../evil.exe", "a/b", "C:x", "NUL", ""])
def test_a_signed_name_that_leads_out_of_the_folder_is_refused_all_the_same(name: str) -> None:
    reference = {"digest": "sha256:" + "0" * 64, "length_bytes": 1}
    extra = {"name": "x", "kind": "x", "platform": "any", "version": "1", "file_name": name}
    catalogue = {"format": 1, "channel": "stable", "extras": [extra | {"file": reference, "chunk_index": reference}]}
    with pytest.raises(FormatError):
        parse_catalogue(json.dumps(catalogue))
