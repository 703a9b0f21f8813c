"""Which examples train, which are held out, and which do neither: a JSON document of ids beside the data.

``load_split``, ``Split.side`` and ``members`` are what evaluation and training use; ``trainer.data.splitting`` makes
the document.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import UserInputError
from trainer.data.example import Example
from trainer.data.saving import read_whole, save_new

if TYPE_CHECKING:
    from trainer.data.similarity import Shingles

NEWEST_FORMAT = 1

Side = Literal["train", "held-out", "left-out"]
Why = Literal["near-duplicate", "duplicate", "not-reviewed", "rejected"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def pack(shingles: Shingles) -> str:
    """Shingles as text: 32-bit numbers, the lowest byte first, in Base64."""
    return base64.b64encode(shingles.astype("<u4").tobytes()).decode("ascii")


def unpack(text: str) -> Shingles:
    """The reverse of ``pack``."""
    import numpy as np

    return np.frombuffer(base64.b64decode(text), dtype="<u4").astype(np.uint32)


def _packed(text: str) -> str:
    try:
        whole = len(base64.b64decode(text, validate=True)) % 4 == 0
    except binascii.Error:
        whole = False
    if not whole:
        raise ValueError("no shingles")
    return text


Packed = Annotated[str, AfterValidator(_packed)]


class HeldOut(_Data):
    """An example that no model may be trained on, now or later.

    Attributes:
        id: The example's.
        content_hash: Of its question and answer.
        content: Their shingles, packed: near-duplicates are found even when the example is in the data no more.
        prompt: The question's shingles, packed.
    """

    id: str
    content_hash: str
    content: Packed
    prompt: Packed


class LeftOut(_Data):
    """An example that is on neither side.

    Attributes:
        why: ``near-duplicate`` of a held-out one, ``duplicate`` of one, ``not-reviewed`` or ``rejected``.
        of: Id of the held-out example; empty where it is about a review.
    """

    id: str
    why: Why
    of: str = ""


class Split(_Data):
    """A split.

    Attributes:
        format: Version of the document's format.
        fingerprint: Of the dataset that was split, see ``fingerprint``.
        share: Part that was to be held out, 0 … 1.
        train: Ids.
        held_out: Held-out examples of this dataset.
        left_out: Examples on neither side.
        remembered: Examples that were held out of earlier datasets, or are in the gate set, and aren't in this one.
        earlier: Fingerprints of the datasets whose splits were taken into account.
    """

    format: int = NEWEST_FORMAT
    fingerprint: str
    share: float
    train: tuple[str, ...]
    held_out: tuple[HeldOut, ...]
    left_out: tuple[LeftOut, ...] = ()
    remembered: tuple[HeldOut, ...] = ()
    earlier: tuple[str, ...] = ()

    def side(self, example_id: str) -> Side | None:
        """Where an example belongs; None for one that wasn't in the dataset."""
        return self._sides.get(example_id)

    @cached_property
    def _sides(self) -> dict[str, Side]:
        sides: dict[str, Side] = dict.fromkeys(self.train, "train")
        sides |= dict.fromkeys((each.id for each in self.held_out), "held-out")
        sides |= dict.fromkeys((each.id for each in self.left_out), "left-out")
        return sides


class Fingerprint:
    """Digest of a dataset: of the ids and contents of its examples, in whatever order they come."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def add(self, example: Example) -> None:
        line = f"{example.id}\n{example.content_hash}".encode()
        self._lines.append(hashlib.sha256(line).digest())

    @property
    def hex(self) -> str:
        """SHA-256, in hexadecimal."""
        return hashlib.sha256(b"".join(sorted(self._lines))).hexdigest()


def load_split(path: Path) -> Split:
    """Reads a split.

    Raises:
        NotFoundError: It isn't there.
        FormatError: It is damaged, or newer than this program.
    """
    return parse_document(Split, read_whole(path, "split"), what="split", newest=NEWEST_FORMAT)


def save_split(path: Path, split: Split) -> None:
    """Writes a split, never over another one.

    Raises:
        UserInputError: The file is there already.
        StoreAccessError: It can't be written.
    """
    save_new(path, split.model_dump_json(indent=1) + "\n")


def members(examples: Iterable[Example], split: Split, side: Side) -> Iterator[Example]:
    """The examples of one side; checked at the end, when all were seen, against the split's fingerprint.

    Raises:
        UserInputError: These examples aren't those that were split.
    """
    seen = Fingerprint()
    for example in examples:
        seen.add(example)
        if split.side(example.id) == side:
            yield example
    if seen.hex != split.fingerprint:
        raise UserInputError(
            "These examples aren't those that were split: ids or contents differ.",
            hint="Name the same files and folders, or split anew with --previous.",
        )
