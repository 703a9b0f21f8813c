"""The writer's hand on a registry's folder: what is signed there now, and how a new state replaces it.

Every file but ``timestamp.json`` has a name that belongs to its content or version, and nothing names it before it is
there whole. The timestamp is replaced last, in one rename: before it a reader sees the old state, after it the new one.
A writer that dies in between leaves files that nobody names; the next one writes over them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from bbj_desktop.core.errors import NotFoundError, PublishError
from bbj_desktop.services.registry.keys import KeyPlan, Signers
from bbj_desktop.services.registry.layout import ISSUED, METADATA, TARGETS, TIMESTAMP, channel_paths

_Payload = TypeVar("_Payload", Root, Timestamp, Snapshot, Targets)
COMPACT = JSONSerializer(compact=True)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long each role's signature is good for. The shorter, the sooner a client notices that it is shown old files;
    the longer, the longer the registry may go without its makers."""

    root: int = 730  # days
    targets: int = 365  # days
    channel: int = 365  # days
    snapshot: int = 60  # days
    timestamp: int = 14  # days

    def of(self, role: str) -> timedelta:
        return timedelta(days=getattr(self, role, self.channel))


def versioned(role: str, version: int) -> str:
    """Path of a role's metadata."""
    return f"{METADATA}/{version}.{role}.json"


def in_order(roles: Iterable[str]) -> list[str]:
    """Roles in the order in which they are written: root, targets, channels."""
    top = [Root.type, Targets.type]
    return sorted(dict.fromkeys(roles), key=lambda name: (top.index(name) if name in top else len(top), name))


def add_signature(metadata: Metadata[Any], role: str, signer: Signer) -> None:
    """Signs. Raises PublishError, e.g. when a token was pulled out."""
    try:
        metadata.sign(signer, append=True)
    except UnsignedMetadataError as error:
        raise PublishError(
            f"The key {signer.public_key.keyid[:16]} can't sign {role!r}: {error.__cause__ or error}.",
            hint="Is the token plugged in, or the key service reachable?",
        ) from error


def _nothing(path: Path) -> None:
    pass


