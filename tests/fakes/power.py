"""A disk that remembers what was written to it, and what of it a power cut at any moment may leave behind.

A killed process loses nothing that it wrote; a power cut loses what no ``fsync`` made last. POSIX promises bytes after
an ``fsync`` of their file and names after an ``fsync`` of their folder, and nothing else, so every mixture is possible:
names without bytes, a length without content, bytes without a name, later names without earlier ones.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from pathlib import Path
from typing import BinaryIO

from bbj_desktop.services.store.disk import Disk, DiskFile


class Bytes(Enum):
    """What becomes of bytes that weren't synced."""

    LOST = "lost"
    ZEROS = "zeros"  # the length got through, the content didn't
    KEPT = "kept"
    TORN = "torn"  # half of the newest write


class Names(Enum):
    """What becomes of names (made, moved, removed) that weren't synced."""

    LOST = "lost"
    KEPT = "kept"
    NEWEST = "newest"  # only what was done last: nobody promises an order


@dataclass(frozen=True, slots=True)
class Operation:
    """One change, with paths below the watched folder.

    Attributes:
        kind: ``folder``, ``create``, ``write``, ``truncate``, ``sync``, ``move``, ``remove`` or ``sync folder``.
    """

    kind: str
    path: Path
    target: Path | None = None
    offset: int = 0
    content: bytes = b""


class HastyDisk(Disk):
    """Syncs nothing: for what needs no power cut, in a fraction of the time."""

    def fsync(self, path: Path, file: BinaryIO) -> None:
        pass

    def fsync_folder(self, path: Path) -> None:
        pass


class RecordingDisk(HastyDisk):
    """Does everything but the syncs, and remembers it.

    Args:
        root: What lies elsewhere isn't recorded.
    """

    def __init__(self, root: Path) -> None:
        self.operations: list[Operation] = []
        self._root = root
        self._lock = threading.Lock()

    def _note(self, kind: str, path: Path, target: Path | None = None, offset: int = 0, content: bytes = b"") -> None:
        below = None if target is None else target.relative_to(self._root)
        self.operations.append(Operation(kind, path.relative_to(self._root), below, offset, content))

    def make_one_folder(self, path: Path) -> None:
        with self._lock:
            if self._root in path.parents and not path.exists():
                self._note("folder", path)
            super().make_one_folder(path)

    def open(self, path: Path) -> DiskFile:
        with self._lock:
            if not path.exists():
                self._note("create", path)
            return super().open(path)

    def write(self, path: Path, file: BinaryIO, offset: int, content: bytes | memoryview) -> None:
        with self._lock:
            self._note("write", path, offset=offset, content=bytes(content))
            super().write(path, file, offset, content)

    def truncate(self, path: Path, file: BinaryIO, length: int) -> None:
        with self._lock:
            self._note("truncate", path, offset=length)
            super().truncate(path, file, length)

    def fsync(self, path: Path, file: BinaryIO) -> None:
        with self._lock:
            super().fsync(path, file)
            self._note("sync", path)

    def replace(self, source: Path, target: Path) -> None:
        with self._lock:
            super().replace(source, target)
            self._note("move", source, target)

    def unlink(self, path: Path) -> None:
        with self._lock:
            if path.exists():
                self._note("remove", path)
            super().unlink(path)

    def fsync_folder(self, path: Path) -> None:
        with self._lock:
            super().fsync_folder(path)
            if path == self._root or self._root in path.parents:
                self._note("sync folder", path)


