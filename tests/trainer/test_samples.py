"""The sample data in ``resources/training/samples``: written by people, marked, readable, and no two alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from trainer.data.checks.blocks import imbalances
from trainer.data.example import DIFFICULTIES, TYPES, Example
from trainer.data.finding import Finding
from trainer.data.reading import read_examples
from trainer.data.similarity import content_text, shingles

SAMPLES = Path(__file__).parents[2] / "resources/training/samples"
FOLDERS = sorted(each.name for each in SAMPLES.iterdir() if each.is_dir())
LEAST = 5
ALIKE = 0.7


@pytest.fixture(scope="module")
def reading() -> tuple[list[Example], list[Finding]]:
    findings: list[Finding] = []
    return list(read_examples([SAMPLES], findings.append)), findings


@pytest.fixture(scope="module")
def samples(reading: tuple[list[Example], list[Finding]]) -> list[Example]:
    return reading[0]


def test_the_samples_are_read_without_a_finding(reading: tuple[list[Example], list[Finding]]) -> None:
    assert [(each.where, each.message) for each in reading[1]] == []


def test_the_samples_come_in_all_three_formats(samples: list[Example]) -> None:
    assert {each.source.format for each in samples} == {"json", "chatml", "markdown"}


def test_no_id_of_a_sample_is_used_twice(samples: list[Example]) -> None:
    assert [name for name, count in Counter(each.id for each in samples).items() if count > 1] == []


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("generation", FOLDERS)
def test_each_type_of_each_generation_has_samples(samples: list[Example], generation: str, kind: str) -> None:
    """A migration counts for the generation that it leads to."""
    assert sum(each.type == kind and generation in each.generation for each in samples) >= LEAST


def test_each_sample_says_that_no_compiler_judged_it(samples: list[Example]) -> None:
    assert [each.id for each in samples if "not-judged" not in each.tags or each.compiler != "not-judged"] == []


def test_each_sample_is_labelled(samples: list[Example]) -> None:
    unlabelled = [
        each.id for each in samples if each.difficulty not in DIFFICULTIES or {"unknown", "mixed"} & {*each.generation}
    ]
    assert unlabelled == []


def test_each_migration_says_where_it_starts_and_leads(samples: list[Example]) -> None:
    migrations = [each for each in samples if each.type == "migration"]
    wrong = [
        each.id for each in migrations if each.to_generation != each.generation or "unknown" in each.from_generation
    ]
    assert wrong == []


def test_the_blocks_of_all_samples_are_balanced(samples: list[Example]) -> None:
    assert [(each.id, code) for each in samples for code in _programs(each) if imbalances(code)] == []


def test_no_two_samples_are_alike(samples: list[Example]) -> None:
    sets = {each.id: set(shingles(content_text(each)).tolist()) for each in samples}
    holders: defaultdict[int, list[str]] = defaultdict(list)
    for name, several in sets.items():
        for shingle in several:
            holders[shingle].append(name)
    shared = Counter(pair for names in holders.values() for pair in combinations(names, 2))
    alike = {
        pair: round(share, 2)
        for pair, both in shared.items()
        if (share := both / (len(sets[pair[0]]) + len(sets[pair[1]]) - both)) > ALIKE
    }
    assert alike == {}


def _programs(example: Example) -> Iterator[str]:
    """Each piece of code that stands for itself: a completion only does so behind its prefix."""
    codes = [each.code for each in example.code_blocks() if each.language in ("bbj", "")]
    if example.type == "completion" and example.code_blocks("input"):
        yield "\n".join(codes)
    else:
        yield from codes
