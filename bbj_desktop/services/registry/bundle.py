"""An offline bundle: a registry's mirror in a folder, or cut into volumes for sticks that hold no large files.

::

    bundle.json                          what is in it; written last
    metadata/  targets/  blobs/          as in any mirror

    volume-1/  volume-2/  …              with --volume-size; each goes onto a stick of its own
      volume.json                        what is in all of them
      metadata/  targets/  blobs/        the signed texts on every one, the models in pieces:
      blobs/sha256/ab/<hex>.part-0001    cut at borders of chunks

What the registry itself has split (``ChunkIndex.split``) is split the same in a single folder: so this is a mirror.

``bundle.json`` and ``volume.json`` aren't signed and aren't trusted: they say where to look. What a file may be used
for is decided by the signed metadata and the digests in it alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, NotFoundError, StoreAccessError, TransportError, UserInputError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Digest, Name
from bbj_desktop.core.safe_paths import refuse_twins, safe_parts
from bbj_desktop.services.registry.layout import BLOBS, METADATA, TARGETS, TIMESTAMP, blob_path
from bbj_desktop.services.registry.timestamp import version_said
from bbj_desktop.services.transfer.folder import FolderSource
from bbj_desktop.services.transfer.source import ByteStream
from bbj_desktop.services.transfer.split import Joined, split_paths

BUNDLE_FORMAT = 1
BUNDLE_FILE = "bundle.json"
VOLUME_FILE = "volume.json"
MAX_DOCUMENT_BYTES = 4 * 2**20
MAX_FILES = 200_000  # files of one folder; 10,000 releases take about 30,000
_REPARSE_POINT = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: Windows' junctions, which aren't links to Python 3.11

_Count = Annotated[int, Field(ge=0, le=9_999)]
_Length = Annotated[int, Field(ge=1, le=2**44)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class BundleContent(_Document):
    """A model or an extra in a bundle.

    Attributes:
        name: Its version's key, e.g. ``bbj-coder:2026.1-7b-q4_k_m``, or the extra's.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9:._+-]{1,140}$")]
    digest: Digest
    length_bytes: _Length


class BundlePiece(_Document):
    """Where a range of a model's file is.

    Attributes:
        number: From 1 on; 0 for a whole file.
        volume: Number of the volume; 0 in a single folder.
        of: How many there are, where the file is split as in the registry; 0 where the bundle cut it.
        offset: Where it begins in the file, in bytes.
    """

    digest: Digest
    number: _Count
    volume: _Count
    of: _Count = 0
    offset: Annotated[int, Field(ge=0, le=2**44)]
    length_bytes: _Length

    @property
    def path(self) -> str:
        """Where it lies: made from numbers, never read from the document."""
        whole = blob_path(self.digest)
        if 0 < self.number <= self.of:
            return split_paths(whole, self.of)[self.number - 1]
        return whole + (f".part-{self.number:04}" if self.number else "")

    @property
    def end(self) -> int:
        return self.offset + self.length_bytes


class Bundle(_Document):
    """What ``bundle.json`` and ``volume.json`` say.

    Attributes:
        registry: Identity of the registry, as the exporting machine knows it.
        created: When it was exported (UTC).
        volume: Number of this volume; 0 for a single folder.
        volumes: How many there are; 0 for a single folder.
        pieces: Of all volumes.
        extras: Installers and the like that it has besides.
    """

    format: int = BUNDLE_FORMAT
    registry: Digest
    channel: Name
    created: datetime
    volume: _Count = 0
    volumes: _Count = 0
    contents: Annotated[tuple[BundleContent, ...], Field(max_length=10_000)] = ()
    pieces: Annotated[tuple[BundlePiece, ...], Field(max_length=10_000)] = ()
    extras: Annotated[tuple[BundleContent, ...], Field(max_length=10_000)] = ()


@dataclass(frozen=True, slots=True)
class BundleFolder:
    """A bundle, or one volume of it, as it lies here.

    Attributes:
        files: Lengths in bytes of the mirror's files in it, by path.
    """

    path: Path
    bundle: Bundle
    files: Mapping[str, int]

    @property
    def name(self) -> str:
        return f"volume {self.bundle.volume} of {self.bundle.volumes}" if self.bundle.volume else str(self.path)


