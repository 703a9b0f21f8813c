"""A registry in memory that signs on demand: change a number, a key or a list, and what is served next is signed so.

It is a Source itself. Each role's signed part is an attribute; bytes are made when they are asked for.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from securesystemslib.signer import CryptoSigner
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

from bbj_desktop.core.errors import MixAndMatchError, NotFoundError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import (
    Architecture,
    BaseModelCard,
    Catalogue,
    CatalogueEntry,
    Chunk,
    ChunkIndex,
    FileReference,
    Parameters,
    Prompt,
    Release,
    Role,
    Variant,
)
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.registry.layout import ISSUED, catalogue_target, channel_paths, manifest_target

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
THRESHOLDS = {"root": 2, "targets": 2, "snapshot": 1, "timestamp": 1, "beta": 1, "stable": 2}
CHANNELS = ("beta", "stable")
Signed = Root | Timestamp | Snapshot | Targets
Open = Callable[[], Registry]
"""Opens the client anew, as each start of the program does."""


@dataclass
class MemoryStream:
    """See ``ByteStream``."""

    data: Iterator[bytes]
    total_bytes: int | None
    offset: int = 0
    ranged: bool = True
    validator: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self.data


class RegistrySimulator:
    """A registry with the channels ``beta`` and ``stable``, both empty.

    Args:
        now: When it is made.

    Attributes:
        address: What it calls itself as a source.
        now: The makers' clock.
        signers: Who signs each role, by role: take one away, or put a stranger in.
        replaced: Bytes served instead of what is signed, by path.
        withheld: Paths that aren't there.
        endless: Paths that never end.
        failing: Exceptions raised instead of answering, by path.
        requests: Every path that was asked for, with the number of bytes served.
    """

    def __init__(self, now: datetime = START) -> None:
        self.address = "memory:registry"
        self.now = now
        self.signers = {role: [_key() for _ in range(count)] for role, count in THRESHOLDS.items()}
        self.replaced: dict[str, bytes] = {}
        self.withheld: set[str] = set()
        self.endless: set[str] = set()
        self.failing: dict[str, Exception] = {}
        self.requests: list[tuple[str, int]] = []
        self.files: dict[str, bytes] = {}
        self.root = Root(expires=self._in(730), consistent_snapshot=True)
        self.targets = Targets(expires=self._in(365), delegations=Delegations({}, {}))
        self.channels = {channel: Targets(expires=self._in(365)) for channel in CHANNELS}
        self.snapshot = Snapshot(expires=self._in(60))
        self.timestamp = Timestamp(expires=self._in(14), unrecognized_fields={ISSUED: self.now.isoformat()})
        for role in ("root", "targets", "snapshot", "timestamp"):
            self._authorise(role)
        for channel in CHANNELS:
            self._authorise(channel)
            self.put_catalogue(Catalogue(channel=channel))
        self._roots: list[bytes] = [self.sign("root", self.root)]
        self._announce()

    # what its makers do

    @property
    def initial_root(self) -> bytes:
        return self._roots[0]

    def update(self, *channels: str) -> None:
        """Publishes the current state as the next version: of these channels, of snapshot and of timestamp."""
        for channel in channels:
            self.channels[channel].version += 1
        self.snapshot.version += 1
        self.timestamp.version += 1
        self._announce()

    def publish_root(self, *also: CryptoSigner) -> None:
        """Publishes the next root, signed by the current root signers and ``also``."""
        self.root.version += 1
        self._roots.append(self.sign("root", self.root, *also))

    def rotate(self, role: str) -> None:
        """Replaces the keys of a role, as its makers would."""
        old = self.signers[role]
        self.signers[role] = [_key() for _ in old]
        self._authorise(role)
        if role in self.channels:
            self.targets.version += 1
        else:
            self.publish_root(*(old if role == "root" else ()))

    def put_target(self, channel: str, name: str, data: bytes) -> None:
        info = TargetFile.from_data(name, data, ["sha256"])
        self.channels[channel].targets[name] = info
        self.files[f"targets/{info.get_prefixed_paths()[0]}"] = data

    def put_catalogue(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.put_target(catalogue.channel, catalogue_target(catalogue.channel), catalogue.model_dump_json().encode())

    def put_blob(self, data: bytes) -> FileReference:
        reference = FileReference(digest=f"sha256:{hashlib.sha256(data).hexdigest()}", length_bytes=len(data))
        self.files[blob_path(reference.digest)] = data
        return reference

    def offer(self, release: Release, *, manifest: bytes | None = None, withdrawn: str | None = None) -> CatalogueEntry:
        """Publishes a release in ``stable``; ``manifest`` replaces what its manifest would be."""
        name = manifest_target("stable", release)
        self.put_target("stable", name, manifest or release.model_dump_json().encode())
        entry = CatalogueEntry.model_validate({**release.model_dump(), "manifest": name, "withdrawn": withdrawn})
        old = self.catalogue if self.catalogue.channel == "stable" else Catalogue(channel="stable")
        self.put_catalogue(old.model_copy(update={"entries": (*old.entries, entry)}))
        self.update("stable")
        return entry

    def offer_many(self, releases: Iterable[Release]) -> None:
        """Publishes many releases in ``stable`` at once."""
        entries = []
        for release in releases:
            name = manifest_target("stable", release)
            self.put_target("stable", name, release.model_dump_json().encode())
            entries.append(CatalogueEntry.model_validate({**release.model_dump(), "manifest": name}))
        self.put_catalogue(Catalogue(channel="stable", entries=tuple(entries)))
        self.update("stable")

    def copy(self, address: str) -> RegistrySimulator:
        """The registry as it is now, at another address; what is published here later doesn't reach it."""
        other = copy.copy(self)
        other.address = address
        other.requests, other.failing, other.endless = [], dict(self.failing), set(self.endless)
        other.withheld = set(self.withheld)
        other.files, other.replaced, other.signers = dict(self.files), dict(self.replaced), dict(self.signers)
        other._roots = list(self._roots)
        for name in ("root", "targets", "snapshot", "timestamp", "channels"):
            setattr(other, name, copy.deepcopy(getattr(self, name)))
        return other

    def sign(self, role: str, signed: Signed, *also: CryptoSigner) -> bytes:
        metadata = Metadata(signed)  # type: ignore[type-var]  # one of the four
        for signer in (*self.signers[role], *also):
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    # what is served

    def content(self, path: str) -> bytes:
        if path in self.withheld:
            raise NotFoundError(f"There is no {path}.")
        if path in self.replaced:
            return self.replaced[path]
        if path in self.files:
            return self.files[path]
        if path == "metadata/timestamp.json":
            return self.sign("timestamp", self.timestamp)
        folder, _, name = path.partition("/")
        version, _, role = name.removesuffix(".json").partition(".")
        if folder == "metadata" and role == "root" and 0 < int(version) <= len(self._roots):
            return self._roots[int(version) - 1]
        if folder == "metadata" and role in {"snapshot", "targets", *CHANNELS}:
            return self.sign(role, self._role(role))
        raise NotFoundError(f"There is no {path}.")

    def served(self) -> dict[str, bytes]:
        """Everything that a client may ask for now, as static files by path."""
        snapshot = self.timestamp.snapshot_meta.version
        roles = {name.removesuffix(".json"): meta.version for name, meta in self.snapshot.meta.items()}
        paths = {
            "metadata/timestamp.json",
            f"metadata/{snapshot}.snapshot.json",
            *(f"metadata/{version}.{role}.json" for role, version in roles.items()),
            *(f"metadata/{number}.root.json" for number in range(1, len(self._roots) + 1)),
        }
        return {path: self.content(path) for path in {*paths, *self.files, *self.replaced} - self.withheld}

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        offset: int = 0,
        length: int | None = None,
        validator: str | None = None,  # noqa: ARG002 - nothing changes between two ranges here
        cancel: Cancel,
    ) -> Iterator[MemoryStream]:
        cancel.check()
        if path in self.failing:
            raise self.failing[path]
        if path in self.endless:
            yield MemoryStream(iter(lambda: b"x" * 65536, b""), None)
            return
        content = self.content(path)
        part = content[offset : None if length is None else offset + length]
        self.requests.append((path, len(part)))
        yield MemoryStream(iter([part]), len(content), offset)

    def read(self, path: str, *, limit_bytes: int, cancel: Cancel) -> bytes:
        data = b""
        with self.stream(path, cancel=cancel) as stream:
            for piece in stream:
                data += piece
                if len(data) > limit_bytes:
                    raise MixAndMatchError(f"{path} is too long.")
        return data

    def close(self) -> None:
        """Nothing is open."""

    def _in(self, days: int) -> datetime:
        return self.now + timedelta(days=days)

    def _role(self, name: str) -> Snapshot | Targets:
        if name == "snapshot":
            return self.snapshot
        return self.targets if name == "targets" else self.channels[name]

    def _authorise(self, role: str) -> None:
        """Makes the current signers of a role its only keys."""
        keys = [signer.public_key for signer in self.signers[role]]
        if role in CHANNELS:
            delegations = self.targets.delegations
            assert delegations is not None
            assert delegations.roles is not None
            delegations.roles[role] = DelegatedRole(
                role, [], THRESHOLDS[role], terminating=True, paths=channel_paths(role)
            )
        else:
            self.root.roles[role].keyids = []
            self.root.roles[role].threshold = THRESHOLDS[role]
        delegator: Root | Targets = self.targets if role in CHANNELS else self.root
        for key in keys:
            delegator.add_key(key, role)

    def _announce(self) -> None:
        for name in ("targets", *CHANNELS):
            role = self._role(name)
            self.snapshot.meta[f"{name}.json"] = MetaFile.from_data(role.version, self.sign(name, role), ["sha256"])
        snapshot = self.sign("snapshot", self.snapshot)
        self.timestamp.snapshot_meta = MetaFile.from_data(self.snapshot.version, snapshot, ["sha256"])


