"""A registry in a folder: on this machine, a stick or a network drive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bbj_desktop.core.errors import (
    ChangedError,
    ConnectError,
    FormatError,
    MixAndMatchError,
    NotFoundError,
    RangeError,
    TransportError,
)
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.transfer.source import parts_of

_PIECE_BYTES = 256 * 1024


class FolderStream:
    """A part of an open file, see ``ByteStream``."""

    ranged = True

    def __init__(self, file: BinaryIO, where: str, offset: int, length: int | None, cancel: Cancel) -> None:
        state = os.fstat(file.fileno())
        self.offset = offset
        self.total_bytes: int | None = state.st_size
        self.validator: str | None = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
        if offset > state.st_size:
            raise RangeError(f"{where} is shorter than expected.")
        self._file = file
        self._where = where
        self._left = state.st_size - offset if length is None else length
        self._cancel = cancel
        file.seek(offset)

    def __iter__(self) -> Iterator[bytes]:
        while self._left > 0:
            self._cancel.check()
            try:
                piece = self._file.read(min(self._left, _PIECE_BYTES))
            except OSError as error:
                raise TransportError(f"{self._where} can't be read any further: {error.strerror}.") from error
            if not piece:
                return
            self._left -= len(piece)
            yield piece

    def read_into(self, buffer: memoryview) -> int:
        """Fills a buffer with what comes next; 0 at the end. Not to be mixed with iterating."""
        self._cancel.check()
        try:
            count = self._file.readinto(buffer[: self._left])  # type: ignore[attr-defined] # BinaryIO lacks it
        except OSError as error:
            raise TransportError(f"{self._where} can't be read any further: {error.strerror}.") from error
        self._left -= count
        return int(count)


class FolderSource:
    """One mirror of a registry that is a folder.

    Attributes:
        address: As the user wrote it.
        folder: The folder itself.
    """

    def __init__(self, address: str, root: Path) -> None:
        self.address = address
        self.folder = root
        self._root = root

    def read(self, path: str, *, limit_bytes: int, cancel: Cancel) -> bytes:
        with self.stream(path, length=limit_bytes + 1, cancel=cancel) as stream:
            content = b"".join(stream)
        if len(content) > limit_bytes:
            raise MixAndMatchError(f"{self._root / path} is longer than the {limit_bytes} bytes that it may have.")
        return content

    @contextmanager
    def stream(
        self, path: str, *, offset: int = 0, length: int | None = None, validator: str | None = None, cancel: Cancel
    ) -> Iterator[FolderStream]:
        cancel.check()
        file = self._open(path)
        with file:
            stream = FolderStream(file, str(self._root / path), offset, length, cancel)
            if validator is not None and stream.validator != validator:
                raise ChangedError(f"{self._root / path} has changed meanwhile.")
            yield stream

    def _open(self, path: str) -> BinaryIO:
        file = self._root.joinpath(*parts_of(path))
        try:
            root = self._root.resolve()
            if not root.is_dir():
                raise ConnectError(f"There is no folder {self._root}.", hint="Is the stick or network drive there?")
            if not file.resolve().is_relative_to(root):
                raise FormatError(f"{file} leads out of the registry's folder.")
            if file.is_dir():
                raise NotFoundError(f"{file} is a folder, not a file.", hint="Check the address of the registry.")
            if file.exists() and not file.is_file():  # opening a pipe would wait for somebody who writes into it
                raise FormatError(f"{file} is neither a file nor a folder.", hint="Don't use this registry: ask why.")
            return file.open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(
                f"There is no {file}.",
                hint="Check the address of the registry; what bundles bring comes with one that holds it.",
            ) from error
        except OSError as error:
            raise TransportError(f"{file} can't be read: {error.strerror}.", hint="Check its permissions.") from error

    def close(self) -> None:
        """Nothing is kept open between two calls."""
