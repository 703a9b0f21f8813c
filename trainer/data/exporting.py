"""One side of a split as a dataset: the only way into a training set, so the gate stands here, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainer.data.example import Example
from trainer.data.files import Found
from trainer.data.finding import Finding
from trainer.data.mixing import mixed
from trainer.data.review import why_not_trained
from trainer.data.sidecar import Ids
from trainer.data.split import Side, Split, members


@dataclass(frozen=True, slots=True)
class Exported:
    """A dataset.

    Attributes:
        examples: With unique ids, in the order that the seed decides.
        counts: How many of where: ``bbj``, and the names of general data.
        refused: How many the gate stopped because of a review since the split.
    """

    examples: tuple[Example, ...]
    counts: dict[str, int]
    refused: int


def export(
    examples: Iterable[Example],
    split: Split,
    side: Side,
    general: Sequence[tuple[str, Sequence[Example], float]],
    seed: int,
    found: Found,
) -> Exported:
    """Takes one side, stops what isn't reviewed, and mixes general examples in.

    Args:
        examples: The data that were split, with reviews laid over them.
        general: Name, examples and share of the whole, 0 … 1.
        seed: Decides what is taken of them and the order.
        found: Told which examples the gate stopped.

    Raises:
        UserInputError: These aren't the data that were split, or the shares can't be had.
    """
    own: list[Example] = []
    refused = 0
    for each in members(examples, split, side):
        if why := why_not_trained(each):
            refused += 1
            found(_stopped(each, why))
        else:
            own.append(each)
    ids = Ids()
    counts: dict[str, int] = {}
    taken: list[Example] = []
    for name, each in mixed(own, general, seed):
        counts[name or "bbj"] = counts.get(name or "bbj", 0) + 1
        taken.append(each.model_copy(update={"id": ids.once(each.id)}))
    return Exported(tuple(taken), counts, refused)


def _stopped(example: Example, why: str) -> Finding:
    return Finding(
        code=why,
        severity="warning",
        message=f"{example.id} isn't used: {why.replace('-', ' ')}, since the split was made.",
        hint="Split anew, with --previous.",
        file=example.source.file,
        line=example.source.line,
        example_id=example.id,
    )
