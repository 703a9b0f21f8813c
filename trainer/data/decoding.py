"""From bytes to text, with a bound on how much is held at once."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

MAX_RECORD_BYTES = 4 * 2**20  # bytes of one example; the longest useful one is some 10,000 tokens
MAX_SKIPPED_BYTES = 128 * 2**20  # bytes of a line that is too long, before the whole file is given up
MAX_TRANSCODED_BYTES = 64 * 2**20  # bytes of a UTF-16 file, which is converted as a whole
HEAD_BYTES = 64 * 2**10  # bytes looked at to recognise a file

_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def wide_encoding(head: bytes) -> str:
    """``utf-16`` or ``utf-32`` if the first bytes say so; else empty."""
    return next((name for mark, name in _WIDE if head.startswith(mark)), "")


def decode(raw: bytes) -> tuple[str, str]:
    """The text, and the encoding that it was read in: ``utf-8``, or ``windows-1252`` for what isn't."""
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        return raw.decode("cp1252"), "windows-1252"
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "iso-8859-1"


def transcoded(stream: BinaryIO, encoding: str) -> BinaryIO:
    """The same content in UTF-8.

    Raises:
        UnicodeError: It isn't in that encoding.
    """
    return io.BytesIO(stream.read(MAX_TRANSCODED_BYTES).decode(encoding).encode())


class LongLine(int):
    """Stands for a line that is too long: its length in bytes; negative when the file was given up in it."""


def bounded_lines(stream: BinaryIO) -> Iterator[bytes | LongLine]:
    """Lines with their ends; a line above MAX_RECORD_BYTES is skipped without being held."""
    while line := stream.readline(MAX_RECORD_BYTES + 1):
        if len(line) <= MAX_RECORD_BYTES or line.endswith(b"\n"):
            yield line
            continue
        length = len(line)
        while line and not line.endswith(b"\n") and length < MAX_SKIPPED_BYTES:
            line = stream.readline(2**20)
            length += len(line)
        if line and not line.endswith(b"\n"):
            yield LongLine(-length)
            return
        yield LongLine(length)
