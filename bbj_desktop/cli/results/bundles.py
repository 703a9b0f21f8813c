"""Results about bundles."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.actions.extras import ImportedExtra
from bbj_desktop.actions.importing import ImportedModel
from bbj_desktop.actions.registering import RegistryView
from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.cli.results.installing import InstalledView
from bbj_desktop.services.registry.bundle import BundleContent


class BundleExportResult(ResultModel):
    """Attributes:
    extras: Installers and the like that went along.
    registry: Identity of the registry.
    volumes: Folders ``volume-1`` … in ``folder``; 0 when ``folder`` itself is the bundle.
    fetched_bytes: Written by this call; the rest was there.
    """

    folder: Path
    registry: str
    channel: str
    contents: tuple[BundleContent, ...]
    extras: tuple[BundleContent, ...] = ()
    volumes: int
    size_bytes: int
    fetched_bytes: int
    seconds: float


class BundleImportResult(ResultModel):
    """Attributes:
    models: What the bundle has and the registry offers; ``missing`` names the pieces still to be brought.
    extras: Installers and the like: where they were put, and what to do with them.
    newer_known: This machine knew newer metadata than the bundle, and judged by it.
    refused: What the bundle has and the newest metadata known here doesn't offer.
    installed: With ``--install``.
    """

    registry: RegistryView
    channel: str
    models: tuple[ImportedModel, ...]
    extras: tuple[ImportedExtra, ...] = ()
    newer_known: bool
    refused: tuple[str, ...]
    copied_bytes: int
    seconds: float
    installed: tuple[InstalledView, ...] = ()
