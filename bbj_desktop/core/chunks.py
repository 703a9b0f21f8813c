"""Where a model file is cut into the chunks that are fetched and checked one by one.

The borders follow the file's tensors, so that a new version of a model shares every chunk whose tensors didn't change,
wherever they lie in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.gguf import GgufHeader

MIN_CHUNK_BYTES = 4 * 2**20
MAX_CHUNK_BYTES = 16 * 2**20
PLAIN_CHUNK_BYTES = 8 * 2**20
MAX_FILE_BYTES = 50_000_000_000
"""The longest file that a registry has; what is longer is split. The Hugging Face Hub's limit for one file."""


def plan_chunks(header: GgufHeader | None, length_bytes: int) -> tuple[int, ...]:
    """Lengths of a file's chunks in their order.

    The header is a chunk of its own (or several, when it is longer than 16 MiB). Behind it small tensors are grouped
    until they make at least 4 MiB, large ones are split evenly, and every group begins where a tensor begins. Only the
    header, the last group and a group in front of a large tensor may be smaller than 4 MiB; none is larger than 16 MiB.

    Args:
        header: The file's header; None for a file that isn't GGUF: then chunks of 8 MiB.
        length_bytes: The whole file.

    Raises:
        FormatError: The file is empty or shorter than its header says.
    """
    if length_bytes < 1:
        raise FormatError("An empty file can't be cut into chunks.")
    if header is None:
        return tuple(_plain(length_bytes))
    if length_bytes < header.end:
        raise FormatError(f"The file is cut off: {length_bytes} bytes, its header promises {header.end}.")
    lengths = [piece for part in _groups(header, length_bytes) for piece in _split(part)]
    return tuple(lengths)


def plan_split(lengths: Iterable[int], limit_bytes: int) -> tuple[int, ...]:
    """Lengths of the files that a file is cut into, at borders of chunks; empty when it stays whole.

    Args:
        lengths: Of its chunks, in order, in bytes.
        limit_bytes: The longest file that there may be.

    Raises:
        FormatError: A single chunk is longer.
    """
    files: list[int] = []
    for length in lengths:
        if length > limit_bytes:
            raise FormatError(
                f"A part of {length} bytes doesn't fit into files of {limit_bytes} bytes.",
                hint="Allow longer files: parts have up to 16 MiB.",
            )
        if not files or files[-1] + length > limit_bytes:
            files.append(0)
        files[-1] += length
    return tuple(files) if len(files) > 1 else ()


def _plain(length: int) -> Iterator[int]:
    full, rest = divmod(length, PLAIN_CHUNK_BYTES)
    yield from [PLAIN_CHUNK_BYTES] * full
    if rest:
        yield rest


def _groups(header: GgufHeader, length: int) -> Iterator[int]:
    """Lengths of the header and of the groups of whole tensors; a group is larger than a chunk only if it is a single
    tensor."""
    begin = 0
    for tensor, following in _extents(header, length):
        if begin < header.data_offset == tensor or _closes(begin, tensor, following):
            yield tensor - begin
            begin = tensor
    if length > begin:
        yield length - begin


def _extents(header: GgufHeader, length: int) -> Iterator[tuple[int, int]]:
    """Beginning and end of every tensor with the padding behind it; the last one runs to the file's end."""
    begins = [tensor.offset for tensor in header.tensors]
    return pairwise([*begins, length])


def _closes(begin: int, tensor: int, following: int) -> bool:
    """Whether a group from ``begin`` ends before the tensor that lies from ``tensor`` to ``following``."""
    return tensor > begin and (tensor - begin >= MIN_CHUNK_BYTES or following - begin > MAX_CHUNK_BYTES)


def _split(length: int) -> Iterator[int]:
    """Cuts a group that is too long into pieces of equal length, to a byte."""
    pieces = -(-length // MAX_CHUNK_BYTES)
    base, longer = divmod(length, pieces)
    for number in range(pieces):
        yield base + (number < longer)
