"""python-tuf's client as we need it: a cache that survives a power cut and needs no links, and a clock that one wrong
setting can't bring to a halt.

python-tuf has no arguments for these, so methods of its own are replaced here. It is pinned to one version;
``tests/registry/test_updater.py`` holds what this module relies on.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.exceptions import ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Snapshot, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from bbj_desktop.services.registry.layout import ISSUED, METADATA, TARGETS
from bbj_desktop.services.store.disk import Disk

NEVER = datetime.min.replace(tzinfo=UTC)


class TrustedUpdater(Updater):
    """One walk through the metadata of a registry, from the cached state to the one that a source shows.

    Args:
        metadata: Folder of the cache.
        fetcher: Where bytes come from.
        config: Limits.
        initial_root: The first trusted root; every later one is reached from it again, through the cached ones.
        time: The operating system's time (UTC). Expiry is judged at the later of it and the signed time of the newest
            timestamp that is trusted. None judges no expiry.
        as_signed: Judges expiry at the signed time of the timestamp that comes, once it is verified: what was good
            when it was signed is good, however long ago that is. ``time`` counts only where none was signed.

    Attributes:
        trusted: What was verified so far.
    """

    def __init__(
        self,
        metadata: Path,
        fetcher: FetcherInterface,
        config: UpdaterConfig,
        *,
        initial_root: bytes,
        time: datetime | None,
        as_signed: bool = False,
    ) -> None:
        super().__init__(
            str(metadata),
            f"{METADATA}/",
            target_base_url=f"{TARGETS}/",
            fetcher=fetcher,
            config=config,
            bootstrap=initial_root,
        )
        self._judges_expiry = time is not None
        self._as_signed = as_signed
        self._time = time or NEVER
        self.trusted.reference_time = NEVER if as_signed else self._time

    @property
    def trusted(self) -> TrustedMetadataSet:
        return self._trusted_set

    def read_through(self, fetcher: FetcherInterface) -> None:
        """Where bytes come from now: what was verified so far stays, whoever sent it."""
        self._fetcher = fetcher

    def _load_timestamp(self) -> None:
        if self._as_signed:
            super()._load_timestamp()
            self._judge_as_signed()
            return
        self._not_before(self._cached())
        super()._load_timestamp()

    def _judge_as_signed(self) -> None:
        """Root and timestamp, after the timestamp told the time; the walk judges what comes after them itself."""
        self.trusted.reference_time = signed_time(self.trusted) or self._time
        for signed in (self.trusted.root, self.trusted.timestamp):
            if signed.is_expired(self.trusted.reference_time):
                raise ExpiredMetadataError(f"{signed.type}.json is expired")

    def _load_snapshot(self) -> None:
        super()._load_snapshot()
        self._not_before(self.trusted)

    def _not_before(self, known: TrustedMetadataSet) -> None:
        """A clock that lags doesn't prolong what has expired by a time that the makers signed."""
        issued = signed_time(known)
        if self._judges_expiry and issued is not None:
            self.trusted.reference_time = max(self.trusted.reference_time, issued)

    def _cached(self) -> TrustedMetadataSet:
        """What the cache holds, verified with the newest root: after a change of keys, a signed time made with a stolen
        one doesn't count any more."""
        known = TrustedMetadataSet(self._current_root(), EnvelopeType.METADATA)
        known.reference_time = NEVER
        with contextlib.suppress(OSError, RepositoryError):  # not there or damaged: the walk fetches it anew
            known.update_timestamp(self._load_local_metadata(Timestamp.type))
            known.update_snapshot(self._load_local_metadata(Snapshot.type), trusted=True)
        return known

    def _current_root(self) -> bytes:
        return (Path(self._dir) / "root_history" / f"{self.trusted.root.version}.root.json").read_bytes()

    def _persist_file(self, filename: str, data: bytes) -> None:
        """python-tuf's own doesn't sync: after a power cut the newest timestamp might be gone, and with it what keeps
        an older one out."""
        path = Path(filename)
        if not _holds(path, data):
            Disk().write_atomic(path, data)

    def _update_root_symlink(self) -> None:
        """No link: file systems without links are common (exFAT, network drives), and as the first root is always given
        nobody reads it."""


def signed_time(known: TrustedMetadataSet) -> datetime | None:
    """When the trusted timestamp was signed (UTC), as it says itself; None without one, or when it can't be right:
    later than the end of the timestamp itself or of the snapshot that it announces."""
    if Timestamp.type not in known:
        return None
    ends = [known.timestamp.expires]
    if Snapshot.type in known and known.snapshot.version == known.timestamp.snapshot_meta.version:
        ends.append(known.snapshot.expires)
    try:
        issued = datetime.fromisoformat(known.timestamp.unrecognized_fields[ISSUED])
        issued = issued.replace(tzinfo=issued.tzinfo or UTC).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return issued if issued < min(ends) else None


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False
