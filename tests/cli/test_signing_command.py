"""``registry``: what several people sign, keys, lifetimes and mirrors."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bbj_desktop.cli.results.publishing import (
    RegistryKeyResult,
    RegistryMergeResult,
    RegistryPublishStagedResult,
    RegistryReleaseResult,
    RegistryRenewResult,
    RegistrySignResult,
    RegistryStageResult,
    RegistryStatusResult,
    RegistryVerifyResult,
    RegistryWithdrawResult,
)
from bbj_desktop.services.registry.findings import Trouble
from bbj_desktop.services.registry.layout import INITIAL_ROOT, blob_path
from tests.cli.conftest import Call
from tests.fakes.published import PASSPHRASE, Publication

NEW = "bbj-coder:2026.2-7b"


@pytest.fixture(autouse=True)
def _passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_PASSPHRASE", PASSPHRASE)


@pytest.fixture
def others_keys(publication: Publication, tmp_path: Path) -> Path:
    """The keys of a second person: they aren't in the first one's folder any more."""
    keys = tmp_path / "Björns Schlüssel"
    keys.mkdir()
    for path in publication.keys.glob("*-2.key"):
        shutil.move(path, keys)
    return keys


@pytest.fixture
def stage(call: Call, publication: Publication, tmp_path: Path) -> Path:
    """The promotion of 2026.2, to be signed."""
    publication.publish("2026.2", channel="beta")
    stage = tmp_path / "zum Unterschreiben"
    assert call("registry", "promote", NEW, "--folder", publication.folder, "--stage", stage).code == 0
    return stage


def test_two_people_sign_a_promotion_and_a_customer_gets_it(
    customer: Call, publication: Publication, stage: Path, others_keys: Path, tmp_path: Path
) -> None:
    shutil.copytree(stage, tmp_path / "Kopie")
    first = customer("registry", "sign", stage, "--keys", publication.keys, "--yes", "--json")
    second = customer("registry", "sign", tmp_path / "Kopie", "--keys", others_keys, "--yes", "--json")
    assert not RegistrySignResult.model_validate(first.result).stage.complete
    assert len(RegistrySignResult.model_validate(second.result).signed) == 1
    merged = customer("registry", "merge", stage, tmp_path / "Kopie", "--json")
    assert RegistryMergeResult.model_validate(merged.result).stage.complete
    live = customer(
        "registry", "publish-staged", stage, "--folder", publication.folder, "--keys", publication.keys, "--json"
    )
    assert RegistryPublishStagedResult.model_validate(live.result).roles == ("stable",)
    assert "2026.2" in customer("recommend", "--json").out


def test_whoever_signs_is_shown_what_before(call: Call, publication: Publication, stage: Path) -> None:
    called = call("registry", "sign", stage, "--keys", publication.keys)  # nobody answers: nothing is signed
    assert called.code == 2
    assert "offers bbj-coder chat 7b 2026.2" in called.err
    assert "sha256:" in called.err
    assert "0 of 2 signatures" in call("registry", "stage", stage).out


def test_a_stage_is_shown(call: Call, stage: Path) -> None:
    view = RegistryStageResult.model_validate(call("registry", "stage", stage, "--json").result).stage
    assert view.purpose == "promote bbj-coder chat 7b 2026.2 from beta to stable"
    assert [(each.role, each.threshold) for each in view.demands] == [("stable", 2)]


def test_a_promotion_can_be_staged_without_any_key(call: Call, publication: Publication, tmp_path: Path) -> None:
    publication.publish("2026.2", channel="beta")
    called = call("registry", "promote", NEW, "--folder", publication.folder, "--stage", tmp_path / "stage", "--json")
    assert RegistryReleaseResult.model_validate(called.result).stage is not None


def test_a_withdrawal_can_be_staged(call: Call, publication: Publication, tmp_path: Path) -> None:
    where = ("--folder", publication.folder, "--stage", tmp_path / "stage")
    called = call("registry", "withdraw", "bbj-coder:2026.1-7b", "--reason", "Falsch.", *where, "--json")
    view = RegistryWithdrawResult.model_validate(called.result).stage
    assert view is not None
    assert "  withdraws bbj-coder chat 7b 2026.1: Falsch." in view.changes


def test_without_keys_and_without_a_stage_nothing_is_signed(call: Call, publication: Publication) -> None:
    called = call("registry", "renew", "stable", "--folder", publication.folder)
    assert called.code == 2
    assert "--stage" in called.err


def test_long_lived_roles_are_signed_anew(call: Call, publication: Publication) -> None:
    where = ("--folder", publication.folder, "--keys", publication.keys)
    called = call("registry", "renew", "root", "targets", "stable", *where, "--json")
    assert RegistryRenewResult.model_validate(called.result).roles == ("root", "targets", "stable")
    status = RegistryStatusResult.model_validate(
        call("registry", "status", "--folder", publication.folder, "--json").result
    )
    assert {role.role: role.version for role in status.roles}["root"] == 2


def test_a_lost_root_key_is_replaced(customer: Call, publication: Publication, tmp_path: Path) -> None:
    lost = publication.keys / "root-3.key"
    made = RegistryKeyResult.model_validate(
        customer("registry", "key", "root", "--keys", publication.keys, "--json").result
    )
    view = customer("registry", "root", publication.folder / INITIAL_ROOT, "--json").result["root"]
    keys = next(role["keys"] for role in view["roles"] if role["name"] == "root")
    lost.unlink()
    stage = tmp_path / "stage"
    where = ("--folder", publication.folder, "--stage", stage)
    rotated = customer("registry", "rotate", "root", "--add", made.public, "--remove", keys[2][:12], *where, "--json")
    assert len(RegistryStageResult.model_validate(rotated.result).stage.demands) == 2
    assert customer("registry", "sign", stage, "--keys", publication.keys, "--yes").code == 0
    live = ("--folder", publication.folder, "--keys", publication.keys)
    assert customer("registry", "publish-staged", stage, *live).code == 0
    assert customer("update", "--check").code == 0


def test_a_fresh_registry_needs_nothing(call: Call, publication: Publication) -> None:
    called = call("registry", "status", "--folder", publication.folder)
    assert called.code == 0
    assert "timestamp" in called.out


def test_a_sound_mirror_ends_with_0(call: Call, publication: Publication) -> None:
    called = call("registry", "verify", publication.folder, "--root", publication.folder / INITIAL_ROOT, "--json")
    result = RegistryVerifyResult.model_validate(called.result)
    assert (called.code, result.sound, result.mirror.problems) == (0, True, ())


def test_an_incomplete_mirror_ends_with_1_and_names_the_file(call: Call, publication: Publication) -> None:
    release = publication.publish("2026.2")
    path = blob_path(release.variants[0].file.digest)
    (publication.folder / path).unlink()
    called = call("registry", "verify", publication.folder, "--json")
    (problem,) = RegistryVerifyResult.model_validate(called.result).mirror.problems
    assert (called.code, problem.path, problem.trouble) == (1, path, Trouble.MISSING)
    assert f"missing      {path}" in call("registry", "verify", publication.folder).out
