"""Decides which examples are held out.

In this order: what was held out once stays held out, and so does the gate set; what resembles a held-out example leaves
training; only then comes the share, filled up cell by cell (type by generation by difficulty) in the order of content
hashes. The order and the number of copies of examples change nothing.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbj_desktop.core.errors import UserInputError
from trainer.data.example import Example
from trainer.data.review import why_not_trained
from trainer.data.similarity import SimilarityIndex, content_text, prompt_text, shingles
from trainer.data.split import Fingerprint, HeldOut, LeftOut, Split, pack, unpack

if TYPE_CHECKING:
    from trainer.data.similarity import Shingles

SHARE = 0.1
Cell = tuple[str, str, str]


@dataclass(slots=True)
class _Content:
    """Examples with the same question and answer, which count as one."""

    hash: str
    content: Shingles
    prompt: Shingles
    ids: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)

    def kept(self, first: str) -> HeldOut:
        return HeldOut(id=first, content_hash=self.hash, content=pack(self.content), prompt=pack(self.prompt))


def make_split(
    examples: Iterable[Example], *, share: float = SHARE, previous: Sequence[Split] = (), gate: Iterable[Example] = ()
) -> Split:
    """Splits a dataset.

    Args:
        examples: May be a stream; what is kept of one is some bytes a word.
        share: Part of the different examples that is held out, 0 … 1. More are when more had been, or when the
            share of each cell can't be met otherwise.
        previous: Splits of earlier datasets.
        gate: The gate set: held out whatever happens.

    Raises:
        UserInputError: The share isn't one, or there are no examples.
    """
    if not 0 < share < 1:
        raise UserInputError(f"{share:g} is no share.", hint="Take one between 0 and 1, e.g. 0.1.")
    contents, left_out, fingerprint = _read(examples)
    if not contents and not left_out:
        raise UserInputError("There are no examples to split.", hint="bbj-trainer data show PATH says what is there.")
    past = _past(previous, gate)
    held = _held_before(contents, past)
    groups = _groups([*contents.values(), *_vanished(contents, past)])
    touched = _touched(groups, {*held, *(each.content_hash for each in past)})
    held |= _chosen(contents, groups, held, touched, share)
    touched = _touched(groups, {*held, *(each.content_hash for each in past)})
    kept: list[HeldOut] = []
    train: list[str] = []
    names = {each.content_hash: each.id for each in past} | {each: min(contents[each].ids) for each in held}
    for digest, content in contents.items():
        first, *copies = sorted(content.ids)
        if digest in held:
            kept.append(content.kept(first))
            left_out.extend(LeftOut(id=copy, why="duplicate", of=first) for copy in copies)
        elif groups[digest] in touched:
            of = names[touched[groups[digest]]]
            left_out.extend(LeftOut(id=each, why="near-duplicate", of=of) for each in content.ids)
        else:
            train.extend(content.ids)
    return Split(
        fingerprint=fingerprint,
        share=share,
        train=tuple(sorted(train)),
        held_out=tuple(sorted(kept, key=lambda each: each.id)),
        left_out=tuple(sorted(left_out, key=lambda each: each.id)),
        remembered=tuple(sorted((each for each in past if each.content_hash not in held), key=lambda each: each.id)),
        earlier=tuple(sorted({digest for each in previous for digest in (each.fingerprint, *each.earlier)})),
    )


def _read(examples: Iterable[Example]) -> tuple[dict[str, _Content], list[LeftOut], str]:
    contents: dict[str, _Content] = {}
    left_out: list[LeftOut] = []
    fingerprint = Fingerprint()
    for example in examples:
        fingerprint.add(example)
        if why := why_not_trained(example):
            left_out.append(LeftOut(id=example.id, why=why))
            continue
        digest = example.content_hash
        if digest not in contents:
            contents[digest] = _Content(digest, shingles(content_text(example)), shingles(prompt_text(example)))
        contents[digest].ids.append(example.id)
        contents[digest].cells.append(example.cell)
    return contents, left_out, fingerprint.hex


def _past(previous: Sequence[Split], gate: Iterable[Example]) -> list[HeldOut]:
    """What must never be trained on, each content once."""
    found = {each.content_hash: each for split in previous for each in (*split.held_out, *split.remembered)}
    for example in gate:
        found[example.content_hash] = as_held_out(example)
    return list(found.values())


def as_held_out(example: Example) -> HeldOut:
    """What a split remembers of an example."""
    return HeldOut(
        id=example.id,
        content_hash=example.content_hash,
        content=pack(shingles(content_text(example))),
        prompt=pack(shingles(prompt_text(example))),
    )


def _held_before(contents: dict[str, _Content], past: Iterable[HeldOut]) -> set[str]:
    """Contents that were held out, or are what became of a held-out example: it has its id."""
    hashes = {each.content_hash for each in past}
    ids = {each.id for each in past}
    return {digest for digest, each in contents.items() if digest in hashes or ids.intersection(each.ids)}


def _vanished(contents: dict[str, _Content], past: Iterable[HeldOut]) -> list[_Content]:
    return [
        _Content(each.content_hash, unpack(each.content), unpack(each.prompt))
        for each in past
        if each.content_hash not in contents
    ]


def _groups(contents: Sequence[_Content]) -> dict[str, str]:
    """Near-duplicates by whole content or by question belong together: the least hash of the group, by hash."""
    whole, asked = SimilarityIndex(), SimilarityIndex()
    for each in contents:
        whole.add(each.hash, each.content)
        if len(each.prompt):  # no question resembles no question
            asked.add(each.hash, each.prompt)
    group = {each.hash: {each.hash} for each in contents}
    for cluster in (*whole.clusters(), *asked.clusters()):
        joined: set[str] = set().union(*(group[digest] for digest in cluster.ids))
        for digest in joined:
            group[digest] = joined
    return {digest: min(members) for digest, members in group.items()}


def _touched(groups: dict[str, str], held: Iterable[str]) -> dict[str, str]:
    """Groups with a held-out member, each with the least hash of one."""
    touched: dict[str, str] = {}
    for digest in sorted(held, reverse=True):
        touched[groups[digest]] = digest
    return touched


def _chosen(
    contents: dict[str, _Content], groups: dict[str, str], held: set[str], touched: dict[str, str], share: float
) -> set[str]:
    """Fills each cell's quota. Examples that resemble no other one come first: another one's group leaves training
    with it."""
    sizes: dict[str, int] = defaultdict(int)
    for digest in contents:
        sizes[groups[digest]] += 1
    cells: dict[Cell, list[str]] = defaultdict(list)
    for digest, each in contents.items():
        cells[min(each.cells)].append(digest)
    quotas = _quotas({cell: len(found) for cell, found in cells.items()}, share)
    chosen: set[str] = set()
    taken = set(touched)
    for cell in sorted(cells):
        missing = quotas[cell] - len(held.intersection(cells[cell]))
        for digest in sorted(cells[cell], key=lambda each: (sizes[groups[each]] > 1, each)):
            if missing <= 0:
                break
            if groups[digest] not in taken:
                taken.add(groups[digest])
                chosen.add(digest)
                missing -= 1
    return chosen


def _quotas(sizes: dict[Cell, int], share: float) -> dict[Cell, int]:
    """The share of each cell in whole examples, their sum as near to the share of all as it can be (the method of
    largest remainders)."""
    exact = {cell: size * share for cell, size in sizes.items()}
    quotas = {cell: int(value) for cell, value in exact.items()}
    missing = round(sum(exact.values())) - sum(quotas.values())
    for cell in sorted(exact, key=lambda each: (quotas[each] - exact[each], _drawn(each)))[:missing]:
        quotas[cell] += 1
    return quotas


def _drawn(cell: Cell) -> str:
    """Decides between cells with equal claims, in an order that favours no type and no generation."""
    return hashlib.sha256("\n".join(cell).encode()).hexdigest()