@dataclass(slots=True, eq=False)
class _File:
    now: bytearray = field(default_factory=bytearray)
    lasting: bytes = b""
    newest: tuple[int, bytes] = (0, b"")

    def after(self, fate: Bytes) -> bytes:
        if fate is Bytes.KEPT:
            return bytes(self.now)
        if fate is Bytes.ZEROS:
            return self.lasting[: len(self.now)] + bytes(max(0, len(self.now) - len(self.lasting)))
        if fate is Bytes.TORN and bytes(self.now) != self.lasting:
            content = bytearray(self.lasting)
            _write(content, self.newest[0], self.newest[1][: len(self.newest[1]) // 2])
            return bytes(content)
        return self.lasting


Entry = _File | None
"""A file, or None for a folder."""

Left = tuple[tuple[Path, bytes | None], ...]
"""Paths with the content of files, None for folders; folders before what is in them."""


class Volume:
    """What is on the disk, and what of it would last.

    Args:
        start: A folder whose content lasts already.
    """

    def __init__(self, start: Path) -> None:
        self._now: dict[Path, Entry] = {}
        for path in sorted(start.rglob("*")):
            content = None if path.is_dir() else path.read_bytes()
            entry = None if content is None else _File(bytearray(content), content)
            self._now[path.relative_to(start)] = entry
        self._lasting = dict(self._now)
        self._newest: tuple[Path, ...] = ()

    def apply(self, operation: Operation) -> None:
        path, entry = operation.path, self._now.get(operation.path)
        match operation.kind:
            case "folder" | "create":
                self._name({path: None if operation.kind == "folder" else _File()})
            case "move" if operation.target is not None:
                self._name({operation.target: entry}, gone=path)
            case "remove":
                self._name({}, gone=path)
            case "sync folder":
                self._sync_folder(path)
            case kind if entry is not None:
                _change(entry, kind, operation)

    def _name(self, made: dict[Path, Entry], gone: Path | None = None) -> None:
        if gone is not None:
            self._now.pop(gone, None)  # a lock file is made past the seam: it holds nothing
        self._now.update(made)
        self._newest = (*made, *([] if gone is None else [gone]))

    def _sync_folder(self, folder: Path) -> None:
        for path in [path for path in self._lasting if path.parent == folder and path != folder]:
            del self._lasting[path]
        self._lasting.update({path: entry for path, entry in self._now.items() if path.parent == folder})

    def left(self, names: Names, fate: Bytes) -> Left:
        """What a power cut now may leave."""
        entries = dict(self._now if names is Names.KEPT else self._lasting)
        for path in self._newest if names is Names.NEWEST else ():
            if path in self._now:
                entries[path] = self._now[path]
            else:
                entries.pop(path, None)
        reached = {Path()}
        left = []
        for path, entry in sorted(entries.items(), key=lambda each: each[0].parts):
            if path.parent in reached:  # else the name of its folder was lost
                left.append((path, None if entry is None else entry.after(fate)))
                if entry is None:
                    reached.add(path)
        return tuple(left)


def _change(file: _File, kind: str, operation: Operation) -> None:
    if kind == "write":
        _write(file.now, operation.offset, operation.content)
        file.newest = (operation.offset, operation.content)
    elif kind == "truncate":
        del file.now[operation.offset :]
        file.now.extend(bytes(operation.offset - len(file.now)))
    elif kind == "sync":
        file.lasting = bytes(file.now)


def _write(content: bytearray, offset: int, piece: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(piece)] = piece


def power_cuts(start: Path, operations: list[Operation], below: Path) -> Iterator[tuple[int, Path]]:
    """Every state that a power cut may leave: before and after each operation, with each fate of what wasn't synced.

    Args:
        start: What was there, safely, before the first operation.
        below: An empty folder for the states.

    Yields:
        How many operations were done, and the folder with what is left; it is gone afterwards. What was left at an
        earlier moment already comes again only after the last operation.
    """
    volume = Volume(start)
    seen: set[tuple[bool, Left]] = set()
    for done in range(len(operations) + 1):
        if done:
            volume.apply(operations[done - 1])
        for names, fate in product(Names, Bytes):
            left = volume.left(names, fate)
            if (done == len(operations), left) in seen:
                continue
            seen.add((done == len(operations), left))
            where = below / f"after {done}, names {names.value}, bytes {fate.value}"
            _write_out(left, where)
            yield done, where
            shutil.rmtree(where)


def _write_out(left: Left, where: Path) -> None:
    where.mkdir(parents=True)
    for path, content in left:
        if content is None:
            (where / path).mkdir()
        else:
            (where / path).write_bytes(content)
