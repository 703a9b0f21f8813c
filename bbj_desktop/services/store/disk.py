"""The one way by which store and transfer change files, so that it can be made to fail, recorded and replayed.

What survives a power cut: bytes after ``fsync`` of their file, names after ``fsync`` of their folder. ``write_atomic``
and ``rename`` do both; everything else that is written here may be lost and must be such that its loss is noticed.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from bbj_desktop.core.errors import NoSpaceError, StoreAccessError, StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}
_TEMPORARY = ".new"
_PIECE_BYTES = 1024 * 1024

if sys.platform == "darwin":
    import fcntl

    def _sync(descriptor: int) -> None:
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # macOS' fsync leaves the bytes in the drive's own cache
else:

    def _sync(descriptor: int) -> None:
        os.fsync(descriptor)


class DiskFile:
    """A file that is written at offsets; a context manager. Made by ``Disk.open``."""

    def __init__(self, disk: Disk, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._disk = disk
        self._file = file

    def write_at(self, offset: int, content: bytes | memoryview) -> None:
        """Raises NoSpaceError or StoreAccessError."""
        self._disk.write(self.path, self._file, offset, content)

    def fsync(self) -> None:
        """Raises NoSpaceError or StoreAccessError."""
        self._disk.fsync(self.path, self._file)

    def truncate(self, length: int) -> None:
        """Raises NoSpaceError or StoreAccessError."""
        self._disk.truncate(self.path, self._file, length)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Disk:
    """The seam. Every method that changes something is one operation that a subclass may record, refuse or tear.

    All methods raise NoSpaceError when the volume is full and StoreAccessError for every other refusal.
    """

    def make_folder(self, path: Path) -> None:
        """Makes a folder and those above it, and makes their names last."""
        if path.is_dir():
            return
        if not path.parent.exists():
            self.make_folder(path.parent)
        self.make_one_folder(path)
        self.fsync_folder(path.parent)

    def make_one_folder(self, path: Path) -> None:
        with _wrapped(path, "be made"):
            path.mkdir(exist_ok=True)

    def open(self, path: Path) -> DiskFile:
        """Opens for writing at offsets; made when it isn't there, never truncated."""
        with _wrapped(path, "be opened"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
            return DiskFile(self, path, os.fdopen(descriptor, "r+b", buffering=0))

    def write(self, path: Path, file: BinaryIO, offset: int, content: bytes | memoryview) -> None:
        left = memoryview(content)
        with _wrapped(path, "be written", needed_bytes=len(left)):
            file.seek(offset)
            while left:
                left = left[file.write(left) :]

    def fsync(self, path: Path, file: BinaryIO) -> None:
        with _wrapped(path, "be written"):
            _sync(file.fileno())

    def truncate(self, path: Path, file: BinaryIO, length: int) -> None:
        with _wrapped(path, "be cut"):
            file.truncate(length)

    def append(self, path: Path, content: bytes) -> None:
        """Adds to the end, without fsync."""
        with self.open(path) as file, _wrapped(path, "be written"):
            self.write(path, file._file, path.stat().st_size, content)  # noqa: SLF001 - the two classes are one seam

    def replace(self, source: Path, target: Path) -> None:
        with _wrapped(target, "be written"):
            os.replace(source, target)  # noqa: PTH105 - reads as what it is: atomic on one volume

    def unlink(self, path: Path) -> None:
        """Removes a file; one that is gone already is fine."""
        with _wrapped(path, "be removed"):
            path.unlink(missing_ok=True)

    def fsync_folder(self, path: Path) -> None:
        if sys.platform == "win32":  # NTFS journals names, and a folder can't be opened for this
            return
        with _wrapped(path, "be written"):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            except OSError as error:
                if error.errno not in _NO_FOLDER_SYNC:  # some network file systems can't
                    raise
            finally:
                os.close(descriptor)

    def free_bytes(self, path: Path) -> int:
        """Free room, in bytes, where ``path`` is or would be."""
        with _wrapped(path, "be looked at"):
            return shutil.disk_usage(existing_folder(path)).free

    def write_atomic(self, path: Path, content: bytes) -> None:
        """Replaces a file's content: afterwards it is wholly the old or wholly the new one, power cut or not."""
        temporary = path.with_name(path.name + _TEMPORARY)
        with self.open(temporary) as file:
            file.truncate(0)
            file.write_at(0, content)
            file.fsync()
        self.rename(temporary, path)

    def rename(self, source: Path, target: Path) -> None:
        """Moves a file that is already synced, and makes the move last."""
        self.replace(source, target)
        self.fsync_folder(target.parent)
        if source.parent != target.parent:
            self.fsync_folder(source.parent)


@contextmanager
def _wrapped(path: Path, verb: str, *, needed_bytes: int = 0) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _store_error(error, path, verb, needed_bytes) from error


def _store_error(error: OSError, path: Path, verb: str, needed_bytes: int) -> StoreError:
    if error.errno in _FULL:
        return NoSpaceError(
            f"The disk is full (or a limit is reached) at {path}.",
            needed_bytes=needed_bytes,
            free_bytes=_free(path),
            path=path,
            hint="Make room and start again: what has arrived is kept.",
        )
    reason = error.strerror or str(error)
    hint = "Choose another folder in the settings." if error.errno == errno.EROFS else "Check its permissions."
    return StoreAccessError(f"{path} can't {verb}: {reason}.", hint=hint)


def _free(path: Path) -> int:
    try:
        return shutil.disk_usage(existing_folder(path)).free
    except OSError:
        return 0


def existing_folder(path: Path) -> Path:
    """The nearest of a path and the folders above it that is seen to be there: not what is in a closed folder."""
    return next((folder for folder in (path, *path.parents) if os.access(folder, os.F_OK)), path)


def pieces_of(path: Path, offset: int, length: int) -> Iterator[bytes]:
    """Reads a range of a file in pieces; fewer bytes come when the file is shorter. Raises StoreAccessError."""
    with _wrapped(path, "be read"), path.open("rb") as file:
        file.seek(offset)
        while length > 0 and (piece := file.read(min(length, _PIECE_BYTES))):
            length -= len(piece)
            yield piece
