"""Reading a registry: its offering, its manifests, and the small signed files beside the models.

Importing this is cheap; python-tuf is loaded when the first registry is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bbj_desktop.core.errors import (
    BBjDesktopError,
    DigestError,
    FormatError,
    MixAndMatchError,
    NotFoundError,
    NoTrustedRootError,
    RollbackError,
    SignatureError,
    StoreAccessError,
    TooNewError,
    TransportError,
    TrustError,
)
from bbj_desktop.core.progress import Cancel, Remark
from bbj_desktop.core.release import (
    Catalogue,
    CatalogueEntry,
    ChunkIndex,
    Extra,
    FileReference,
    Offer,
    Offering,
    Part,
    Release,
    parse_catalogue,
    parse_chunk_index,
    parse_release,
    version_key,
)
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.registry.layout import METADATA, blob_path, catalogue_target
from bbj_desktop.services.registry.root import describe_root, identity_of
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.folder import FolderSource
from bbj_desktop.services.transfer.source import Source
from bbj_desktop.services.transfer.split import SplitSource

if TYPE_CHECKING:
    from bbj_desktop.services.registry.trust import View

__all__ = ["Registry", "blob_path"]

INITIAL_ROOT_FILE = "initial_root.json"
CHECKED_FILE = "checked_at"
LOCK_TIMEOUT_S = 30.0  # seconds; another process may be refreshing over a slow line
MAX_INDEX_BYTES = 64 * 2**20  # bytes; a terabyte in chunks of 4 MiB takes about 30 MB
MAX_TOKENIZER_BYTES = 128 * 2**20  # bytes


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """A trusted registry, read through its mirrors: metadata from one of them at a time.

    Attributes:
        sources: Every mirror, in the order in which they are asked; which one serves a payload is all the same.
        source: The one that served the metadata last; the first until then.
        remarks: What the last refresh set aside, and why.
        identity: ``sha256:<hex>`` of the first root trusted: it stands for the registry, whatever its address.
    """

    def __init__(
        self, sources: tuple[Source, ...], state: Path, initial_root: bytes, now: Callable[[], datetime]
    ) -> None:
        self.sources = sources
        self.source = sources[0]
        self.remarks: tuple[Remark, ...] = ()
        self.identity = identity_of(initial_root)
        self._state = state
        self._initial_root = initial_root
        self._now = now
        self._view: View | None = None
        self._silent: tuple[Source, ...] = ()

    @property
    def lock_path(self) -> Path:
        return self._state / "lock"

    @classmethod
    def open(
        cls,
        source: Source,
        state: Path,
        *,
        mirrors: Sequence[Source] = (),
        initial_root: bytes | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> Self:
        """Opens a registry without reading anything from its sources.

        Args:
            source: Where its files are; asked first.
            state: Folder of its own for the metadata trusted so far, on a local disk.
            mirrors: Where they are, too, in the order in which they are asked.
            initial_root: The root to trust first; needed only while ``state`` is empty.
            now: Clock (UTC).

        Raises:
            NoTrustedRootError: Neither ``state`` nor ``initial_root`` has a root.
            SignatureError: ``initial_root`` isn't signed by its own keys, or ``state`` already trusts another one.
            FormatError: ``initial_root`` isn't a root.
            StoreAccessError: ``state`` can't be read or written.
        """
        kept = _whole(_read_if_there(state / INITIAL_ROOT_FILE))
        if kept is None and initial_root is None:
            raise NoTrustedRootError(
                f"There is no trusted root for the registry {source.address}, or it is damaged.",
                hint="Compare the fingerprint of its root file and type: bbj-desktop registry add ADDRESS --root FILE",
            )
        if kept is None and initial_root is not None:
            describe_root(initial_root)
            _write_whole(state / INITIAL_ROOT_FILE, initial_root)
        root = kept or initial_root or b""
        if initial_root is not None and initial_root != root and not _was_trusted(state, initial_root):
            raise SignatureError(
                f"Another root is already trusted for the registry {source.address}.",
                hint="Remove the registry first if it was really made anew.",
            )
        return cls((source, *mirrors), state, root, now)

    def payload_sources(self, index: ChunkIndex) -> tuple[Source, ...]:
        """Every mirror, for reading one file by ranges at its ``blob_path``, whether it is split there or not."""
        if not index.split:
            return self.sources
        path = blob_path(index.file.digest)
        return tuple(SplitSource(source, path, index.split) for source in self.sources)

    def can_bring(self, digest: str) -> bool:
        """Whether a model file may come from where the last refresh found the registry. A server may bring anything,
        unless it didn't answer; a folder brings what lies there, whole or split."""
        return any(_may_hold(source, blob_path(digest)) for source in self.sources if source not in self._silent)

    def close(self) -> None:
        """Closes every source."""
        for source in self.sources:
            source.close()

    def refresh(self, cancel: Cancel) -> None:
        """Brings the trusted metadata up to date. An unchanged registry costs two small requests.

        Metadata comes from one mirror at a time: one that is behind, can't be reached or isn't trustworthy is set aside
        with a remark, and the next one is asked.

        Raises:
            TrustError: What came isn't what was signed; each attack has its own class. RollbackError only when every
                mirror is behind.
            NotFoundError: There is no registry at the source's address.
            TransportError: The way failed.
            StoreBusyError: Another process has been refreshing for a long time.
            StoreAccessError: The trusted state can't be kept.
            Cancelled: By ``cancel``.
        """
        self._view = None
        self.remarks = ()
        failures: list[BBjDesktopError] = []
        with self._locked():
            for source in self.sources:
                try:
                    self._view = self._refreshed_from(source, cancel)
                except (TrustError, TransportError, NotFoundError) as error:
                    failures.append(error)
                else:
                    self.source = source
                    break
        if self._view is None:
            raise min(failures, key=_gravity)
        set_aside = zip(self.sources, failures, strict=False)
        self._silent = tuple(source for source, failure in set_aside if not isinstance(failure, TrustError))
        self.remarks = tuple(map(_set_aside, self.sources, failures))

    def _refreshed_from(self, source: Source, cancel: Cancel, *, as_signed: bool = False) -> View:
        from bbj_desktop.services.registry.trust import SourceFetcher, View

        now = self._now()
        fetcher, address = SourceFetcher(source), source.address
        view = View(fetcher, self._state, self._initial_root, address=address, time=now, as_signed=as_signed)
        view.refresh(cancel)
        _write_whole(self._state / CHECKED_FILE, now.isoformat().encode())
        return view

    def offering(self, channel: str, cancel: Cancel, *, app_version: str) -> Offering:
        """Refreshes, then reads a channel's catalogue and the newest usable release of each model, role and size.

        Args:
            channel: ``stable``, ``beta``, …
            cancel: Obeyed between and within reads.
            app_version: This program's version: releases for newer ones are skipped, which the offering says.

        Raises:
            TooNewError: Catalogue, or every release in it, needs a newer program.
            NotFoundError: There is no such channel.
            TrustError, TransportError, StoreError, Cancelled: As in ``refresh``.
        """
        self.refresh(cancel)
        return self._offering(self._refreshed(cancel), channel, cancel, app_version)

    def offering_cached(self, channel: str, cancel: Cancel, *, app_version: str) -> Offering:
        """The offering as it was at the last refresh, without any network. Signatures are verified again; expiry isn't
        a reason to refuse: compare ``expires`` and ``checked_at`` with the clock and say how old it is.

        Raises:
            NotFoundError: This channel was never read here.
            TrustError: The state on this machine isn't what was signed.
        """
        from bbj_desktop.services.registry.trust import CacheFetcher, View

        with self._locked():
            fetcher = CacheFetcher(self._state / METADATA)
            view = View(fetcher, self._state, self._initial_root, address=self.source.address, time=None)
            view.refresh(cancel)
        return self._offering(view, channel, cancel, app_version)

    def all_offers(self, channel: str, cancel: Cancel, *, app_version: str) -> tuple[Offer, ...]:
        """Every release of a channel that may be installed, newest first; older ones too, for a version of one's own
        choice. One manifest is read for each; what needs a newer program isn't among them. Raises as ``offering``.
        """
        view = self._refreshed(cancel)
        offers = []
        for entry in sorted(
            self._catalogue(view, channel, cancel, app_version).entries, key=_newest_first, reverse=True
        ):
            if entry.withdrawn is None:
                try:
                    release = self.release_of(entry, cancel, app_version=app_version)
                except FormatError:
                    continue
                offers.append(Offer(channel=channel, entry=entry, release=release))
        return tuple(offers)

    def release_of(self, entry: CatalogueEntry, cancel: Cancel, *, app_version: str) -> Release:
        """The manifest of one catalogue entry, withdrawn or not.

        Raises:
            TooNewError: It needs a newer program.
            MixAndMatchError: The manifest is of another release than its entry says.
            TrustError, TransportError, StoreError, Cancelled: As in ``refresh``.
        """
        return self._release(self._refreshed(cancel), entry, cancel, app_version)

    def extras(self, channel: str, cancel: Cancel) -> tuple[Extra, ...]:
        """A channel's extras, also where its models need a newer program: that may be one of them. Raises as
        ``offering``."""
        return self._any_catalogue(self._refreshed(cancel), channel, cancel).extras

    def chunk_index(self, part: Part, cancel: Cancel) -> ChunkIndex:
        """The digests of a file's chunks.

        Raises:
            DigestError, MixAndMatchError: Not the index that the release names, or of another file.
            NotFoundError, TransportError, Cancelled: As in ``refresh``.
        """
        index = parse_chunk_index(self._blob(part.chunk_index, "chunk index", MAX_INDEX_BYTES, cancel))
        if index.file != part.file:
            raise MixAndMatchError(f"The chunk index of {part.file.digest} is for another file.")
        return index

    def tokenizer(self, release: Release, cancel: Cancel) -> bytes | None:
        """The release's tokenizer, a GGUF without tensors; None when it has none. Raises as ``chunk_index``."""
        if release.tokenizer is None:
            return None
        return self._blob(release.tokenizer, "tokenizer", MAX_TOKENIZER_BYTES, cancel)

    def _refreshed(self, cancel: Cancel) -> View:
        if self._view is None:
            self.refresh(cancel)
        if self._view is None:
            raise AssertionError
        return self._view

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """python-tuf's state has one writer at a time."""
        with FileLock(self.lock_path, timeout_s=LOCK_TIMEOUT_S, what="the trusted registry metadata"):
            yield

    def _read(self, view: View, target: str, cancel: Cancel) -> bytes:
        with self._locked():
            if view is not self._view:
                return view.read(target, cancel)
            return self._from_any(lambda source: view.read(target, cancel, source=source))

    def _catalogue(self, view: View, channel: str, cancel: Cancel, app_version: str) -> Catalogue:
        catalogue = self._any_catalogue(view, channel, cancel)
        if catalogue.min_app_version is not None:
            _demand_app(catalogue.min_app_version, app_version, f"The catalogue {channel!r}")
        return catalogue

    def _any_catalogue(self, view: View, channel: str, cancel: Cancel) -> Catalogue:
        catalogue = parse_catalogue(self._read(view, catalogue_target(channel), cancel))
        if catalogue.channel != channel:
            raise MixAndMatchError(f"The catalogue of {channel!r} calls itself {catalogue.channel!r}.")
        return catalogue

    def _offering(self, view: View, channel: str, cancel: Cancel, app_version: str) -> Offering:
        catalogue = self._catalogue(view, channel, cancel, app_version)
        offers: list[Offer] = []
        skipped: list[FormatError] = []
        for slot in _slots(catalogue.entries):
            for entry in slot:
                try:
                    release = self._release(view, entry, cancel, app_version)
                except FormatError as error:
                    skipped.append(error)
                    continue
                offers.append(Offer(channel=channel, entry=entry, release=release))
                break
        if skipped and not offers:
            raise skipped[0]
        return Offering(
            registry=self.source.address,
            checked_at=self._checked_at(),
            expires=view.expires,
            catalogue=catalogue,
            offers=tuple(offers),
            skipped=tuple(str(error) for error in skipped),
        )

    def _release(self, view: View, entry: CatalogueEntry, cancel: Cancel, app_version: str) -> Release:
        release = _parsed(self._read(view, entry.manifest, cancel), entry)
        for name in ("model", "role", "size", "version", "released"):
            said, found = getattr(entry, name), getattr(release, name)
            if said != found:
                raise MixAndMatchError(f"The catalogue announces {name} {said}, {entry.manifest} says {found}.")
        _demand_app(release.min_app_version, app_version, f"{release.title} {release.version}")
        return release

    def _checked_at(self) -> datetime:
        try:
            return datetime.fromisoformat((_read_if_there(self._state / CHECKED_FILE) or b"").decode())
        except ValueError:
            return self._now()

    def _blob(self, file: FileReference, what: str, limit_bytes: int, cancel: Cancel) -> bytes:
        if file.length_bytes > limit_bytes:
            raise FormatError(f"The {what} is announced with {file.length_bytes} bytes: too long.")
        return self._from_any(lambda source: _verified_blob(source, file, what, cancel))

    def _from_any(self, read: Callable[[Source], bytes]) -> bytes:
        """Reads what is signed from whichever mirror has it so, that of the metadata first."""
        failures: list[BBjDesktopError] = []
        for source in (self.source, *(each for each in self.sources if each is not self.source)):
            try:
                return read(source)
            except (TrustError, TransportError, NotFoundError) as error:
                failures.append(error)
        raise min(failures, key=_gravity)


