"""Keys are replaced, and clients follow; clocks are doubted; keys may be kept elsewhere."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import CryptoSigner, Key, Signature

from bbj_desktop.core.errors import ExpiredError, NotFoundError, PublishError, RollbackError
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.keys import KeyFolder, PublicKey
from bbj_desktop.services.registry.publish import (
    Publisher,
    Terms,
    promote,
    publish_staged,
    refresh_timestamp,
    renew,
    rotate,
)
from bbj_desktop.services.registry.staging import Stage, publish_stage
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.people import NAME, People
from tests.fakes.published import PASSPHRASE, Publication

# keys


def test_a_root_key_is_replaced_and_clients_follow(people: People, state: Path, tmp_path: Path) -> None:
    people.versions(state)
    new = people.new_key("root", "Dörte")
    rotate(people.folder, tmp_path / "stage", "root", add=[new], remove=[people.key("root", "Çelik")])
    people.sign(tmp_path / "stage", "Anna")
    people.sign(tmp_path / "stage", "Björn")
    people.publish(tmp_path / "stage")
    for each in (state, tmp_path / "a new customer"):
        assert people.versions(each) == ["2026.1"]
    renew(people.folder, people.online, PASSPHRASE, "root", terms=Terms(stage=tmp_path / "next"))
    people.sign(tmp_path / "next", "Anna")
    people.sign(tmp_path / "next", "Dörte")
    people.publish(tmp_path / "next")
    assert people.versions(state) == ["2026.1"]
    assert (people.folder / "metadata" / "3.root.json").exists()


def test_a_new_root_needs_the_old_keys_and_the_new_ones(people: People, tmp_path: Path) -> None:
    new = [people.new_key("root", "Dörte"), people.new_key("root", "Émile")]
    old = [people.key("root", person) for person in ("Anna", "Björn", "Çelik")]
    rotate(people.folder, tmp_path / "stage", "root", add=new, remove=old)
    for person in ("Dörte", "Émile"):
        people.sign(tmp_path / "stage", person)
    with pytest.raises(PublishError, match="by the keys of root 1"):
        people.publish(tmp_path / "stage")
    for person in ("Anna", "Çelik"):
        people.sign(tmp_path / "stage", person)
    people.publish(tmp_path / "stage")


def test_a_removed_root_key_signs_no_more(people: People, tmp_path: Path) -> None:
    new = people.new_key("root", "Dörte")
    rotate(people.folder, tmp_path / "stage", "root", add=[new], remove=[people.key("root", "Çelik")])
    people.sign(tmp_path / "stage", "Anna")
    people.sign(tmp_path / "stage", "Björn")
    people.publish(tmp_path / "stage")
    renew(people.folder, people.online, PASSPHRASE, "root", terms=Terms(stage=tmp_path / "next"))
    with pytest.raises(PublishError, match="None of these keys"):
        people.sign(tmp_path / "next", "Çelik")


def test_a_targets_key_is_replaced_and_clients_follow(people: People, state: Path, tmp_path: Path) -> None:
    people.versions(state)
    new = people.new_key("targets", "Dörte")
    rotate(people.folder, tmp_path / "stage", "targets", add=[new], remove=[people.key("targets", "Björn")])
    for person in ("Anna", "Björn", "Dörte"):
        people.sign(tmp_path / "stage", person)
    assert people.publish(tmp_path / "stage") == ("root", "targets")
    assert people.versions(state) == ["2026.1"]


def test_a_channel_key_is_replaced_and_clients_follow(people: People, state: Path, tmp_path: Path) -> None:
    people.versions(state)
    new = people.new_key("stable", "Dörte")
    rotate(people.folder, tmp_path / "stage", "stable", add=[new], remove=[people.key("stable", "Björn")])
    for person in ("Anna", "Björn", "Dörte"):
        people.sign(tmp_path / "stage", person)
    assert people.publish(tmp_path / "stage") == ("targets", "stable")
    assert people.versions(state) == ["2026.1"]


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
@pytest.mark.parametrize("lost", [False, True])
def test_an_online_key_is_replaced_and_clients_follow(
    people: People, state: Path, tmp_path: Path, role: str, *, lost: bool
) -> None:
    people.versions(state)
    old = KeyFolder(people.online, PASSPHRASE).signers(role)[0].public_key.keyid
    if lost:
        (people.online / f"{role}-1.key").unlink()
    new = people.new_key(role, "online")
    rotate(people.folder, tmp_path / "stage", role, add=[new], remove=[old])
    people.sign(tmp_path / "stage", "Anna")
    people.sign(tmp_path / "stage", "Björn")
    people.publish(tmp_path / "stage")
    assert people.versions(state) == people.versions(tmp_path / "new") == ["2026.1"]


def swap_online_key(people: People, stage: Path) -> None:
    old = KeyFolder(people.online, PASSPHRASE).signers("timestamp")[0].public_key.keyid
    rotate(people.folder, stage, "timestamp", add=[people.new_key("timestamp", "online")], remove=[old])
    people.sign(stage, "Anna")
    people.sign(stage, "Björn")


def add_targets_key(people: People, stage: Path) -> None:
    rotate(people.folder, stage, "targets", add=[people.new_key("targets", "Dörte")])
    for person in ("Anna", "Björn", "Dörte"):
        people.sign(stage, person)


def swap_targets_key(people: People, stage: Path) -> None:
    new, old = people.new_key("targets", "Dörte"), people.key("targets", "Björn")
    rotate(people.folder, stage, "targets", add=[new], remove=[old])
    for person in ("Anna", "Björn", "Dörte"):
        people.sign(stage, person)


def promote_it(people: People, stage: Path) -> None:
    promote(people.folder, people.online, PASSPHRASE, **NAME, terms=Terms(stage=stage))
    people.sign(stage, "Anna")
    people.sign(stage, "Björn")


@pytest.mark.parametrize("prepare", [swap_online_key, swap_targets_key, add_targets_key, promote_it])
def test_readers_can_read_at_every_step(
    people: People, state: Path, tmp_path: Path, prepare: Callable[[People, Path], None]
) -> None:
    prepare(people, tmp_path / "stage")
    people.versions(state)
    seen: list[list[str]] = []

    def look(_path: Path) -> None:
        seen.append(people.versions(state))
        assert people.versions(tmp_path / f"reader {len(seen)}") == seen[-1]

    publisher = Publisher(people.folder, KeyFolder(people.online, PASSPHRASE), wrote=look)
    publisher.ledger.load()
    publish_stage(publisher.ledger, Stage.load(tmp_path / "stage"))
    assert len(seen) >= 3  # snapshot, timestamp, and root or channel
    assert seen == sorted(seen)


@pytest.mark.parametrize("prepare", [swap_online_key, swap_targets_key, add_targets_key, promote_it])
@pytest.mark.parametrize("last", range(4))
def test_a_writer_that_dies_can_be_called_again(
    people: People, state: Path, tmp_path: Path, prepare: Callable[[People, Path], None], last: int
) -> None:
    class Died(BaseException):
        pass

    prepare(people, tmp_path / "stage")
    written: list[Path] = []

    def die(path: Path) -> None:
        written.append(path)
        if len(written) > last:
            raise Died

    publisher = Publisher(people.folder, KeyFolder(people.online, PASSPHRASE), wrote=die)
    publisher.ledger.load()
    try:
        publish_stage(publisher.ledger, Stage.load(tmp_path / "stage"))
    except Died:
        people.versions(state)
    with contextlib.suppress(PublishError):  # published already
        people.publish(tmp_path / "stage")
    with pytest.raises(PublishError, match="published already"):
        people.publish(tmp_path / "stage")
    assert people.versions(state)
    refresh_timestamp(people.folder, people.online, PASSPHRASE)
    assert people.versions(state)


def in_the_order_of_the_docs(folder: Path) -> list[Path]:
    """docs/registry.md, "Copying to a server": blobs, targets, metadata, roots, and the timestamp last."""

    def step(path: Path) -> int:
        parts = path.relative_to(folder).parts
        if parts[0] != "metadata":
            return ("blobs", "targets").index(parts[0])
        return 4 if path.name == "timestamp.json" else 3 if path.name.endswith(".root.json") else 2

    return sorted((path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"), key=step)


def add_timestamp_key(people: People, stage: Path) -> None:
    rotate(people.folder, stage, "timestamp", add=[people.new_key("timestamp", "online")])
    people.sign(stage, "Anna")
    people.sign(stage, "Björn")


def remove_old_timestamp_key(people: People, stage: Path) -> None:
    add_timestamp_key(people, stage.with_name("before"))
    people.publish(stage.with_name("before"))
    old = KeyFolder(people.online, PASSPHRASE).signers("timestamp")[0].public_key.keyid
    rotate(people.folder, stage, "timestamp", remove=[old])
    people.sign(stage, "Anna")
    people.sign(stage, "Björn")


@pytest.mark.parametrize("prepare", [promote_it, add_targets_key, add_timestamp_key, remove_old_timestamp_key])
def test_a_mirror_that_is_copied_in_order_can_be_read_at_every_step(
    people: People, state: Path, tmp_path: Path, prepare: Callable[[People, Path], None]
) -> None:
    prepare(people, tmp_path / "stage")
    mirror = People(Publication(tmp_path / "mirror", people.online, people.folder), people.place)
    shutil.copytree(people.folder, mirror.folder)
    mirror.versions(state)
    people.publish(tmp_path / "stage")
    for number, path in enumerate(in_the_order_of_the_docs(people.folder)):
        target = mirror.folder / path.relative_to(people.folder)
        if not target.exists() or target.read_bytes() != path.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            assert mirror.versions(state)
            assert mirror.versions(tmp_path / f"new {number}")
    assert mirror.versions(state) == people.versions(state)


def test_a_thief_s_timestamp_that_runs_ahead_is_left_behind(people: People, state: Path, tmp_path: Path) -> None:
    """Fast-forward attack: with a stolen key, the highest version number that there is."""
    before = (people.folder / "metadata" / "timestamp.json").read_bytes()
    thief = Publisher(people.folder, KeyFolder(people.online, PASSPHRASE))
    thief.ledger.load()
    thief.ledger.timestamp.version = 2**31
    thief.ledger.refresh()
    people.versions(state)
    (people.folder / "metadata" / "timestamp.json").write_bytes(before)
    with pytest.raises(RollbackError):
        people.versions(state)
    swap_online_key(people, tmp_path / "stage")
    people.publish(tmp_path / "stage")
    assert people.versions(state) == ["2026.1"]


def test_too_few_keys_are_refused(people: People, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="would have 1 keys, and 2"):
        rotate(people.folder, tmp_path / "stage", "stable", remove=[people.key("stable", "Anna")])


def test_a_key_is_used_for_the_role_that_it_was_made_for(people: People, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="was made for 'stable'"):
        rotate(people.folder, tmp_path / "stage", "root", add=[people.new_key("stable", "Dörte")])


def test_an_unknown_key_cannot_be_removed(people: People, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="has no key 'abc'"):
        rotate(people.folder, tmp_path / "stage", "root", remove=["abc"])


# the clock


def test_a_clock_behind_the_last_signature_signs_nothing(people: People) -> None:
    publisher = Publisher(
        people.folder, KeyFolder(people.online, PASSPHRASE), now=lambda: datetime.now(UTC) - timedelta(days=2)
    )
    publisher.ledger.load()
    with pytest.raises(PublishError, match="was last signed at"):
        publisher.ledger.refresh()


def test_after_a_clock_was_ahead_clients_are_led_back(people: People, state: Path, tmp_path: Path) -> None:
    ahead = Publisher(
        people.folder,
        KeyFolder(people.online, PASSPHRASE),
        now=lambda: datetime.now(UTC) + timedelta(days=200),
        terms=Terms(clock_is_right=True),
    )
    ahead.ledger.load()
    ahead.ledger.commit()
    people.versions(state)  # its time is 200 days ahead from now on
    with pytest.raises(PublishError, match="was last signed at"):
        refresh_timestamp(people.folder, people.online, PASSPHRASE)
    end = refresh_timestamp(people.folder, people.online, PASSPHRASE, clock_is_right=True)
    assert end > datetime.now(UTC) + timedelta(days=200)
    assert people.versions(state) == ["2026.1"]

    old = KeyFolder(people.online, PASSPHRASE).signers("timestamp")[0].public_key.keyid
    new = people.new_key("timestamp", "online")
    stage = tmp_path / "stage"
    rotate(people.folder, stage, "timestamp", add=[new], remove=[old], clock_is_right=True)
    people.sign(stage, "Anna")
    people.sign(stage, "Björn")
    publish_staged(people.folder, people.online, PASSPHRASE, stage, clock_is_right=True)
    assert refresh_timestamp(people.folder, people.online, PASSPHRASE) < datetime.now(UTC) + timedelta(days=15)
    assert people.versions(state) == people.versions(tmp_path / "new") == ["2026.1"]


def test_a_clock_past_the_timestamp_s_end_signs_only_when_somebody_says_that_it_is_right(people: People) -> None:
    later = datetime.now(UTC) + timedelta(days=15)
    publisher = Publisher(people.folder, KeyFolder(people.online, PASSPHRASE), now=lambda: later)
    publisher.ledger.load()
    with pytest.raises(PublishError, match="its timestamp ended") as caught:
        publisher.ledger.refresh()
    assert "--clock-is-right" in caught.value.hint
    sure = Publisher(
        people.folder, KeyFolder(people.online, PASSPHRASE), now=lambda: later, terms=Terms(clock_is_right=True)
    )
    sure.ledger.load()
    assert sure.ledger.refresh() > later


def test_a_registry_that_ended_long_ago_comes_back(published_twice: Publication, state: Path, tmp_path: Path) -> None:
    copy = published_twice.copy(tmp_path / "copy")
    later = datetime.now(UTC) + timedelta(days=800)  # all is over, the root too
    source = open_source(str(copy.folder), Network())
    Registry.open(source, state, initial_root=copy.root).refresh(Cancel())
    reader = Registry.open(source, state, initial_root=copy.root, now=lambda: later)
    with pytest.raises(ExpiredError):
        reader.refresh(Cancel())
    keys, terms = KeyFolder(copy.keys, PASSPHRASE), Terms(clock_is_right=True)
    publisher = Publisher(copy.folder, keys, now=lambda: later, terms=terms)
    publisher.ledger.load()
    publisher.ledger.commit("root", "targets", "beta", "stable")
    assert [offer.release.version for offer in reader.offering("stable", Cancel(), app_version="1.0.0").offers] == [
        "2026.1"
    ]


# keys that are kept elsewhere


def kept_elsewhere(people: People, uri: str, key: Key) -> None:
    file = {"format": 1, "role": "timestamp", "uri": uri, "keyid": key.keyid, "key": key.to_dict()}
    (people.online / "timestamp-2.signer").write_text(json.dumps(file))


def test_a_key_kept_elsewhere_signs_by_its_address(people: People, state: Path, tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())  # a kind that tokens and key services have
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "token.pem").write_bytes(pem)
    key = CryptoSigner(private).public_key
    kept_elsewhere(people, f"file2:{tmp_path / 'token.pem'}", key)
    old = KeyFolder(people.online, PASSPHRASE).signers("timestamp")[0].public_key.keyid
    rotate(people.folder, tmp_path / "stage", "timestamp", add=[PublicKey.of("timestamp", key)], remove=[old])
    people.sign(tmp_path / "stage", "Anna")
    people.sign(tmp_path / "stage", "Björn")
    people.publish(tmp_path / "stage")
    (people.online / "timestamp-1.key").unlink()
    refresh_timestamp(people.folder, people.online, PASSPHRASE)
    assert people.versions(state) == ["2026.1"]


def test_a_token_that_cannot_sign_is_said(people: People) -> None:
    class PulledOut(CryptoSigner):
        def sign(self, payload: bytes) -> Signature:
            message = f"no token for {len(payload)} bytes"
            raise OSError(message)

    signer = PulledOut(Ed25519PrivateKey.generate())

    class Token:
        def signers(self, _role: str) -> Sequence[CryptoSigner]:
            return (signer,)

    rotate(people.folder, people.place / "stage", "timestamp", add=[PublicKey.of("timestamp", signer.public_key)])
    people.sign(people.place / "stage", "Anna")
    people.sign(people.place / "stage", "Björn")
    people.publish(people.place / "stage")
    publisher = Publisher(people.folder, Token())
    publisher.ledger.load()
    with pytest.raises(PublishError, match="can't sign 'timestamp'"):
        publisher.ledger.refresh()


@pytest.mark.parametrize("uri", ["nosuchkind:1", "file2:/nowhere/key.pem"])
def test_a_key_that_cannot_be_reached_is_said(people: People, uri: str) -> None:
    kept_elsewhere(people, uri, CryptoSigner.generate_ed25519().public_key)
    with pytest.raises(PublishError, match=r"timestamp-2\.signer"):
        refresh_timestamp(people.folder, people.online, PASSPHRASE)
