"""Reading a registry where no network leads to it: from bundles, and from mirrors that were declared offline.

Two things differ from a mirror on the network, and nothing else does:

- metadata that has expired is a matter of policy: ``warn`` accepts it and says how old it is, ``block`` refuses it.
  Nobody can carry a stick every few days; what freezing could hide is said instead. Its age is that of the signed time
  in the verified timestamp, and what had expired by then was never good.
- when this machine has seen newer metadata than the mirror holds, its own is used: signatures, thresholds and the least
  versions seen always hold, and a file is accepted when that newer metadata still names its digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bbj_desktop.core.errors import ExpiredError, NotFoundError, RollbackError, StoreAccessError, TrustError
from bbj_desktop.core.progress import Cancel, Remark
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.layout import METADATA, TIMESTAMP
from bbj_desktop.services.transfer.source import ByteStream, Source

if TYPE_CHECKING:
    from bbj_desktop.services.registry.trust import View

ExpiryPolicy = Literal["warn", "block"]


class OfflineRegistry(Registry):
    """A registry some of whose sources are declared offline.

    Attributes:
        offline: Addresses of those; None means all.
        expiry: What expired metadata from them means.
        behind: Whether the last refresh found that this machine had seen newer metadata than its source.
    """

    offline: frozenset[str] | None = None
    expiry: ExpiryPolicy = "warn"
    behind: bool = False

    def refresh(self, cancel: Cancel) -> None:
        """As the base class; ``remarks`` say how old the metadata of an offline source is. Raises as the base class."""
        self._notes: tuple[Remark, ...] = ()
        self._suspicious = False
        self.behind = False
        super().refresh(cancel)
        if self._is_offline(self.source):
            self.remarks = (*self.remarks, *self._notes)

    def _is_offline(self, source: Source) -> bool:
        return self.offline is None or source.address in self.offline

    def _refreshed_from(self, source: Source, cancel: Cancel, *, as_signed: bool = False) -> View:
        if as_signed or not self._is_offline(source):
            return self._from_the_network(source, cancel)
        try:
            return self._judged(source, cancel)
        except (RollbackError, NotFoundError):
            own = OwnMetadata(source, self._state / METADATA)
            if own.timestamp() is None:
                raise
            self.behind = True
            return self._judged(own, cancel)

    def _from_the_network(self, source: Source, cancel: Cancel) -> View:
        try:
            return super()._refreshed_from(source, cancel)
        except RollbackError:
            raise  # a mirror that is behind
        except TrustError:
            self._suspicious = True
            raise

    def _judged(self, source: Source, cancel: Cancel) -> View:
        """Whoever holds updates back on the network isn't helped by an old stick: then nothing is forgiven."""
        forgiving = self.expiry == "warn" and not self._suspicious
        try:
            view = super()._refreshed_from(source, cancel, as_signed=forgiving)
        except ExpiredError as error:
            if self.expiry == "warn":
                raise
            raise ExpiredError(
                f"{error.message} The setting bundle_expiry is block.",
                hint="Bring a newer bundle, or ask whoever administers this machine to set bundle_expiry to warn.",
            ) from error
        self._notes = (_note(self._now(), view.issued, view.expires),)
        return view


def _note(now: datetime, issued: datetime | None, expires: datetime) -> Remark:
    """How old a verified state is."""
    age = f"signed {_ago(now, issued)} ({issued:%Y-%m-%d})" if issued is not None else "of unknown age"
    if now < expires:
        return Remark(f"Read offline: the registry's state was {age}.")
    return Remark(
        f"Read offline: the registry's state was {age} and has expired {_ago(now, expires)}. Newer releases and "
        "withdrawals may be missing: bring a newer bundle.",
        "warning",
    )


def _ago(now: datetime, then: datetime) -> str:
    days = max(0, (now - then).days)
    return {0: "today", 1: "1 day ago"}.get(days, f"{days} days ago")


class OwnMetadata:
    """A source whose timestamp is the newest that this machine has seen; all else is that of another source.

    With that timestamp python-tuf takes the rest of its metadata from its own cache.
    """

    def __init__(self, source: Source, metadata: Path) -> None:
        self.address = source.address
        self._source = source
        self._metadata = metadata

    def timestamp(self) -> bytes | None:
        """Raises StoreAccessError when it can't be read."""
        place = self._metadata / "timestamp.json"
        try:
            return place.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreAccessError(f"{place} can't be read: {error.strerror}.") from error

    def read(self, path: str, *, limit_bytes: int, cancel: Cancel) -> bytes:
        own = self.timestamp() if path == TIMESTAMP else None
        return own if own is not None else self._source.read(path, limit_bytes=limit_bytes, cancel=cancel)

    @contextmanager
    def stream(
        self, path: str, *, offset: int = 0, length: int | None = None, validator: str | None = None, cancel: Cancel
    ) -> Iterator[ByteStream]:
        own = self.timestamp() if path == TIMESTAMP else None
        if own is not None:
            yield _InMemory(own)
            return
        with self._source.stream(path, offset=offset, length=length, validator=validator, cancel=cancel) as stream:
            yield stream

    def close(self) -> None:
        self._source.close()


class _InMemory:
    offset = 0
    ranged = False
    validator: str | None = None

    def __init__(self, content: bytes) -> None:
        self.total_bytes: int | None = len(content)
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
