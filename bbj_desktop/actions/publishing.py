"""The makers' side of the registry: create one, publish, refresh, promote, withdraw; have a new state signed by several
people, change keys, check lifetimes and mirrors. The rules are the writer's (``services.registry.publish``); this is
where both faces find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bbj_desktop.actions.context import Context
from bbj_desktop.core.chunks import MAX_FILE_BYTES
from bbj_desktop.core.errors import FormatError, PublishError
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.release import Release, Role, TierTable
from bbj_desktop.core.tiers import load_tiers
from bbj_desktop.services.registry import publish as writer
from bbj_desktop.services.registry.changes import changes_of
from bbj_desktop.services.registry.findings import RoleLife, StageView, Verified
from bbj_desktop.services.registry.keys import KeyFolder, read_public_key
from bbj_desktop.services.registry.lifetimes import lives_of
from bbj_desktop.services.registry.publish import Terms
from bbj_desktop.services.registry.root import RootDescription
from bbj_desktop.services.registry.staging import Stage
from bbj_desktop.services.registry.verify import verify_mirror
from bbj_desktop.services.transfer.folder import FolderSource
from bbj_desktop.services.transfer.sources import open_source

AT_ONCE = Terms()
"""Signed with the keys that are here, and published."""


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
    max_file_bytes: int = MAX_FILE_BYTES,
    ollama_mirrors: Sequence[str] | None = None,
    terms: Terms = AT_ONCE,
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
        max_file_bytes: Models that are longer are split into files of at most this length.
        ollama_mirrors: Where Ollama may pull it from (``ollama://…``); None leaves what was said before.
        terms: How it is signed.

    Raises:
        UserInputError: Ollama could pull nothing from a mirror.
        PublishError: A rule is broken, or keys are missing.
        NotFoundError: There is no registry, or no such channel.
        EngineError: The fit table can't be recorded.
        Cancelled: By ``cancel``.
    """
    return writer.publish(
        folder,
        keys,
        passphrase,
        draft,
        channel,
        report,
        cancel,
        tiers=tiers,
        max_file_bytes=max_file_bytes,
        ollama_mirrors=ollama_mirrors,
        terms=terms,
    )


def refresh(folder: Path, keys: Path, passphrase: str, *, clock_is_right: bool = False) -> datetime:
    """Signs a new timestamp, so that clients know that nothing was held back. Returns until when it is good (UTC).

    Raises:
        NotFoundError: There is no registry.
        PublishError: Keys are missing, or the clock is doubtful and ``clock_is_right`` isn't said.
    """
    return writer.refresh_timestamp(folder, keys, passphrase, clock_is_right=clock_is_right)


@dataclass(frozen=True, slots=True)
class ReleaseName:
    """What tells one release from all others."""

    model: str
    role: Role
    size: str
    version: str


def promote(
    folder: Path,
    keys: Path,
    passphrase: str,
    name: ReleaseName,
    *,
    tiers: TierTable | None = None,
    terms: Terms = AT_ONCE,
) -> Release:
    """Takes a release from ``beta`` over to ``stable``.

    Args:
        folder: The registry.
        keys: The folder of its keys.
        passphrase: Of the keys.
        name: Which release.
        tiers: Replaces the tier table of ``stable``; None leaves it.
        terms: How it is signed.

    Raises:
        NotFoundError: ``beta`` doesn't offer it.
        PublishError: It was withdrawn, or keys are missing.
    """
    return writer.promote(
        folder,
        keys,
        passphrase,
        model=name.model,
        role=name.role,
        size=name.size,
        version=name.version,
        tiers=tiers,
        terms=terms,
    )


def withdraw(
    folder: Path,
    keys: Path,
    passphrase: str,
    channel: str,
    name: ReleaseName,
    reason: str,
    *,
    terms: Terms = AT_ONCE,
) -> None:
    """Never offers a release again; whoever has it is told why.

    Args:
        folder: The registry.
        keys: The folder of its keys.
        passphrase: Of the keys.
        channel: E.g. ``stable``.
        name: Which release.
        reason: For its users, a sentence.
        terms: How it is signed.

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
        terms=terms,
    )


def renew(folder: Path, keys: Path, passphrase: str, roles: Sequence[str], *, terms: Terms = AT_ONCE) -> None:
    """Signs roles anew as they are, before their time is over: ``root``, ``targets``, channels.

    Raises:
        NotFoundError: There is no registry, or no such role.
        PublishError: Keys are missing.
    """
    writer.renew(folder, keys, passphrase, *roles, terms=terms)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A change of one role's keys.

    Attributes:
        add: Files of public keys.
        remove: Ids of keys, or their first digits.
        threshold: How many must sign from now on; None leaves it.
    """

    role: str
    add: tuple[Path, ...] = ()
    remove: tuple[str, ...] = ()
    threshold: int | None = None


