"""The room that an install takes, by volume, known before its first byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions import installing, recommending
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.installing import InstallPlan
from bbj_desktop.actions.space import BOTH, OLLAMA, STORE, VolumeNeed, check_needs, needs_of
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.errors import NoSpaceError
from bbj_desktop.core.ownership import Ownership, OwnershipKind, decide_ownership
from bbj_desktop.core.progress import Cancel, silent
from tests.actions.conftest import CHAT, install
from tests.fakes.ollama import FakeOllama
from tests.fakes.release_server import ReleaseServer
from tests.fakes.volumes import small_volume

LENGTH = 1_000_000


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    with small_volume(tmp_path / "kleine Platte ü") as folder:
        yield folder


def status(models: Path | None, *, copies: int = 3, local: bool = True) -> RuntimeStatus:
    return RuntimeStatus(name="ollama", available=True, copies=copies, local=local, models_folder=models)


def needs(store: Path, runtime: RuntimeStatus, *, registered: bool = False) -> dict[str, int]:
    found = needs_of(store, LENGTH, runtime, decide_ownership(runtime), LENGTH, registered=registered)
    return {need.purpose: need.bytes for need in found}


def test_two_folders_on_one_volume_are_one_need(tmp_path: Path) -> None:
    assert needs(tmp_path / "store", status(tmp_path / "models")) == {BOTH: 4 * LENGTH}


def test_each_volume_has_its_own_need(tmp_path: Path, volume: Path) -> None:
    assert needs(tmp_path, status(volume / "models")) == {STORE: LENGTH, OLLAMA: 3 * LENGTH}


@pytest.mark.parametrize(
    ("runtime", "registered"),
    [
        (RuntimeStatus(name="embedded", available=True), False),
        (status(Path("/anywhere"), local=False), False),
        (status(None), False),
        (status(Path("/anywhere")), True),
    ],
    ids=["embedded", "another machine", "unknown folder", "registered already"],
)
def test_without_copies_here_only_our_file_takes_room(tmp_path: Path, runtime: RuntimeStatus, registered: bool) -> None:
    assert needs(tmp_path, runtime, registered=registered) == {STORE: LENGTH}


def test_a_volume_that_is_too_small_is_named_with_what_is_missing(tmp_path: Path) -> None:
    need = VolumeNeed(path=tmp_path, bytes=3_000_000, free_bytes=1_000_000, purpose=OLLAMA)
    with pytest.raises(NoSpaceError, match=r"for Ollama's copies; 1 MB are free: 2 MB too few"):
        check_needs([need])


def plan(context: Context) -> InstallPlan:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    return installing.plan_install(context, recommending.choose(recommended, CHAT), Cancel())


def test_the_plan_tells_every_copy_and_whose_the_bytes_are(context: Context) -> None:
    found = plan(context)
    length = found.candidate.variant.file.length_bytes
    assert found.ownership is not None
    texts = int(0.02 * length)  # beside the copy that Ollama pulls
    assert sum(need.bytes for need in found.needs) == length * (1 + found.ownership.copies) + texts
    install(context)
    assert sum(need.bytes for need in plan(context).needs) == 0


def test_no_byte_is_fetched_for_copies_that_find_no_room(
    context: Context, server: ReleaseServer, ollama: FakeOllama, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(volume))
    found = plan(context)
    assert OLLAMA in [need.purpose for need in found.needs]
    (volume / "something else").write_bytes(bytes(60 * 1024))  # since the plan
    with pytest.raises(NoSpaceError) as caught:
        installing.install(context, found, silent, Cancel())
    assert caught.value.path == volume
    assert context.open_store().versions() == ()
    assert ollama.models == {}
    digest = found.candidate.variant.file.digest.removeprefix("sha256:")
    assert not [request.path for request in server.requests if request.path.endswith(digest)]


@pytest.mark.parametrize("route", ["stream", "pull"])
def test_the_texts_that_come_beside_the_file_have_room_too(tmp_path: Path, route: str) -> None:
    ownership = Ownership(kind=OwnershipKind.OLLAMAS, copies=1, reason="", route=route)
    (need,) = needs_of(tmp_path, 0, status(tmp_path), ownership, LENGTH, registered=False)
    assert need.bytes == LENGTH + int(LENGTH * 0.02)
