"""BBj sources in folders: which files count, in which encoding, and each content once."""

from __future__ import annotations

import codecs
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trainer.data.decoding import MAX_RECORD_BYTES, decode, wide_encoding
from trainer.data.files import Found, said_by_system, say, walk
from trainer.data.line_numbers import without_line_numbers

EXTENSIONS = frozenset({".bbj", ".bbjt", ".bbl", ".src", ".bbx"})
_CONFIGURATION = "config.bbx"
_TOKENISED = b"<<bbj>>"


@dataclass(frozen=True, slots=True)
class BBjSource:
    """One program.

    Attributes:
        file: Where it was read.
        text: Its text; lines end in LF.
        encoding: What the file is in.
        digest: SHA-256 of the text, in hexadecimal.
    """

    file: str
    text: str
    encoding: str
    digest: str


@dataclass(slots=True)
class Counted:
    """What became of the files.

    Attributes:
        read: Programs.
        left_out: How many for which reason: ``tokenised``, ``configuration``, ``duplicate``, ``empty``, ``not-text``,
            ``too-long``, ``unreadable``, ``other-kind`` (by its extension no BBj source).
        encodings: Programs by encoding.
        stripped: Programs whose line numbers were taken off.
    """

    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    stripped: int = 0


def read_sources(
    paths: Iterable[Path], found: Found, counted: Counted, *, strip_numbers: bool = False
) -> Iterator[BBjSource]:
    """Reads the BBj sources among files and folders, in the order of their names.

    Args:
        found: Told about files that can't be read.
        counted: Filled on the way.
        strip_numbers: Take line numbers off where nothing is lost by it.

    Raises:
        NotFoundError: A path isn't there.
    """
    seen: set[str] = set()
    for path in walk(paths, found):
        try:
            source = _read(path, found, counted)
        except OSError as error:
            say(found, path, "unreadable", f"Can't be read: {said_by_system(error)}.", "Check its permissions.")
            counted.left_out["unreadable"] += 1
            continue
        if source is None:
            continue
        plain, stripped = without_line_numbers(source.text) if strip_numbers else (source.text, False)
        digest = hashlib.sha256(_compared(plain).encode()).hexdigest()
        if digest in seen:
            counted.left_out["duplicate"] += 1
            continue
        seen.add(digest)
        counted.read += 1
        counted.stripped += stripped
        counted.encodings[source.encoding] += 1
        yield BBjSource(source.file, plain, source.encoding, digest)


def _read(path: Path, found: Found, counted: Counted) -> BBjSource | None:
    why = _why_not(path)
    if why:
        counted.left_out[why] += 1
        return None
    with path.open("rb") as file:
        raw = file.read(MAX_RECORD_BYTES + 1)
    if raw.startswith(_TOKENISED):
        counted.left_out["tokenised"] += 1
        return None
    if len(raw) > MAX_RECORD_BYTES:
        counted.left_out["too-long"] += 1
        say(found, path, "too-long", f"Longer than {MAX_RECORD_BYTES:,} bytes; not read.", severity="warning")
        return None
    text, encoding = _decoded(raw)
    if text is None or "\0" in text:
        counted.left_out["not-text"] += 1
        say(found, path, "not-text", "It is no text in any known encoding; not read.", severity="warning")
        return None
    if not text.strip():
        counted.left_out["empty"] += 1
        return None
    return BBjSource(str(path), text.replace("\r\n", "\n").replace("\r", "\n"), encoding, "")


def _why_not(path: Path) -> str:
    if path.name.lower() == _CONFIGURATION:
        return "configuration"
    return "" if path.suffix.lower() in EXTENSIONS else "other-kind"


def _decoded(raw: bytes) -> tuple[str | None, str]:
    if wide := wide_encoding(raw[:4]):
        try:
            return raw.decode(wide), wide
        except UnicodeError:
            return None, wide
    return decode(raw.removeprefix(codecs.BOM_UTF8))


def _compared(text: str) -> str:
    """What makes two programs the same: blanks at line ends and empty lines at the end don't count."""
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))
