"""How long a registry's signatures are still good, and when to do something about it."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from bbj_desktop.core.errors import NotFoundError
from bbj_desktop.services.registry.chain import Chain, channel_names, read_chain
from bbj_desktop.services.registry.findings import RoleLife
from bbj_desktop.services.registry.layout import TIMESTAMP
from bbj_desktop.services.registry.staging import read_file

WARN_BEFORE = MappingProxyType({"root": 90, "targets": 60, "channel": 60, "snapshot": 20, "timestamp": 4})
"""Days. Refreshing renews a snapshot when 30 of its 60 days are left, and a timestamp each time; the others need people
to meet."""


def lives_of(folder: Path, now: datetime) -> tuple[RoleLife, ...]:
    """The roles of a registry, from the root down.

    Args:
        folder: The registry.
        now: Judged at this time (UTC).

    Raises:
        NotFoundError: There is no registry.
        FormatError, TrustError, PublishError: It is damaged or can't be read.
    """
    if not (folder / TIMESTAMP).exists():
        raise NotFoundError(f"There is no registry in {folder}.", hint="Create one first: registry create")
    chain = read_chain(lambda path: read_file(folder, path))
    signed: dict[str, Root | Targets | Snapshot | Timestamp] = {"root": chain.root, "targets": chain.targets}
    signed |= {name: chain.channels[name] for name in channel_names(chain.targets)}
    signed |= {"snapshot": chain.snapshot, "timestamp": chain.timestamp}
    return tuple(_life(chain, role, each, now) for role, each in signed.items())


def _life(chain: Chain, role: str, signed: Root | Targets | Snapshot | Timestamp, now: datetime) -> RoleLife:
    left = math.floor((signed.expires - now) / timedelta(days=1))
    limit = WARN_BEFORE.get(role, WARN_BEFORE["channel"])
    by = (chain.root if role in chain.root.roles else chain.targets).get_delegated_role(role)
    renewing = "registry refresh" if role in ("snapshot", "timestamp") else f"registry renew {role}"
    return RoleLife(
        role=role,
        version=signed.version,
        expires=signed.expires,
        days_left=left,
        warn_below=limit,
        threshold=by.threshold,
        keys=tuple(by.keyids),
        what_to_do=renewing if left < limit else "",
    )
