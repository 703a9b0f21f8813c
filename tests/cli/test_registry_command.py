"""``registry …``: trusting one, and making one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.cli.results import (
    RegistryAddResult,
    RegistryCreateResult,
    RegistryReleaseResult,
    RegistryRootResult,
    RegistryShowResult,
)
from tests.cli.conftest import Call
from tests.cli.world import PASSPHRASE, World


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase.txt"
    path.write_text(PASSPHRASE + "\n", encoding="utf-8")
    return path


def test_adding_with_the_right_fingerprint_trusts_the_registry(call: Call, world: World) -> None:
    called = call("registry", "add", world.folder, "--root", world.root, "--fingerprint", world.identity, "--json")
    added = RegistryAddResult.model_validate(called.result)
    shown = RegistryShowResult.model_validate(call("registry", "show", "--json").result)
    assert [(each.identity, each.current) for each in shown.registries] == [(world.identity, True)]
    assert added.root.identity == world.identity


def test_the_root_may_come_from_the_registry_when_the_fingerprint_came_another_way(call: Call, world: World) -> None:
    assert call("registry", "add", world.folder, "--fingerprint", world.identity).code == 0


def test_a_fingerprint_may_be_written_in_groups(call: Call, world: World) -> None:
    digits = world.identity.removeprefix("sha256:").upper()
    groups = " ".join(digits[start : start + 4] for start in range(0, 64, 4))
    assert call("registry", "add", world.folder, "--fingerprint", groups).code == 0


def test_another_fingerprint_is_refused_and_nothing_is_trusted(call: Call, world: World) -> None:
    called = call("registry", "add", world.folder, "--root", world.root, "--fingerprint", "sha256:" + "0" * 64)
    assert called.code == 5
    assert world.identity[7:11] in called.err
    assert call("registry", "show", "--json").result["registries"] == []


def test_without_a_fingerprint_and_without_anybody_to_ask_nothing_is_trusted(call: Call, world: World) -> None:
    called = call("registry", "add", world.folder, "--root", world.root)
    assert called.code == 2
    assert "Fingerprint: " in called.err
    assert "--yes" in called.err


def test_a_root_file_is_described(call: Call, world: World) -> None:
    described = RegistryRootResult.model_validate(call("registry", "root", world.root, "--json").result).root
    thresholds = {role.name: role.threshold for role in described.roles}
    assert described.identity == world.identity
    assert thresholds["root"] >= 2


def test_a_file_that_is_no_root_is_a_format_error(call: Call, tmp_path: Path) -> None:
    (tmp_path / "root.json").write_text("{}")
    assert call("registry", "root", tmp_path / "root.json", "--json").error["code"] == "FormatError"


def test_a_forgotten_registry_is_not_trusted_any_more(call: Call, world: World) -> None:
    call("registry", "add", world.folder, "--fingerprint", world.identity)
    assert call("registry", "forget", world.folder, "--yes").code == 0
    assert call("recommend").code == 5


def test_without_a_registry_the_way_to_one_is_said(call: Call) -> None:
    called = call("update", "--check", "--json")
    assert called.error["code"] == "NoTrustedRootError"
    assert "registry add ADDRESS" in called.error["hint"]


def test_a_created_registry_can_be_trusted_at_once(call: Call, tmp_path: Path, passphrase: Path) -> None:
    folder, keys = tmp_path / "neues Register", tmp_path / "neue Schlüssel"
    called = call("registry", "create", "--folder", folder, "--keys", keys, "--passphrase-file", passphrase, "--json")
    created = RegistryCreateResult.model_validate(called.result)
    assert call("registry", "add", folder, "--fingerprint", created.root.identity).code == 0


def test_a_folder_with_a_registry_is_not_overwritten(call: Call, world: World, passphrase: Path) -> None:
    where = ("--folder", world.folder, "--keys", world.keys, "--passphrase-file", passphrase)
    assert call("registry", "create", *where, "--json").error["code"] == "PublishError"


def test_the_passphrase_may_come_from_the_environment(
    call: Call, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_PASSPHRASE", PASSPHRASE)
    assert call("registry", "refresh", "--folder", world.folder, "--keys", world.keys).code == 0


def test_without_a_passphrase_and_anybody_to_ask_nothing_is_signed(call: Call, world: World) -> None:
    called = call("registry", "refresh", "--folder", world.folder, "--keys", world.keys)
    assert called.code == 2
    assert "--passphrase-file" in called.err


def test_a_wrong_passphrase_is_refused(call: Call, world: World, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("wrong")
    where = ("--folder", world.folder, "--keys", world.keys, "--passphrase-file", wrong)
    assert call("registry", "refresh", *where).code == 10


def test_a_release_is_promoted_from_beta_to_stable(customer: Call, world: World, passphrase: Path) -> None:
    world.publish("2026.2", channel="beta")
    where = ("--folder", world.folder, "--keys", world.keys, "--passphrase-file", passphrase)
    called = customer("registry", "promote", "bbj-coder-demo:2026.2-135m", *where, "--json")
    assert RegistryReleaseResult.model_validate(called.result).release.version == "2026.2"
    assert "2026.2" in customer("recommend", "--json").out


def test_a_withdrawn_release_is_not_offered_any_more(customer: Call, world: World, passphrase: Path) -> None:
    where = ("--folder", world.folder, "--keys", world.keys, "--passphrase-file", passphrase)
    name = "bbj-coder-demo:2026.1-135m"
    assert customer("registry", "withdraw", name, "--reason", "Wrong licence.", *where, "--yes").code == 0
    called = customer("install", "135m")
    assert called.code == 3


def test_a_release_is_named_whole(call: Call, world: World, passphrase: Path) -> None:
    where = ("--folder", world.folder, "--keys", world.keys, "--passphrase-file", passphrase)
    called = call("registry", "promote", "7b", *where)
    assert called.code == 2
    assert "bbj-coder:2026.1-7b" in called.err
