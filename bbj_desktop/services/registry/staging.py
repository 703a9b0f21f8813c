"""A new state of a registry that several people sign, each on a machine of their own.

A *stage* is a small folder that travels between them: the new metadata of the roles that people sign (root, targets,
channels) with the signatures gathered so far, the signed files that it names (catalogue, manifests), and below
``base/`` the state that it builds on. So whoever signs can check both without the registry, and is told what changes
from what the files themselves say, not from what the stage's maker says. Models aren't in it: they lie in the registry
already, under their digests, and nobody names them yet.

::

    stage.json                    format, registry, what its maker says that it is
    metadata/N.stable.json  …     what is to be signed
    targets/stable/…              the files that it adds
    base/metadata/ …              the registry's current metadata and catalogues
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import NotFoundError, PublishError
from bbj_desktop.core.release import FileReference, parse_catalogue, parse_chunk_index, parse_release
from bbj_desktop.services.registry.blobs import missing_files, reference_to
from bbj_desktop.services.registry.chain import Chain, channel_names, demand, parsed, read_chain
from bbj_desktop.services.registry.findings import Demand
from bbj_desktop.services.registry.keys import Signers
from bbj_desktop.services.registry.layout import INITIAL_ROOT, TARGETS, blob_path, catalogue_target
from bbj_desktop.services.registry.ledger import COMPACT, Ledger, Lifetimes, add_signature, in_order, versioned
from bbj_desktop.services.registry.root import identity_of
from bbj_desktop.services.transfer.source import parts_of

STAGE_FORMAT = 1
STAGE_FILE = "stage.json"
BASE = "base"

_Signed = TypeVar("_Signed", Root, Targets)


class StageRecord(BaseModel):
    """``stage.json``. Nothing in it is signed.

    Attributes:
        registry: Identity of the registry.
        purpose: What its maker says that it does.
        roles: The version of each role that is to be signed.
    """

    model_config = ConfigDict(frozen=True)

    format: int = STAGE_FORMAT
    registry: str
    purpose: str
    roles: dict[str, int]


@dataclass
class Stage:
    """A stage's folder, read and checked.

    Attributes:
        base: The state that it builds on; its signatures hold.
        roles: What is to be signed.
    """

    folder: Path
    record: StageRecord
    base: Chain
    roles: dict[str, Metadata[Root] | Metadata[Targets]]

    @classmethod
    def load(cls, folder: Path) -> Stage:
        """Reads a stage.

        Raises:
            NotFoundError: There is none.
            FormatError, TrustError: It is damaged, or doesn't build on what it says.
            PublishError: It can't be read, or skips versions.
        """
        try:
            data = (folder / STAGE_FILE).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(
                f"There is no stage in {folder}.", hint="registry publish --stage makes one."
            ) from error
        except OSError as error:
            raise PublishError(f"The stage {folder} can't be read: {error.strerror}.") from error
        record = parse_document(StageRecord, data, what=f"stage ({folder})", newest=STAGE_FORMAT)
        base = read_chain(lambda path: read_file(folder / BASE, path))
        if identity_of(base.initial_root) != record.registry:
            raise PublishError(f"The stage {folder} builds on another registry than it says.")
        roles = {name: _role(folder, name, version) for name, version in record.roles.items()}
        _demand_next(folder, roles, base)
        return cls(folder, record, base, roles)

    @property
    def new_root(self) -> Root:
        return self._next(Root.type, Root, self.base.root)

    @property
    def new_targets(self) -> Targets:
        return self._next(Targets.type, Targets, self.base.targets)

    def _next(self, name: str, kind: type[_Signed], old: _Signed) -> _Signed:
        if name not in self.roles:
            return old
        signed = self.roles[name].signed
        return signed if isinstance(signed, kind) else old

    def demands(self) -> tuple[Demand, ...]:
        """Every signature that is needed, role by role."""
        found = []
        for name in in_order(self.roles):
            delegators: list[Root | Targets] = [self.new_root if name in self.base.root.roles else self.new_targets]
            if name == Root.type:
                delegators.insert(0, self.base.root)
            found += [_demand(name, self.roles[name], delegator) for delegator in delegators]
        return tuple(found)

    def sign(self, signers: Signers) -> tuple[tuple[str, str], ...]:
        """Adds the signatures of those who may sign and are here.

        Returns:
            Role and key id of each signature that wasn't there before.

        Raises:
            PublishError: No key here may sign any of it, or it can't be written.
        """
        added, mine = [], 0
        for name, metadata in self.roles.items():
            allowed = {key for each in self._delegators(name) for key in each.get_delegated_role(name).keyids}
            for signer in signers.signers(name):
                if signer.public_key.keyid not in allowed:
                    continue
                mine += 1
                if signer.public_key.keyid not in self._signed_by(name):
                    add_signature(metadata, name, signer)
                    added.append((name, signer.public_key.keyid))
        if not mine:
            raise PublishError(
                f"None of these keys may sign {' or '.join(in_order(self.roles))} in {self.folder}.",
                hint="Name the folder with your own key of that role.",
            )
        self.save()
        return tuple(added)

    def merge(self, other: Stage) -> tuple[tuple[str, str], ...]:
        """Takes over the signatures of another copy of this stage.

        Returns:
            Role and key id of each signature that wasn't there before.

        Raises:
            PublishError: It isn't a copy: something else was signed there.
        """
        if other.roles.keys() != self.roles.keys():
            raise _another(self, other)
        added = []
        for name, metadata in self.roles.items():
            theirs = other.roles[name]
            if metadata.signed_bytes != theirs.signed_bytes:
                raise _another(self, other)
            for keyid in sorted(other._signed_by(name) - self._signed_by(name)):
                metadata.signatures[keyid] = theirs.signatures[keyid]
                added.append((name, keyid))
        self.save()
        return tuple(added)

    def _signed_by(self, role: str) -> set[str]:
        demands = [_demand(role, self.roles[role], delegator) for delegator in self._delegators(role)]
        return {keyid for each in demands for keyid in each.signed}

    def _delegators(self, role: str) -> tuple[Root | Targets, Root | Targets]:
        """Who names the keys of a role, before and after. A former key's signature lets readers follow who know the
        former root only."""
        if role in self.base.root.roles:
            return self.base.root, self.new_root
        return self.base.targets, self.new_targets

    def save(self) -> None:
        """Writes the signatures. Raises PublishError."""
        for name, metadata in self.roles.items():
            write_file(self.folder / versioned(name, metadata.signed.version), metadata.to_bytes(COMPACT))

    def added_files(self, channel: str) -> tuple[tuple[TargetFile, bytes], ...]:
        """The files that a channel of this stage names and its base doesn't, checked.

        Raises:
            NotFoundError, PublishError: One is missing or isn't the one that would be signed.
        """
        if channel not in self.roles or channel not in self.base.channels:
            return ()
        old = self.base.channels[channel].targets
        new = self._next(channel, Targets, self.base.channels[channel]).targets
        added = []
        for name, info in new.items():
            if name in old and old[name].hashes == info.hashes:
                continue
            data = read_file(self.folder, target_path(info))
            verify_target(info, data)
            added.append((info, data))
        return tuple(added)


class StagingLedger(Ledger):
    """A ledger whose new state goes into a stage instead of becoming visible. Model files still go into the registry.

    Args:
        stage: A new folder.
        purpose: What the stage is for, in a sentence.

    The others are the ledger's.
    """

    def __init__(
        self,
        folder: Path,
        stage: Path,
        purpose: str,
        signers: Signers,
        *,
        lifetimes: Lifetimes,
        now: Callable[[], datetime],
        clock_is_right: bool = False,
    ) -> None:
        super().__init__(folder, signers, lifetimes=lifetimes, now=now, clock_is_right=clock_is_right)
        self._stage = stage
        self._purpose = purpose
        self._added: dict[str, bytes] = {}

    def load(self) -> None:
        """As of the ledger; and the stage must be a new folder, which is said before gigabytes are hashed for it."""
        if self._stage.exists() and not (self._stage.is_dir() and not any(self._stage.iterdir())):
            raise PublishError(f"{self._stage} isn't a new folder.", hint="Name a new folder for the stage.")
        super().load()

    @property
    def _unfinished(self) -> Path:
        """Where the stage is made: it has its name when it is whole, so whoever is killed can do it again."""
        return self._stage.with_name(f".{self._stage.name}.unfinished")

    def demand_signers(self, *roles: str) -> None:
        """Nobody has to be here; the stage goes to them."""
        for role in roles:
            if role not in self.root.roles:
                self.channel(role)

    def add_target(self, channel: str, name: str, data: bytes) -> None:
        info = TargetFile.from_data(name, data, ["sha256"])
        self._added[target_path(info)] = data
        self.channel(channel).targets[name] = info

    def commit(self, *roles: str) -> None:
        """Writes the stage. Raises PublishError."""
        self.check_clock()
        self._begin()
        versions = {}
        for name in in_order(roles):
            signed = self.role(name)
            signed.version += 1
            signed.expires = self.end_of(name)
            versions[name] = signed.version
            metadata: Metadata[Any] = Metadata(signed)
            write_file(self._unfinished / versioned(name, signed.version), metadata.to_bytes(COMPACT))
        for path, data in self._added.items():
            write_file(self._unfinished / path, data)
        self._copy_base()
        registry = identity_of((self.folder / INITIAL_ROOT).read_bytes())
        record = StageRecord(registry=registry, purpose=self._purpose, roles=versions)
        write_file(self._unfinished / STAGE_FILE, record.model_dump_json(indent=1).encode())
        self._finish()

    def _begin(self) -> None:
        try:
            if self._unfinished.exists():
                shutil.rmtree(self._unfinished)
        except OSError as error:
            raise PublishError(f"{self._unfinished} can't be removed: {error.strerror}.") from error

    def _finish(self) -> None:
        try:
            if self._stage.exists():  # empty, as said before
                self._stage.rmdir()
            self._unfinished.rename(self._stage)
        except OSError as error:
            raise PublishError(f"The stage {self._stage} can't be made: {error.strerror}.") from error

    def _copy_base(self) -> None:
        """What is live now: its metadata, and the catalogues that the metadata names."""
        chain = read_chain(lambda path: read_file(self.folder, path))
        for path, data in chain.files.items():
            write_file(self._unfinished / BASE / path, data)
        for channel, targets in chain.channels.items():
            info = targets.targets.get(catalogue_target(channel))
            if info is not None:
                write_file(self._unfinished / BASE / target_path(info), read_file(self.folder, target_path(info)))


def publish_stage(ledger: Ledger, stage: Stage) -> tuple[str, ...]:
    """Makes a signed stage visible.

    A new root is visible as soon as it is written, the rest with the timestamp. So the root goes first when what is
    live now is good under it too (e.g. a key was added), else last, and snapshot and timestamp carry the signatures of
    the former keys as well: then readers can follow at every moment. Only where a former key is lost, and replaced at
    once, is there a moment in which a reader is refused and has to come again.

    Args:
        ledger: The registry, loaded; its signers have the snapshot's and the timestamp's keys.
        stage: With all signatures.

    Returns:
        The roles that were replaced.

    Raises:
        PublishError: Signatures or files are missing, something was published meanwhile, or it can't be written.
    """
    ledger.check_clock()
    _same_registry(ledger, stage)
    pending = _pending(ledger, stage)
    _demand_complete(ledger, stage)
    for channel in pending:
        for info, data in stage.added_files(channel):
            _demand_blobs(ledger, info, data)
    former_keys = stage.base.root.roles["timestamp"].keyids
    ledger.former_root, ledger.root = stage.base.root, stage.new_root
    ledger.demand_signers("snapshot", "timestamp")
    root_first = _is_good_under(ledger, stage.new_root)
    if not set(former_keys) & set(ledger.root.roles["timestamp"].keyids):
        ledger.forget_signing_time()
    if Root.type in pending and root_first:
        _put(ledger, stage, Root.type)
    for name in in_order(pending):
        if name != Root.type:
            for info, data in stage.added_files(name):
                ledger.put(target_path(info), data)
            ledger.announce(name, _put(ledger, stage, name), stage.roles[name].signed.version)
    ledger.commit_snapshot()
    if Root.type in pending and not root_first:
        _put(ledger, stage, Root.type)
    ledger.load()
    return tuple(in_order(stage.roles))


def _put(ledger: Ledger, stage: Stage, name: str) -> bytes:
    data = stage.roles[name].to_bytes(COMPACT)
    ledger.put(versioned(name, stage.roles[name].signed.version), data)
    return data


def _same_registry(ledger: Ledger, stage: Stage) -> None:
    if identity_of(read_file(ledger.folder, INITIAL_ROOT)) != stage.record.registry:
        raise PublishError(f"The stage {stage.folder} is for another registry than the one in {ledger.folder}.")


def _pending(ledger: Ledger, stage: Stage) -> tuple[str, ...]:
    """The roles that aren't live yet: a writer that died may have left the root."""
    live = {name for name, metadata in stage.roles.items() if _is_live(ledger, name, metadata)}
    if live == stage.roles.keys():
        raise PublishError(f"The stage {stage.folder} is published already.", hint="There is nothing left to do.")
    base: dict[str, Root | Targets] = {Root.type: stage.base.root, Targets.type: stage.base.targets}
    base |= stage.base.channels
    if any(ledger.role(name) != signed for name, signed in base.items() if name not in live):
        raise PublishError(
            f"The stage {stage.folder} doesn't build on what is in {ledger.folder} now.",
            hint="Something was published meanwhile: stage it again, and have that signed.",
        )
    return tuple(name for name in stage.roles if name not in live)


