"""Writes examples in any of the three formats, never over something that is there.

What a format has no place for goes into a sidecar, which the reader finds by itself; without one each field that is
dropped is reported. Which fields those are isn't a list kept by hand: every record is read back before it is written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from bbj_desktop.core.errors import StoreAccessError, UserInputError
from trainer.data import sidecar
from trainer.data.example import Example, Format
from trainer.data.files import FOLDER_SIDECAR, SIDECAR_SUFFIX, Found, said_by_system
from trainer.data.finding import Finding
from trainer.data.formats import chatml, markdown, seed
from trainer.data.formats.parsed import Parsed
from trainer.data.sidecar import Ids

_NAMES = {"json": "The JSON form", "chatml": "ChatML", "markdown": "The Markdown form"}
_EMPTY = Example(id="x")
_MAX_STEM = 80  # characters of a Markdown file's name


@dataclass
class Written:
    """What was written.

    Attributes:
        examples: How many.
        refused: How many the format can't hold at all.
        dropped: Fields that were dropped, and in how many examples each; empty with a sidecar.
    """

    examples: int = 0
    refused: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def write_examples(
    examples: Iterable[Example], target: Path, form: Format, found: Found, *, with_sidecar: bool = True
) -> Written:
    """Writes examples one after the other.

    Args:
        examples: May be a stream.
        target: A new file; for Markdown a new folder. The seed's JSON becomes an array, or lines where the name ends
            in ``.jsonl``.
        form: The format.
        found: Told which examples the format can't hold, and which fields were dropped.
        with_sidecar: Keep beside it what the format has no place for.

    Raises:
        UserInputError: Something is there already.
        StoreAccessError: It can't be written.
    """
    beside = target / FOLDER_SIDECAR if form == "markdown" else target.with_name(target.name + SIDECAR_SUFFIX)
    for path in (target, beside):
        if os.path.lexists(path):
            raise UserInputError(f"{path} is there already.", hint="Name a new place: nothing is overwritten.")
    first: dict[str, str] = {}
    written = Written()
    try:
        with _new_place(target, beside, form, with_sidecar=with_sidecar) as place:
            for example in examples:
                _write_one(example, place, found, written, first)
    except OSError as error:
        hint = "Nothing was written. Check the folder and its free space."
        raise StoreAccessError(f"{target} can't be written: {said_by_system(error)}.", hint=hint) from error
    for name, count in sorted(written.dropped.items()):
        message = f"{_NAMES[form]} has no place for {name}: dropped {count:,} times, first in {first[name]}."
        hint = "Write with the sidecar to keep it."
        found(Finding(code="dropped-field", severity="warning", message=message, hint=hint, file=str(target)))
    return written


class _Place:
    """Where records go: one file, or a file each."""

    def __init__(self, form: Format, target: Path, data: TextIO | None, beside: TextIO | None, *, lines: bool) -> None:
        self.form = form
        self.target = target
        self.ids = Ids()
        self.beside = beside
        self._data = data
        self._lines = lines
        self._first = True
        self._count = 0

    def add(self, example: Example) -> Parsed:
        """Writes a record and gives what reading it would."""
        if self._data is None:
            text = markdown.dump(example)
            with (self.target / self._name(example)).open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            return markdown.parse(markdown.with_plain_line_breaks(text))
        record: dict[str, Any] = chatml.dump(example) if self.form == "chatml" else seed.dump(example)
        text = json.dumps(record, ensure_ascii=False)
        self._data.write(text + "\n" if self._lines else f"{'[' if self._first else ','}\n{text}")
        self._first = False
        return chatml.parse(record) if self.form == "chatml" else seed.parse(record)

    def finish(self) -> None:
        if self._data is not None and not self._lines:
            self._data.write("[]\n" if self._first else "\n]\n")

    def _name(self, example: Example) -> str:
        plain = unicodedata.normalize("NFKD", example.id).encode("ascii", "ignore").decode()
        stem = re.sub(r"[^\w.-]+", "-", plain)[:_MAX_STEM].strip("-.").lower()
        self._count += 1
        return f"{self._count:06d}-{stem or 'example'}.md"  # read in the order of names: as they were written


@contextmanager
def _new_place(target: Path, beside: Path, form: Format, *, with_sidecar: bool) -> Iterator[_Place]:
    """A place under another name, which gets its own when all is written; nothing stays when it isn't."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_name(f".{target.name}.part-{os.getpid()}")
    inside = form == "markdown"
    data_path, beside_path = (work, work / beside.name) if inside else (work / target.name, work / beside.name)
    work.mkdir()
    try:
        with _opened(None if inside else data_path) as data, _opened(beside_path if with_sidecar else None) as extra:
            if extra is not None:
                extra.write(sidecar.header() + "\n")
            lines = form == "chatml" or target.suffix.lower() in (".jsonl", ".ndjson")
            place = _Place(form, work, data, extra, lines=lines)
            yield place
            place.finish()
        if inside:
            work.rename(target)
        else:
            if with_sidecar:
                beside_path.rename(beside)
            data_path.rename(target)
    finally:
        with suppress(OSError):
            shutil.rmtree(work)


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    with path.open("x", encoding="utf-8", newline="\n") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _write_one(example: Example, place: _Place, found: Found, written: Written, first: dict[str, str]) -> None:
    why = markdown.why_not(example) if place.form == "markdown" else _why_no_chat(example, place.form)
    if why:
        written.refused += 1
        message = f"{example.id} wasn't written: {why}."
        hint = "Complete it, e.g. with bbj-trainer data label."
        found(_finding(example, "not-written", message, hint))
        return
    read_back = place.add(example).example(example.source)
    written.examples += 1
    lost = sidecar.differing(example, read_back)
    if place.beside is not None:
        key = place.ids.once(read_back.id if read_back else example.id)
        place.beside.write(sidecar.entry(key, lost) + "\n")
        return
    for name in _said(example, lost):
        written.dropped[name] += 1
        first.setdefault(name, example.id)


def _said(example: Example, lost: dict[str, Any]) -> Iterator[str]:
    """Names of the fields whose content is gone; what the format filled by itself, e.g. a title, isn't."""
    for name in lost:
        if name == "extra":
            yield from (f"extra.{key}" for key in example.extra)
        elif name != "form" and getattr(example, name) != getattr(_EMPTY, name):
            yield name


def _why_no_chat(example: Example, form: Format) -> str:
    return "it has no message" if form == "chatml" and not example.to_messages() else ""


def _finding(example: Example, code: str, message: str, hint: str) -> Finding:
    source = example.source
    return Finding(
        code=code,
        severity="error",
        message=message,
        hint=hint,
        file=source.file,
        line=source.line,
        example_id=example.id,
    )
