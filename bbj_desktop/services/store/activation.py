"""Which version of a slot is the active one, and since when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.store.journal import Write
from bbj_desktop.services.store.rebuilding import records_of

_TICK = timedelta(microseconds=1)


def activation_of(version: InstalledVersion, versions: Iterable[InstalledVersion], now: datetime) -> tuple[Write, ...]:
    """The records of a slot once ``version`` is its active one.

    An active version without a time was activated by a program that didn't note it: it counts from its install on.

    Args:
        versions: All that are installed.
        now: Ours; a clock that was wrong once doesn't mix up the order.
    """
    slot = [each for each in versions if each.slot == version.slot and each.key != version.key]
    passive = [
        each.model_copy(update={"active": False, "activated_at": each.activated_at or each.installed_at})
        for each in slot
        if each.active
    ]
    times = [each.activated_at for each in (*slot, *passive, version) if each.activated_at is not None]
    at = max([now, *(time + _TICK for time in times)])  # a clock that was wrong mixes nothing up
    changed = (*passive, version.model_copy(update={"active": True, "activated_at": at}))
    return tuple(step for each in changed for step in records_of(each))
