"""From the makers' files to a customer's offering."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bbj_desktop.core.errors import Cancelled, FormatError, NotFoundError, PublishError, StoreBusyError
from bbj_desktop.core.gguf import read_header
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel, Event, Remark, Transfer, silent
from bbj_desktop.core.release import FitRow, Offering, Release, TierTable
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.registry.keys import CHANNEL_PLANS, KEY_PLANS, KeyFolder
from bbj_desktop.services.registry.publish import (
    Publisher,
    ReleaseDraft,
    create_registry,
    load_draft,
    promote,
    publish,
    refresh_timestamp,
    renew,
    withdraw,
)
from bbj_desktop.services.registry.root import describe_root
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.catalogue import standard_tiers
from tests.fakes.gguf import CHATML, TOKENS, tiny_gguf
from tests.fakes.release_server import ReleaseServer

PASSPHRASE = "vier Wörter und ein Fluß"
NAME = {"model": "bbj-coder", "role": "chat", "size": "7b", "version": "2026.1"}


def no_engine(_gguf: Path, context_lengths: Sequence[int]) -> tuple[FitRow, ...]:
    """Stands in for llama.cpp, which couldn't load the tiny models of these tests."""
    return tuple(
        FitRow(context_length=length, weights_bytes=1, kv_bytes=length, compute_bytes=1) for length in context_lengths
    )


class Makers:
    """A registry with its keys, and what its makers type."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "Öffentliche Modelle"
        self.keys = place / "geheime Schlüssel"
        self.models = place / "Modelle von heute"
        self.models.mkdir(parents=True)
        self.events: list[Event] = []

    def model(self, name: str = "tiny.Q4_0.gguf", content: bytes | None = None) -> Path:
        path = self.models / name
        path.write_bytes(tiny_gguf() if content is None else content)
        return path

    def draft(self, **changes: object) -> ReleaseDraft:
        fields: dict[str, object] = {
            **NAME,
            "released": "2026-01-14",
            "min_app_version": "0.1.0",
            "title": "BBj Coder 7B",
            "base_model": {"name": "Qwen2.5-Coder-7B", "licence": "Apache-2.0", "licence_text": "Apache License …"},
            "licence": "Apache-2.0",
            "licence_text": "Apache License …",
            "prompt": {
                "go_template": "{{ .Prompt }}",
                "jinja_template": CHATML,
                "parameters": {"stop": ["<|im_end|>"]},
            },
        }
        if "files" not in changes:
            changes["files"] = {"Q4_0": self.model()}
        return ReleaseDraft.model_validate({**fields, **changes})

    def publish(self, draft: ReleaseDraft, channel: str = "beta", cancel: Cancel | None = None) -> Release:
        return publish(
            self.folder,
            self.keys,
            PASSPHRASE,
            draft,
            channel,
            self.events.append,
            cancel or Cancel(),
            measure=no_engine,
        )

    def withdraw(self, channel: str, reason: str) -> None:
        model, role, size, version = NAME["model"], NAME["role"], NAME["size"], NAME["version"]
        withdraw(
            self.folder, self.keys, PASSPHRASE, channel, model=model, role=role, size=size, version=version,
            reason=reason,
        )  # fmt: skip

    def promote(self, *, tiers: TierTable | None = None) -> Release:
        model, role, size, version = NAME["model"], NAME["role"], NAME["size"], NAME["version"]
        return promote(
            self.folder, self.keys, PASSPHRASE, model=model, role=role, size=size, version=version, tiers=tiers
        )

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def reader(self, state: Path, address: str | None = None, now: Callable[[], datetime] | None = None) -> Registry:
        source = open_source(address or str(self.folder), Network())
        root = (self.folder / "metadata" / "1.root.json").read_bytes()
        return Registry.open(source, state, initial_root=root, now=now or (lambda: datetime.now(UTC)))

    def offering(self, state: Path, channel: str = "beta") -> Offering:
        return self.reader(state).offering(channel, Cancel(), app_version="1.0.0")


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new registry with its keys, made once: stretching a passphrase takes its time."""
    place = tmp_path_factory.mktemp("fresh")
    makers = Makers(place)
    create_registry(makers.folder, makers.keys, PASSPHRASE)
    return place