def _key() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


def make_release(version: str = "2026.1", **changes: object) -> Release:
    """A release that nobody could run, complete for everything that reads manifests.

    Args:
        version: Its version.
        changes: Fields to replace.
    """
    digest = f"sha256:{hashlib.sha256(version.encode()).hexdigest()}"
    reference = FileReference(digest=digest, length_bytes=1000)
    variant = Variant(quantisation="Q4_K_M", file=reference, chunk_index=reference, architecture=ARCHITECTURE)
    release = Release(
        model="bbj-coder",
        role=Role.CHAT,
        size="7b",
        version=version,
        released=date(2026, 1, 14),
        min_app_version="0.1.0",
        title="BBj Coder 7B",
        base_model=BaseModelCard(name="Qwen2.5-Coder-7B", licence="Apache-2.0", licence_text="…"),
        licence="Apache-2.0",
        licence_text="…",
        prompt=Prompt(
            go_template="{{ .Prompt }}", jinja_template="{{ messages }}", parameters=Parameters(stop=("<|im_end|>",))
        ),
        variants=(variant,),
    )
    return Release.model_validate({**release.model_dump(), **changes})


def make_index(data: bytes, piece: int = 400) -> ChunkIndex:
    """The chunk index of a file's content."""
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    chunks = tuple(
        Chunk(length_bytes=len(each), digest=f"sha256:{hashlib.sha256(each).hexdigest()}") for each in pieces
    )
    file = FileReference(digest=f"sha256:{hashlib.sha256(data).hexdigest()}", length_bytes=len(data))
    return ChunkIndex(file=file, chunks=chunks)


ARCHITECTURE = Architecture(
    name="qwen2",
    layers=28,
    hidden=3584,
    heads=28,
    kv_heads=4,
    head_dim=128,
    feed_forward=18944,
    vocabulary=152064,
    parameters=7_615_616_512,
    trained_context=32768,
    weights_bytes=4_683_073_536,
    repeating_weights_bytes=3_900_000_000,
)
