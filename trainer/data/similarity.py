"""Near-duplicates: how much of two texts is the same, and which examples of many belong together.

The measure is the Jaccard similarity of sets of shingles: runs of three words or signs, in lower case, blanks and line
breaks ignored. Candidates come from MinHash signatures (Broder 1997, "On the resemblance and containment of
documents") that share a band (locality-sensitive hashing: Leskovec, Rajaraman and Ullman, *Mining of Massive
Datasets*, chapter 3.4); each candidate is then measured exactly.

Signatures are datasketch's. Its index isn't used: a table for each band, all held at once, takes 400 MB for 50,000
examples; here one band after the other is sorted.
"""

from __future__ import annotations

import functools
import hashlib
import re
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbj_desktop.core.errors import UserInputError
from trainer.data.example import Example

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Shingles = NDArray[np.uint32]

THRESHOLD = 0.8
"""Jaccard similarity from which on two examples count as near-duplicates."""

_WIDTH = 3  # words or signs of a shingle
_BANDS, _ROWS = 25, 5  # at 0.8 a pair is missed once in 20,000 times: (1 - 0.8^5)^25
_DOUBTFUL = 0.15  # below the threshold: an estimate from 125 rows is off by so much once in a hundred thousand times
_WORD = re.compile(r"\w+|[^\w\s]")
_WORDS_KEPT = 200_000
_ODD = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio: spreads what follows each other (Knuth 6.4)
_PAIRS_AT_ONCE = 50_000


def content_text(example: Example) -> str:
    """What two examples are compared by: everything but the system prompt."""
    return "\n".join(each.content for each in example.to_messages() if each.role != "system")


def prompt_text(example: Example) -> str:
    """What is asked, without the answer."""
    return "\n".join(each.content for each in example.to_messages() if each.role not in ("system", "assistant"))


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of two texts, 0 … 1; two empty ones are the same."""
    return jaccard(shingles(one), shingles(other))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two near-duplicates.

    Attributes:
        one: Id of the example that was read first.
        other: Id of the other one.
        similarity: Exact Jaccard similarity.
    """

    one: str
    other: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """Examples that belong together: each is a near-duplicate of another one of them, not of all.

    Attributes:
        ids: In the order in which they were read; at least two.
        pairs: As many as it takes to link them all.
    """

    ids: tuple[str, ...]
    pairs: tuple[Pair, ...]


def clusters(
    examples: Iterable[Example], threshold: float = THRESHOLD, *, text: Callable[[Example], str] = content_text
) -> list[Cluster]:
    """Groups near-duplicates.

    Args:
        examples: May be a stream; what is kept of one is 4 bytes a word and 0.5 KB.
        threshold: Least Jaccard similarity, 0 … 1.
        text: What is compared.

    Returns:
        Clusters in the order of their first members. Examples that resemble no other one are in none.

    Raises:
        UserInputError: The extra ``data`` isn't installed, or the threshold is no similarity.
    """
    index = SimilarityIndex()
    for example in examples:
        index.add(example.id, shingles(text(example)))
    return index.clusters(threshold)


