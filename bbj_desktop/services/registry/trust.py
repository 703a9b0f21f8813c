"""The edge to python-tuf: its client on our sources, its exceptions as ours, its clock as we want it.

What TUF demands of a client is python-tuf's work (pinned to one version, whose habits the tests record). Only this
module, ``updater.py`` and ``root.py`` import it on the reading side, and only when a registry is really read: it takes
a quarter of a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Generator, Iterator
from datetime import datetime
from pathlib import Path

from securesystemslib.exceptions import Error as SecuresystemslibError
from securesystemslib.exceptions import (
    KeyMismatchError,
    StorageError,
    UnsupportedAlgorithmError,
    UnsupportedLibraryError,
    UnverifiedSignatureError,
)
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    SlowRetrievalError,
    UnsignedMetadataError,
)
from tuf.api.serialization import DeserializationError
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from bbj_desktop.core.errors import (
    BBjDesktopError,
    ExpiredError,
    MixAndMatchError,
    NotFoundError,
    RollbackError,
    ServerError,
    SignatureError,
    StalledError,
    StoreAccessError,
    TransportError,
    TrustError,
)
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.layout import METADATA, TARGETS, TIMESTAMP
from bbj_desktop.services.registry.updater import TrustedUpdater, signed_time
from bbj_desktop.services.transfer.source import Source

FORBIDDEN = 403
NOT_FOUND = 404
LIMITS = UpdaterConfig(
    max_root_rotations=256,
    max_delegations=8,
    root_max_length=512_000,  # bytes
    timestamp_max_length=16_384,  # bytes
    snapshot_max_length=1_000_000,  # bytes
    targets_max_length=20_000_000,  # bytes; 10,000 releases take about 3 MB
)
MAX_TARGET_BYTES = 16_000_000  # bytes of one catalogue or manifest

_FOREIGN = (RepositoryError, DownloadError, SecuresystemslibError, KeyMismatchError, OSError)
_OTHER_SNAPSHOT = re.compile(r"^Expected (root|snapshot) version |^Expected \S+ v\d+, got v")
"""Messages of BadVersionNumberError that mean "not the version that was announced", not "older than known"."""


@contextlib.contextmanager
def translated(address: str) -> Iterator[None]:
    """Lets only errors of our tree leave the block."""
    try:
        yield
    except _FOREIGN as error:
        raise ours(error, address) from error


def ours(error: Exception, address: str) -> BBjDesktopError:  # noqa: PLR0911 - a table: one line for each class
    """The error of our tree that stands for one of python-tuf's, securesystemslib's or the file system's.

    Args:
        error: What was raised.
        address: The registry's address, for the message.
    """
    said = f"{error}" or type(error).__name__
    if isinstance(error, DownloadError):
        return _download_error(error, address)
    if isinstance(error, ExpiredMetadataError):
        return ExpiredError(
            f"The registry {address} shows metadata that has expired: {said}.",
            hint="Check this computer's date. If it is right, the registry wasn't refreshed or somebody holds updates "
            "back: ask its makers.",
        )
    if isinstance(error, UnsignedMetadataError | UnverifiedSignatureError | KeyMismatchError):
        return SignatureError(
            f"The registry {address} shows metadata without enough valid signatures: {said}.",
            hint="Don't go on: what is there wasn't signed by the keys that this machine trusts.",
        )
    if isinstance(error, UnsupportedAlgorithmError | UnsupportedLibraryError):
        return SignatureError(f"Signatures of {address} can't be checked here: {said}.", hint="Update BBj Desktop.")
    if isinstance(error, BadVersionNumberError) and not _OTHER_SNAPSHOT.match(said):
        return RollbackError(
            f"The registry {address} shows an older state than this machine has already seen: {said}.",
            hint="A mirror may be behind: try again later, or another address. If it stays so, ask the makers.",
        )
    if isinstance(error, BadVersionNumberError | LengthOrHashMismatchError):
        return _mixed(address, said)
    if isinstance(error, DeserializationError):
        return TrustError(
            f"What {address} sent isn't signed metadata.",
            hint="A sign-in page of the network may have answered instead: open a web page, then try again.",
        )
    if isinstance(error, RepositoryError):
        return _mixed(address, said)
    if isinstance(error, StorageError | OSError):
        return StoreAccessError(
            f"The trusted metadata of {address} can't be kept on this machine: {said}.",
            hint="It needs a writable folder on a local disk.",
        )
    return TrustError(f"The metadata of {address} can't be used: {said}.")


def _mixed(address: str, said: str) -> MixAndMatchError:
    return MixAndMatchError(
        f"The registry {address} shows parts that don't belong together: {said}.",
        hint="Try again later: a mirror may be in the middle of its own update. If it stays so, ask the makers.",
    )


def _download_error(error: DownloadError, address: str) -> BBjDesktopError:
    if isinstance(error, DownloadLengthMismatchError):
        return _mixed(address, str(error))
    if isinstance(error, SlowRetrievalError):
        return StalledError(f"The registry {address} answers too slowly.", hint="Try again later.")
    if isinstance(error, DownloadHTTPError):
        if error.status_code == NOT_FOUND:
            return NotFoundError(
                f"The registry {address} doesn't have {error}.",
                hint="Check its address; if it is right, its mirror is incomplete.",
            )
        return ServerError(f"{address} refuses {error}.", status=error.status_code)
    return TransportError(f"The registry {address} can't be read: {error}.")


class SourceFetcher(FetcherInterface):
    """Gives python-tuf the bytes of a source. A missing file ends the walk along the roots: it must look like
    HTTP's.

    Attributes:
        cancel: Obeyed by the reads of the operation that runs now.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._running: Generator[bytes, None, None] | None = None
        self.cancel = Cancel()

    def _fetch(self, url: str) -> Iterator[bytes]:
        self._running = self._read(url)
        return self._running

    def release(self) -> None:
        """Ends what python-tuf left half read: it would hold its connection for as long as the error lives."""
        if self._running is not None:
            self._running.close()

    def _read(self, url: str) -> Generator[bytes, None, None]:
        # A generator: what it raises while python-tuf iterates passes through python-tuf unchanged.
        try:
            with self._source.stream(url, cancel=self.cancel) as stream:
                for data in stream:
                    self.cancel.check()
                    yield data
        except NotFoundError as error:
            raise DownloadHTTPError(url, NOT_FOUND) from error
        except ServerError as error:
            if error.status != FORBIDDEN:  # object stores say 403 for what isn't there
                raise
            raise DownloadHTTPError(url, FORBIDDEN) from error