def find_bundles(paths: Sequence[Path]) -> tuple[BundleFolder, ...]:
    """The bundles and volumes that folders are or hold.

    Raises:
        NotFoundError: A folder isn't there, or is no bundle.
        FormatError: A document can't be read, or a path in a bundle isn't safe.
        StoreAccessError: Something can't be read.
        UserInputError: They are of several registries or channels.
    """
    found = [_open(place, document) for path in paths for place, document in _documents(path)]
    if len({(folder.bundle.registry, folder.bundle.channel) for folder in found}) > 1:
        raise UserInputError(
            "These bundles are of several registries or channels.", hint="Import the bundles of each one by themselves."
        )
    return tuple(found)


def _documents(path: Path) -> list[tuple[Path, Path]]:
    """(folder, its document) of a bundle or a volume, or of those that lie in a folder or on a stick."""
    if not path.is_dir():
        raise NotFoundError(f"There is no folder {path}.", hint="Is the stick there?")
    try:
        places = [path, *sorted(place for place in path.iterdir() if place.is_dir() and not place.is_symlink())]
    except OSError as error:
        raise StoreAccessError(f"{path} can't be read: {error.strerror}.") from error
    found = [
        (place, place / name) for place in places for name in (BUNDLE_FILE, VOLUME_FILE) if _is_there(place / name)
    ]
    if not found:
        raise NotFoundError(
            f"{path} holds no whole bundle: there is no {BUNDLE_FILE} or {VOLUME_FILE}.",
            hint="If its export was interrupted, export it again to the same folder: what is there is kept.",
        )
    return found


def _is_there(document: Path) -> bool:
    try:
        return document.is_file()
    except OSError:
        return False  # a folder of the system's on the stick


def _open(path: Path, document: Path) -> BundleFolder:
    if document.is_symlink():
        raise FormatError(f"{document} is a link: a bundle has none.")
    try:
        with document.open("rb") as file:
            text = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise StoreAccessError(f"{document} can't be read: {error.strerror}.") from error
    if len(text) > MAX_DOCUMENT_BYTES:
        raise FormatError(f"{document} is too long.")
    bundle = parse_document(Bundle, text, what=f"bundle ({document})", newest=BUNDLE_FORMAT)
    return BundleFolder(path, bundle, inventory(path))


def inventory(folder: Path) -> dict[str, int]:
    """The mirror's files in a folder with their lengths in bytes; whatever else is on the stick isn't looked at.

    Raises:
        FormatError: There is a link, a device, an unsafe name, or two names that are one file on some systems.
        StoreAccessError: It can't be read.
    """
    files: dict[str, int] = {}
    try:
        for top in (METADATA, TARGETS, BLOBS):
            if os.path.lexists(folder / top):
                for path, length in _files_in(folder, top):
                    files[path] = length
                    if len(files) > MAX_FILES:
                        raise FormatError(f"{folder} has more than {MAX_FILES} files.")
    except OSError as error:
        raise StoreAccessError(f"{error.filename or folder} can't be read: {error.strerror}.") from error
    refuse_twins(files)
    return files


def _files_in(folder: Path, path: str) -> Iterator[tuple[str, int]]:
    safe_parts(path)
    state = (folder / path).lstat()
    if stat.S_ISLNK(state.st_mode) or getattr(state, "st_file_attributes", 0) & _REPARSE_POINT:
        raise FormatError(f"{folder / path} is a link: a bundle has none.", hint="Don't use it: ask where it is from.")
    if stat.S_ISREG(state.st_mode):
        yield path, state.st_size
    elif stat.S_ISDIR(state.st_mode):
        for each in sorted((folder / path).iterdir()):
            yield from _files_in(folder, f"{path}/{each.name}")
    else:
        raise FormatError(f"{folder / path} is neither a file nor a folder.", hint="Don't use this bundle.")


