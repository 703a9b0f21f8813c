"""The makers' side of the registry: create one, publish, refresh, promote, withdraw. The rules are the writer's
(``services.registry.publish``); this is where both faces find them."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.release import Release
from bbj_desktop.services.registry import publish as writer
from bbj_desktop.services.registry.root import RootDescription


def create(folder: Path, keys: Path, passphrase: str) -> RootDescription:
    """Creates an empty registry and its encrypted keys. Raises PublishError where something is there already."""
    return writer.create_registry(folder, keys, passphrase)


def read_draft(path: Path) -> writer.ReleaseDraft:
    """Reads a release draft (JSON); its file names are relative to it. Raises FormatError or PublishError."""
    return writer.load_draft(path)


def publish(
    folder: Path, keys: Path, passphrase: str, draft: writer.ReleaseDraft, channel: str, report: Report, cancel: Cancel
) -> Release:
    """Validates, signs and publishes a release. Raises PublishError."""
    return writer.publish(folder, keys, passphrase, draft, channel, report, cancel)


def refresh(folder: Path, keys: Path, passphrase: str) -> None:
    """Signs a new timestamp, so that clients know that nothing was held back."""
    writer.refresh_timestamp(folder, keys, passphrase)
