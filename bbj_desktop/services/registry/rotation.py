"""Changing a role's keys: who may sign for it from now on, and how many of them must."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from securesystemslib.signer import Key
from tuf.api.metadata import Root, Targets

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, NotFoundError, PublishError
from bbj_desktop.services.registry.ledger import Ledger

PUBLIC_KEY_FORMAT = 1


class PublicKey(BaseModel):
    """``<role>-<n>.pub``: what the holder of a key hands out. Its fields but the role are TUF's.

    Attributes:
        role: What it is meant to sign.
        keyid: 64 hex digits.
        key: ``keytype``, ``scheme`` and ``keyval``; of any kind that securesystemslib verifies.
    """

    model_config = ConfigDict(frozen=True)

    format: int = PUBLIC_KEY_FORMAT
    role: str
    keyid: str
    key: dict[str, Any]

    @classmethod
    def of(cls, role: str, key: Key) -> PublicKey:
        return cls(role=role, keyid=key.keyid, key=key.to_dict())

    def usable(self) -> Key:
        """The key itself. Raises FormatError."""
        try:
            return Key.from_dict(self.keyid, dict(self.key))
        except (KeyError, ValueError, TypeError) as error:
            raise FormatError(f"The public key {self.keyid[:16]} of {self.role} can't be used: {error}.") from error


def read_public_key(path: Path) -> PublicKey:
    """Reads a public key's file. Raises PublishError or FormatError."""
    try:
        return parse_document(PublicKey, path.read_bytes(), what=f"public key ({path})", newest=PUBLIC_KEY_FORMAT)
    except OSError as error:
        raise PublishError(f"The public key {path} can't be read: {error.strerror}.") from error


def change_keys(
    ledger: Ledger, role: str, *, add: Sequence[PublicKey] = (), remove: Iterable[str] = (), threshold: int | None
) -> None:
    """Changes who signs for a role, and commits that: the delegator (root, or targets for a channel) and, because its
    old signatures may not suffice any more, the role itself.

    Args:
        ledger: Loaded.
        role: Any role.
        add: New keys.
        remove: Ids of keys, or their first digits.
        threshold: None leaves it.

    Raises:
        NotFoundError: No such role or key.
        PublishError: Nothing would change, a key is meant for another role, or too few keys would be left.
    """
    delegator: Root | Targets = ledger.root if role in ledger.root.roles else ledger.targets
    if isinstance(delegator, Targets):
        ledger.channel(role)
    holder = delegator.get_delegated_role(role)
    before = (list(holder.keyids), holder.threshold)
    for key in add:
        if key.role != role:
            raise PublishError(f"The key {key.keyid[:16]} was made for {key.role!r}, not for {role!r}.")
        delegator.add_key(key.usable(), role)
    for start in remove:
        delegator.revoke_key(_named(start, holder.keyids, role), role)
    holder.threshold = threshold or holder.threshold
    if (list(holder.keyids), holder.threshold) == before:
        raise PublishError(f"The keys of {role!r} are so already: nothing to sign.")
    if not 0 < holder.threshold <= len(holder.keyids):
        raise PublishError(
            f"{role!r} would have {len(holder.keyids)} keys, and {holder.threshold} of them would have to sign.",
            hint="Add a key, or lower the threshold.",
        )
    signed_too = [role] if role == Targets.type or isinstance(delegator, Targets) else []
    ledger.commit(delegator.type, *signed_too)


def _named(start: str, keyids: Sequence[str], role: str) -> str:
    found = [keyid for keyid in keyids if keyid.startswith(start)]
    if len(found) != 1:
        said = "has no key" if not found else "has several keys"
        raise NotFoundError(f"{role!r} {said} {start!r}.", hint=f"It has: {', '.join(key[:16] for key in keyids)}.")
    return found[0]