class BundleSource:
    """Bundles and volumes, read as one mirror.

    Attributes:
        address: The first folder.
        metadata_folder: The one whose metadata is read: that with the newest timestamp.
    """

    def __init__(self, folders: Sequence[BundleFolder]) -> None:
        self.folders = tuple(folders)
        self.metadata_folder = max(self.folders, key=lambda folder: version_said(folder.path / TIMESTAMP))
        self.address = str(self.metadata_folder.path)
        self._sources = {folder.path: FolderSource(str(folder.path), folder.path) for folder in self.folders}
        self._listings: dict[str, list[tuple[BundleFolder, BundlePiece]]] = {}
        for folder in self.folders:
            for piece in folder.bundle.pieces:
                self._listings.setdefault(blob_path(piece.digest), []).append((folder, piece))

    def read(self, path: str, *, limit_bytes: int, cancel: Cancel) -> bytes:
        return self._source_of(path).read(path, limit_bytes=limit_bytes, cancel=cancel)

    @contextmanager
    def stream(
        self, path: str, *, offset: int = 0, length: int | None = None, validator: str | None = None, cancel: Cancel
    ) -> Iterator[ByteStream]:
        if self._has_whole(path) or not self._pieces(path):
            source = self._source_of(path)
            with source.stream(path, offset=offset, length=length, validator=validator, cancel=cancel) as stream:
                yield stream
            return
        total = max(piece.end for _, piece in self._listed(path))
        end = total if length is None else min(total, offset + length)
        yield Joined(self._joined(path, offset, end, cancel), offset, total)

    def close(self) -> None:
        """Nothing is kept open between two calls."""

    def ranges(self, digest: str) -> tuple[tuple[int, int], ...]:
        """Which bytes of a blob are here: (begin, end) of each range, by begin; not yet verified."""
        path = blob_path(digest)
        whole = [(0, folder.files[path]) for folder in self.folders if path in folder.files]
        return tuple(sorted(whole or [(piece.offset, piece.end) for _, piece in self._pieces(path)]))

    def pieces_with(self, digest: str, ranges: Sequence[tuple[int, int]]) -> tuple[BundlePiece, ...]:
        """The listed pieces of a blob that aren't here and hold a part of some ranges (begin, end), by offset."""
        path = blob_path(digest)
        here = {piece for _, piece in self._pieces(path)}
        listed = {piece for _, piece in self._listed(path)} - here
        wanted = {piece for piece in listed for begin, end in ranges if begin < piece.end and piece.offset < end}
        return tuple(sorted(wanted, key=lambda piece: piece.offset))

    def _source_of(self, path: str) -> FolderSource:
        if not path.startswith(f"{METADATA}/"):
            for folder in self.folders:
                if path in folder.files:
                    return self._sources[folder.path]
        return self._sources[self.metadata_folder.path]

    def _has_whole(self, path: str) -> bool:
        return any(path in folder.files for folder in self.folders)

    def _listed(self, path: str) -> list[tuple[BundleFolder, BundlePiece]]:
        return self._listings.get(path, [])

    def _pieces(self, path: str) -> list[tuple[BundleFolder, BundlePiece]]:
        """Pieces that are here in the length that they should have."""
        return [
            (folder, each) for folder, each in self._listed(path) if folder.files.get(each.path) == each.length_bytes
        ]

    def _joined(self, path: str, position: int, end: int, cancel: Cancel) -> Iterator[bytes]:
        pieces = self._pieces(path)
        while position < end:
            covering = [(folder, piece) for folder, piece in pieces if piece.offset <= position < piece.end]
            if not covering:
                raise NotFoundError(f"A part of {path} isn't here.", hint="Import the other volumes, too.")
            folder, piece = max(covering, key=lambda found: found[1].end)
            source, begin = self._sources[folder.path], position - piece.offset
            length = min(end, piece.end) - position
            with source.stream(piece.path, offset=begin, length=length, cancel=cancel) as stream:
                for data in stream:
                    position += len(data)
                    length -= len(data)
                    yield data
            if length:
                raise TransportError(f"{folder.path / piece.path} ended before its end.", hint="Copy it again.")