def _is_live(ledger: Ledger, name: str, metadata: Metadata[Root] | Metadata[Targets]) -> bool:
    signed = ledger.role(name)
    return signed.version == metadata.signed.version and signed == metadata.signed


def _demand_complete(ledger: Ledger, stage: Stage) -> None:
    for each in stage.demands():
        if not each.met:
            raise PublishError(
                f"{each.role} {each.version} needs {each.threshold} signatures by the keys of {each.by}; "
                f"it has {len(each.signed)}.",
                hint="Have it signed with registry sign, and put the copies together with registry merge.",
            )
        if each.expires <= ledger.now():
            raise PublishError(f"{each.role} {each.version} ended on {each.expires:%Y-%m-%d}.", hint="Stage it again.")
    targets = stage.new_targets
    unchanged = [(stage.new_root, Targets.type)] if Targets.type not in stage.roles else []
    others: list[tuple[Root | Targets, str]] = [
        *unchanged,
        *((targets, name) for name in channel_names(targets) if name not in stage.roles),
    ]
    for delegator, name in others:
        demand(delegator, name, ledger.metadata(name), name)


def _is_good_under(ledger: Ledger, root: Root) -> bool:
    """Whether what is live now would be accepted with another root."""
    return all(_demand(name, ledger.metadata(name), root).met for name in ("timestamp", "snapshot", "targets"))