class CacheFetcher(FetcherInterface):
    """Gives python-tuf back what it has already: the newest timestamp that it trusts, and nothing else."""

    def __init__(self, metadata: Path) -> None:
        self._metadata = metadata
        self.cancel = Cancel()

    def release(self) -> None:
        """Holds nothing."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        if url.endswith(".root.json"):
            raise DownloadHTTPError(url, NOT_FOUND)  # the end of the walk along the roots
        timestamp = self._metadata / "timestamp.json"
        if url != TIMESTAMP or not timestamp.is_file():
            raise NotFoundError(
                f"{url} was never read on this machine, or what was read isn't trusted any more.",
                hint="Read the registry again while it can be reached.",
            )
        yield timestamp.read_bytes()


class View:
    """One consistent state of a registry: its metadata was verified together. Targets are read through it.

    Args:
        fetcher: Where the bytes come from.
        state: Folder for trusted metadata; python-tuf keeps it in ``metadata/``, targets are cached in ``targets/``.
        initial_root: The first trusted root.
        address: For messages.
        time: The operating system's time (UTC), see ``TrustedUpdater``; None judges no expiry.
        as_signed: See ``TrustedUpdater``.

    Raises:
        TrustError: The metadata isn't what was signed; each attack has its own class.
        NotFoundError: There is no registry.
        TransportError: The way failed.
        StoreAccessError: The state can't be kept.
    """

    def __init__(
        self,
        fetcher: SourceFetcher | CacheFetcher,
        state: Path,
        initial_root: bytes,
        *,
        address: str,
        time: datetime | None,
        as_signed: bool = False,
    ) -> None:
        self._fetcher = fetcher
        self._address = address
        self._targets = state / TARGETS
        with translated(address):
            (state / METADATA).mkdir(parents=True, exist_ok=True)
            self._targets.mkdir(exist_ok=True)
            self._updater = TrustedUpdater(
                state / METADATA, fetcher, LIMITS, initial_root=initial_root, time=time, as_signed=as_signed
            )

    def refresh(self, cancel: Cancel) -> None:
        """Brings the metadata up to date, from the root down. Raises as the class says, and Cancelled."""
        with self._reading(cancel):
            self._updater.refresh()

    @contextlib.contextmanager
    def _reading(self, cancel: Cancel) -> Iterator[None]:
        self._fetcher.cancel = cancel
        try:
            with translated(self._address):
                yield
        finally:
            self._fetcher.release()

    @property
    def expires(self) -> datetime:
        """When this state stops being accepted: the earliest end of timestamp and snapshot (UTC)."""
        trusted = self._updater.trusted
        return min(trusted.timestamp.expires, trusted.snapshot.expires)

    @property
    def issued(self) -> datetime | None:
        """When this state was signed (UTC), as its verified timestamp says; None when it doesn't, or can't be right."""
        return signed_time(self._updater.trusted)

    def read(self, target: str, cancel: Cancel, *, source: Source | None = None) -> bytes:
        """Reads a signed file, from the cache when it is there unchanged.

        Args:
            target: Its name.
            cancel: Obeyed while reading.
            source: Another mirror than that of the metadata.

        Raises:
            NotFoundError: Nobody who may has signed a file of this name.
        """
        if source is not None:
            self._fetcher, self._address = SourceFetcher(source), source.address
            self._updater.read_through(self._fetcher)
        with self._reading(cancel):
            info = self._updater.get_targetinfo(target)
            if info is None:
                raise NotFoundError(f"The registry {self._address} has no {target}.")
            if info.length > MAX_TARGET_BYTES:
                raise MixAndMatchError(f"{target} of {self._address} is announced with {info.length} bytes: too long.")
            path = str(self._targets / hashlib.sha256(target.encode()).hexdigest())
            if self._updater.find_cached_target(info, path) is None:
                self._updater.download_target(info, path)
            return Path(path).read_bytes()
