"""The versions on this machine, side by side under one folder.

::

    store.json              format of the store
    lock                    held by whoever writes
    journal.json            the operation that is being done
    versions/<key>.json     one record each; ':' in the key is '+'
    blobs/sha256-<hex>      the files; '.part…' beside them while they arrive, '.<key>.json' a copy of the record

Every change is all or nothing (``journal``); everything is written through one seam (``disk``). Reading needs no lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import (
    DigestError,
    FormatError,
    InUseError,
    NoSpaceError,
    NotFoundError,
    StoreAccessError,
    StoreError,
)
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.release import FileReference
from bbj_desktop.core.units import format_bytes
from bbj_desktop.core.versions import InstalledVersion, Registration, previous_of
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.store.activation import activation_of
from bbj_desktop.services.store.blobs import Leftover, blob_files, check_files, leftovers_among, names_of, size_on_disk
from bbj_desktop.services.store.checking import digest_of_file
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.finding import find_version
from bbj_desktop.services.store.journal import Entry, Journal, Unlink, Write
from bbj_desktop.services.store.rebuilding import Rebuilt, plan_rebuild, records_of
from bbj_desktop.services.store.records import (
    Contents,
    blob_name,
    copy_places,
    digest_of_blob,
    key_of_copy,
    read_records,
    record_place,
)

STORE_FORMAT = 1
_LOOKS = 20  # tries to read all records while nobody changes them


@dataclass(frozen=True, slots=True)
class Freed:
    """What a removal gave back.

    Attributes:
        bytes: Room on the volume.
        paths: The files that are gone.
    """

    bytes: int = 0
    paths: tuple[Path, ...] = ()


class _StoreFile(BaseModel):
    format: int = STORE_FORMAT


class Store:
    """The store in one folder. Made there by the first change; an interrupted change is finished when it is opened.

    Args:
        root: The folder.
        disk: The seam that writes; tests give others.
        lock_timeout_s: How long a change waits for another process's, in seconds.
        now: Clock; only the order of activations is taken from it.
        shared: A store of another user's, whose files may serve here; it is only read.
        writable: False refuses every change, whatever the folder's permissions.

    Attributes:
        root: The folder.

    Raises:
        StoreAccessError: The folder can't be one, or can't be read.
        TooNewError: A newer program made it.
        FormatError: It isn't a store, or ``store.json`` is damaged.
    """

    def __init__(
        self,
        root: Path,
        *,
        disk: Disk | None = None,
        lock_timeout_s: float = 2.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        shared: Path | None = None,
        writable: bool = True,
    ) -> None:
        self.root = root
        self._now = now
        self._writable = writable
        self._disk = disk or Disk()
        self._journal = Journal(root, self._disk)
        self._file_lock = FileLock(root / "lock", timeout_s=lock_timeout_s, what=f"the store in {root}")
        self._thread_lock = threading.RLock()
        self._depth = 0
        self._check_folder()
        with suppress(StoreError, FormatError):  # busy or read-only: reading works all the same
            self._finish_interrupted()
        self._shared, self._shared_problem = _open_shared(shared)

    # reading

    def versions(self) -> tuple[InstalledVersion, ...]:
        """By slot, newest first. Records that can't be read are left out and told by ``problems``."""
        return self._read().versions

    def problems(self) -> tuple[str, ...]:
        """A sentence for each thing in the store that isn't as it should be; file contents aren't looked at."""
        contents = self._read()
        lost = [f"The record of {key} is lost." for key in dict.fromkeys(self._lost(contents))]
        return (*contents.problems, *lost, *self._shared_problem)

    def _lost(self, contents: Contents) -> dict[str, set[str]]:
        """Keys of versions that have copies of their record only, with the names of their files."""
        keys = {version.key for version in contents.versions}
        pending = _pending(self._read_journal()[0])
        found: dict[str, set[str]] = {}
        for path in blob_files(self.root):
            if (
                (key := key_of_copy(path.name)) is not None
                and key not in keys
                and not (self.root / record_place(key)).exists()
                and f"blobs/{path.name}" not in pending
            ):
                found.setdefault(key, set()).add(path.name.partition(".")[0])
        return found

    def shared_versions(self) -> tuple[InstalledVersion, ...]:
        """What the shared store has and this one doesn't, none of it active here. Empty where it can't be read:
        ``problems`` says so."""
        if self._shared is None:
            return ()
        keys = {version.key for version in self.versions()}
        return tuple(
            version.model_copy(update={"active": False, "registrations": (), "activated_at": None, "pinned": False})
            for version in self._shared.versions()
            if version.key not in keys
        )

    def shared_file(self, file: FileReference) -> Path | None:
        """The shared store's file with a digest, where this store has none of its own. Hash it before it is used.

        Args:
            file: Signed digest and length.
        """
        if self._shared is None or _length(self.blob_path(file.digest)) == file.length_bytes:
            return None
        path = self._shared.blob_path(file.digest)
        return path if _length(path) == file.length_bytes else None

    def has_whole(self, file: FileReference) -> bool:
        """Whether a file is here or in the shared store, by its name and length: nothing is read."""
        return _length(self.blob_path(file.digest)) == file.length_bytes or self.shared_file(file) is not None

    def get(self, key: str) -> InstalledVersion:
        """Raises NotFoundError."""
        for version in self.versions():
            if version.key == key:
                return version
        raise NotFoundError(f"No version {key} is installed.", hint="bbj-desktop versions lists what is.")

    def find(self, text: str) -> InstalledVersion:
        """The version that somebody means, see ``find_version``. Raises NotFoundError or UserInputError."""
        return find_version(self.versions(), text)

    def active(self, slot: str) -> InstalledVersion | None:
        """The active version of ``bbj-coder:7b``, if one was activated."""
        return next((version for version in self.versions() if version.slot == slot and version.active), None)

    def previous(self, slot: str) -> InstalledVersion | None:
        """The version of a slot that was active before the present one, if it is still here."""
        return previous_of(self.versions(), slot)

    def blob_path(self, digest: str) -> Path:
        """Where the file with a digest (``sha256:<hex>``) is or will be."""
        return self.root / "blobs" / blob_name(digest)

    def keeps(self, version: InstalledVersion) -> bool:
        """Whether a version's files are ours, or the shared store's; else Ollama has the only ones."""
        return not version.streamed or all(path.is_relative_to(self.root) for _, path in version.files)

    def free_bytes(self) -> int:
        """Free room on the store's volume, in bytes."""
        return self._disk.free_bytes(self.root)

    def check_space(self, needed_bytes: int) -> None:
        """Raises NoSpaceError when less than ``needed_bytes`` is free on the store's volume."""
        free = self.free_bytes()
        if free < needed_bytes:
            raise NoSpaceError(
                f"{format_bytes(needed_bytes)} are needed on the volume of {self.root}; {format_bytes(free)} are free.",
                needed_bytes=needed_bytes,
                free_bytes=free,
                path=self.root,
                hint="Make room there, or choose another folder in the settings.",
            )

    def leftovers(self) -> tuple[Leftover, ...]:
        """Files that no installed version uses: unfinished downloads, and whole files without a record. One whose
        record is lost isn't among them: ``rebuild`` decides about it."""
        contents = self._read()
        used = names_of(contents.versions).union(*self._lost(contents).values())
        return leftovers_among(blob_files(self.root), used)

    def held_bytes(self) -> dict[str, int]:
        """What of each model file is on the volume already, by digest: whole files and unfinished downloads."""
        shared = self._shared.versions() if self._shared is not None else ()
        parts = [part for version in shared for part in version.variant.parts]
        held = {part.file.digest: part.file.length_bytes for part in parts}
        for path in blob_files(self.root):
            if path.suffix == ".json":
                continue
            digest = digest_of_blob(path.name.partition(".")[0])
            held[digest] = max(held.get(digest, 0), size_on_disk(path))
        return held

    def verify(self, key: str, report: Report, cancel: Cancel) -> None:
        """Reads a version's files and compares them with the signed digests.

        Raises:
            NotFoundError: No such version.
            DigestError: It is damaged.
            StoreAccessError: It can't be read.
            Cancelled: By ``cancel``.
        """
        for part, path in self.get(key).files:
            actual = digest_of_file(path, part.file, Meter(report, part.file.length_bytes), cancel)
            if actual != part.file.digest:
                raise DigestError(
                    f"The file of {key} is damaged: {path}.",
                    expected=part.file.digest,
                    actual=actual,
                    hint=f"bbj-desktop repair {key} fetches what is damaged.",
                )

    # changing

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps every other writer out, on this machine and in this process; changes inside take it again.

        Raises:
            StoreBusyError: Another process writes.
            StoreAccessError: The folder can't be written.
        """
        if not self._writable:
            raise StoreAccessError(f"The shared store in {self.root} is only read.", hint="Its owner can change it.")
        with self._thread_lock:
            if self._depth == 0:
                self._disk.make_folder(self.root)
                self._file_lock.acquire()
            self._depth += 1
            try:
                if self._depth == 1:
                    self._prepare()
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._file_lock.release()

    def install(self, version: InstalledVersion) -> InstalledVersion:
        """Records a version whose verified file is in place; it becomes its slot's active one if it says ``active``.

        A version that is installed already keeps its registrations, and stays active if it was.

        Raises:
            StoreAccessError: The file isn't there or hasn't its length.
        """
        check_files(version)
        with self.lock():
            before = {each.key: each for each in self.versions()}.get(version.key)
            if before is not None:
                version = version.model_copy(
                    update={
                        "registrations": version.registrations or before.registrations,
                        "active": version.active or before.active,
                        "activated_at": before.activated_at,
                        "pinned": version.pinned or before.pinned,
                    }
                )
            newly = version.active and (before is None or not before.active)
            steps = activation_of(version, self.versions(), self._now()) if newly else records_of(version)
            self._journal.perform("install", steps)
            return self.get(version.key)

    def register(self, key: str, registration: Registration) -> InstalledVersion:
        """Notes how a runtime knows a version, in place of what was noted for that runtime. Raises NotFoundError."""
        return self._change(key, lambda version: _with_registration(version, registration))

    def activate(self, key: str, registrations: Iterable[Registration] = ()) -> InstalledVersion:
        """Makes a version the only active one of its slot, and notes how the runtimes know it now, in one step.

        Args:
            registrations: What changed in the runtimes.

        Raises:
            NotFoundError: No such version.
        """
        with self.lock():
            version = self.get(key)
            for registration in registrations:
                version = _with_registration(version, registration)
            steps = records_of(version) if version.active else activation_of(version, self.versions(), self._now())
            self._journal.perform("activate", steps)
            return self.get(key)

    def pin(self, key: str, *, pinned: bool = True) -> InstalledVersion:
        """Keeps a version from being removed and, while it is active, from being replaced by an update; or no longer.

        Raises:
            NotFoundError: No such version.
        """
        return self._change(key, lambda version: version.model_copy(update={"pinned": pinned}))

    def remove(self, key: str, *, force: bool = False) -> Freed:
        """Removes a version, and those of its files that no other version uses. One that can't go now is a leftover.

        The active version goes only as the last of its slot or with ``force``: else activate another one first, so that
        the slot's names always mean something.

        Raises:
            NotFoundError: No such version.
            InUseError: It is active and others could be, or it is pinned.
        """
        with self.lock():
            version = self.get(key)
            if version.pinned and not force:
                raise InUseError(f"{key} is pinned.", hint=f"To remove it: bbj-desktop unpin {key}")
            others = [each for each in self.versions() if each.key != key]
            if version.active and not force and any(each.slot == version.slot for each in others):
                raise InUseError(f"{key} is the active version.", hint="Activate another one first.")
            files = self._files_of(version, others)
            sizes = {path: size_on_disk(path) for path in files}
            places = dict.fromkeys((*copy_places(version), *(f"blobs/{path.name}" for path in files)))
            self._journal.perform("remove", tuple(Unlink(place=place) for place in (record_place(key), *places)))
            gone = tuple(path for path in files if path.suffix != ".json" and not path.exists())
            return Freed(sum(sizes[path] for path in gone), gone)

    def rebuild(self, report: Report, cancel: Cancel) -> Rebuilt:
        """Restores records that were lost or damaged, from their copies, where the model's file verifies. A damaged
        record without that goes, so that the rest can be cleaned up; one of a newer program stays.

        Raises:
            StoreAccessError: The folder can't be read or written.
            Cancelled: By ``cancel``; then nothing has changed.
        """
        with self.lock():
            rebuilt, steps = plan_rebuild(self.root, self._read(), report, cancel)
            if steps:
                self._journal.perform("rebuild", steps)
            return rebuilt

    def discard_partials(self) -> Freed:
        """Removes what ``leftovers`` lists. Whole files stay while a record is damaged: it may be theirs."""
        with self.lock():
            damaged = self._read().damaged
            gone = [leftover for leftover in self.leftovers() if leftover.partial or not damaged]
            paths = tuple(path for leftover in gone for path in leftover.paths)
            for path in paths:
                self._disk.unlink(path)
            return Freed(sum(leftover.size_bytes for leftover in gone), paths)

    # inside

    def _change(self, key: str, change: Callable[[InstalledVersion], InstalledVersion]) -> InstalledVersion:
        with self.lock():
            self._journal.perform("change", records_of(change(self.get(key))))
            return self.get(key)

    def _files_of(self, version: InstalledVersion, others: Iterable[InstalledVersion]) -> tuple[Path, ...]:
        """Its own files in the store, and what is left of their downloads; what other versions use isn't among them.
        Files elsewhere aren't ours to remove."""
        names = {blob_name(part.file.digest) for part in version.variant.parts} - names_of(others)
        return tuple(path for path in blob_files(self.root) if path.name.partition(".")[0] in names)

    def _read(self) -> Contents:
        """All records as of one moment: read again when an operation began or ended meanwhile."""
        entry, journal_problems = self._read_journal()
        for _ in range(_LOOKS):
            contents = read_records(self.root, _pending(entry))
            again, journal_problems = self._read_journal()
            if again == entry:
                break
            entry = again
        return replace(contents, problems=journal_problems + contents.problems)

    def _read_journal(self) -> tuple[Entry, tuple[str, ...]]:
        try:
            return self._journal.read(), ()
        except FormatError as error:
            return Entry(), (f"{self._journal.path}: {error.message}",)

    def _check_folder(self) -> None:
        marker = self.root / "store.json"
        try:
            if self.root.exists() and not self.root.is_dir():
                raise StoreAccessError(f"{self.root} is a file; the store needs a folder.", hint="Choose another one.")
            text = marker.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreAccessError(f"{marker} can't be read: {error.strerror}.", hint="Check permissions.") from error
        parse_document(_StoreFile, text, what="store", newest=STORE_FORMAT)

    def _finish_interrupted(self) -> None:
        if self._journal.read().steps:
            with self.lock():
                pass  # taking it does

    def _prepare(self) -> None:
        for folder in ("versions", "blobs"):
            self._disk.make_folder(self.root / folder)
        if not (self.root / "store.json").exists():
            self._disk.write_atomic(self.root / "store.json", _StoreFile().model_dump_json().encode())
        self._journal.recover()


def _open_shared(root: Path | None) -> tuple[Store | None, tuple[str, ...]]:
    """A shared store that can't be read must not stop this one."""
    if root is None:
        return None, ()
    try:
        shared = Store(root, writable=False)
        shared.versions()
    except (StoreError, FormatError) as error:
        return None, (f"The shared store can't be used: {error.message}",)
    return shared, () if root.is_dir() else (f"The shared store {root} isn't there.",)


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _with_registration(version: InstalledVersion, registration: Registration) -> InstalledVersion:
    others = tuple(entry for entry in version.registrations if entry.runtime != registration.runtime)
    return version.model_copy(update={"registrations": (*others, registration)})


def _pending(entry: Entry) -> dict[str, str | None]:
    return {step.place: step.content if isinstance(step, Write) else None for step in entry.steps}
