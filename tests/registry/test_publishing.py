"""From the makers' files to a customer's offering."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bbj_desktop.core.errors import NotFoundError, PublishError
from bbj_desktop.core.gguf import read_header
from bbj_desktop.core.progress import Cancel, Remark, Transfer, silent
from bbj_desktop.core.release import FitRow
from bbj_desktop.services.registry.client import blob_path
from bbj_desktop.services.registry.keys import KeyFolder
from bbj_desktop.services.registry.publish import (
    Publisher,
    publish,
    refresh_timestamp,
    renew,
)
from tests.fakes.catalogue import standard_tiers
from tests.fakes.gguf import tiny_gguf
from tests.fakes.makers import PASSPHRASE, Makers, no_engine
from tests.fakes.release_server import ReleaseServer


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
    error = makers.refused(other, "other content")
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
