"""The review queue: a folder of examples that wait for somebody to look at them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trainer.data.example import Example, Origin
from trainer.data.files import Found
from trainer.data.reading import read_examples
from trainer.data.review import decide
from trainer.data.writing import write_examples


@dataclass(frozen=True, slots=True)
class Queued:
    """What came into a queue.

    Attributes:
        added: Examples that are new there.
        known: How many were there already.
    """

    added: tuple[Example, ...]
    known: int


def add_to_queue(
    folder: Path, examples: Iterable[Example], origin: Origin, found: Found, *, by: str, at: datetime
) -> Queued:
    """Puts examples into a queue as new. What is there already stays as it is: adding twice adds once.

    Args:
        folder: The queue; made when it isn't there.
        origin: Where all of them come from.
        by: Who puts them there.
        at: Now, in UTC.

    Raises:
        StoreAccessError: The folder can't be written.
    """
    there = read_examples([folder], found) if folder.is_dir() and any(folder.iterdir()) else ()
    hashes = {each.content_hash for each in there}
    added: dict[str, Example] = {}
    known = 0
    for example in examples:
        digest = example.content_hash
        known += digest in hashes or digest in added
        if digest not in hashes:
            added.setdefault(digest, example.changed(origin=origin, review="unreviewed"))
    if added:
        name = hashlib.sha256("".join(sorted(added)).encode("ascii")).hexdigest()[:12]
        write_examples(added.values(), folder / f"{origin}-{name}.jsonl", "json", found)
        decide(folder, list(added.values()), "new", by=by, at=at)
    return Queued(tuple(added.values()), known)
