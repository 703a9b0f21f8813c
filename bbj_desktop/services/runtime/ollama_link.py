"""The route by which our verified files get a second name in Ollama's own folder.

What is placed there, in this order: a note of ours that says so (``pending``), the blobs, the manifest. The manifest is
written outside ``manifests/`` and renamed, because a half-written one stops Ollama. Whoever comes next reads the notes
of those who were interrupted and takes back what they placed and nobody names.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, StoreAccessError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import FileReference
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.runtime.ollama_manifest import Layer, manifest_of
from bbj_desktop.services.store.checking import digest_of_file
from bbj_desktop.services.store.disk import Disk

NOTE_FORMAT = 1
_TEMPORARY = ".bbj-desktop-"
_MAX_BYTES = 4 * 2**20
_PATIENCE_S = 10.0  # seconds that another one of us may take to place a model

BlobName = Annotated[str, StringConstraints(pattern=r"^sha256-[0-9a-f]{64}$")]


class RouteRefusedError(Exception):
    """This route doesn't work here; the next one may. Never leaves the runtime."""


class LinkNote(BaseModel):
    """What is about to be placed in Ollama's folder.

    Attributes:
        models: The folder.
        blobs: Those that weren't there before.
    """

    model_config = ConfigDict(frozen=True)

    format: int = NOTE_FORMAT
    models: Path
    blobs: tuple[BlobName, ...] = Field(max_length=64)


def parse_link_note(text: str | bytes) -> LinkNote:
    """Reads a note. Raises TooNewError or FormatError."""
    return parse_document(LinkNote, text, what="note on Ollama's folder", newest=NOTE_FORMAT)