@pytest.fixture
def makers(tmp_path: Path, fresh: Path) -> Makers:
    makers = Makers(tmp_path)
    shutil.copytree(fresh, tmp_path, dirs_exist_ok=True)
    return makers


def refused(makers: Makers, draft: ReleaseDraft, match: str) -> PublishError:
    before = makers.files()
    with pytest.raises(PublishError, match=match) as caught:
        makers.publish(draft)
    assert makers.files() == before
    return caught.value


# what comes out at the other end


def test_a_new_registry_offers_nothing_yet(makers: Makers, state: Path) -> None:
    assert [makers.offering(state, channel).offers for channel in ("beta", "stable")] == [(), ()]


def test_what_is_published_is_what_is_read(makers: Makers, state: Path) -> None:
    release = makers.publish(makers.draft())
    assert [offer.release for offer in makers.offering(state).offers] == [release]


def test_it_reads_the_same_over_http(makers: Makers, state: Path) -> None:
    release = makers.publish(makers.draft())
    with ReleaseServer(makers.folder) as server:
        registry = makers.reader(state, server.address)
        offers = registry.offering("beta", Cancel(), app_version="1.0.0").offers
        index = registry.chunk_index(release.variants[0], Cancel())
        registry.source.close()
    assert [offer.release for offer in offers] == [release]
    assert index.file == release.variants[0].file


def test_the_numbers_come_from_the_file(makers: Makers) -> None:
    variant = makers.publish(makers.draft()).variants[0]
    assert variant.architecture.layers == 2
    assert variant.file.length_bytes == len(tiny_gguf())
    assert [row.context_length for row in variant.fit_table] == [2048, 4096, 8192]  # trained for 8192


def test_the_payload_lies_under_its_digest(makers: Makers) -> None:
    release = makers.publish(makers.draft())
    assert (makers.folder / blob_path(release.variants[0].file.digest)).read_bytes() == tiny_gguf()


def test_a_model_file_is_not_stored_twice_on_one_volume(makers: Makers) -> None:
    model = makers.model()
    release = makers.publish(makers.draft(files={"Q4_0": model}))
    assert (makers.folder / blob_path(release.variants[0].file.digest)).samefile(model)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_private_file_is_copied_so_that_a_web_server_can_read_it(makers: Makers) -> None:
    model = makers.model()
    model.chmod(0o600)
    release = makers.publish(makers.draft(files={"Q4_0": model}))
    blob = makers.folder / blob_path(release.variants[0].file.digest)
    assert blob.read_bytes() == model.read_bytes()
    assert not blob.samefile(model)


def test_a_file_that_changes_after_it_was_hashed_is_refused(makers: Makers, state: Path) -> None:
    model = makers.model()
    os.utime(model, (1, 1))  # long ago, for file systems with a coarse clock

    def meddle(gguf: Path, context_lengths: Sequence[int]) -> tuple[FitRow, ...]:
        gguf.write_bytes(tiny_gguf(seed=2))
        return no_engine(gguf, context_lengths)

    draft = makers.draft(files={"Q4_0": model})
    with pytest.raises(PublishError, match="changed while it was published"):
        publish(makers.folder, makers.keys, PASSPHRASE, draft, "beta", silent, Cancel(), measure=meddle)
    assert makers.offering(state).offers == ()


def test_the_tokenizer_is_the_model_without_its_tensors(makers: Makers, state: Path) -> None:
    release = makers.publish(makers.draft())
    data = makers.reader(state).tokenizer(release, Cancel())
    assert data is not None
    tokenizer, model = read_header(io.BytesIO(data)), read_header(io.BytesIO(tiny_gguf()))
    assert tokenizer.tensors == ()
    assert tokenizer.metadata == model.metadata
    assert len(data) < model.data_offset


