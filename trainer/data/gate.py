"""The gate set: some held-out examples, drawn once and frozen, by which every release is judged."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, UserInputError
from trainer.data.example import Example
from trainer.data.saving import read_whole, save_new

NEWEST_FORMAT = 1
KIND: Literal["bbj-gate-set"] = "bbj-gate-set"
CASES = 150


class GateSet(BaseModel):
    """A frozen gate set. It holds its cases whole, so that it stays the same whatever becomes of the data.

    Attributes:
        format: Version of the document's format.
        kind: Says what the document is.
        digest: SHA-256 of the cases, in hexadecimal.
        drawn_from: Fingerprint of the dataset.
        cases: The examples.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = NEWEST_FORMAT
    kind: Literal["bbj-gate-set"] = KIND
    digest: str
    drawn_from: str
    cases: tuple[Example, ...]


def draw_gate(held_out: Iterable[Example], drawn_from: str, *, cases: int = CASES) -> GateSet:
    """Draws cases round by round, in each round the one of every cell whose content hash comes next.

    Args:
        held_out: The held-out side of a split.
        drawn_from: The split's fingerprint.
        cases: How many; fewer are drawn when there are fewer.

    Raises:
        UserInputError: There are none.
    """
    cells: dict[tuple[str, str, str], list[Example]] = defaultdict(list)
    for example in held_out:
        cells[example.cell].append(example)
    if not cells:
        raise UserInputError("Nothing is held out, so no gate set can be drawn.", hint="Split more examples.")
    queues = [sorted(cells[cell], key=lambda each: each.content_hash) for cell in sorted(cells)]
    turns = max(len(queue) for queue in queues)
    rounds = [[queue[turn] for queue in queues if turn < len(queue)] for turn in range(turns)]
    # by their hashes: the last round is cut short, and must not favour the cells whose names come first
    drawn = [each for found in rounds for each in sorted(found, key=lambda each: each.content_hash)][:cases]
    return GateSet(digest=_digest(drawn), drawn_from=drawn_from, cases=tuple(drawn))


def save_gate(path: Path, gate: GateSet) -> None:
    """Freezes a gate set.

    Raises:
        UserInputError: There is a file already; a gate set is drawn once.
        StoreAccessError: It can't be written.
    """
    save_new(path, gate.model_dump_json(indent=1) + "\n")


def load_gate(path: Path) -> GateSet:
    """Reads a gate set and checks that nobody changed it.

    Raises:
        NotFoundError: It isn't there.
        FormatError: It is damaged, changed since it was frozen, or newer than this program.
    """
    gate = parse_document(GateSet, read_whole(path, "gate set"), what="gate set", newest=NEWEST_FORMAT)
    if _digest(gate.cases) != gate.digest:
        hint = "Take the file as it was drawn: figures of different gate sets can't be compared."
        raise FormatError(f"The gate set {path} was changed since it was frozen.", hint=hint)
    return gate


def _digest(cases: Sequence[Example]) -> str:
    """Of what the file says of the cases; fields that a later format adds with their defaults don't count."""
    said = [each.model_dump(mode="json", exclude_defaults=True) for each in cases]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode("ascii")).hexdigest()