def _verified_blob(source: Source, file: FileReference, what: str, cancel: Cancel) -> bytes:
    data = source.read(blob_path(file.digest), limit_bytes=file.length_bytes, cancel=cancel)
    actual = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if actual != file.digest:
        raise DigestError(
            f"The {what} from {source.address} isn't the signed one.", expected=file.digest, actual=actual
        )
    return data


def _gravity(error: BBjDesktopError) -> int:
    """Which of several mirrors' errors is told: an attack before a failing way, and that before a mirror behind."""
    if isinstance(error, RollbackError):
        return 2
    return 0 if isinstance(error, TrustError) else 1


def _may_hold(source: Source, path: str) -> bool:
    if not isinstance(source, FolderSource):
        return True
    file = source.folder / path
    return file.exists() or any(file.parent.glob(f"{file.name}.part-*"))


def _set_aside(source: Source, error: BBjDesktopError) -> Remark:
    if isinstance(error, RollbackError):
        return Remark(f"The mirror {source.address} is behind; another one was read.")
    return Remark(f"The mirror {source.address} was set aside: {error.message}", "warning")


def _parsed(manifest: bytes, entry: CatalogueEntry) -> Release:
    """A manifest; where it can't be read, the error names the release."""
    name = f"{entry.model} {entry.size.upper()} {entry.version}"
    try:
        return parse_release(manifest)
    except TooNewError as error:
        raise TooNewError(f"{name}: {error.message}", needs=error.needs, hint=error.hint) from error
    except FormatError as error:
        raise FormatError(f"{name}: {error.message}", hint=error.hint) from error