class SimilarityIndex:
    """Collects texts by key and groups those that are alike."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._shingles: list[Shingles] = []
        self._signatures: list[Shingles] = []

    def add(self, key: str, text: Shingles, signed: Shingles | None = None) -> None:
        """Takes one text.

        Args:
            key: Its name in the result.
            text: Its shingles.
            signed: Its signature, if it was made already.
        """
        self._keys.append(key)
        self._shingles.append(text)
        self._signatures.append(signature(text) if signed is None else signed)

    def clusters(self, threshold: float = THRESHOLD) -> list[Cluster]:
        """Groups what was added so far.

        Raises:
            UserInputError: The threshold is no similarity.
        """
        if not 0 < threshold <= 1:
            raise UserInputError(f"{threshold} is no similarity.", hint="Take one above 0, up to 1, e.g. 0.8.")
        groups = _Groups(len(self._keys))
        links = [(one, other, 1.0) for one, other in self._same()]
        for one, other, _ in links:
            groups.join(one, other)
        for one, other in self._candidates(groups, threshold):
            if groups.of(one) == groups.of(other):
                continue
            measured = jaccard(self._shingles[one], self._shingles[other])
            if measured >= threshold:
                groups.join(one, other)
                links.append((one, other, measured))
        return self._named(groups, links)

    def _same(self) -> Iterator[tuple[int, int]]:
        """Pairs with the same shingles, each with the first of its kind: a thousand copies are a thousand pairs."""
        first: dict[bytes, int] = {}
        for number, text in enumerate(self._shingles):
            before = first.setdefault(hashlib.sha256(text.tobytes()).digest(), number)
            if before != number:
                yield before, number

    def _candidates(self, groups: _Groups, threshold: float) -> Iterator[tuple[int, int]]:
        """Pairs that share a band, aren't in one group yet, and whose sizes and signatures don't rule them out."""
        import numpy as np

        if len(self._keys) < 2:  # noqa: PLR2004 - a pair
            return
        signed = np.vstack(self._signatures)
        sizes = np.array([len(each) for each in self._shingles])
        for band in range(_BANDS):
            roots = groups.roots()
            rows = np.ascontiguousarray(signed[:, band * _ROWS : (band + 1) * _ROWS])
            for ones, others in _sharing(rows):
                small, large = np.minimum(sizes[ones], sizes[others]), np.maximum(sizes[ones], sizes[others])
                open_ones = (roots[ones] != roots[others]) & (small >= threshold * large)
                first, second = ones[open_ones], others[open_ones]
                alike = (signed[first] == signed[second]).mean(axis=1) >= threshold - _DOUBTFUL
                yield from zip(first[alike].tolist(), second[alike].tolist(), strict=True)

    def _named(self, groups: _Groups, links: list[tuple[int, int, float]]) -> list[Cluster]:
        members: dict[int, list[int]] = {}
        for number in sorted({place for one, other, _ in links for place in (one, other)}):
            members.setdefault(groups.of(number), []).append(number)
        pairs: dict[int, list[Pair]] = {}
        for one, other, measured in sorted(links):
            pairs.setdefault(groups.of(one), []).append(Pair(self._keys[one], self._keys[other], round(measured, 4)))
        return [
            Cluster(tuple(self._keys[each] for each in found), tuple(pairs[root])) for root, found in members.items()
        ]


class _Groups:
    """Which numbers belong together (union-find; the smallest number stands for its group)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def of(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.of(one), self.of(other)))
        self._parent[second] = first

    def roots(self) -> NDArray[np.int64]:
        """The group of each number, as it is now."""
        import numpy as np

        return np.array([self.of(number) for number in range(len(self._parent))], np.int64)


def _sharing(rows: Shingles) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All pairs of equal rows, some thousands at once."""
    import numpy as np

    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
    ones: list[NDArray[np.int64]] = []
    others: list[NDArray[np.int64]] = []
    waiting = 0
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        for place in range(start, end - 1):
            rest = order[place + 1 : end]
            ones.append(np.full(len(rest), order[place]))
            others.append(rest)
            waiting += len(rest)
            if waiting > _PAIRS_AT_ONCE:
                yield np.concatenate(ones), np.concatenate(others)
                ones, others, waiting = [], [], 0
    if ones:
        yield np.concatenate(ones), np.concatenate(others)


def shingles(text: str) -> Shingles:
    """The set of a text's shingles, as sorted hashes of 32 bits: two different ones are taken for the same once in
    4 billion times.

    Raises:
        UserInputError: The extra ``data`` isn't installed.
    """
    _need_extra()
    import numpy as np

    numbers = np.frombuffer(array("I", map(_hashed, _WORD.findall(text.lower()))), np.uint32).astype(np.uint64)
    if not len(numbers):
        return np.empty(0, np.uint32)
    filled = np.concatenate([numbers, np.zeros(max(0, _WIDTH - len(numbers)), np.uint64)])
    mixed = np.zeros(len(filled) - _WIDTH + 1, np.uint64)
    for place in range(_WIDTH):
        mixed = (mixed ^ filled[place : place + len(mixed)]) * np.uint64(_ODD)
        mixed ^= mixed >> np.uint64(29)
    found: Shingles = np.unique((mixed >> np.uint64(32)).astype(np.uint32))
    return found


def signature(text: Shingles) -> Shingles:
    """MinHash signature of shingles, of 125 rows."""
    from datasketch import MinHash

    made = MinHash(num_perm=_BANDS * _ROWS, hashfunc=int, permutations=_permutations(), scheme="affine32")
    made.update_batch(text.tolist())
    found: Shingles = made.hashvalues
    return found


def jaccard(one: Shingles, other: Shingles) -> float:
    """Share of the shingles of either text that are in both."""
    import numpy as np

    common = len(np.intersect1d(one, other, assume_unique=True))
    total = len(one) + len(other) - common
    return common / total if total else 1.0


@functools.cache
def _permutations() -> Any:
    """Made once: it takes twice as long as a signature."""
    from datasketch import MinHash

    return MinHash(num_perm=_BANDS * _ROWS).permutations


@functools.lru_cache(_WORDS_KEPT)
def _hashed(word: str) -> int:
    return zlib.crc32(word.encode())


@functools.cache
def _need_extra() -> None:
    try:
        import datasketch  # noqa: F401 - brings numpy
    except ImportError as error:
        hint = 'Install it: pip install "bbj-desktop[data]".'
        raise UserInputError("Looking for near-duplicates needs the extra data.", hint=hint) from error
