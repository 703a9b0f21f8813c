"""A file that lies in its registry as several, read as the one that it is: hosts limit how long a file may be.

Which lengths they have is signed, in the file's chunk index; the borders are borders of chunks. This is the one place
that knows offsets in the whole file and in its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

from bbj_desktop.core.errors import ChangedError, MixAndMatchError, TransportError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.transfer.source import ByteStream, Source


def split_paths(path: str, count: int) -> tuple[str, ...]:
    """Where the parts of a file lie: ``<path>.part-0001-of-0003`` …"""
    return tuple(f"{path}.part-{number:04}-of-{count:04}" for number in range(1, count + 1))


class SplitSource:
    """Another source, in which one file is split. All other files are read as they are.

    Args:
        source: Where the parts are.
        path: Path of the whole file.
        lengths: Of its parts, in order, in bytes.

    Attributes:
        address: Of the other source.
    """

    def __init__(self, source: Source, path: str, lengths: Sequence[int]) -> None:
        self.address = source.address
        self._source = source
        self._path = path
        self._names = split_paths(path, len(lengths))
        self._ends = tuple(accumulate(lengths))
        self._begins = (0, *self._ends[:-1])
        self._validators: dict[int, str] = {}

    def read(self, path: str, *, limit_bytes: int, cancel: Cancel) -> bytes:
        """Small files aren't split. Raises as the other source."""
        return self._source.read(path, limit_bytes=limit_bytes, cancel=cancel)

    @contextmanager
    def stream(
        self, path: str, *, offset: int = 0, length: int | None = None, validator: str | None = None, cancel: Cancel
    ) -> Iterator[ByteStream]:
        """Opens the part that ``offset`` lies in, and those behind it when it is their turn. Raises as the other
        source; MixAndMatchError when a part has another length than was signed."""
        if path != self._path:
            with self._source.stream(
                path, offset=offset, length=length, validator=validator, cancel=cancel
            ) as unchanged:
                yield unchanged
            return
        end = self._ends[-1] if length is None else min(self._ends[-1], offset + length)
        number = next((each for each, its_end in enumerate(self._ends) if offset < its_end), len(self._ends) - 1)
        with self._part(number, offset, end, cancel) as part:
            begin = self._begins[number] + part.offset
            until = end if part.ranged else self._ends[-1]
            yield Joined(self._content(part, number, begin, until, cancel), begin, self._ends[-1], ranged=part.ranged)

    def close(self) -> None:
        """Closes the other source."""
        self._source.close()

    @contextmanager
    def _part(self, number: int, position: int, end: int, cancel: Cancel) -> Iterator[ByteStream]:
        """A part, from a position in the whole file on. Each part has a validator of its own, which stays here."""
        name, begin, known = self._names[number], self._begins[number], self._validators.get(number)
        length = min(end, self._ends[number]) - position
        try:
            with self._source.stream(
                name, offset=position - begin, length=length, validator=known, cancel=cancel
            ) as stream:
                if stream.total_bytes not in {None, self._ends[number] - begin}:
                    raise MixAndMatchError(
                        f"{self.address}/{name} has {stream.total_bytes} bytes; {self._ends[number] - begin} were "
                        "signed.",
                        hint="Does something else answer there, e.g. a sign-in page? Else tell who runs the registry.",
                    )
                if stream.validator is not None:
                    self._validators[number] = stream.validator
                yield stream
        except ChangedError:
            self._validators.pop(number, None)
            raise

    def _content(self, part: ByteStream, number: int, position: int, end: int, cancel: Cancel) -> Iterator[bytes]:
        yield from self._exactly(part, number, min(end, self._ends[number]) - position)
        for following in range(number + 1, len(self._names)):
            begin = self._begins[following]
            if begin < end:
                with self._part(following, begin, end, cancel) as stream:
                    yield from self._exactly(stream, following, min(end, self._ends[following]) - begin)

    def _exactly(self, stream: ByteStream, number: int, count: int) -> Iterator[bytes]:
        """As many bytes as a part has to give: one too few or too many would move all that follow."""
        for piece in stream:
            yield piece[:count]
            count -= min(count, len(piece))
            if not count:
                return
        if count:
            raise TransportError(f"{self._names[number]} ended before its end.", hint="Try again.")


class Joined:
    """A stream over several files, see ``ByteStream``."""

    validator: str | None = None

    def __init__(self, pieces: Iterator[bytes], offset: int, total_bytes: int, *, ranged: bool = True) -> None:
        self.offset = offset
        self.ranged = ranged
        self.total_bytes: int | None = total_bytes
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces
