"""The makers' side of the registry: create one, publish, refresh, promote, withdraw. The rules are the writer's
(``services.registry.publish``); this is where both faces find them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.release import Release, Role
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


def refresh(folder: Path, keys: Path, passphrase: str) -> datetime:
    """Signs a new timestamp, so that clients know that nothing was held back. Returns until when it is good (UTC)."""
    return writer.refresh_timestamp(folder, keys, passphrase)


@dataclass(frozen=True, slots=True)
class ReleaseName:
    """What tells one release from all others."""

    model: str
    role: Role
    size: str
    version: str


def promote(folder: Path, keys: Path, passphrase: str, name: ReleaseName) -> Release:
    """Takes a release from ``beta`` over to ``stable``. Raises NotFoundError or PublishError."""
    return writer.promote(
        folder, keys, passphrase, model=name.model, role=name.role, size=name.size, version=name.version
    )


def withdraw(folder: Path, keys: Path, passphrase: str, channel: str, name: ReleaseName, reason: str) -> None:
    """Never offers a release again; whoever has it is told why. Raises NotFoundError or PublishError."""
    writer.withdraw(
        folder,
        keys,
        passphrase,
        channel,
        model=name.model,
        role=name.role,
        size=name.size,
        version=name.version,
        reason=reason,
    )
