"""Trusted roots: what one says, how to compare it, and the one that a packaged build carries."""

from __future__ import annotations

import hashlib
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, NotFoundError, SignatureError, StoreAccessError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.resources import resource
from bbj_desktop.services.registry.layout import INITIAL_ROOT
from bbj_desktop.services.transfer.source import Source

MAX_ROOT_BYTES = 512_000  # bytes; python-tuf's own limit for roots
PACKAGED_FORMAT = 1


class RoleDescription(BaseModel):
    """Who may sign for one role.

    Attributes:
        threshold: How many of the keys must sign.
        keys: Key ids, 64 hex digits each.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    threshold: int
    keys: tuple[str, ...]


class RootDescription(BaseModel):
    """What a root says.

    Attributes:
        identity: ``sha256:<hex>`` of the file as it is, so ``sha256sum`` of the file that the makers hand out gives the
            same. It stands for the registry: trusted state is kept under it.
        expires: Until when clients accept it as the newest root (UTC).
        roles: The four top-level roles by name.
    """

    model_config = ConfigDict(frozen=True)

    identity: str
    version: int
    expires: datetime
    roles: tuple[RoleDescription, ...]

    @property
    def fingerprint(self) -> str:
        """The identity for comparing by eye or by telephone: 16 groups of 4 hex digits."""
        digits = self.identity.removeprefix("sha256:")
        return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def identity_of(root: bytes) -> str:
    """The identity that a registry gets from the first root that is trusted: the digest of that file."""
    return f"sha256:{hashlib.sha256(root).hexdigest()}"


def describe_root(data: bytes) -> RootDescription:
    """Reads a root and checks that it is signed by enough of its own keys.

    Raises:
        FormatError: Not a TUF root.
        SignatureError: Fewer valid signatures than it demands itself.
    """
    from tuf.api.exceptions import UnsignedMetadataError
    from tuf.api.metadata import Metadata, Root
    from tuf.api.serialization import DeserializationError, SerializationError

    try:
        metadata: Metadata[Root] = Metadata.from_bytes(data)
    except DeserializationError as error:
        raise FormatError("This isn't a root file of a registry.", hint="Ask for its file 1.root.json.") from error
    root = metadata.signed
    if not isinstance(root, Root):
        raise FormatError("This is signed metadata, but not a root file.", hint="Ask for the registry's 1.root.json.")
    try:
        root.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except SerializationError as error:
        raise FormatError("This root file has values that can't be signed.", hint="Ask for its file again.") from error
    except UnsignedMetadataError as error:
        raise SignatureError(
            f"This root isn't signed by enough of its own keys ({error}).",
            hint="Get the root file again, from the registry's makers themselves.",
        ) from error
    roles = tuple(
        RoleDescription(name=name, threshold=role.threshold, keys=tuple(role.keyids))
        for name, role in sorted(root.roles.items())
    )
    return RootDescription(identity=identity_of(data), version=root.version, expires=root.expires, roles=roles)


def fetch_root(source: Source, cancel: Cancel) -> bytes:
    """Reads the first root from a registry itself. It proves nothing: its fingerprint must be compared with one that
    came another way, before it is trusted.

    Raises:
        NotFoundError: There is no registry at this address.
        TransportError: It can't be reached.
        MixAndMatchError: What is there is too long for a root.
    """
    return source.read(INITIAL_ROOT, limit_bytes=MAX_ROOT_BYTES, cancel=cancel)


class _PackagedRegistry(BaseModel):
    format: int
    address: str


def packaged_root() -> tuple[str, bytes] | None:
    """The registry that this build comes with: its address and its trusted root. None when it comes with none.

    Raises:
        FormatError: ``resources/trust/registry.json`` is damaged.
        StoreAccessError: A file can't be read.
    """
    try:
        record, root = resource("trust/registry.json"), resource("trust/root.json")
    except NotFoundError:
        return None
    try:
        text, data = record.read_bytes(), root.read_bytes()
    except OSError as error:
        raise StoreAccessError(
            f"The packaged registry can't be read: {error}.", hint="Install BBj Desktop again."
        ) from error
    packaged = parse_document(_PackagedRegistry, text, what="packaged registry", newest=PACKAGED_FORMAT)
    return packaged.address, data
