"""A registry, somebody who exports from it, and a machine that no network leads to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bbj_desktop.actions import exporting, importing
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.exporting import Exported
from bbj_desktop.actions.importing import Imported
from bbj_desktop.core.progress import Cancel, Event, Remark, silent
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.services.registry.bundle import find_bundles
from tests.fakes.published import Publication, customer, trust

HIDDEN = 2048  # makes files of 14 MB in five chunks: enough for volumes


@dataclass
class Desk:
    """Somebody with a program: what it said, and whose clock can be set.

    Attributes:
        days: How far the clock is ahead.
    """

    context: Context
    days: float = 0
    said: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context = replace(self.context, now=lambda: datetime.now(UTC) + timedelta(days=self.days))

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.said if isinstance(event, Remark) and event.level == "warning"]

    @property
    def remarks(self) -> list[str]:
        return [event.text for event in self.said if isinstance(event, Remark)]

    def export(self, folder: Path, *, volume_bytes: int | None = None, version: str | None = None) -> Exported:
        wishes = [Wishes(version=version)]
        chosen = exporting.choose_variants(self.context, wishes, silent, Cancel(), everything=True)
        return exporting.export_bundle(self.context, folder, chosen, silent, Cancel(), volume_bytes=volume_bytes)

    def import_(self, *folders: Path, root: bytes | None = None) -> Imported:
        found = find_bundles(folders)
        return importing.import_bundle(self.context, found, self.said.append, Cancel(), root=root)

    def blob(self, digest: str) -> Path:
        return self.context.open_store().blob_path(digest)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """One release, large enough for volumes; made once, because encrypted keys take their time."""
    publication = Publication.create(tmp_path_factory.mktemp("Hersteller"))
    publication.publish("2026.1", quantisations=("Q4_0",), hidden=HIDDEN)
    return publication


@pytest.fixture
def publication(published: Publication, tmp_path: Path) -> Publication:
    """A copy of it that the test may change."""
    return published.copy(tmp_path / "Hersteller für BBj")


@pytest.fixture
def staff(publication: Publication, tmp_path: Path) -> Desk:
    """The connected side."""
    context = customer(tmp_path / "Büro")
    trust(context, str(publication.folder), publication)
    return Desk(context)


@pytest.fixture
def hospital(tmp_path: Path) -> Desk:
    """The side without a network; it trusts nobody yet."""
    return Desk(customer(tmp_path / "Krankenhaus Süd"))


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return tmp_path / "Stick für Süd" / "Bündel"
