"""Keys and drafts, and what a reader sees while a registry is written."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from bbj_desktop.core.errors import Cancelled, FormatError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.registry.keys import CHANNEL_PLANS, KEY_PLANS, KeyFolder
from bbj_desktop.services.registry.publish import (
    Publisher,
    load_draft,
)
from bbj_desktop.services.registry.root import describe_root
from tests.fakes.gguf import tiny_gguf
from tests.fakes.makers import PASSPHRASE, Makers, no_engine

# keys and drafts


def test_private_keys_are_encrypted_and_their_owner_s_alone(makers: Makers) -> None:
    for path in makers.keys.glob("*.key"):
        key = json.loads(path.read_text())
        assert (key["n"], len(bytes.fromhex(key["sealed"]))) == (2**16, 32 + 16)  # scrypt's cost; key and its tag
        if sys.platform != "win32":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_root_is_signed_by_two_of_three(makers: Makers) -> None:
    description = describe_root((makers.folder / "metadata" / "1.root.json").read_bytes())
    root = next(role for role in description.roles if role.name == "root")
    assert (root.threshold, len(root.keys)) == (2, 3)


def test_everyday_publishing_needs_no_root_key(makers: Makers, state: Path) -> None:
    for path in [*makers.keys.glob("root-*.key"), *makers.keys.glob("targets-*.key")]:
        path.unlink()
    makers.publish(makers.draft())
    assert len(makers.offering(state).offers) == 1


def test_a_draft_names_its_files_relative_to_itself(makers: Makers) -> None:
    makers.model()
    path = makers.models / "draft.json"
    path.write_text(makers.draft(files={"Q4_0": "tiny.Q4_0.gguf"}).model_dump_json(), encoding="utf-8")
    assert load_draft(path).files == {"Q4_0": makers.models / "tiny.Q4_0.gguf"}


def test_a_misspelt_field_of_a_draft_is_said(makers: Makers) -> None:
    path = makers.models / "draft.json"
    path.write_text(json.dumps({**json.loads(makers.draft().model_dump_json()), "licens": "MIT"}), encoding="utf-8")
    with pytest.raises(FormatError, match="licens"):
        load_draft(path)


def test_a_least_program_that_is_no_version_is_said(makers: Makers) -> None:
    path = makers.models / "draft.json"
    fields = {**json.loads(makers.draft().model_dump_json()), "min_app_version": "soon"}
    path.write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(FormatError, match="min_app_version"):
        load_draft(path)


# what a reader sees meanwhile


def test_readers_see_the_old_state_or_the_new_one_at_every_step(makers: Makers, tmp_path: Path) -> None:
    first = makers.publish(makers.draft())
    seen: list[list[str]] = []

    def look(_path: Path) -> None:
        fresh = makers.offering(tmp_path / f"reader {len(seen)}")
        returning = makers.offering(tmp_path / "a reader who comes again")
        assert fresh.offers == returning.offers
        seen.append([offer.release.version for offer in fresh.offers])

    publisher = Publisher(makers.folder, KeyFolder(makers.keys, PASSPHRASE), wrote=look)
    publisher.ledger.load()
    files = {"Q4_0": makers.model("newer.gguf", tiny_gguf(seed=2))}
    second = makers.draft(version="2026.2", files=files)
    publisher.publish(second, "beta", silent, Cancel(), measure=no_engine)
    assert first.version == "2026.1"
    assert len(seen) >= 7  # model, index, manifest, catalogue, channel, snapshot, timestamp
    assert seen == [["2026.1"]] * (len(seen) - 1) + [["2026.2"]]


@pytest.mark.parametrize("last", range(8))
def test_a_writer_that_dies_leaves_a_registry_that_can_be_published_to(makers: Makers, state: Path, last: int) -> None:
    class Died(BaseException):
        pass

    written: list[Path] = []

    def die(path: Path) -> None:
        written.append(path)
        if len(written) > last:
            raise Died

    publisher = Publisher(makers.folder, KeyFolder(makers.keys, PASSPHRASE), wrote=die)
    publisher.ledger.load()
    with pytest.raises(Died):
        publisher.publish(makers.draft(), "beta", silent, Cancel(), measure=no_engine)
    makers.offering(state)
    release = makers.publish(makers.draft())
    assert [offer.release for offer in makers.offering(state).offers] == [release]


def test_cancelling_leaves_the_registry_as_it_was(makers: Makers) -> None:
    cancel = Cancel()
    cancel.cancel()
    draft = makers.draft()
    before = makers.files()
    with pytest.raises(Cancelled):
        makers.publish(draft, cancel=cancel)
    assert makers.files() == before


def test_the_plans_name_every_role_once() -> None:
    assert not set(KEY_PLANS) & set(CHANNEL_PLANS)
    assert KEY_PLANS["root"].threshold >= 2
    assert CHANNEL_PLANS["stable"].threshold >= 2