def rotate(folder: Path, stage: Path, change: KeyChange, *, clock_is_right: bool = False) -> None:
    """Stages a change of a role's keys: who may sign for it from now on.

    Raises:
        NotFoundError: There is no registry, or no such role or key.
        PublishError: Too few keys would be left, or a file can't be read or written.
        FormatError: A file isn't a public key.
    """
    writer.rotate(
        folder,
        stage,
        change.role,
        add=[read_public_key(path) for path in change.add],
        remove=change.remove,
        threshold=change.threshold,
        clock_is_right=clock_is_right,
    )


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made.

    Attributes:
        private: Its sealed file, which stays with its owner.
        public: What its owner hands out.
    """

    private: Path
    public: Path
    keyid: str


def make_key(keys: Path, passphrase: str, role: str) -> NewKey:
    """Makes a key for a role, to be added to a registry with ``rotate``. Raises PublishError."""
    path, signer = KeyFolder(keys, passphrase).add(role)
    return NewKey(private=path, public=path.with_suffix(".pub"), keyid=signer.public_key.keyid)


def view_stage(folder: Path) -> StageView:
    """Reads a stage and says what it changes.

    Raises:
        NotFoundError: There is none, or a file of it is missing.
        FormatError, TrustError, PublishError: It is damaged, or doesn't build on what it says.
    """
    stage = Stage.load(folder)
    demands = stage.demands()
    return StageView(
        folder=folder,
        registry=stage.record.registry,
        purpose=stage.record.purpose,
        changes=changes_of(stage),
        demands=demands,
        complete=all(each.met for each in demands),
    )


def sign_stage(folder: Path, keys: Path, passphrase: str) -> tuple[tuple[str, str], ...]:
    """Adds one's own signatures; show ``view_stage`` first.

    Returns:
        Role and key id of each signature that wasn't there before.

    Raises:
        PublishError: No key there may sign any of it. Others as ``view_stage``.
    """
    stage = Stage.load(folder)
    changes_of(stage)  # nobody signs what can't be put into words
    return stage.sign(KeyFolder(keys, passphrase))


def merge_stages(folder: Path, others: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    """Takes the signatures of copies over into a stage.

    Returns:
        Role and key id of each signature that wasn't there before.

    Raises:
        PublishError: One isn't a copy of it. Others as ``view_stage``.
    """
    stage = Stage.load(folder)
    return tuple(each for other in others for each in stage.merge(Stage.load(other)))


def publish_stage(
    folder: Path, keys: Path, passphrase: str, stage: Path, *, clock_is_right: bool = False
) -> tuple[str, ...]:
    """Makes a stage visible that enough people have signed. Returns the roles that were replaced.

    Raises:
        NotFoundError: There is no registry, or no stage.
        FormatError, TrustError: The stage is damaged.
        PublishError: Signatures or files are missing, or something was published meanwhile.
    """
    return writer.publish_staged(folder, keys, passphrase, stage, clock_is_right=clock_is_right)


def lives(folder: Path, now: datetime) -> tuple[RoleLife, ...]:
    """How long each role of a registry is still good.

    Raises:
        NotFoundError: There is no registry.
        FormatError, TrustError, PublishError: It is damaged or can't be read.
    """
    return lives_of(folder, now)


def verify(context: Context, address: str, root: bytes | None, report: Report, cancel: Cancel) -> Verified:
    """Reads a whole mirror and compares it with what is signed.

    Args:
        context: For the network settings and the clock.
        address: A folder, ``file://…``, ``http(s)://…``.
        root: The root that is trusted; None takes the mirror's own.
        report: Told what is done.
        cancel: Obeyed.

    Raises:
        TransportError: It can't be reached.
        UserInputError: No such kind of address.
        Cancelled: By ``cancel``.
    """
    source = open_source(address, context.network())
    try:
        folder = source.folder if isinstance(source, FolderSource) else None
        return verify_mirror(source, folder, report, cancel, now=context.now(), initial_root=root)
    finally:
        source.close()
