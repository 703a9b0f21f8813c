"""Who looked at an example and what they decided, and the gate that rests on it.

Decisions are kept beside the data, in ``reviews.sidecar.jsonl`` of a folder, and hold for all examples in and below it:
no command that reads the folder can forget them. First line ``{"format": 1, "kind": "bbj-training-reviews"}``, then one
decision a line; the last one about an example counts. Nothing is ever removed from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bbj_desktop.core.documents import explain
from bbj_desktop.core.errors import FormatError, UserInputError
from trainer.data.example import Example, Origin
from trainer.data.files import Found
from trainer.data.finding import Finding
from trainer.data.logbook import Logbook

KIND = "bbj-training-reviews"
FORMAT = 1
FILE_NAME = "reviews.sidecar.jsonl"
State = Literal["new", "accepted", "rejected"]


class Decision(BaseModel):
    """One line of the file.

    Attributes:
        id: The example's.
        content_hash: Of what was looked at; where it differs, the decision doesn't hold.
        origin: Where the example comes from.
        state: ``new``: in the queue; nobody has looked at it.
        by: Who decided.
        at: When, in UTC.
        note: Why, for the next person.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    content_hash: str
    origin: Origin
    state: State
    by: str = ""
    at: datetime
    note: str = ""


class Reviews:
    """The decisions of one folder."""

    def __init__(self, folder: Path) -> None:
        """Reads them; a folder without any is fine.

        Raises:
            FormatError: The file is damaged, or newer than this program.
        """
        self._log = Logbook(folder / FILE_NAME, KIND, FORMAT, "reviews of training data")
        self.history = [self._decision(number, record) for number, record in self._log.read()]
        self._by_hash = {each.content_hash: each for each in self.history}
        self._by_id = {each.id: each for each in self.history}

    def of(self, example: Example) -> Decision | None:
        """What was decided last about this content, under whatever id."""
        return self._by_hash.get(example.content_hash)

    def outdated(self, example: Example) -> bool:
        """Whether there is a decision about its id, and about another content only."""
        return self.of(example) is None and example.id in self._by_id

    def add(self, decisions: Sequence[Decision]) -> None:
        """Writes decisions down.

        Raises:
            StoreAccessError: The file can't be written.
            StoreBusyError: Another process has been writing for too long.
        """
        self._log.append(each.model_dump(mode="json") for each in decisions)
        self.history.extend(decisions)
        self._by_hash |= {each.content_hash: each for each in decisions}
        self._by_id |= {each.id: each for each in decisions}

    def _decision(self, number: int, record: dict[str, object]) -> Decision:
        try:
            return Decision.model_validate(record)
        except ValidationError as error:
            raise FormatError(f"{self._log.path}:{number}: not a decision: {explain(error)}.") from error


def why_not_trained(example: Example) -> Literal["", "not-reviewed", "rejected"]:
    """The gate to every training set: why an example may not pass; empty when it may.

    What people wrote as training data passes unless it was rejected; what a model wrote, or what was reported from the
    field, only when a reviewer accepted it.
    """
    if example.review == "rejected":
        return "rejected"
    return "not-reviewed" if example.origin != "curated" and example.review != "accepted" else ""


def reviewed(examples: Iterable[Example], paths: Iterable[Path], found: Found) -> Iterator[Example]:
    """Lays decisions over examples.

    Args:
        examples: As they were read from the paths.
        paths: The files and folders that were named; decisions are looked for in them and in the folders below.
        found: Told about decisions that don't hold any more because the example was changed since.

    Raises:
        FormatError: Decisions are damaged.
    """
    roots = {path if path.is_dir() else path.parent for path in paths}
    known: dict[Path, Reviews] = {}
    for example in examples:
        books = [_book(folder, known) for folder in _folders(example, roots)]
        decision = next((decided for book in books if (decided := book.of(example))), None)
        if decision is None and any(book.outdated(example) for book in books):
            found(_outdated(example))
        if decision is None:
            yield example
        else:
            state = "unreviewed" if decision.state == "new" else decision.state
            origin = decision.origin if example.origin == "curated" else example.origin  # no format forgets it for good
            yield example.model_copy(update={"review": state, "origin": origin})


def decide(
    folder: Path, examples: Sequence[Example], state: State, *, by: str, at: datetime, note: str = ""
) -> list[Decision]:
    """Writes a reviewer's decision about examples down.

    Args:
        folder: Whose file it goes into.
        by: The reviewer.
        at: Now, in UTC.

    Raises:
        UserInputError: Nobody decides.
        StoreAccessError: It can't be written.
    """
    if state != "new" and not by.strip():
        raise UserInputError("A decision needs somebody who made it.", hint="Name them with --by.")
    decisions = [
        Decision(
            id=each.id, content_hash=each.content_hash, origin=each.origin, state=state, by=by.strip(), at=at, note=note
        )
        for each in examples
    ]
    Reviews(folder).add(decisions)
    return decisions


def _book(folder: Path, known: dict[Path, Reviews]) -> Reviews:
    if folder not in known:
        known[folder] = Reviews(folder)
    return known[folder]


def _folders(example: Example, roots: set[Path]) -> list[Path]:
    """From the example's own folder up to the one that was named."""
    own = Path(example.source.file).parent
    chain = [own, *own.parents]
    places = [number for number, folder in enumerate(chain) if folder in roots]
    return chain[: places[-1] + 1] if places else [own]


def _outdated(example: Example) -> Finding:
    return Finding(
        code="stale-review",
        severity="warning",
        message="It was changed since it was reviewed; that review doesn't hold.",
        hint="Review it again.",
        file=example.source.file,
        line=example.source.line,
        example_id=example.id,
    )