def test_several_quantisations_make_one_release(makers: Makers) -> None:
    files = {"Q4_0": makers.model(), "F16": makers.model("tiny.F16.gguf", tiny_gguf(ggml_type=1))}
    release = makers.publish(makers.draft(files=files))
    assert [variant.quantisation for variant in release.variants] == ["F16", "Q4_0"]


def test_progress_counts_all_bytes(makers: Makers) -> None:
    makers.publish(makers.draft())
    transfers = [event for event in makers.events if isinstance(event, Transfer)]
    assert transfers[-1].done_bytes == transfers[-1].total_bytes == len(tiny_gguf())


def test_publishing_the_same_again_changes_nothing_and_says_so(makers: Makers) -> None:
    release = makers.publish(makers.draft())
    before = makers.files()
    assert makers.publish(makers.draft()) == release
    assert makers.files() == before
    assert "nothing changed" in next(event.text for event in makers.events if isinstance(event, Remark))


def test_a_published_version_never_changes(makers: Makers) -> None:
    makers.publish(makers.draft())
    other = makers.draft(files={"Q4_0": makers.model("other.gguf", tiny_gguf(seed=2))})
    error = refused(makers, other, "other content")
    assert "new version" in error.hint


def test_a_version_is_the_same_in_all_channels(makers: Makers) -> None:
    makers.publish(makers.draft())
    with pytest.raises(PublishError, match="in beta with other content"):
        makers.publish(makers.draft(title="Another one"), "stable")


def test_promoting_signs_the_same_manifest_with_the_keys_of_stable(makers: Makers, state: Path) -> None:
    release = makers.publish(makers.draft())
    assert makers.promote() == release
    assert [offer.release for offer in makers.offering(state, "stable").offers] == [release]


def test_promoting_needs_two_keys_of_stable(makers: Makers) -> None:
    makers.publish(makers.draft())
    (makers.keys / "stable-2.key").unlink()
    with pytest.raises(PublishError, match="needs 2 signatures; the keys for 1 are here"):
        makers.promote()


def test_promoting_twice_changes_nothing(makers: Makers) -> None:
    makers.publish(makers.draft())
    makers.promote()
    before = makers.files()
    makers.promote()
    assert makers.files() == before


def test_what_is_not_there_cannot_be_promoted(makers: Makers) -> None:
    with pytest.raises(NotFoundError):
        makers.promote()


def test_a_withdrawn_release_is_offered_no_more(makers: Makers, state: Path) -> None:
    makers.publish(makers.draft())
    makers.withdraw("beta", "It invents methods.")
    offering = makers.offering(state)
    assert offering.offers == ()
    assert offering.catalogue.entries[0].withdrawn == "It invents methods."


def test_a_withdrawn_release_is_not_promoted(makers: Makers) -> None:
    makers.publish(makers.draft())
    makers.withdraw("beta", "It invents methods.")
    with pytest.raises(PublishError, match="It invents methods"):
        makers.promote()


def test_what_was_withdrawn_is_never_offered_again(makers: Makers) -> None:
    draft = makers.draft()
    makers.publish(draft)
    makers.promote()
    makers.withdraw("stable", "It invents methods.")
    with pytest.raises(PublishError, match="withdrawn from stable"):
        makers.promote()
    with pytest.raises(PublishError, match="withdrawn from stable"):
        makers.publish(draft, channel="stable")


def test_a_tier_table_is_signed_with_the_catalogue(makers: Makers, state: Path) -> None:
    draft, tiers = makers.draft(), standard_tiers()
    makers.publish(draft)
    assert makers.offering(state).catalogue.tiers is None
    publish(makers.folder, makers.keys, PASSPHRASE, draft, "beta", silent, Cancel(), tiers=tiers, measure=no_engine)
    assert makers.offering(state).catalogue.tiers == tiers