def _demand_blobs(ledger: Ledger, info: TargetFile, manifest: bytes) -> None:
    """A release mustn't become visible before its files are there, nor an extra."""
    if "/releases/" not in info.path:
        for extra in parse_catalogue(manifest).extras:
            _demand_payload(ledger.folder, extra.chunk_index, extra.key)
        return
    release = parse_release(manifest)
    name = f"{release.title} {release.version}"
    for part in (part for variant in release.variants for part in variant.parts):
        _demand_payload(ledger.folder, part.chunk_index, name)
    if release.tokenizer is not None:
        _demand_small(ledger.folder, release.tokenizer, name)


def _demand_payload(folder: Path, chunk_index: FileReference, name: str) -> None:
    missing = missing_files(folder, parse_chunk_index(_demand_small(folder, chunk_index, name)))
    if missing:
        raise _lacking(folder, missing[0], name)


def _demand_small(folder: Path, file: FileReference, name: str) -> bytes:
    path = blob_path(file.digest)
    try:
        data = read_file(folder, path)
    except NotFoundError as error:
        raise _lacking(folder, path, name) from error
    if reference_to(data) != file:
        raise PublishError(f"{path} of {name} is damaged in {folder}.", hint="Copy its blobs there again.")
    return data


def _lacking(folder: Path, path: str, name: str) -> PublishError:
    return PublishError(
        f"{path} of {name} isn't in {folder}.", hint="Publish where it was staged, or copy its blobs there first."
    )


