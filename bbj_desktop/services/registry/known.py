"""The registries that this machine trusts. Trust belongs to a registry's identity (the first root), not to its address:
a registry that moves keeps its state, and another registry at an old address doesn't inherit it.

Layout: ``<folder>/<first 32 hex digits of the identity>/registry.json`` beside the ``metadata/`` that the client keeps.
"""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, NotFoundError, NoTrustedRootError, StoreAccessError, TooNewError

KNOWN_FORMAT = 1
RECORD = "registry.json"


class KnownRegistry(BaseModel):
    """One trusted registry.

    Attributes:
        identity: Digest of the first root that was trusted, ``sha256:<hex>``.
        address: Where it is read from.
        mirrors: Where it is read from, too, in this order.
        offline: Those of them that no network leads to: there ``bundle_expiry`` says what expired metadata means.
        ollama: Names (``ollama://…``) from which Ollama may pull the bytes of models, never metadata.
        added_at: When the user (or the packaged build) trusted it, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = KNOWN_FORMAT
    identity: str
    address: str
    mirrors: tuple[str, ...] = ()
    offline: tuple[str, ...] = ()
    ollama: tuple[str, ...] = ()
    added_at: datetime


class KnownRegistries:
    """The trusted registries in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def state(self, registry: KnownRegistry) -> Path:
        """The folder in which the client keeps this registry's trusted metadata."""
        return self.folder / registry.identity.removeprefix("sha256:")[:32]

    def all(self) -> tuple[KnownRegistry, ...]:
        """Every trusted registry, the most recently added first.

        Raises:
            FormatError: A record is damaged.
            StoreAccessError: A record can't be read.
        """
        try:
            records = sorted(self.folder.glob(f"*/{RECORD}"))
            found = [_read(record) for record in records]
        except OSError as error:
            raise StoreAccessError(f"The trusted registries in {self.folder} can't be read: {error}.") from error
        return tuple(sorted(found, key=lambda registry: registry.added_at, reverse=True))

    def with_identity(self, identity: str) -> KnownRegistry | None:
        """The record of a registry that is trusted already. Raises as ``all``."""
        return next((registry for registry in self.all() if registry.identity == identity), None)

    def choose(self, address: str | None) -> KnownRegistry:
        """The registry of an address, or the most recently added one.

        Raises:
            NoTrustedRootError: None is trusted yet, or none at this address.
        """
        known = self.all()
        if not known:
            raise NoTrustedRootError(
                "No model registry is set up yet.",
                hint="Ask your administrator for the registry's address and its root file, then type: "
                "bbj-desktop registry add ADDRESS --root ROOT.json",
            )
        if address is None:
            return known[0]
        for registry in known:
            if registry.address.rstrip("/") == address.rstrip("/"):
                return registry
        raise NoTrustedRootError(
            f"The registry {address} isn't trusted on this machine.",
            hint=f"Type: bbj-desktop registry add {address} --root ROOT.json",
        )

    def remember(self, registry: KnownRegistry) -> None:
        """Writes (or rewrites) a registry's record, whole or not at all.

        Raises:
            StoreAccessError: It can't be written.
        """
        folder = self.state(registry)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f"{RECORD}.new"
            with temporary.open("w", encoding="utf-8") as file:
                file.write(registry.model_dump_json(indent=1))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(folder / RECORD)
        except OSError as error:
            raise StoreAccessError(f"The registry can't be remembered in {folder}: {error}.") from error

    def forget(self, address: str) -> KnownRegistry:
        """Removes a registry and its trusted metadata.

        Raises:
            NotFoundError: There is none at this address.
            StoreAccessError: Its folder can't be removed.
        """
        for registry in self.all():
            if registry.address.rstrip("/") == address.rstrip("/"):
                try:
                    shutil.rmtree(self.state(registry))
                except OSError as error:
                    raise StoreAccessError(f"The registry {address} can't be forgotten: {error}.") from error
                return registry
        raise NotFoundError(f"No registry at {address} is known here.", hint="bbj-desktop registry show lists them.")


def _read(record: Path) -> KnownRegistry:
    try:
        return parse_document(
            KnownRegistry, record.read_bytes(), what=f"registry record ({record})", newest=KNOWN_FORMAT
        )
    except TooNewError:
        raise
    except FormatError as error:
        raise FormatError(
            error.message,
            hint="Delete that file and trust the registry again: bbj-desktop registry add ADDRESS. What was verified "
            "is kept beside it.",
        ) from error