def test_promoting_may_replace_the_tier_table_of_what_is_promoted_already(makers: Makers, state: Path) -> None:
    makers.publish(makers.draft())
    makers.promote()
    makers.promote(tiers=standard_tiers())
    assert makers.offering(state, "stable").catalogue.tiers == standard_tiers()


def test_a_later_release_keeps_the_tier_table(makers: Makers, state: Path) -> None:
    makers.publish(makers.draft())
    makers.promote(tiers=standard_tiers())
    makers.publish(makers.draft(version="2026.2"), channel="stable")
    assert makers.offering(state, "stable").catalogue.tiers == standard_tiers()


def test_withdrawing_needs_a_reason(makers: Makers) -> None:
    makers.publish(makers.draft())
    with pytest.raises(PublishError, match="reason"):
        makers.withdraw("beta", " ")


def test_the_timestamp_says_when_it_was_signed(makers: Makers) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    refresh_timestamp(makers.folder, makers.keys, PASSPHRASE)
    signed = json.loads((makers.folder / "metadata" / "timestamp.json").read_bytes())["signed"]
    assert before <= datetime.fromisoformat(signed["x-issued"]) <= datetime.now(UTC)


def test_refreshing_keeps_a_registry_alive_for_months(makers: Makers, state: Path) -> None:
    makers.publish(makers.draft())
    clock = [datetime.now(UTC)]
    publisher = Publisher(makers.folder, KeyFolder(makers.keys, PASSPHRASE), now=lambda: clock[0])
    publisher.ledger.load()
    registry = makers.reader(state, now=lambda: clock[0])
    for _ in range(30):
        clock[0] += timedelta(days=10)
        publisher.ledger.refresh()
        registry.refresh(Cancel())


def test_a_refresh_of_a_young_registry_writes_the_timestamp_only(makers: Makers) -> None:
    before = makers.files()
    refresh_timestamp(makers.folder, makers.keys, PASSPHRASE)
    after = makers.files()
    assert [path for path in after if after[path] != before.get(path)] == ["metadata/timestamp.json"]


def test_long_lived_roles_can_be_signed_anew(makers: Makers, state: Path) -> None:
    makers.offering(state)
    renew(makers.folder, makers.keys, PASSPHRASE, "root", "targets", "stable")
    written = {path.name for path in (makers.folder / "metadata").iterdir()}
    assert {"2.root.json", "2.targets.json", "2.stable.json"} <= written
    assert makers.offering(state, "stable").offers == ()


def test_an_unknown_role_cannot_be_signed_anew(makers: Makers) -> None:
    with pytest.raises(NotFoundError, match="nightly"):
        renew(makers.folder, makers.keys, PASSPHRASE, "nightly")


# what is refused


def test_another_template_than_the_file_s_is_refused_with_the_difference(makers: Makers) -> None:
    prompt = {
        "go_template": "{{ .Prompt }}",
        "jinja_template": CHATML.replace("im_start", "begin"),
        "parameters": {"stop": ["<|im_end|>"]},
    }
    error = refused(makers, makers.draft(prompt=prompt), "another chat template")
    assert "+" in error.hint
    assert "<|begin|>" in error.hint


@pytest.mark.parametrize(
    ("role", "template", "match"),
    [
        ("chat", "  ", "no Go template"),
        ("chat", "{{ .Prompt }}{{ .Suffix }}", "for chat"),
        ("fim", "{{ .Prompt }}", "no .Suffix"),
    ],
)
def test_the_go_template_must_suit_the_role(makers: Makers, role: str, template: str, match: str) -> None:
    prompt = {"go_template": template, "jinja_template": CHATML, "parameters": {"stop": ["<|im_end|>"]}}
    refused(makers, makers.draft(role=role, prompt=prompt), match)


def test_a_completion_model_with_its_template_is_published(makers: Makers) -> None:
    fim = "<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"
    prompt = {"go_template": fim, "jinja_template": CHATML, "parameters": {"stop": ["<|endoftext|>"]}}
    assert makers.publish(makers.draft(role="fim", prompt=prompt)).role == "fim"


