"""``rollback``, ``pin``, ``unpin`` and ``rebuild``, from a trusted registry on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.cli.results.installing import UpdateResult
from bbj_desktop.cli.results.versions import PinResult, RebuildResult, RollbackResult, VersionsResult
from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication

OLD, NEW = "bbj-coder:2026.1-7b-q4_0", "bbj-coder:2026.2-7b-q4_0"


@pytest.fixture
def updated(customer: Call, publication: Publication) -> Call:
    """A customer who updated once."""
    assert customer("install", "7b-q4_0").code == 0
    publication.publish("2026.2", quantisations=("Q4_0",), hidden=256)
    assert customer("update").code == 0
    return customer


def active(call: Call) -> list[str]:
    return [
        each.key for each in VersionsResult.model_validate(call("versions", "--json").result).versions if each.active
    ]


@pytest.mark.parametrize("slot", [(), ("bbj-coder:7b",), ("bbj-coder",), ("2026.2",)])
def test_rollback_makes_the_version_before_active_again(
    slot: tuple[str, ...], updated: Call, ollama: FakeOllama, publication: Publication
) -> None:
    publication.folder.rename(publication.folder.with_name("gone"))  # it needs no registry
    result = RollbackResult.model_validate(updated("rollback", *slot, "--json").result)
    assert (result.version.key, result.before) == (OLD, NEW)
    assert active(updated) == [OLD]
    assert ollama.models["bbj-coder:7b"] == ollama.models[OLD]


def test_rolling_back_twice_ends_where_it_began(updated: Call) -> None:
    assert "2026.1" in updated("rollback").out
    assert updated("rollback").out == f"{NEW} is active instead of {OLD}.\n"
    assert active(updated) == [NEW]


def test_without_a_version_before_there_is_nothing_to_go_back_to(customer: Call) -> None:
    assert customer("rollback").code == 3
    customer("install", "7b-q4_0")
    called = customer("rollback", "bbj-coder")
    assert called.code == 3
    assert "No other version of bbj-coder was active before." in called.err


@pytest.fixture
def in_both(customer: Call, publication: Publication, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Two versions with weights of their own, both known to Ollama and to the embedded engine."""
    publication.publish("2026.2", quantisations=("Q4_0",), hidden=256, seed=7)
    for runtime in ("ollama", "embedded"):
        monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", runtime)
        for version in ("2026.1", "2026.2"):
            called = customer("install", "7b-q4_0", "--version", version, "--force")
            assert called.code == 0, called.err
    monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", "auto")
    return customer


def test_an_ollama_that_is_gone_follows_later_where_the_embedded_engine_answers(
    in_both: Call, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = ollama.address
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    called = in_both("rollback")
    assert called.code == 0, called.err
    assert f"bbj-desktop repair {OLD}" in called.err
    assert active(in_both) == [OLD]
    monkeypatch.setenv("OLLAMA_HOST", address)
    (drift,) = (each for each in in_both("versions", "--json").result["drift"] if each["name"] == "bbj-coder:7b")
    assert drift["version"] == OLD
    assert in_both("repair", "2026.1").code == 0
    assert ollama.models["bbj-coder:7b"] == ollama.models[OLD]
    assert in_both("versions", "--json").result["drift"] == []


def test_an_update_goes_to_the_embedded_engine_where_an_ollama_that_knows_the_version_too_is_gone(
    in_both: Call, publication: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication.publish("2026.3", quantisations=("Q4_0",), hidden=256, seed=8)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    called = in_both("update", "--force", "--json")
    assert called.code == 0, called.err
    (version,) = (each for each in in_both("versions", "--json").result["versions"] if each["active"])
    assert version["runtimes"] == ["embedded"]


def test_an_ollama_that_is_gone_changes_nothing(updated: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert updated("rollback").code == 9
    assert active(updated) == [NEW]


def test_an_update_leaves_a_pinned_version_alone_and_says_so(customer: Call, publication: Publication) -> None:
    customer("install", "7b-q4_0")
    result = PinResult.model_validate(customer("pin", "bbj-coder:7b", "--json").result)
    assert (result.version.key, result.version.pinned) == (OLD, True)
    publication.publish("2026.2", quantisations=("Q4_0",), hidden=256)
    checked = customer("update", "--check", "--json")
    found = UpdateResult.model_validate(checked.result)
    assert (checked.code, found.updates, [each.available.version for each in found.pinned]) == (0, (), ["2026.2"])
    assert "bbj-coder:2026.1-7b-q4_0 is pinned: 2026.2 isn't installed in its place." in customer("update").out
    assert active(customer) == [OLD]
    assert customer("unpin", "2026.1").code == 0
    assert customer("update").code == 0
    assert active(customer) == [NEW]


def test_a_pinned_version_stays_where_it_is_known(updated: Call, ollama: FakeOllama, data: Path) -> None:
    assert data.exists()
    updated("pin", "2026.1")
    called = updated("remove", "2026.1", "--yes")
    assert called.code == 7
    assert "bbj-desktop unpin" in called.err
    assert OLD in ollama.models
    assert "pinned" in updated("versions").out


def test_removing_the_active_version_goes_back_to_the_one_before(updated: Call) -> None:
    updated("remove", "2026.2", "--yes")
    assert active(updated) == [OLD]


def test_a_lost_record_is_told_and_restored(updated: Call, data: Path) -> None:
    (record,) = data.rglob("versions/*2026.1*.json")
    record.unlink()
    assert "The record of bbj-coder:2026.1-7b-q4_0 is lost." in updated("doctor", "--json").out
    assert RebuildResult.model_validate(updated("rebuild", "--json").result).restored == (OLD,)
    assert record.exists()
    assert updated("rebuild").out == "Every record is as it should be.\n"


def test_going_back_to_a_file_that_is_gone_is_refused_before_anything_changes(
    customer: Call, publication: Publication, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", "embedded")
    assert customer("install", "7b-q4_0", "--force").code == 0
    publication.publish("2026.2", quantisations=("Q4_0",), hidden=256)
    assert customer("update", "--force").code == 0
    here = VersionsResult.model_validate(customer("versions", "--json").result).versions
    (old,) = (version for version in here if version.key == OLD)
    assert old.path.is_relative_to(data)
    old.path.unlink()
    assert customer("rollback").code == 7
    assert active(customer) == [NEW]
