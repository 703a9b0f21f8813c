"""Mixes general texts among our own by ratio, exact to one document, in an order that the seed decides."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from bbj_desktop.core.errors import UserInputError

Item = TypeVar("Item")


def mixed(
    own: Sequence[Item], others: Sequence[tuple[str, Sequence[Item], float]], seed: int
) -> list[tuple[str, Item]]:
    """Takes all of our own and as much of each of the others as its share says.

    Args:
        own: All of them are taken.
        others: Name, what there is, and its share of the whole, 0 … 1.
        seed: Decides what is taken and in which order all stand.

    Returns:
        Name (empty for our own) and item.

    Raises:
        UserInputError: The shares leave nothing for our own, or there is too little of something.
    """
    total_share = sum(share for _, _, share in others)
    if any(share <= 0 for _, _, share in others) or total_share >= 1:
        raise UserInputError("The shares must be above 0 and leave something for BBj.", hint="Take e.g. 0.1.")
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    total = len(own) / (1 - total_share)
    found = [("", item) for item in own]
    for name, items, share in others:
        wanted = round(total * share)
        if wanted > len(items):
            raise UserInputError(
                f"{name} has {len(items):,} documents; a share of {share:g} takes {wanted:,}.",
                hint="Name more data, or a smaller share.",
            )
        found.extend((name, item) for item in chance.sample(list(items), wanted))
    chance.shuffle(found)
    return found
