"""Several changes as one: written down first, then done, then crossed out.

The journal is a redo log of one entry. Once it is on disk the operation counts as done: whoever opens the store next
carries out what is left, and readers who come in between see the store as it will be. Before that it never happened.
Steps can be repeated any number of times. A sequence number tells a reader whether something changed while it read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, StoreAccessError, TooNewError
from bbj_desktop.services.store.disk import Disk

JOURNAL_FORMAT = 1
_MAX_BYTES = 64 * 1024 * 1024  # a few manifests with their licence texts are far below

Place = Annotated[str, StringConstraints(pattern=r"^(versions|blobs)/[A-Za-z0-9][A-Za-z0-9._+-]{0,250}$")]
"""A file of the store, relative to its root."""


class Write(BaseModel):
    """A file gets this content."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["write"] = "write"
    place: Place
    content: str


class Unlink(BaseModel):
    """A file goes."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["unlink"] = "unlink"
    place: Place


class Entry(BaseModel):
    """What the journal says.

    Attributes:
        sequence: Grows by one with every operation.
        operation: Its name, for people.
        steps: What is left to do, in order; empty when all is done.
    """

    model_config = ConfigDict(frozen=True)

    format: int = JOURNAL_FORMAT
    sequence: Annotated[int, Field(ge=0)] = 0
    operation: str = ""
    steps: tuple[Annotated[Write | Unlink, Field(discriminator="kind")], ...] = ()


def parse_entry(text: str | bytes) -> Entry:
    """Reads a journal. Raises TooNewError or FormatError."""
    return parse_document(Entry, text, what="store journal", newest=JOURNAL_FORMAT)


class Journal:
    """The journal of the store at ``root``."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.path = root / "journal.json"
        self._root = root
        self._disk = disk

    def read(self) -> Entry:
        """What it says; an empty entry when there is none.

        Raises:
            FormatError: It is damaged.
            TooNewError: A newer program wrote it.
            StoreAccessError: It can't be read.
        """
        try:
            with self.path.open("rb") as file:
                text = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return Entry()
        except OSError as error:
            raise StoreAccessError(f"{self.path} can't be read: {error.strerror}.") from error
        if len(text) > _MAX_BYTES:
            raise FormatError(f"{self.path} is too long for a store journal.")
        return parse_entry(text)

    def perform(self, operation: str, steps: tuple[Write | Unlink, ...]) -> None:
        """Does all steps or none. Only with the store's lock."""
        entry = Entry(sequence=self._last_sequence() + 1, operation=operation, steps=steps)
        self._write(entry)
        self._carry_out(entry)

    def recover(self) -> None:
        """Carries out what an interrupted operation left. Only with the store's lock."""
        entry = self._read_or_empty()
        if entry.steps:
            self._carry_out(entry)

    def _carry_out(self, entry: Entry) -> None:
        for step in entry.steps:
            path = self._root / step.place
            if isinstance(step, Write):
                self._disk.write_atomic(path, step.content.encode())
            else:
                self._unlink(path)
        self._write(entry.model_copy(update={"steps": ()}))

    def _unlink(self, path: Path) -> None:
        try:
            self._disk.unlink(path)
        except StoreAccessError:
            if path.parent.name != "blobs" or path.suffix == ".json":
                raise
            # Windows keeps a model's file that an engine has open: it stays as a leftover
        self._disk.fsync_folder(path.parent)

    def _write(self, entry: Entry) -> None:
        self._disk.write_atomic(self.path, entry.model_dump_json().encode())

    def _last_sequence(self) -> int:
        return self._read_or_empty().sequence

    def _read_or_empty(self) -> Entry:
        """A damaged journal is given up: every record is whole in itself, and ``Store.problems`` tells of it."""
        try:
            return self.read()
        except TooNewError:
            raise
        except FormatError:
            return Entry()
