"""Several people who hold the keys of one registry, and a customer of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.keys import KeyFolder, PublicKey
from bbj_desktop.services.registry.publish import (
    publish_staged,
)
from bbj_desktop.services.registry.staging import Stage
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.published import PASSPHRASE, Publication


class Name(TypedDict):
    model: str
    role: str
    size: str
    version: str


NAME: Name = {"model": "bbj-coder", "role": "chat", "size": "7b", "version": "2026.2"}


@dataclass
class People:
    """A registry whose keys lie with different people.

    Attributes:
        online: Folder of the online keys: snapshot, timestamp, beta.
        place: Where each person has a folder with one key of each other role.
    """

    publication: Publication
    place: Path

    @property
    def folder(self) -> Path:
        return self.publication.folder

    @property
    def online(self) -> Path:
        return self.place / "online"

    def of(self, person: str) -> Path:
        return self.place / person

    def sign(self, stage: Path, person: str) -> Sequence[tuple[str, str]]:
        return Stage.load(stage).sign(KeyFolder(self.of(person), PASSPHRASE))

    def publish(self, stage: Path) -> tuple[str, ...]:
        return publish_staged(self.folder, self.online, PASSPHRASE, stage)

    def new_key(self, role: str, person: str) -> PublicKey:
        _, signer = KeyFolder(self.of(person), PASSPHRASE).add(role)
        return PublicKey.of(role, signer.public_key)

    def key(self, role: str, person: str) -> str:
        return KeyFolder(self.of(person), PASSPHRASE).signers(role)[0].public_key.keyid

    def reader(self, state: Path) -> Registry:
        return Registry.open(open_source(str(self.folder), Network()), state, initial_root=self.publication.root)

    def versions(self, state: Path, channel: str = "stable") -> list[str]:
        offering = self.reader(state).offering(channel, Cancel(), app_version="1.0.0")
        return [offer.release.version for offer in offering.offers]