class OllamaFolder:
    """Ollama's models folder, as far as it is ours to write.

    Args:
        models: The folder with ``blobs`` and ``manifests``.
        notes: A folder of ours for what is pending.
        disk: The seam that writes.
    """

    def __init__(self, models: Path, notes: Path, disk: Disk | None = None) -> None:
        self._models = models
        self._notes = notes
        self._disk = disk or Disk()
        self._lock = FileLock(notes / "lock", timeout_s=_PATIENCE_S, what="Ollama's folder")

    def place(self, version: InstalledVersion, served: Callable[[str], bool], cancel: Cancel) -> None:
        """Places a version's blobs and its manifest.

        Args:
            version: Its files are verified and ours.
            served: Says whether Ollama sees a blob, by digest: else this isn't its folder.
            cancel: Obeyed between the steps.

        Raises:
            RouteRefusedError: It doesn't work this way; nothing of it stays.
            StoreError: The disk is full, or something can't be written.
        """
        with self._lock:
            self._take_back_all()
            self._place(version, served, cancel)

    def _place(self, version: InstalledVersion, served: Callable[[str], bool], cancel: Cancel) -> None:
        manifest = manifest_of(version)
        new = tuple(blob for blob in manifest.blobs if not self._blob(blob.digest).exists())
        note = self._write_note(LinkNote(models=self._models, blobs=tuple(_name(blob.digest) for blob in new)))
        try:
            for blob in manifest.blobs:
                cancel.check()
                self._place_blob(blob, cancel)
            self._disk.fsync_folder(self._models / "blobs")
            if not served(version.variant.file.digest):
                raise RouteRefusedError(f"{self._models} isn't the folder of this Ollama.")  # noqa: TRY301 - undone below
            cancel.check()
            self._place_manifest(version.key, manifest.to_bytes())
        except BaseException:
            self._take_back(note)
            raise
        self._disk.unlink(note)

    def recover(self) -> None:
        """Takes back what interrupted ones placed, as far as no manifest names it.

        Raises:
            StoreError: A note can't be read or removed.
        """
        if self._pending():
            with self._lock:
                self._take_back_all()

    def _pending(self) -> list[Path]:
        return sorted(self._notes.glob("link-*")) if self._notes.is_dir() else []

    def _take_back_all(self) -> None:
        for path in self._pending():
            self._take_back(path)

    # the steps

    def _place_blob(self, blob: Layer, cancel: Cancel) -> None:
        target = self._blob(blob.digest)
        if blob.path is not None and not target.exists():
            return self._link(blob.path, target)
        if blob.path is not None and not self._is_right(blob, target, cancel):
            beside = self._temporary()
            self._link(blob.path, beside)
            return self._disk.replace(beside, target)
        if blob.content is not None and not self._is_right(blob, target, cancel):
            return self._write(target, blob.content)
        return None

    def _is_right(self, blob: Layer, target: Path, cancel: Cancel) -> bool:
        """Whether a blob that is there has its bytes: Ollama itself doesn't look."""
        if not target.exists():
            return False
        if blob.path is not None and blob.path.samefile(target):
            return True
        expected = FileReference(digest=blob.digest, length_bytes=blob.length_bytes)
        return digest_of_file(target, expected, Meter(lambda _: None, blob.length_bytes), cancel) == blob.digest

    def _link(self, source: Path, target: Path) -> None:
        try:
            os.link(source, target)
        except OSError as error:
            reason = error.strerror or str(error)
            raise RouteRefusedError(f"{source} can't have a second name in {self._models}: {reason}.") from error

    def _write(self, target: Path, content: bytes) -> None:
        temporary = self._temporary()
        with self._disk.open(temporary) as file:
            file.write_at(0, content)
            file.fsync()
        self._disk.rename(temporary, target)

    def _place_manifest(self, key: str, content: bytes) -> None:
        model, _, tag = key.partition(":")
        folder = self._models / "manifests" / "registry.ollama.ai" / "library" / model
        self._disk.make_folder(folder)
        self._write(folder / tag, content)

    def _temporary(self) -> Path:
        return self._models / f"{_TEMPORARY}{secrets.token_hex(8)}"

    def _blob(self, digest: str) -> Path:
        return self._models / "blobs" / _name(digest)

    # notes

    def _write_note(self, note: LinkNote) -> Path:
        self._disk.make_folder(self._notes)
        path = self._notes / f"link-{secrets.token_hex(8)}.json"
        self._disk.write_atomic(path, note.model_dump_json().encode())
        return path

    def _take_back(self, path: Path) -> None:
        note = _read_note(path)
        if note is not None:
            named = _named_in(note.models)
            for name in note.blobs if named is not None else ():
                if named is not None and name not in named:
                    self._disk.unlink(note.models / "blobs" / name)
            for temporary in note.models.glob(f"{_TEMPORARY}*"):
                self._disk.unlink(temporary)
        self._disk.unlink(path)


def recover(notes: Path) -> None:
    """Takes back what interrupted ones placed in Ollama's folder, as their notes say. Raises StoreError."""
    OllamaFolder(notes, notes).recover()


def _name(digest: str) -> str:
    return digest.replace(":", "-")


def _read_note(path: Path) -> LinkNote | None:
    """None for one that is torn, or not yet in its place: it is whole before anything is placed."""
    if path.suffix != ".json":
        return None
    try:
        with path.open("rb") as file:
            return parse_link_note(file.read(_MAX_BYTES))
    except FormatError:
        return None
    except OSError as error:
        raise StoreAccessError(f"{path} can't be read: {error.strerror}.") from error


def _named_in(models: Path) -> frozenset[str] | None:
    """The blobs that any manifest names; None when one can't be read: then none may go."""
    found: set[str] = set()
    for path in _manifests(models):
        try:
            manifest = json.loads(path.read_bytes())
            digests = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        found.update(str(digest).replace(":", "-") for digest in digests)
    return frozenset(found)


def _manifests(models: Path) -> Iterator[Path]:
    root = models / "manifests"
    return (path for path in root.rglob("*") if path.is_file()) if root.is_dir() else iter(())