class Ledger:
    """One registry's folder, for writing.

    Args:
        folder: The folder that web servers serve.
        signers: Who signs.
        lifetimes: How long for.
        now: Clock (UTC).
        wrote: Told about each file after it is in place.
        clock_is_right: Somebody made sure that the clock is right, though the timestamp's time is over by it, or the
            last signature is ahead of it.

    Attributes:
        root, targets, channels, snapshot, timestamp: What is signed there now, and changed here for the next state.
        former_root: While a new root replaces it: its keys sign snapshot and timestamp too, where they are here.
    """

    def __init__(
        self,
        folder: Path,
        signers: Signers,
        *,
        lifetimes: Lifetimes,
        now: Callable[[], datetime],
        wrote: Callable[[Path], None] = _nothing,
        clock_is_right: bool = False,
    ) -> None:
        self.folder = folder
        self._signers = signers
        self.lifetimes = lifetimes
        self.now = now
        self._wrote = wrote
        self._clock_is_right = clock_is_right
        self.former_root: Root | None = None

    # what is there

    def load(self) -> None:
        """Reads the current state, from the timestamp down.

        Raises:
            NotFoundError: There is no registry in the folder.
            PublishError: It is damaged.
        """
        if not (self.folder / TIMESTAMP).exists():
            raise NotFoundError(f"There is no registry in {self.folder}.", hint="Create one first: registry create")
        with writing(self.folder):
            self.root = self._read(self._newest_root(), Root)
            self.timestamp = self._read(TIMESTAMP, Timestamp)
            snapshot = self.timestamp.snapshot_meta.version
            self.snapshot = self._read(f"{METADATA}/{snapshot}.snapshot.json", Snapshot)
            self.targets = self._role("targets")
            names = self.targets.delegations.roles if self.targets.delegations else None
            self.channels = {name: self._role(name) for name in names or ()}

    def channel(self, name: str) -> Targets:
        """Raises NotFoundError where the registry has no such channel."""
        if name not in self.channels:
            raise NotFoundError(f"The registry has no channel {name!r}.", hint=f"It has: {', '.join(self.channels)}.")
        return self.channels[name]

    def read_target(self, channel: str, name: str) -> bytes | None:
        """A file that a channel has signed; None when it has none of this name."""
        info = self.channel(channel).targets.get(name)
        if info is None:
            return None
        with writing(self.folder):
            data = (self.folder / TARGETS / info.get_prefixed_paths()[0]).read_bytes()
            info.verify_length_and_hashes(data)
            return data

    def demand_signers(self, *roles: str) -> None:
        """Makes sure beforehand that these roles can be signed here. Raises PublishError, naming what is missing."""
        for role in roles:
            self._signers_of(role)

    # what replaces it

    def create(self, plans: Mapping[str, KeyPlan], channels: Mapping[str, KeyPlan]) -> None:
        """Makes root, targets and channels; ``commit`` makes them visible. Signers have the keys already."""
        self.root = Root(consistent_snapshot=True)
        for role, plan in plans.items():
            for signer in self._signers.signers(role):
                self.root.add_key(signer.public_key, role)
            self.root.roles[role].threshold = plan.threshold
        self.targets = Targets(delegations=Delegations({}, {}))
        for channel, plan in channels.items():
            self._delegate(channel, plan)
        self.channels = {channel: Targets() for channel in channels}
        self.snapshot = Snapshot(meta={})
        self.timestamp = Timestamp()
        for signed in (*self.channels.values(), self.snapshot, self.timestamp):
            signed.version = 0  # the first commit makes it 1
        self._write_versioned("root", self.root)
        self.announce("targets", self._write_versioned("targets", self.targets), self.targets.version)

    def _delegate(self, channel: str, plan: KeyPlan) -> None:
        delegations = self.targets.delegations
        if delegations is None or delegations.roles is None:
            raise AssertionError
        role = DelegatedRole(channel, [], plan.threshold, terminating=True, paths=channel_paths(channel))
        delegations.roles[channel] = role
        for signer in self._signers.signers(channel):
            self.targets.add_key(signer.public_key, channel)

    def add_target(self, channel: str, name: str, data: bytes) -> None:
        """Puts a file among a channel's targets; ``commit`` makes it visible."""
        info = TargetFile.from_data(name, data, ["sha256"])
        self.put(f"{TARGETS}/{info.get_prefixed_paths()[0]}", data)
        self.channel(channel).targets[name] = info

    def commit(self, *roles: str) -> None:
        """Signs the named roles (root, targets, channels), then snapshot and timestamp: a new state in one step.

        Raises:
            NotFoundError: There is no such role.
            PublishError: Keys are missing, the clock is doubtful, or it can't be written.
        """
        self.check_clock()
        for name in in_order(roles):
            signed = self.role(name)
            signed.version += 1
            data = self._write_versioned(name, signed)
            if name != Root.type:
                self.announce(name, data, signed.version)
        self.commit_snapshot()

    def refresh(self) -> datetime:
        """Signs a new timestamp, and a new snapshot when less than half of its time is left.

        Returns:
            Until when the new timestamp is good (UTC).
        """
        self.check_clock()
        if self.snapshot.expires - self.signing_time < self.lifetimes.of("snapshot") / 2:
            self.commit_snapshot()
        else:
            self._commit_timestamp(None)
        return self.timestamp.expires

    def role(self, name: str) -> Root | Targets:
        """What a role that people sign says now. Raises NotFoundError where there is none of this name."""
        if name == Root.type:
            return self.root
        return self.targets if name == Targets.type else self.channel(name)

    def metadata(self, name: str) -> Metadata[Any]:
        """A role's metadata as it is live now, with its signatures. Raises PublishError."""
        path = TIMESTAMP if name == Timestamp.type else versioned(name, self._version(name))
        with writing(self.folder):
            return Metadata.from_bytes((self.folder / path).read_bytes())

    def _version(self, name: str) -> int:
        if name == Root.type:
            return self.root.version
        return self.snapshot.version if name == Snapshot.type else self.snapshot.meta[f"{name}.json"].version

    def end_of(self, role: str) -> datetime:
        """Until when a signature made now is good (UTC)."""
        return (self.signing_time + self.lifetimes.of(role)).replace(microsecond=0)

    @property
    def signing_time(self) -> datetime:
        """The time that signatures are dated with (UTC): never before the last one, so that what is signed after a
        clock was ahead isn't over for clients who have seen that."""
        issued, now = self.issued, self.now()
        return now if issued is None else max(now, issued)

    def forget_signing_time(self) -> None:
        """Begins anew with this computer's clock. Only when the timestamp's keys are new: then clients do so, too."""
        self.timestamp.unrecognized_fields.pop(ISSUED, None)

    def check_clock(self) -> None:
        """Makes sure that this computer's clock may be believed. Clients judge expiry at the latest signing time that
        they have seen: one signature of a clock that is months ahead would end the registry for all of them.

        Raises:
            PublishError: The clock is behind the last signature, or past the end of the timestamp.
        """
        issued, now = self.issued, self.now()
        if issued is not None and now < issued and not self._clock_is_right:
            raise PublishError(
                f"This computer's clock says {now:%Y-%m-%d %H:%M}; the registry was last signed at "
                f"{issued:%Y-%m-%d %H:%M} (UTC).",
                hint="Set the clock right. If it is right, and the last one was ahead, add --clock-is-right.",
            )
        if issued is not None and now > self.timestamp.expires and not self._clock_is_right:
            raise PublishError(
                f"This computer's clock says {now:%Y-%m-%d}; the registry was last signed on {issued:%Y-%m-%d}, and "
                f"its timestamp ended on {self.timestamp.expires:%Y-%m-%d}.",
                hint="If nobody refreshed it for so long, add --clock-is-right; else set the clock right.",
            )

    @property
    def issued(self) -> datetime | None:
        """When the current state was signed (UTC); None before the first one."""
        said = self.timestamp.unrecognized_fields.get(ISSUED)
        return datetime.fromisoformat(said) if isinstance(said, str) else None

    def commit_snapshot(self) -> None:
        """Signs snapshot and timestamp: what was announced becomes visible."""
        self.snapshot.version += 1
        self._commit_timestamp(self._write_versioned("snapshot", self.snapshot))

    def _commit_timestamp(self, snapshot: bytes | None) -> None:
        if snapshot is not None:
            self.timestamp.snapshot_meta = MetaFile.from_data(self.snapshot.version, snapshot, ["sha256"])
        self.timestamp.version += 1
        self.timestamp.unrecognized_fields[ISSUED] = self.signing_time.replace(microsecond=0).isoformat()
        self.put(TIMESTAMP, self._sign("timestamp", self.timestamp))

    def announce(self, role: str, data: bytes, version: int) -> None:
        """Names a role's new metadata in the next snapshot."""
        self.snapshot.meta[f"{role}.json"] = MetaFile.from_data(version, data, ["sha256"])

    def _write_versioned(self, role: str, signed: Root | Snapshot | Targets) -> bytes:
        data = self._sign(role, signed)
        self.put(versioned(role, signed.version), data)
        return data

    def _sign(self, role: str, signed: Root | Timestamp | Snapshot | Targets) -> bytes:
        signed.expires = self.end_of(role)
        metadata: Metadata[Any] = Metadata(signed)
        for signer in self._signers_of(role):
            add_signature(metadata, role, signer)
        return metadata.to_bytes(COMPACT)

    def _signers_of(self, role: str) -> list[Signer]:
        if role not in self.root.roles:
            self.channel(role)
        delegator = self.root if role in self.root.roles else self.targets
        wanted = delegator.get_delegated_role(role)
        former = self._former_keys(role) - set(wanted.keyids)
        here = self._signers.signers(role)
        found = [signer for signer in here if signer.public_key.keyid in wanted.keyids]
        if len(found) < wanted.threshold:
            raise PublishError(
                f"{role!r} needs {wanted.threshold} signatures; the keys for {len(found)} are here.",
                hint="Name the folder that holds this registry's keys.",
            )
        return [*found, *(signer for signer in here if signer.public_key.keyid in former)]

    def _former_keys(self, role: str) -> set[str]:
        """The keys that readers know who haven't seen the new root yet."""
        if self.former_root is None or role not in self.former_root.roles:
            return set()
        return set(self.former_root.roles[role].keyids)

    # files

    def put(self, path: str, data: bytes) -> None:
        """Writes a file whole or not at all."""
        place = self.folder / path
        with self.placing(place) as temporary, temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def placing(self, place: Path) -> Iterator[Path]:
        """Gives a temporary name to fill; afterwards it takes its place, if nothing went wrong."""
        with writing(self.folder):
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f".{place.name}.new")
            temporary.unlink(missing_ok=True)
            try:
                yield temporary
                temporary.replace(place)
            finally:
                temporary.unlink(missing_ok=True)
        self._wrote(place)

    def _newest_root(self) -> str:
        versions = [int(path.name.split(".")[0]) for path in (self.folder / METADATA).glob("*.root.json")]
        return f"{METADATA}/{max(versions)}.root.json"

    def _role(self, name: str) -> Targets:
        return self._read(f"{METADATA}/{self.snapshot.meta[f'{name}.json'].version}.{name}.json", Targets)

    def _read(self, path: str, kind: type[_Payload]) -> _Payload:
        metadata: Metadata[_Payload] = Metadata.from_bytes((self.folder / path).read_bytes())
        if not isinstance(metadata.signed, kind):
            raise PublishError(f"{self.folder / path} isn't {kind.type} metadata.")
        return metadata.signed


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns what goes wrong with the registry's files into PublishError."""
    try:
        yield
    except OSError as error:
        raise PublishError(f"The registry in {folder} can't be written: {error}.", hint="Check the disk.") from error
    except (RepositoryError, KeyError, ValueError) as error:
        raise PublishError(
            f"The registry in {folder} is damaged: {error}.", hint="Take its folder from a backup or a mirror."
        ) from error
