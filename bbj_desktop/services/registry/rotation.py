"""Changing a role's keys: who may sign for it from now on, and how many of them must."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuf.api.metadata import Root, Targets

from bbj_desktop.core.errors import NotFoundError, PublishError
from bbj_desktop.services.registry.keys import PublicKey
from bbj_desktop.services.registry.ledger import Ledger


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
