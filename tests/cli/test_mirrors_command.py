"""``registry mirror …``: more addresses of one registry."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.fakes.published import Publication
from tests.fakes.release_server import ReleaseServer


@pytest.fixture
def mirror(publication: Publication, tmp_path: Path) -> Path:
    """A copy of the registry as it is now."""
    folder = tmp_path / "Spiegel für alle"
    shutil.copytree(publication.folder, folder)
    return folder


@pytest.fixture
def served(mirror: Path) -> Iterator[ReleaseServer]:
    with ReleaseServer(mirror) as server:
        yield server


def test_a_mirror_is_added_shown_and_removed(customer: Call, publication: Publication, mirror: Path) -> None:
    added = customer("registry", "mirror", "add", mirror)
    assert added.code == 0
    assert f"read from {publication.folder}, else from {mirror}" in added.out.replace("\n", " ")
    shown = customer("registry", "show", "--json").result["registries"]
    assert [registry["mirrors"] for registry in shown] == [[str(mirror)]]
    assert customer("registry", "mirror", "remove", mirror, "--json").result["registry"]["mirrors"] == []


def test_a_mirror_serves_when_the_registry_is_gone(
    customer: Call, publication: Publication, served: ReleaseServer
) -> None:
    customer("registry", "mirror", "add", served.address)
    shutil.rmtree(publication.folder)
    called = customer("update", "--check", "--json")
    assert called.code == 0
    assert called.result["registry"] == served.address


def test_what_was_set_aside_is_said(customer: Call, publication: Publication, served: ReleaseServer) -> None:
    customer("registry", "mirror", "add", served.address)
    shutil.rmtree(publication.folder)
    assert "was set aside" in customer("update", "--check").err


def test_a_mirror_behind_is_added_with_a_word(customer: Call, publication: Publication, mirror: Path) -> None:
    publication.publish("2026.2")
    customer("update", "--check")
    called = customer("registry", "mirror", "add", mirror)
    assert called.code == 0
    assert "is behind now" in called.err.replace("\n", " ")


def test_another_registry_is_no_mirror(customer: Call, tmp_path: Path) -> None:
    other = Publication.create(tmp_path / "andere")
    assert customer("registry", "mirror", "add", other.folder, "--json").error["code"] == "SignatureError"
    assert customer("registry", "show", "--json").result["registries"][0]["mirrors"] == []


def test_an_address_that_is_known_already_is_wrong_input(customer: Call, publication: Publication) -> None:
    called = customer("registry", "mirror", "add", publication.folder, "--json")
    assert (called.code, called.error["code"]) == (2, "UserInputError")


def test_a_mirror_that_is_none_cannot_be_removed(customer: Call) -> None:
    assert customer("registry", "mirror", "remove", "https://nobody.example", "--json").error["code"] == "NotFoundError"


def test_adding_the_registry_again_keeps_its_mirrors(
    customer: Call, publication: Publication, identity: str, mirror: Path
) -> None:
    customer("registry", "mirror", "add", mirror)
    customer("registry", "add", publication.folder, "--fingerprint", identity)
    assert customer("registry", "show", "--json").result["registries"][0]["mirrors"] == [str(mirror)]


def test_an_install_says_which_mirror_of_its_metadata_was_set_aside_and_why_once(
    customer: Call, publication: Publication, served: ReleaseServer
) -> None:
    customer("registry", "mirror", "add", served.address)
    shutil.rmtree(publication.folder)
    called = customer("install", "--yes")
    assert called.code == 0
    said = called.err.replace("\n", " ")
    assert said.count(f"The mirror {publication.folder} was set aside: There is no folder") == 1


def test_an_install_says_which_mirror_sends_other_bytes_than_were_signed(
    customer: Call, publication: Publication, served: ReleaseServer
) -> None:
    customer("registry", "mirror", "add", served.address)
    blob = max(publication.folder.glob("blobs/sha256/*/*"), key=lambda path: path.stat().st_size)
    with blob.open("r+b") as file:
        file.write(b"damage")
    result = customer("install", "--yes", "--json").result
    assert sum(f"{publication.folder} is set aside: Part 0 of" in remark for remark in result["remarks"]) == 1
    assert result["installed"][0]["version"]["runtimes"]
