"""What Ollama answers from, beside our own file: looked at by ``verify``, mended by ``repair``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions import repairing, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.serving_bytes import Bytes
from bbj_desktop.core.errors import DigestError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.versions import InstalledVersion
from tests.actions.conftest import install
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication, customer, trust
from tests.fakes.release_server import ReleaseServer


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    """This user's Ollama."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "Modelle ü"))
    with FakeOllama(folder=tmp_path / "Modelle ü") as fake:
        yield fake


@pytest.fixture
def context(tmp_path: Path, server: ReleaseServer, own: FakeOllama, publication: Publication) -> Iterator[Context]:
    made = customer(tmp_path / "Kunde Müller", ollama_host=own.address)
    trust(made, server.address, publication)
    yield made
    made.close()


@pytest.fixture
def version(context: Context) -> InstalledVersion:
    return install(context).version


def blob(own: FakeOllama, version: InstalledVersion) -> Path:
    assert own.folder is not None
    registration = version.registration("ollama")
    assert registration is not None
    assert registration.served_digest is not None
    return own.folder / "blobs" / registration.served_digest.replace(":", "-")


def test_a_linked_file_is_read_once_for_both(context: Context, own: FakeOllama, version: InstalledVersion) -> None:
    assert blob(own, version).samefile(version.path)
    verified = versions.verify(context, version.key, silent, Cancel())
    assert (verified.files, verified.served) == (Bytes.HASHED, Bytes.HASHED)


def test_after_the_repair_of_a_linked_file_ollama_reads_the_mended_one(
    context: Context, own: FakeOllama, version: InstalledVersion
) -> None:
    with version.path.open("r+b") as file:
        file.write(b"damage")
    repairing.repair(context, version.key, silent, Cancel())
    assert blob(own, version).read_bytes() == version.path.read_bytes()
    assert blob(own, version).samefile(version.path)
    assert {"bbj-coder:7b", "bbj-coder:latest", version.key} == set(own.models)


@pytest.fixture
def copied(version: InstalledVersion, own: FakeOllama) -> InstalledVersion:
    """Ollama has a copy of its own, as after a pull or an upload."""
    content = blob(own, version).read_bytes()
    blob(own, version).unlink()
    blob(own, version).write_bytes(content)
    return version


def test_ollamas_own_copy_is_read_too(context: Context, copied: InstalledVersion) -> None:
    assert versions.verify(context, copied.key, silent, Cancel()).served is Bytes.HASHED


def test_damage_in_ollamas_own_copy_is_found_and_mended(
    context: Context, own: FakeOllama, copied: InstalledVersion
) -> None:
    with blob(own, copied).open("r+b") as file:
        file.write(b"damage")
    with pytest.raises(DigestError) as caught:
        versions.verify(context, copied.key, silent, Cancel())
    assert f"repair {copied.key}" in caught.value.hint
    done = repairing.repair(context, copied.key, silent, Cancel())
    assert done.fetched_bytes == 0
    assert versions.verify(context, copied.key, silent, Cancel()).served is Bytes.HASHED
    assert {"bbj-coder:7b", "bbj-coder:latest", copied.key} == set(own.models)


def test_where_ollamas_folder_cant_be_seen_its_copy_is_as_named(
    tmp_path: Path, server: ReleaseServer, publication: Publication
) -> None:
    with FakeOllama() as elsewhere:
        context = customer(tmp_path / "andere", ollama_host=elsewhere.address)
        trust(context, server.address, publication)
        key = install(context).version.key
        verified = versions.verify(context, key, silent, Cancel())
        assert (verified.files, verified.served) == (Bytes.HASHED, Bytes.AS_NAMED)
        elsewhere.stop()
        assert versions.verify(context, key, silent, Cancel()).served is None
        context.close()
