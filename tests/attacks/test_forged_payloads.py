"""Model files, chunk indexes and tokenizers that aren't the signed ones, over every transport, at the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.release import Release
from bbj_desktop.services.registry.layout import blob_path
from bbj_desktop.services.registry.root import identity_of
from tests.attacks.conftest import NETWORKS, STICKS, Call, Transport
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication

Files = dict[str, bytes]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Publication, Release]:
    """A registry with one release; made once, because encrypted keys take their time. Its files aren't changed."""
    publication = Publication.create(tmp_path_factory.mktemp("makers"))
    return publication, publication.publish("2026.1")


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch, data: Path) -> Iterator[FakeOllama]:
    assert not data.exists()
    with FakeOllama() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", "ollama")
        yield server


def weights(release: Release) -> str:
    return blob_path(release.variants[0].file.digest)


def index(release: Release) -> str:
    return blob_path(release.variants[0].chunk_index.digest)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def a_changed_header(files: Files, release: Release) -> None:
    files[weights(release)] = flipped(files[weights(release)], 40)


def a_changed_last_byte(files: Files, release: Release) -> None:
    files[weights(release)] = flipped(files[weights(release)], -1 + len(files[weights(release)]))


def zeros_instead_of_the_model(files: Files, release: Release) -> None:
    files[weights(release)] = bytes(len(files[weights(release)]))


def a_changed_chunk_index(files: Files, release: Release) -> None:
    files[index(release)] = flipped(files[index(release)], 40)


def the_model_in_place_of_its_chunk_index(files: Files, release: Release) -> None:
    files[index(release)] = files[weights(release)][: len(files[index(release)])]


def a_longer_chunk_index(files: Files, release: Release) -> None:
    files[index(release)] += b" "


def a_missing_model(files: Files, release: Release) -> None:
    del files[weights(release)]


ATTACKS: list[tuple[Callable[[Files, Release], None], str, int]] = [
    (a_changed_header, "DigestError", 5),
    (a_changed_last_byte, "DigestError", 5),
    (zeros_instead_of_the_model, "DigestError", 5),
    (a_changed_chunk_index, "DigestError", 5),
    (the_model_in_place_of_its_chunk_index, "DigestError", 5),
    (a_longer_chunk_index, "MixAndMatchError", 5),
    (a_missing_model, "NotFoundError", 3),
]


@pytest.mark.parametrize("transport", NETWORKS, indirect=True)
@pytest.mark.parametrize(("attack", "error", "code"), ATTACKS, ids=lambda value: getattr(value, "__name__", ""))
def test_it_is_refused_and_nothing_of_it_stays(
    attack: Callable[[Files, Release], None],
    error: str,
    code: int,
    transport: Transport,
    made: tuple[Publication, Release],
    ollama: FakeOllama,
    call: Call,
) -> None:
    publication, release = made
    honest = files_of(publication)
    forged = dict(honest)
    attack(forged, release)
    transport.serve(forged)
    assert call("registry", "add", transport.address, "--fingerprint", identity_of(publication.root)).code == 0
    refused = call("install", "--role", "chat", "--force", "--yes")
    assert (refused.error, refused.code) == (error, code)
    assert call("versions").document["result"]["versions"] == []
    assert ollama.models == {}
    transport.serve(honest)
    assert call("install", "--role", "chat", "--force", "--yes").code == 0
    assert len(call("versions").document["result"]["versions"]) == 1


PARTS = {"a_missing_model": "a stick may bring a part, or nothing, of a model: import says what is missing"}
"""What is no attack on a bundle, with the reason."""


@pytest.mark.parametrize("transport", STICKS, indirect=True)
@pytest.mark.parametrize(
    ("attack", "error", "code"),
    [each for each in ATTACKS if each[0].__name__ not in PARTS],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_import_refuses_it_and_nothing_of_it_stays(
    attack: Callable[[Files, Release], None],
    error: str,
    code: int,
    transport: Transport,
    made: tuple[Publication, Release],
    ollama: FakeOllama,
    call: Call,
) -> None:
    publication, release = made
    honest = files_of(publication)
    forged = dict(honest)
    attack(forged, release)
    transport.serve(forged)
    refused = call(*transport.reading, "--fingerprint", identity_of(publication.root), "--install")
    assert (refused.error, refused.code) == (error, code)
    assert call("versions").document["result"]["versions"] == []
    assert ollama.models == {}
    transport.serve(honest)
    assert call(*transport.reading, "--fingerprint", identity_of(publication.root), "--install").code == 0
    assert len(call("versions").document["result"]["versions"]) == 1


def files_of(publication: Publication) -> Files:
    return {
        path.relative_to(publication.folder).as_posix(): path.read_bytes()
        for path in publication.folder.rglob("*")
        if path.is_file()
    }
