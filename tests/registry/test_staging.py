"""Several people sign, each with a key of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bbj_desktop.core.errors import NotFoundError, PublishError, TrustError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.changes import changes_of
from bbj_desktop.services.registry.publish import (
    Terms,
    promote,
    refresh_timestamp,
    renew,
    rotate,
    withdraw,
)
from bbj_desktop.services.registry.staging import Stage
from tests.fakes.people import NAME, Name, People
from tests.fakes.published import PASSPHRASE


@pytest.fixture
def stage(people: People, tmp_path: Path) -> Path:
    """The promotion of 2026.2 to stable, waiting for two signatures."""
    stage = tmp_path / "Übergabe"
    promote(people.folder, people.online, PASSPHRASE, **NAME, terms=Terms(stage=stage))
    return stage


# stage, sign, merge, publish


def test_a_stage_changes_nothing_for_readers(people: People, stage: Path, state: Path) -> None:
    assert stage.is_dir()
    assert people.versions(state) == ["2026.1"]


def test_a_staging_that_was_killed_is_begun_anew(people: People, tmp_path: Path) -> None:
    left = tmp_path / ".Übergabe.unfinished" / "metadata" / "9.stable.json"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    stage = tmp_path / "Übergabe"
    promote(people.folder, people.online, PASSPHRASE, **NAME, terms=Terms(stage=stage))
    assert Stage.load(stage).record.roles.keys() == {"stable"}
    assert not list(stage.rglob("9.stable.json"))
    assert not left.parent.exists()


def test_two_people_sign_one_after_the_other(people: People, stage: Path, state: Path) -> None:
    assert [role for role, _ in people.sign(stage, "Anna")] == ["stable"]
    people.sign(stage, "Björn")
    assert people.publish(stage) == ("stable",)
    assert people.versions(state) == ["2026.2"]


def test_two_people_sign_copies_that_are_merged(people: People, stage: Path, state: Path, tmp_path: Path) -> None:
    copy = tmp_path / "on Björn's stick"
    shutil.copytree(stage, copy)
    people.sign(stage, "Anna")
    people.sign(copy, "Björn")
    merged = Stage.load(stage)
    assert len(merged.merge(Stage.load(copy))) == 1
    people.publish(stage)
    assert people.versions(state) == ["2026.2"]


def test_signing_twice_adds_nothing(people: People, stage: Path) -> None:
    people.sign(stage, "Anna")
    assert people.sign(stage, "Anna") == ()


def test_a_stage_tells_who_has_signed_and_who_has_not(people: People, stage: Path) -> None:
    people.sign(stage, "Anna")
    (demand,) = Stage.load(stage).demands()
    assert (demand.role, demand.threshold, demand.met) == ("stable", 2, False)
    assert demand.signed == (people.key("stable", "Anna"),)
    assert demand.missing == (people.key("stable", "Björn"),)


def test_too_few_signatures_are_not_published(people: People, stage: Path, state: Path) -> None:
    people.sign(stage, "Anna")
    with pytest.raises(PublishError, match=r"needs 2 signatures .* it has 1"):
        people.publish(stage)
    assert people.versions(state) == ["2026.1"]


def test_keys_of_somebody_else_do_not_sign(people: People, stage: Path) -> None:
    with pytest.raises(PublishError, match="None of these keys"):
        people.sign(stage, "Çelik")


def test_a_forged_signature_does_not_count(people: People, stage: Path) -> None:
    people.sign(stage, "Anna")
    path = next((stage / "metadata").glob("*.stable.json"))
    metadata = json.loads(path.read_bytes())
    metadata["signatures"].append({**metadata["signatures"][0], "keyid": people.key("stable", "Björn")})
    path.write_text(json.dumps(metadata))
    assert [each.met for each in Stage.load(stage).demands()] == [False]
    people.sign(stage, "Björn")
    people.publish(stage)


def test_something_else_cannot_be_merged(people: People, stage: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    renew(people.folder, people.online, PASSPHRASE, "stable", terms=Terms(stage=other))
    with pytest.raises(PublishError, match="isn't a copy"):
        Stage.load(stage).merge(Stage.load(other))


def test_a_stage_that_was_overtaken_is_refused(people: People, stage: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    renew(people.folder, people.online, PASSPHRASE, "stable", terms=Terms(stage=other))
    for person in ("Anna", "Björn"):
        people.sign(stage, person)
        people.sign(other, person)
    people.publish(other)
    with pytest.raises(PublishError, match="published meanwhile"):
        people.publish(stage)


def test_a_refresh_meanwhile_does_no_harm(people: People, stage: Path, state: Path) -> None:
    refresh_timestamp(people.folder, people.online, PASSPHRASE)
    people.sign(stage, "Anna")
    people.sign(stage, "Björn")
    people.publish(stage)
    assert people.versions(state) == ["2026.2"]


def test_publishing_a_stage_twice_is_said(people: People, stage: Path) -> None:
    people.sign(stage, "Anna")
    people.sign(stage, "Björn")
    people.publish(stage)
    with pytest.raises(PublishError, match="published already"):
        people.publish(stage)


def test_a_release_whose_model_is_not_there_is_not_published(people: People, stage: Path) -> None:
    people.sign(stage, "Anna")
    people.sign(stage, "Björn")
    release = people.reader(stage.parent / "beta").offering("beta", Cancel(), app_version="1.0.0").offers[0].release
    digest = release.variants[0].file.digest.removeprefix("sha256:")
    (people.folder / "blobs" / "sha256" / digest[:2] / digest).unlink()
    with pytest.raises(PublishError, match=rf"{digest} .*isn't in"):
        people.publish(stage)


def test_a_manifest_that_was_changed_on_the_way_is_not_signed(stage: Path) -> None:
    manifest = next((stage / "targets" / "stable" / "releases").iterdir())
    manifest.write_bytes(manifest.read_bytes().replace(b"Apache", b"apache"))
    with pytest.raises(PublishError, match="isn't the file that is to be signed"):
        changes_of(Stage.load(stage))


def test_a_stage_on_a_forged_base_is_refused(stage: Path) -> None:
    path = next((stage / "base" / "metadata").glob("*.targets.json"))
    path.write_bytes(path.read_bytes().replace(b'"threshold":2', b'"threshold":1'))
    with pytest.raises(TrustError):
        Stage.load(stage)


def test_a_folder_that_is_no_stage_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Stage.load(tmp_path)


def test_a_stage_does_not_overwrite_another(people: People, stage: Path) -> None:
    with pytest.raises(PublishError, match="isn't a new folder"):
        renew(people.folder, people.online, PASSPHRASE, "stable", terms=Terms(stage=stage))


# in words


def test_the_words_name_release_and_digests(people: People, stage: Path, tmp_path: Path) -> None:
    words = "\n".join(changes_of(Stage.load(stage)))
    release = people.reader(tmp_path / "beta").offering("beta", Cancel(), app_version="1.0.0").offers[0].release
    assert "bbj-coder chat 7b 2026.2" in words
    assert release.variants[0].file.digest in words


def test_the_words_name_a_withdrawal_with_its_reason(people: People, tmp_path: Path) -> None:
    terms = Terms(stage=tmp_path / "stage")
    name: Name = {**NAME, "version": "2026.1"}
    withdraw(people.folder, people.online, PASSPHRASE, "stable", **name, reason="Falsche Lizenz.", terms=terms)
    words = changes_of(Stage.load(tmp_path / "stage"))
    assert "  withdraws bbj-coder chat 7b 2026.1: Falsche Lizenz." in words


def test_the_words_say_when_nothing_but_the_date_changes(people: People, tmp_path: Path) -> None:
    renew(people.folder, people.online, PASSPHRASE, "targets", terms=Terms(stage=tmp_path / "stage"))
    (words,) = changes_of(Stage.load(tmp_path / "stage"))
    assert words.startswith("targets 2, ")
    assert words.endswith("signed anew, unchanged")


def test_the_words_name_the_keys_that_change(people: People, tmp_path: Path) -> None:
    new, old = people.new_key("root", "Dörte"), people.key("root", "Çelik")
    rotate(people.folder, tmp_path / "stage", "root", add=[new], remove=[old])
    words = "\n".join(changes_of(Stage.load(tmp_path / "stage")))
    assert f"root: adds the key {new.keyid}" in words
    assert f"root: removes the key {old}" in words
