"""JSON values out of a file: one a line, one in several lines, or the elements of an array; one at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn

from trainer.data.decoding import MAX_RECORD_BYTES, LongLine, bounded_lines, decode
from trainer.data.formats.parsed import Problem, shown

Say = Callable[[Problem], None]
Record = tuple[int, Any]
"""Line on which it begins, and the value."""

_CHUNK_BYTES = 2**18
_BETWEEN = re.compile(r"[\s,]*")
_LINE_HINT = "Correct or remove the line; the others were read."


class _Decoder:
    """JSON as the standard has it: no NaN; a key that is there twice is noticed."""

    def __init__(self) -> None:
        self.twice: list[str] = []
        self._json = json.JSONDecoder(object_pairs_hook=self._pairs, parse_constant=_refuse)

    def whole(self, text: str) -> Any:
        self.twice.clear()
        return self._json.decode(text)

    def beginning(self, text: str, start: int) -> tuple[Any, int]:
        self.twice.clear()
        return self._json.raw_decode(text, start)

    def _pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            self.twice.extend(name for name in found if names.count(name) > 1)
        return found

    def problems(self, line: int) -> Iterator[Problem]:
        for name in self.twice:
            message = f"The key {shown(name)} is there twice; the last one counts."
            yield Problem("duplicate-key", "warning", message, "Keep one of them.", line)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} isn't JSON")


def json_lines(stream: BinaryIO, say: Say) -> Iterator[Record]:
    """One value a line; a line that can't be read becomes a problem, and the next one is read."""
    decoder = _Decoder()
    guessed = ""
    for number, raw in enumerate(bounded_lines(stream), start=1):
        if isinstance(raw, LongLine):
            say(_too_long(raw, number))
            continue
        if not raw.strip():
            continue
        text, encoding = decode(raw)
        if encoding not in ("utf-8", guessed):
            guessed = encoding
            say(wrong_encoding(encoding, number))
        try:
            value = decoder.whole(text.rstrip("\r\n"))
        except (ValueError, RecursionError) as error:
            say(Problem("broken-json", "error", _why(error, raw), _LINE_HINT, number))
            continue
        for problem in decoder.problems(number):
            say(problem)
        yield number, value


def json_values(stream: BinaryIO, say: Say) -> Iterator[Record]:
    """The elements of an array, or objects that take several lines each. What is broken ends it."""
    decoder, source = _Decoder(), _Text(stream, say)
    source.skip(re.compile(r"\s*\[?"))
    while source.skip(_BETWEEN) and not source.at("]"):
        try:
            value, end = source.decoded(decoder)
        except (ValueError, RecursionError) as error:
            hint = "Correct it there; what follows in this file wasn't read."
            say(Problem("broken-json", "error", _why(error, b""), hint, source.line_of(error)))
            return
        line = source.line
        for problem in decoder.problems(line):
            say(problem)
        source.advance(end)
        yield line, value


class _Text:
    """A window that moves over a file's text.

    Attributes:
        line: Line of the position, from 1.
    """

    def __init__(self, stream: BinaryIO, say: Say) -> None:
        self.line = 1
        self._stream = stream
        self._say = say
        self._decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._ended = "", 0, False

    def at(self, sign: str) -> bool:
        return self._text.startswith(sign, self._at)

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Moves over what the pattern matches; whether there is anything behind it."""
        while True:
            match = pattern.match(self._text, self._at)
            if match:
                self.advance(match.end())
            if self._at < len(self._text):
                return True
            if not self._more():
                return False

    def decoded(self, decoder: _Decoder) -> tuple[Any, int]:
        """The value at the position and the index behind it, reading on while it may only be cut off."""
        while True:
            try:
                value, end = decoder.beginning(self._text, self._at)
                if end < len(self._text) or not self._more():
                    return value, end
            except (ValueError, RecursionError):
                if len(self._text) - self._at > MAX_RECORD_BYTES or not self._more():
                    raise

    def advance(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end

    def line_of(self, error: BaseException) -> int:
        if isinstance(error, json.JSONDecodeError):
            return self.line + self._text.count("\n", self._at, error.pos)
        return self.line

    def _more(self) -> bool:
        if self._ended:
            return False
        raw = self._stream.read(_CHUNK_BYTES)
        self._ended = not raw
        self._text = self._text[self._at :] + self._decoded(raw)
        self._at = 0
        return not self._ended

    def _decoded(self, raw: bytes) -> str:
        """The text of the next bytes; from the first ones on that aren't UTF-8, all is taken for ISO 8859-1."""
        begun, _ = self._decoder.getstate()
        try:
            return self._decoder.decode(raw, final=self._ended)
        except UnicodeDecodeError:
            self._say(wrong_encoding("iso-8859-1", self.line))
            self._decoder = codecs.getincrementaldecoder("iso-8859-1")()
            return self._decoder.decode(begun + raw, final=self._ended)


def wrong_encoding(encoding: str, line: int) -> Problem:
    """The problem of a text that isn't UTF-8."""
    return Problem(
        "wrong-encoding",
        "warning",
        f"Not UTF-8; it was read as {encoding}.",
        "Look at its umlauts and signs, then save it as UTF-8.",
        line,
    )


def _too_long(line: LongLine, number: int) -> Problem:
    limit = f"the longest that is read has {MAX_RECORD_BYTES:,} bytes"
    if line < 0:
        message = f"The line goes on after {-line:,} bytes; {limit}. The rest of the file wasn't read."
    else:
        message = f"The line has {line:,} bytes; {limit}."
    return Problem("too-long", "error", message, "Cut it into examples, or remove it.", number)


def _why(error: BaseException, raw: bytes) -> str:
    if isinstance(error, RecursionError):
        return "Not valid JSON: nested too deeply."
    if b"\0" in raw:
        return "Not valid JSON: there are NUL bytes in it."
    if isinstance(error, json.JSONDecodeError):
        return f"Not valid JSON: {error.msg} (column {error.colno})."
    return f"Not valid JSON: {error}."