def _demand_app(needed: str, have: str, what: str) -> None:
    if version_key(needed) > version_key(have):
        raise TooNewError(
            f"{what} needs BBj Desktop {needed} or newer; this is {have}.",
            needs=f"BBj Desktop {needed}",
            hint="Update BBj Desktop.",
        )


def _newest_first(entry: CatalogueEntry) -> tuple[tuple[int, ...], bool, str]:
    return version_key(entry.version)


def _slots(entries: Iterable[CatalogueEntry]) -> list[list[CatalogueEntry]]:
    """Releases that replace each other, newest first; the withdrawn ones aren't among them."""
    slots: dict[tuple[str, str, str], list[CatalogueEntry]] = {}
    for entry in sorted(entries, key=_newest_first, reverse=True):
        if entry.withdrawn is None:
            slots.setdefault((entry.model, entry.role, entry.size), []).append(entry)
    return list(slots.values())


def _read_if_there(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreAccessError(f"{path} can't be read: {error.strerror}.") from error


def _whole(root: bytes | None) -> bytes | None:
    """A root file, or None for what a failing disk made of it."""
    try:
        return root if root and isinstance(json.loads(root), dict) else None
    except ValueError:
        return None


def _write_whole(path: Path, data: bytes) -> None:
    """Writes a small file so that it is there whole or not at all, power cut or not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreAccessError(f"{path} can't be written: {error.strerror}.") from error
    Disk().write_atomic(path, data)


def _was_trusted(state: Path, root: bytes) -> bool:
    """Whether a root is one of the registry's later ones: a newer program may come with a newer root."""
    return any(_read_if_there(path) == root for path in (state / METADATA / "root_history").glob("*.root.json"))