def _demand(name: str, metadata: Metadata[Any], delegator: Root | Targets) -> Demand:
    result = delegator.get_verification_result(name, metadata.signed_bytes, metadata.signatures)
    return Demand(
        role=name,
        version=metadata.signed.version,
        expires=metadata.signed.expires,
        by=f"{delegator.type} {delegator.version}",
        threshold=result.threshold,
        signed=tuple(sorted(result.signed)),
        missing=tuple(sorted(result.unsigned)),
    )


def target_path(info: TargetFile) -> str:
    """Where a signed file lies in a registry."""
    return f"{TARGETS}/{info.get_prefixed_paths()[0]}"


def verify_target(info: TargetFile, data: bytes) -> None:
    """Makes sure that a file is the signed one. Raises PublishError."""
    try:
        info.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise PublishError(f"{info.path} isn't the file that is to be signed ({error}).") from error


def _demand_next(folder: Path, roles: Mapping[str, Metadata[Any]], base: Chain) -> None:
    """Makes sure that each role is the next version of what it builds on. Raises PublishError."""
    there = {Root.type: base.root.version, Targets.type: base.targets.version}
    there |= {name: channel.version for name, channel in base.channels.items()}
    for name, metadata in roles.items():
        if name not in there or metadata.signed.version != there[name] + 1:
            raise PublishError(f"Version {metadata.signed.version} of {name!r} in {folder} isn't the next one.")


def _role(folder: Path, name: str, version: int) -> Metadata[Root] | Metadata[Targets]:
    path = versioned(name, version)
    data = read_file(folder, path)
    metadata = parsed(data, Root, path) if name == Root.type else parsed(data, Targets, path)
    if metadata.signed.version != version:
        raise PublishError(f"{path} in {folder} calls itself version {metadata.signed.version}.")
    return metadata


def read_file(folder: Path, path: str) -> bytes:
    """Reads a file below a folder by its path in a registry. Raises NotFoundError or PublishError."""
    place = folder.joinpath(*parts_of(path))
    try:
        return place.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} isn't in {folder}.") from error
    except OSError as error:
        raise PublishError(f"{place} can't be read: {error.strerror}.") from error


def write_file(place: Path, data: bytes) -> None:
    """Writes a small file whole or not at all. Raises PublishError."""
    temporary = place.with_name(f".{place.name}.new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except OSError as error:
        raise PublishError(f"{place} can't be written: {error.strerror}.", hint="Check the disk.") from error


def _another(mine: Stage, theirs: Stage) -> PublishError:
    return PublishError(
        f"{theirs.folder} isn't a copy of the stage {mine.folder}: something else was signed there.",
        hint="All have to sign copies of one and the same stage.",
    )
