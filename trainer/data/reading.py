"""Reads examples out of files and folders of all formats, mixed. A file is recognised by its content.

``read_examples`` is the door. It gives one example after the other, holds no more than one record (and the ids), and
reports what is wrong through ``found`` instead of failing.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.progress import Cancel
from trainer.data import records
from trainer.data.decoding import HEAD_BYTES, MAX_RECORD_BYTES, MAX_TRANSCODED_BYTES, decode, transcoded, wide_encoding
from trainer.data.example import Example, Format, Source
from trainer.data.files import Found, said_by_system, say, walk
from trainer.data.formats import chatml, markdown, seed
from trainer.data.formats.parsed import Parsed, Problem
from trainer.data.sidecar import Ids, Sidecar, sidecar_of

_TOKENISED = b"<<bbj>>"
_NOT_DATA = "Training data is JSON, JSON Lines or Markdown with front matter."


def read_examples(paths: Iterable[Path], found: Found, *, cancel: Cancel | None = None) -> Iterator[Example]:
    """Reads all examples of files and folders.

    Args:
        paths: Files and folders; folders are read with all below them.
        found: Told about each problem: nothing that can't be read passes silently.
        cancel: Obeyed between examples.

    Yields:
        Examples with unique ids, with what sidecars know applied.

    Raises:
        NotFoundError: A path isn't there.
        Cancelled: Asked to stop.
    """
    with ExitStack() as stack:
        reader = _Reader(found, stack)
        for path in walk(paths, found):
            try:
                for example in reader.examples_of(path):
                    if cancel is not None:
                        cancel.check()
                    yield example
            except OSError as error:
                say(
                    found, path, "unreadable", f"Can't be read: {said_by_system(error)}.", "Check permissions and disk."
                )


class _Reader:
    """What the files of one reading share: ids and sidecars."""

    def __init__(self, found: Found, stack: ExitStack) -> None:
        self._found = found
        self._stack = stack
        self._ids = Ids()
        self._sidecars: dict[Path, tuple[Sidecar | None, Ids]] = {}

    def examples_of(self, path: Path) -> Iterator[Example]:
        """The examples of one file.

        Raises:
            OSError: It can't be read.
        """
        with path.open("rb") as raw:
            stream = self._as_utf8(path, raw)
            if stream is None:
                return
            start = stream.tell()
            head = stream.read(HEAD_BYTES)
            stream.seek(start)
            form = _recognised(head)
            if form == "json":
                yield from self._from_json(path, stream, head)
            elif form == "markdown":
                yield from self._from_markdown(path, stream)
            else:
                self._say_not_data(path, head)

    def _as_utf8(self, path: Path, stream: BinaryIO) -> BinaryIO | None:
        """The stream behind its byte-order mark, in UTF-8; None when that can't be had."""
        head = stream.read(4)
        encoding = wide_encoding(head)
        stream.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
        if not encoding:
            if stream.tell():
                say(self._found, path, "byte-order-mark", "It begins with a byte-order mark.", severity="info")
            return stream
        if path.stat().st_size > MAX_TRANSCODED_BYTES:
            message = f"A file in {encoding.upper()} above {MAX_TRANSCODED_BYTES:,} bytes isn't read."
            say(self._found, path, "wrong-encoding", message, "Save it as UTF-8.")
            return None
        try:
            text = transcoded(stream, encoding)
        except UnicodeError:
            message = f"It begins as {encoding.upper()} and goes on as something else."
            say(self._found, path, "wrong-encoding", message, "Save it as UTF-8.")
            return None
        message = f"In {encoding.upper()}, not UTF-8; it was converted while reading."
        say(self._found, path, "wrong-encoding", message, "Save it as UTF-8.", "warning")
        return text

    def _say_not_data(self, path: Path, head: bytes) -> None:
        if not head.strip():
            say(self._found, path, "empty-file", "The file is empty.", "Remove it.", "warning")
        elif head.startswith(_TOKENISED):
            message = "A tokenised BBj program, not training data; not read."
            say(self._found, path, "not-training-data", message, _NOT_DATA, "warning")
        elif b"\0" in head:
            line = head[: head.index(b"\0")].count(b"\n") + 1
            problem = Problem("nul-bytes", "error", "There are NUL bytes in it: no text; not read.", _NOT_DATA, line)
            self._found(problem.finding(Source(file=str(path), line=1)))
        else:
            say(self._found, path, "not-training-data", "Of no known format; not read.", _NOT_DATA, "warning")

    def _from_json(self, path: Path, stream: BinaryIO, head: bytes) -> Iterator[Example]:
        def tell(problem: Problem) -> None:
            self._found(problem.finding(Source(file=str(path), line=1)))

        read = records.json_lines if _one_a_line(head) else records.json_values
        said: set[str] = set()
        for line, value in read(stream, tell):
            parsed, form = _parsed(value)
            self._say_unknown_keys(parsed, path, line, said)
            if (example := self._finished(parsed, Source(file=str(path), line=line, format=form), path)) is not None:
                yield example

    def _say_unknown_keys(self, parsed: Parsed, path: Path, line: int, said: set[str]) -> None:
        """Once a file and key: a key that every row has would drown the rest."""
        wrong = {each.code for each in parsed.problems}
        for key in (parsed.fields or {}).get("extra", {}).keys() - said - {"messages"}:
            said.add(key)
            if not wrong & {"two-values", "wrong-id"}:
                message = f"The key {key!r} means nothing here; it is kept, and not trained on."
                problem = Problem("unknown-key", "info", message, "Said once for this file.", line)
                self._found(problem.finding(Source(file=str(path), line=1)))

    def _from_markdown(self, path: Path, stream: BinaryIO) -> Iterator[Example]:
        raw = stream.read(MAX_RECORD_BYTES + 1)
        if len(raw) > MAX_RECORD_BYTES:
            message = f"Longer than {MAX_RECORD_BYTES:,} bytes; not read."
            say(self._found, path, "too-long", message, "A Markdown file holds one example.")
            return
        text, encoding = decode(raw)
        parsed = markdown.parse(markdown.with_plain_line_breaks(text))
        if encoding != "utf-8":
            parsed.problems.append(records.wrong_encoding(encoding, 1))
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            parsed.say("nul-bytes", "error", "There are NUL bytes in the text.", "Remove them.", line)
        if "\r\n" in text:
            parsed.say("crlf", "info", "Lines end in CR LF; they were read as LF.")
        example = self._finished(parsed, Source(file=str(path), line=1, format="markdown"), path.parent)
        if example is not None:
            yield example

    def _finished(self, parsed: Parsed, source: Source, described: Path) -> Example | None:
        """The example with its sidecar's fields and an id of its own; its problems are told.

        Args:
            described: The file, or folder of Markdown files, that a sidecar may stand beside.
        """
        example = parsed.example(source)
        named = bool(parsed.fields and parsed.fields.get("id"))
        if example is not None:
            sidecar, local = self._sidecar(described)
            key = local.once(example.id)
            kept = self._kept(sidecar, key, source) if sidecar is not None else {}
            named = named or "id" in kept
            example = self._restored(example, kept, source)
            unique = self._ids.once(example.id)
            if named and unique != example.id:
                message = f"The id {example.id!r} is used twice; this example is called {unique!r}."
                parsed.say("duplicate-id", "warning", message, "Give each example an id of its own.")
            example = example.model_copy(update={"id": unique})
        for problem in parsed.problems:
            self._found(problem.finding(source, example.id if example else ""))
        return example

    def _sidecar(self, described: Path) -> tuple[Sidecar | None, Ids]:
        if described not in self._sidecars:
            self._sidecars[described] = (self._opened(sidecar_of(described)), Ids())
        return self._sidecars[described]

    def _opened(self, path: Path) -> Sidecar | None:
        try:
            return Sidecar(path, self._stack.enter_context(path.open("rb")))
        except FileNotFoundError:
            return None
        except OSError as error:
            say(self._found, path, "unreadable", f"The sidecar can't be read: {said_by_system(error)}.")
            return None
        except FormatError as error:
            say(self._found, path, "broken-sidecar", error.message, error.hint)
            return None

    def _kept(self, sidecar: Sidecar, key: str, source: Source) -> dict[str, Any]:
        try:
            kept = sidecar.fields(key)
        except FormatError as error:
            say(self._found, sidecar.path, "broken-sidecar", error.message, error.hint)
            return {}
        if kept is None:
            message = "It isn't in the sidecar: new, or changed since that was written."
            hint = "Labels and ids that only the sidecar held are missing here; write both anew."
            self._found(Problem("not-in-sidecar", "warning", message, hint).finding(source))
        return kept or {}

    def _restored(self, example: Example, kept: dict[str, Any], source: Source) -> Example:
        try:
            return example.changed(**kept) if kept else example
        except (ValidationError, TypeError):
            message = "What the sidecar says about it can't be used."
            self._found(Problem("broken-sidecar", "error", message, "Write both anew.").finding(source))
            return example


def _recognised(head: bytes) -> Format | None:
    text = head.lstrip()
    if text[:1] in (b"{", b"["):
        return "json"
    return "markdown" if markdown.looks_like(head[:64].decode("latin-1")) else None


def _one_a_line(head: bytes) -> bool:
    """JSON Lines, or values that take several lines: an array, or an object whose second line isn't one again."""
    lines = [line for line in head.lstrip().split(b"\n", 2) if line.strip()]
    if not lines[0].startswith(b"{"):
        return False
    return len(lines) == 1 or lines[1].lstrip().startswith((b"{", b"[")) or lines[0].rstrip().endswith(b"}")


def _parsed(value: object) -> tuple[Parsed, Format]:
    if not isinstance(value, dict):
        parsed = Parsed()
        message = f"A JSON {type(value).__name__}, not an object."
        parsed.say("not-an-example", "error", message, "An example is an object in braces.")
        return parsed, "json"
    return (chatml.parse(value), "chatml") if chatml.looks_like(value) else (seed.parse(value), "json")
