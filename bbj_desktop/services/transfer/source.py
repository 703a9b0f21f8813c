"""Where bytes come from: a place with named files that can be read from an offset.

Transport is never trusted: everything read through a source is checked against signed digests by its caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.progress import Cancel


class ByteStream(Protocol):
    """The answer to a ranged read.

    Attributes:
        offset: Where the bytes really begin: the offset asked for, or 0 when the server knows no ranges.
        ranged: Whether the range was granted; if not, the bytes run from 0 to the end of the file.
        total_bytes: Length of the whole file; None when the server doesn't tell.
        validator: Strong ETag (or equivalent) for ``If-Range``; None when there is none.
    """

    @property
    def offset(self) -> int: ...
    @property
    def ranged(self) -> bool: ...
    @property
    def total_bytes(self) -> int | None: ...
    @property
    def validator(self) -> str | None: ...
    def __iter__(self) -> Iterator[bytes]: ...


@runtime_checkable
class FillsBuffers(Protocol):
    """What a ByteStream offers besides when its bytes can go straight to where they are needed."""

    def read_into(self, buffer: memoryview) -> int:
        """Fills ``buffer`` with what comes next, at least one byte, and tells how many; 0 at the end."""
        ...


class _Pieces:
    """Fills buffers from a stream that only hands out pieces."""

    def __init__(self, stream: ByteStream) -> None:
        self._pieces = iter(stream)
        self._rest = memoryview(b"")

    def read_into(self, buffer: memoryview) -> int:
        if not self._rest:
            self._rest = memoryview(next(filter(None, self._pieces), b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def filling(stream: ByteStream) -> FillsBuffers:
    """A stream as one that fills buffers; from then on it isn't iterated by anyone else."""
    return stream if isinstance(stream, FillsBuffers) else _Pieces(stream)


class Source(Protocol):
    """One mirror of a registry.

    Attributes:
        address: As the user wrote it, without credentials.
    """

    @property
    def address(self) -> str: ...

    def read(self, path: str, *, limit_bytes: int, cancel: Cancel) -> bytes:
        """Reads a small file whole.

        Args:
            path: Relative to the address, ``/`` between parts.
            limit_bytes: A longer file is refused while it arrives.

        Raises:
            NotFoundError: There is no such file.
            TransportError: The way failed.
            MixAndMatchError: The file is longer than ``limit_bytes``.
            FormatError: ``path`` isn't one that may occur in a registry.
            Cancelled: By ``cancel``.
        """
        ...

    def stream(
        self, path: str, *, offset: int = 0, length: int | None = None, validator: str | None = None, cancel: Cancel
    ) -> AbstractContextManager[ByteStream]:
        """Opens a file for reading from ``offset``, at most ``length`` bytes (None: to its end).

        ``validator`` is that of an earlier answer: when the file has changed since, ChangedError is raised.
        Errors as in ``read``, also while iterating; RangeError when the answer is for another range than asked for.
        """
        ...

    def close(self) -> None: ...


def parts_of(path: str) -> tuple[str, ...]:
    """The parts of a path inside a source.

    Raises:
        FormatError: It is empty or absolute, or leads out of the source on some system.
    """
    parts = tuple(path.split("/"))
    if any(part in {"", ".", ".."} or any(sign in part for sign in "\\:\0") for part in parts):
        raise FormatError(f"{path!r} isn't a path inside a registry.")
    return parts
