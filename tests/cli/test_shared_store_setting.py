"""A second user of a machine, whose administrator shares a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.cli.results.installing import InstallResult
from bbj_desktop.cli.results.versions import VersionsResult
from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication

KEY = "bbj-coder:2026.1-7b-q4_0"


@pytest.fixture
def shared(customer: Call, data: Path, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An administrator's store with the release in it; the caller is another user from now on."""
    assert customer("install", "7b-q4_0").code == 0
    ollama.models.clear()
    folder = data.rename(tmp_path / "geteilt für alle") / "store"
    monkeypatch.setenv("BBJ_DESKTOP_SHARED_STORE", str(folder))
    return folder


@pytest.fixture
def second(shared: Path, customer: Call, publication: Publication, identity: str) -> Call:
    assert shared.is_dir()
    assert customer("registry", "add", publication.folder, "--fingerprint", identity).code == 0
    return customer


def test_versions_lists_what_is_shared_apart(second: Call) -> None:
    result = VersionsResult.model_validate(second("versions", "--json").result)
    assert result.versions == ()
    assert [(each.key, each.active) for each in result.shared] == [(KEY, False)]
    assert "In the shared store, not installed here:" in second("versions").out


def test_installing_takes_the_shared_file_and_fetches_nothing(second: Call, shared: Path, ollama: FakeOllama) -> None:
    result = InstallResult.model_validate(second("install", "7b-q4_0", "--json").result)
    assert (result.plans[0].to_fetch_bytes, result.plans[0].disk_bytes) == (0, 0)
    (installed,) = result.installed
    assert installed.fetched_bytes == 0
    assert installed.version.path.is_relative_to(shared)
    assert KEY in ollama.models
    assert second("ask", "Hello?").code == 0


def test_a_shared_file_that_was_changed_is_fetched_instead(second: Call, shared: Path) -> None:
    (file,) = (path for path in (shared / "blobs").iterdir() if not path.suffix)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    called = second("install", "7b-q4_0")
    assert called.code == 0
    assert "isn't what was signed: the model is fetched instead" in called.err
    result = VersionsResult.model_validate(second("versions", "--json").result)
    assert not result.versions[0].path.is_relative_to(shared)


def test_removing_leaves_the_shared_file(second: Call, shared: Path) -> None:
    before = sorted(path.name for path in shared.rglob("*"))
    second("install", "7b-q4_0")
    assert "0 B freed" in second("remove", "2026.1", "--yes").out
    assert sorted(path.name for path in shared.rglob("*")) == before