def test_stop_strings_are_demanded(makers: Makers) -> None:
    prompt = {"go_template": "{{ .Prompt }}", "jinja_template": CHATML, "parameters": {}}
    refused(makers, makers.draft(prompt=prompt), "no stop strings")


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("Qwen2.5-Coder-3B", "LicenseRef-Qwen-Research"),
        ("My merge", "Qwen Research"),
        ("Qwen/Qwen2.5-Coder-3B-Instruct", "Apache-2.0"),
        ("Some model", "CC-BY-NC-4.0"),
    ],
)
def test_a_base_that_forbids_commercial_use_is_refused(makers: Makers, name: str, licence: str) -> None:
    base = {"name": name, "licence": licence, "licence_text": "…"}
    refused(makers, makers.draft(base_model=base), "forbids commercial use")


def test_a_licence_without_its_text_is_refused(makers: Makers) -> None:
    refused(makers, makers.draft(licence_text=""), "text of a licence")


def test_a_mislabelled_quantisation_is_refused(makers: Makers) -> None:
    model = makers.model(content=tiny_gguf(metadata={"general.file_type": 7}))
    refused(makers, makers.draft(files={"Q4_0": model}), "says that it is Q8_0")


def test_files_of_different_models_are_refused(makers: Makers) -> None:
    other = makers.model("b.gguf", tiny_gguf(tokens=(*TOKENS[:-1], "ß")))
    refused(makers, makers.draft(files={"Q4_0": makers.model(), "Q8_0": other}), "aren't the same model")


def test_a_file_that_is_cut_off_is_refused(makers: Makers) -> None:
    refused(makers, makers.draft(files={"Q4_0": makers.model(content=tiny_gguf()[:-100])}), "cut off")


def test_a_missing_file_is_said(makers: Makers) -> None:
    refused(makers, makers.draft(files={"Q4_0": makers.models / "nobody.gguf"}), "can't be read")


def test_more_context_than_the_model_was_trained_for_is_refused(makers: Makers) -> None:
    prompt = {
        "go_template": "{{ .Prompt }}",
        "jinja_template": CHATML,
        "parameters": {"stop": ["<|im_end|>"], "context_length": 65536},
    }
    refused(makers, makers.draft(prompt=prompt), "trained for 8192")


def test_an_unknown_channel_is_said(makers: Makers) -> None:
    with pytest.raises(NotFoundError, match="nightly"):
        makers.publish(makers.draft(), "nightly")


def test_a_wrong_passphrase_is_said(makers: Makers) -> None:
    with pytest.raises(PublishError) as caught:
        refresh_timestamp(makers.folder, makers.keys, "guess")
    assert "passphrase" in caught.value.hint


def test_a_second_registry_in_the_same_folder_is_refused(makers: Makers, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="already"):
        create_registry(makers.folder, tmp_path / "more keys", PASSPHRASE)


def test_keys_are_never_overwritten(makers: Makers, tmp_path: Path) -> None:
    before = (makers.keys / "root-1.key").read_bytes()
    with pytest.raises(PublishError, match="already"):
        create_registry(tmp_path / "another", makers.keys, PASSPHRASE)
    assert (makers.keys / "root-1.key").read_bytes() == before


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="passphrase"):
        create_registry(tmp_path / "a", tmp_path / "b", "")


def test_a_folder_without_a_registry_is_said(makers: Makers, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        refresh_timestamp(tmp_path / "nothing", makers.keys, PASSPHRASE)
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_key_is_said(makers: Makers) -> None:
    (makers.keys / "timestamp-1.key").write_text("{}")
    with pytest.raises(PublishError, match="usable key"):
        refresh_timestamp(makers.folder, makers.keys, PASSPHRASE)


def test_two_writers_at_once_are_refused(makers: Makers) -> None:
    with FileLock(makers.folder / ".lock"), pytest.raises(StoreBusyError):
        refresh_timestamp(makers.folder, makers.keys, PASSPHRASE)


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
