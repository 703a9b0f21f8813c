"""Repairs what is safe to repair, into a new version of the data. ``repair_data`` is the door.

A version is a folder: a file (for Markdown a folder) for each format, with sidecars; ``dataset-version.json`` says
where it comes from, ``dataset-changes.jsonl`` holds what was changed, one example a line. The source stays as it is.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import BaseModel

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, NotFoundError, StoreAccessError, UserInputError
from bbj_desktop.core.fences import fenced, fences
from trainer.data.checks import answers, texts
from trainer.data.checks.examined import digest
from trainer.data.example import Example, Format
from trainer.data.files import VERSION_CHANGES, VERSION_FILE, Found, said_by_system
from trainer.data.finding import Finding
from trainer.data.labels import labelled
from trainer.data.reading import read_examples
from trainer.data.split import Fingerprint
from trainer.data.writing import write_examples

FORMAT = 1
KIND: Literal["bbj-training-version"] = "bbj-training-version"
_PLACES: dict[Format, str] = {"json": "examples.jsonl", "chatml": "chats.jsonl", "markdown": "markdown"}
_BY_WRITING = frozenset({"byte-order-mark", "wrong-encoding", "old-spelling"})
"""What reading reports and writing puts right."""
_IN_MARKDOWN = "crlf"
_SHOWN = 5


class Version(BaseModel):
    """Where a version of the data comes from.

    Attributes:
        format: Version of this file's format.
        kind: What this file is.
        fingerprint: Of the dataset, as splits have it: ids and contents.
        parent: Fingerprint of what it was made of.
        examples: How many it has.
        changes: How many of each kind were made to the parent.
    """

    format: int = FORMAT
    kind: Literal["bbj-training-version"] = KIND
    fingerprint: str
    parent: str
    examples: int
    changes: dict[str, int]


class Change(BaseModel):
    """What was done to one example.

    Attributes:
        id: The example's.
        file: Where it is in the source.
        line: Line there.
        kinds: What was repaired.
        before: Texts that were changed, by their names; empty for an example that was dropped.
        after: The same texts now.
    """

    id: str
    file: str
    line: int
    kinds: list[str]
    before: dict[str, str] = {}
    after: dict[str, str] = {}


@dataclass
class Repaired:
    """What was done.

    Attributes:
        written: Whether there is a new version; none where nothing had to be repaired.
        version: The new version, or what there would be.
        shown: The first changes.
    """

    written: bool
    version: Version
    shown: list[Change] = field(default_factory=list)


def repair_data(
    paths: Iterable[Path], target: Path, found: Found, *, labels: Path | None = None, drop_system_prompt: bool = False
) -> Repaired:
    """Writes a repaired version, unless there is nothing to repair.

    Args:
        paths: Files and folders.
        target: A folder that isn't there yet, or is empty.
        found: Told what can't be read, and so isn't in the new version.
        labels: A labels file; what it says becomes part of the new version.
        drop_system_prompt: Take the system prompt out of what is trained; it stays among the data about the example.

    Raises:
        UserInputError: The folder isn't empty.
        NotFoundError: A path isn't there.
        FormatError: The labels can't be read, or what a version of data says about itself; TooNewError included.
        StoreAccessError: It can't be written.
    """
    _check_empty(target)
    sources = list(paths)
    for path in sources:
        if (path / VERSION_FILE).is_file():
            read_version(path)  # what a newer program wrote, an older one would rewrite without what it doesn't know
    with _work_folder(target) as work, _changes_file(work) as changes:
        first = _Pass(found, drop_system_prompt=drop_system_prompt, changes=changes)
        for _ in first.over(sources, labels):
            pass
        repaired = Repaired(bool(first.counts), first.version(), first.shown)
        if repaired.written:
            for form in sorted(first.formats):
                again = _Pass(_tell_nobody, drop_system_prompt=drop_system_prompt)
                stream = (each for each in again.over(sources, labels) if each.source.format == form)
                write_examples(stream, work / _PLACES[form], form, found)
            text = repaired.version.model_dump_json(indent=1) + "\n"
            (work / VERSION_FILE).write_text(text, encoding="utf-8", newline="\n")
            changes.close()
            _move(work, target)
    return repaired


def read_version(folder: Path) -> Version:
    """What a folder says about itself.

    Raises:
        NotFoundError: It is no version of data.
        FormatError: It can't be read, or is newer than this program.
    """
    path = folder / VERSION_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no {path}.", hint="bbj-trainer data fix writes versions.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} can't be read: {error}.") from error
    return parse_document(Version, text, what="version of data", newest=FORMAT)


class _Pass:
    """One reading of the source with all repairs.

    Attributes:
        counts: Repairs by their kinds.
        formats: Formats that were met.
        shown: The first changes.
    """

    def __init__(self, found: Found, *, drop_system_prompt: bool, changes: TextIO | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.formats: set[Format] = set()
        self.shown: list[Change] = []
        self._found = found
        self._drop_system_prompt = drop_system_prompt
        self._changes = changes
        self._seen: set[bytes] = set()
        self._examples = 0
        self._before, self._after = Fingerprint(), Fingerprint()

    def over(self, paths: list[Path], labels: Path | None) -> Iterator[Example]:
        """The examples of the new version."""
        for example in labelled(read_examples(paths, self._read), labels, self._found):
            self._before.add(example)
            after, kinds = repaired(example, drop_system_prompt=self._drop_system_prompt)
            key = digest(after.to_messages())
            dropped = key in self._seen
            self._seen.add(key)
            if dropped:
                self._note(Change(**_place(example), kinds=["repeated-prompt"]))
                continue
            if kinds:
                self._note(_difference(example, after, kinds))
            self.formats.add(after.source.format)
            self._after.add(after)
            self._examples += 1
            yield after

    def version(self) -> Version:
        counts = dict(sorted(self.counts.items()))
        return Version(fingerprint=self._after.hex, parent=self._before.hex, examples=self._examples, changes=counts)

    def _read(self, finding: Finding) -> None:
        if finding.code in _BY_WRITING or (finding.code == _IN_MARKDOWN and finding.severity == "info"):
            self.counts[finding.code] += 1
        else:
            self._found(finding)

    def _note(self, change: Change) -> None:
        self.counts.update(change.kinds)
        if len(self.shown) < _SHOWN:
            self.shown.append(change)
        if self._changes is not None:
            self._changes.write(change.model_dump_json() + "\n")


def repaired(example: Example, *, drop_system_prompt: bool = False) -> tuple[Example, list[str]]:
    """An example with all that is safe repaired, and what that was. Repairing twice changes nothing more."""
    kinds: list[str] = []
    for kind, mend in (
        ("literal-backslash-n", texts.with_line_breaks),
        ("crlf", texts.with_plain_ends),
        ("control-characters", texts.without_controls),
    ):
        mended = texts.mended(example, mend)
        if mended is not example:
            example = mended
            kinds.append(kind)
    if answers.is_raw_code(example):
        example = example.changed(output=fenced(example.output.strip("\n")))
        kinds.append("raw-code")
    elif example.form == "chat" and (closed := _with_closed_fence(example.output)) != example.output:
        example = example.changed(output=closed)
        kinds.append("unclosed-fence")
    if drop_system_prompt and example.system:
        example = example.changed(system="", extra={**example.extra, "system_prompt": example.system})
        kinds.append("system-prompt")
    return example, kinds


def _with_closed_fence(text: str) -> str:
    blocks = list(fences(text))
    if not blocks or blocks[-1].closed:
        return text
    opening = text.split("\n")[blocks[-1].line - 1].strip()
    fence = opening[: len(opening) - len(opening.lstrip(opening[0]))]
    return f"{text.rstrip()}\n{fence}"


def _difference(before: Example, after: Example, kinds: list[str]) -> Change:
    old, new = dict(texts.texts_of(before)), dict(texts.texts_of(after))
    names = [name for name in old | new if old.get(name) != new.get(name)]
    return Change(
        **_place(before),
        kinds=kinds,
        before={name: old.get(name, "") for name in names},
        after={name: new.get(name, "") for name in names},
    )


def _place(example: Example) -> dict[str, Any]:
    return {"id": example.id, "file": example.source.file, "line": example.source.line}


def _tell_nobody(finding: Finding) -> None:
    """The first pass told it."""


def _check_empty(target: Path) -> None:
    try:
        if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
            raise UserInputError(f"{target} isn't empty.", hint="Name a new folder: nothing is overwritten.")
    except OSError as error:
        raise StoreAccessError(f"{target} can't be read: {said_by_system(error)}.") from error


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    work = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        work.mkdir(parents=True)
        yield work
    except OSError as error:
        hint = "Nothing was written. Check the folder and its free space."
        raise StoreAccessError(f"{target} can't be written: {said_by_system(error)}.", hint=hint) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(work)


@contextmanager
def _changes_file(work: Path) -> Iterator[TextIO]:
    with (work / VERSION_CHANGES).open("x", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps({"format": FORMAT, "kind": "bbj-training-changes"}) + "\n")
        yield file


def _move(work: Path, target: Path) -> None:
    if target.exists():
        target.rmdir()  # it was empty
    work.rename(target)
