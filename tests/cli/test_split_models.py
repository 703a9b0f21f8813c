"""Models longer than a host lets files be: published in parts, used as any other, by the command line alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.cli.results.bundles import BundleExportResult, BundleImportResult
from bbj_desktop.cli.results.installing import InstallResult
from bbj_desktop.cli.results.versions import RepairResult
from bbj_desktop.services.registry.root import identity_of
from bbj_desktop.services.registry.serve import serve_folder
from tests.cli.conftest import Call
from tests.cli.test_hub_registry import files_of
from tests.fakes.hub import Hub
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import PASSPHRASE, Publication

LIMIT = 7_130_000  # bytes; the model has 14.2 MB, in chunks of at most 7.1 MB
KEY = "bbj-coder:2026.1-7b-q4_0"


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    publication = Publication.create(tmp_path_factory.mktemp("split"))
    publication.publish("2026.1", quantisations=("Q4_0",), hidden=2048, max_file_bytes=LIMIT)
    return publication


@pytest.fixture
def publication(split: Publication, tmp_path: Path) -> Publication:
    return split.copy(tmp_path / "Hersteller für BBj")


def parts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.part-*-of-*"))


def installs(call: Call, *arguments: str | Path) -> int:
    """Returns the bytes that were fetched."""
    called = call("install", "7b-q4_0", "--force", "--yes", "--json", *arguments)
    (installed,) = InstallResult.model_validate(called.result).installed
    assert installed.version.key == KEY
    assert call("verify", KEY, *arguments).code == 0
    return installed.fetched_bytes


@pytest.fixture
def hub(publication: Publication, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(files_of(publication.folder), large_bytes=100_000) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def test_no_file_is_longer_than_allowed(publication: Publication) -> None:
    sizes = [path.stat().st_size for path in publication.folder.rglob("*") if path.is_file()]
    assert [path.suffix for path in parts(publication.folder)] == [".part-0001-of-0002", ".part-0002-of-0002"]
    assert max(sizes) <= LIMIT < sum(sizes)


@pytest.mark.usefixtures("ollama")
def test_they_are_installed_from_the_hub(call: Call, hub: Hub, identity: str) -> None:
    assert max(map(len, hub.repository_files.values())) <= LIMIT
    assert call("registry", "add", "hf://basis/bbj-coder", "--fingerprint", identity).code == 0
    fetched = installs(call)
    assert hub.network.sent_bytes() >= fetched > LIMIT


@pytest.mark.usefixtures("ollama")
def test_they_are_installed_from_a_web_server(call: Call, publication: Publication, identity: str) -> None:
    with serve_folder(publication.folder) as address:
        assert call("registry", "add", address, "--fingerprint", identity).code == 0
        assert "Models come from" in call("doctor").out
        assert installs(call) > LIMIT


def test_a_damaged_model_is_repaired_from_its_part(customer: Call, data: Path) -> None:
    length = installs(customer)
    (blob,) = (path for path in (data / "store" / "blobs").iterdir() if path.stat().st_size == length)
    with blob.open("r+b") as file:
        file.seek(LIMIT + 100)
        byte = file.read(1)
        file.seek(LIMIT + 100)
        file.write(bytes([byte[0] ^ 1]))
    repaired = RepairResult.model_validate(customer("repair", KEY, "--json").result)
    assert 0 < repaired.fetched_bytes < LIMIT
    assert customer("verify", KEY).code == 0


def test_a_bundle_of_them_is_split_the_same_and_a_mirror(
    customer: Call, tmp_path: Path, publication: Publication, identity: str
) -> None:
    stick, elsewhere = tmp_path / "Stick" / "Bündel", ("--data", tmp_path / "Krankenhaus Süd")
    exported = BundleExportResult.model_validate(customer("bundle", "export", stick, "7b", "--json").result)
    assert [path.name for path in parts(stick)] == [path.name for path in parts(publication.folder)]
    again = BundleExportResult.model_validate(customer("bundle", "export", stick, "7b", "--json").result)
    assert (exported.fetched_bytes, again.fetched_bytes) == (exported.size_bytes, 0)
    with serve_folder(stick) as address:
        assert customer("registry", "add", address, "--fingerprint", identity, *elsewhere).code == 0
        assert installs(customer, *elsewhere) == exported.size_bytes


@pytest.mark.parametrize("volume", ["", "12MB"])
def test_a_bundle_of_them_is_imported(customer: Call, tmp_path: Path, identity: str, volume: str) -> None:
    stick, elsewhere = tmp_path / "Stick" / "Bündel", ("--data", tmp_path / "Krankenhaus Süd")
    assert customer("bundle", "export", stick, "7b", *(("--volume-size", volume) if volume else ())).code == 0
    called = customer("bundle", "import", stick, "--fingerprint", identity, "--json", *elsewhere)
    (model,) = BundleImportResult.model_validate(called.result).models
    assert model.whole
    assert installs(customer, *elsewhere) == 0


def test_a_part_that_never_reached_the_stick_is_named(customer: Call, tmp_path: Path, identity: str) -> None:
    stick, elsewhere = tmp_path / "Stick", ("--data", tmp_path / "Krankenhaus Süd")
    assert customer("bundle", "export", stick, "7b").code == 0
    pocket = parts(stick)[1].rename(tmp_path / "in der Tasche")
    called = customer("bundle", "import", stick, "--fingerprint", identity, *elsewhere)
    assert called.code == 21
    assert ".part-0002-of-0002" in called.out
    name = parts(stick)[0].name.replace("0001-of", "0002-of")
    pocket.rename(parts(stick)[0].with_name(name))
    assert customer("bundle", "import", stick, *elsewhere).code == 0


def test_registry_verify_knows_them(call: Call, publication: Publication) -> None:
    assert call("registry", "verify", publication.folder).code == 0
    first, second = parts(publication.folder)
    second.write_bytes(second.read_bytes()[:-1])
    assert second.name in call("registry", "verify", publication.folder).out
    second.unlink()
    found = call("registry", "verify", publication.folder).out
    assert second.name in found
    assert first.name not in found


def test_what_the_signed_parts_do_not_name_is_superfluous(call: Call, publication: Publication) -> None:
    first = parts(publication.folder)[0]
    more = first.with_name(first.name.replace("0001-of-0002", "0003-of-0003"))
    more.write_bytes(b"x")
    assert more.name in call("registry", "verify", publication.folder).out


def test_the_size_is_a_parameter_of_publishing(call: Call, publication: Publication, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    model = publication.work / "bbj-coder-7b-2026.1.Q4_0.gguf"
    draft = publication.draft("2026.7").model_copy(update={"files": {"Q4_0": model}})
    path = publication.work / "release.json"
    path.write_text(draft.model_dump_json(), encoding="utf-8")
    arguments = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", secret)
    refused = call("registry", "publish", path, *arguments, "--max-file-size", "1MB")
    assert refused.code == 6
    assert "doesn't fit into files of 1000000 bytes" in refused.err


@pytest.mark.usefixtures("ollama")
def test_a_fingerprint_is_all_that_is_needed(call: Call, publication: Publication, ollama: FakeOllama) -> None:
    assert call("registry", "add", publication.folder, "--fingerprint", identity_of(publication.root)).code == 0
    installs(call)
    assert KEY in ollama.models
