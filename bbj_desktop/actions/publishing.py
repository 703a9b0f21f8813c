"""The makers' side of the registry: create one, publish, refresh, promote, withdraw. The rules are the writer's
(``services.registry.publish``); this is where both faces find them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bbj_desktop.core.errors import FormatError, PublishError
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.release import Release, Role, TierTable
from bbj_desktop.core.tiers import load_tiers
from bbj_desktop.services.registry import publish as writer
from bbj_desktop.services.registry.root import RootDescription


def create(folder: Path, keys: Path, passphrase: str) -> RootDescription:
    """Creates an empty registry and its encrypted keys. Raises PublishError where something is there already."""
    return writer.create_registry(folder, keys, passphrase)


def read_draft(path: Path) -> writer.ReleaseDraft:
    """Reads a release draft (JSON); its file names are relative to it. Raises FormatError or PublishError."""
    return writer.load_draft(path)


def read_tiers(path: Path) -> TierTable:
    """Reads a tier table (JSON, as ``resources/tiers.json``) that shall replace a channel's.

    Raises:
        PublishError: It can't be read.
        FormatError: It isn't a tier table (TooNewError: of a newer program), or its tiers don't rise.
    """
    try:
        table = load_tiers(path.read_bytes())
    except OSError as error:
        raise PublishError(f"The tier table {path} can't be read: {error.strerror}.") from error
    demands = [(tier.ram_bytes, tier.vram_bytes) for tier in table.tiers]
    if not demands or demands != sorted(demands):
        raise FormatError(f"The tiers in {path} have to be there, by rising demand for memory.")
    return table


def publish(
    folder: Path,
    keys: Path,
    passphrase: str,
    draft: writer.ReleaseDraft,
    channel: str,
    report: Report,
    cancel: Cancel,
    *,
    tiers: TierTable | None = None,
) -> Release:
    """Validates, signs and publishes a release.

    Args:
        folder: The registry.
        keys: The folder of its keys.
        passphrase: Of the keys.
        draft: The release and its files.
        channel: E.g. ``beta``.
        report: Told what is done, and the bytes that are hashed.
        cancel: Obeyed; nothing is visible before the end.
        tiers: Replaces the channel's tier table; None leaves it.

    Raises:
        PublishError: A rule is broken, or keys are missing.
        NotFoundError: There is no registry, or no such channel.
        EngineError: The fit table can't be recorded.
        Cancelled: By ``cancel``.
    """
    return writer.publish(folder, keys, passphrase, draft, channel, report, cancel, tiers=tiers)


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


def promote(folder: Path, keys: Path, passphrase: str, name: ReleaseName, *, tiers: TierTable | None = None) -> Release:
    """Takes a release from ``beta`` over to ``stable``.

    Args:
        folder: The registry.
        keys: The folder of its keys.
        passphrase: Of the keys.
        name: Which release.
        tiers: Replaces the tier table of ``stable``; None leaves it.

    Raises:
        NotFoundError: ``beta`` doesn't offer it.
        PublishError: It was withdrawn, or keys are missing.
    """
    return writer.promote(
        folder, keys, passphrase, model=name.model, role=name.role, size=name.size, version=name.version, tiers=tiers
    )


def withdraw(folder: Path, keys: Path, passphrase: str, channel: str, name: ReleaseName, reason: str) -> None:
    """Never offers a release again; whoever has it is told why.

    Args:
        folder: The registry.
        keys: The folder of its keys.
        passphrase: Of the keys.
        channel: E.g. ``stable``.
        name: Which release.
        reason: For its users, a sentence.

    Raises:
        NotFoundError: The channel has no such release.
        PublishError: No reason, or keys are missing.
    """
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
