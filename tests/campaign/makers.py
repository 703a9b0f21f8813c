"""What a registry's makers do in the campaign. Done again after a kill, each takes up where it ended."""

from __future__ import annotations

import json
import shutil

from bbj_desktop.actions import publishing
from bbj_desktop.core.errors import PublishError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.registry import extras
from bbj_desktop.services.registry import publish as writer
from bbj_desktop.services.registry.extras import ExtraDraft
from bbj_desktop.services.registry.keys import read_public_key
from bbj_desktop.services.registry.layout import METADATA, TIMESTAMP
from bbj_desktop.services.registry.staging import Stage
from tests.campaign.forking import Place
from tests.campaign.world import EXTRA_NAME, HIDDEN, cut_small, extra_content, publication_at
from tests.fakes.adapter_makers import AdapterMakers
from tests.fakes.gguf import tiny_gguf
from tests.fakes.published import PASSPHRASE, unmeasured

STAGE = "stage"
COPY = "stage of Björn"
NEW_KEYS = "new keys"


def publish_first(place: Place) -> None:
    _publish(place, "2026.1", seed=1)


def publish_aside(place: Place) -> None:
    cut_small()
    publication_at(place).publish("2026.1", model="bbj-aside", size="3b", seed=11, hidden=128)


def publish(place: Place) -> None:
    _publish(place, "2026.2", seed=2)


def _publish(place: Place, version: str, *, seed: int) -> None:
    cut_small()
    publication_at(place).publish(version, seed=seed, hidden=HIDDEN)


def publish_adapter(place: Place) -> None:
    _publish_adapter(place, "2026.1", seed=1)


def publish_next_adapter(place: Place) -> None:
    _publish_adapter(place, "2026.2", seed=2)


def _publish_adapter(place: Place, version: str, *, seed: int) -> None:
    """Over the same base."""
    cut_small()
    made = AdapterMakers(publication_at(place))
    if not made.base.exists():
        made.base.write_bytes(tiny_gguf(hidden=HIDDEN, seed=21))
    draft = made.draft(version, made.adapter(seed=seed))
    made.publish(draft.model_copy(update={"model": "bbj-adapted"}))


def add_extra(place: Place) -> None:
    cut_small()
    publication = publication_at(place)
    file = publication.work / EXTRA_NAME
    file.write_bytes(extra_content())
    draft = ExtraDraft(file, "setup", "app-installer", "any", "1.0")
    extras.add_extra(publication.folder, publication.keys, PASSPHRASE, draft, "stable", silent, Cancel())


def withdraw(place: Place) -> None:
    publication_at(place).withdraw("2026.2", "It answers in Pascal.")


def refresh(place: Place) -> None:
    publication = publication_at(place)
    writer.refresh_timestamp(publication.folder, publication.keys, PASSPHRASE)


def stage(place: Place) -> None:
    """A release that the registry hasn't, for others to sign."""
    if (place.folder / STAGE).exists():  # done: what is made again would be another one
        return
    cut_small()
    publication = publication_at(place)
    draft = publication.draft("2026.2", seed=2, hidden=HIDDEN)
    writer.publish(
        publication.folder, publication.keys, PASSPHRASE, draft, "stable", silent, Cancel(),
        measure=unmeasured, terms=writer.Terms(stage=place.folder / STAGE),
    )  # fmt: skip


def copy_stage(place: Place) -> None:
    shutil.copytree(place.folder / STAGE, place.folder / COPY)


def sign(place: Place) -> None:
    publishing.sign_stage(place.folder / STAGE, publication_at(place).keys, PASSPHRASE)


def sign_copy(place: Place) -> None:
    publishing.sign_stage(place.folder / COPY, publication_at(place).keys, PASSPHRASE)


def merge(place: Place) -> None:
    publishing.merge_stages(place.folder / STAGE, [place.folder / COPY])


def publish_stage(place: Place) -> None:
    publication = publication_at(place)
    try:
        publishing.publish_stage(publication.folder, publication.keys, PASSPHRASE, place.folder / STAGE)
    except PublishError as error:
        if "published already" not in error.message:
            raise


def stage_rotation(place: Place) -> None:
    """A new key of the timestamp in place of the old one."""
    publication = publication_at(place)
    for path in (place.folder / NEW_KEYS).iterdir():
        shutil.copy(path, publication.keys / path.name.replace("-1", "-2"))
    added, former = (publication.keys / f"timestamp-{number}.pub" for number in (2, 1))
    change = publishing.KeyChange("timestamp", add=(added,), remove=(read_public_key(former).keyid,))
    publishing.rotate(publication.folder, place.folder / STAGE, change)


def read_stage(place: Place) -> Stage:
    return Stage.load(place.folder / STAGE)


def is_signed(place: Place) -> bool:
    """Whether the stage has all signatures."""
    return all(each.met for each in read_stage(place).demands())


def is_rotated(place: Place) -> bool:
    """Whether the new key, and it alone, signs the timestamp."""
    publication = publication_at(place)
    wanted = read_public_key(publication.keys / "timestamp-2.pub").keyid
    signed = json.loads((publication.folder / TIMESTAMP).read_bytes())["signatures"]
    newest = max((publication.folder / METADATA).glob("*.root.json"), key=lambda path: int(path.name.split(".")[0]))
    root = json.loads(newest.read_bytes())["signed"]
    return wanted in {each["keyid"] for each in signed} and root["roles"]["timestamp"]["keyids"] == [wanted]
