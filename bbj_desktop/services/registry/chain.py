"""The chain of signatures from a first root down to the channels, followed without a client's state: for those who
check a whole mirror, or what they are asked to sign. Expiry is told, not judged.

A customer's machine doesn't go this way: see ``client``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from bbj_desktop.core.errors import FormatError, MixAndMatchError, NotFoundError, SignatureError
from bbj_desktop.services.registry.layout import INITIAL_ROOT, TIMESTAMP
from bbj_desktop.services.registry.ledger import versioned
from bbj_desktop.services.registry.root import describe_root

Payload = TypeVar("Payload", Root, Timestamp, Snapshot, Targets)
Read = Callable[[str], bytes]
"""Reads a file of the registry by its path; raises NotFoundError where there is none."""


@dataclass
class Chain:
    """One state of a registry, as its signatures hold together.

    Attributes:
        files: Every metadata file that belongs to it, by path.
        initial_root: The root that it began with.
    """

    initial_root: bytes
    root: Root
    files: dict[str, bytes] = field(default_factory=dict)
    timestamp: Timestamp = field(init=False)
    snapshot: Snapshot = field(init=False)
    targets: Targets = field(init=False)
    channels: dict[str, Targets] = field(default_factory=dict)


def read_roots(read: Read, initial_root: bytes | None = None) -> Chain:
    """Follows the roots, each signed by the one before and by itself.

    Args:
        read: Reads the registry's files.
        initial_root: The one that is trusted; None takes the registry's own first one.

    Raises:
        NotFoundError: There is no first root.
        FormatError, SignatureError, MixAndMatchError: One of them isn't what it should be.
    """
    first = initial_root if initial_root is not None else read(INITIAL_ROOT)
    describe_root(first)
    root = parsed(first, Root, INITIAL_ROOT).signed
    chain = Chain(first, root)
    chain.files[versioned(Root.type, root.version)] = first
    while True:
        path = versioned(Root.type, chain.root.version + 1)
        try:
            data = read(path)
        except NotFoundError:
            return chain
        metadata = parsed(data, Root, path)
        demand(chain.root, Root.type, metadata, path)
        demand(metadata.signed, Root.type, metadata, path)
        if metadata.signed.version != chain.root.version + 1:
            raise MixAndMatchError(f"{path} calls itself version {metadata.signed.version}.")
        chain.files[path] = data
        chain.root = metadata.signed


def read_state(read: Read, chain: Chain) -> Chain:
    """Adds timestamp, snapshot and targets. Raises as ``read_roots``."""
    chain.files[TIMESTAMP] = data = read(TIMESTAMP)
    chain.timestamp = _signed(data, Timestamp, chain.root, Timestamp.type, TIMESTAMP)
    announced = chain.timestamp.snapshot_meta
    path = versioned(Snapshot.type, announced.version)
    chain.files[path] = data = read(path)
    matching(announced, data, path)
    chain.snapshot = _signed(data, Snapshot, chain.root, Snapshot.type, path)
    path, data = _announced(read, chain, Targets.type)
    chain.files[path] = data
    chain.targets = _signed(data, Targets, chain.root, Targets.type, path)
    return chain


def read_channel(read: Read, chain: Chain, name: str) -> Chain:
    """Adds a channel. Raises as ``read_roots``."""
    path, data = _announced(read, chain, name)
    chain.channels[name] = _signed(data, Targets, chain.targets, name, path)
    chain.files[path] = data
    return chain


def channel_names(targets: Targets) -> tuple[str, ...]:
    """The channels that ``targets`` delegates to."""
    roles = targets.delegations.roles if targets.delegations else None
    return tuple(roles or ())


def read_chain(read: Read, initial_root: bytes | None = None) -> Chain:
    """All of it. Raises as ``read_roots``."""
    chain = read_roots(read, initial_root)
    read_state(read, chain)
    for name in channel_names(chain.targets):
        read_channel(read, chain, name)
    return chain


def parsed(data: bytes, kind: type[Payload], path: str) -> Metadata[Payload]:
    """Reads metadata of one kind. Raises FormatError."""
    try:
        metadata: Metadata[Payload] = Metadata.from_bytes(data)
    except DeserializationError as error:
        raise FormatError(f"{path} isn't metadata of a registry.") from error
    if not isinstance(metadata.signed, kind):
        raise FormatError(f"{path} isn't {kind.type} metadata.")
    return metadata


def demand(delegator: Root | Targets, role: str, metadata: Metadata[Payload], path: str) -> None:
    """Makes sure that a role is signed by enough of the keys that its delegator names. Raises SignatureError."""
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (UnsignedMetadataError, ValueError) as error:
        raise SignatureError(f"{path} isn't signed by enough of the right keys ({error}).") from error


def matching(announced: MetaFile, data: bytes, path: str) -> None:
    """Makes sure that a file is the announced one. Raises MixAndMatchError."""
    try:
        announced.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise MixAndMatchError(f"{path} isn't the announced file ({error}).") from error


def _signed(data: bytes, kind: type[Payload], delegator: Root | Targets, role: str, path: str) -> Payload:
    metadata = parsed(data, kind, path)
    demand(delegator, role, metadata, path)
    return metadata.signed


def _announced(read: Read, chain: Chain, role: str) -> tuple[str, bytes]:
    meta: Mapping[str, MetaFile] = chain.snapshot.meta
    if f"{role}.json" not in meta:
        raise MixAndMatchError(f"The snapshot doesn't name {role!r}.")
    announced = meta[f"{role}.json"]
    path = versioned(role, announced.version)
    data = read(path)
    matching(announced, data, path)
    return path, data
