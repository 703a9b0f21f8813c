"""Near-duplicates, measured against every pair."""

from __future__ import annotations

import random

import pytest

from bbj_desktop.core.errors import UserInputError
from trainer.data.example import Example
from trainer.data.similarity import SimilarityIndex, clusters, prompt_text, shingles, similarity


def chat(name: str, question: str, answer: str, system: str = "") -> Example:
    return Example.of(id=name, form="chat", instruction=question, output=answer, system=system)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a b c d", "a b c d", 1.0),
        ("a b c d", "A  b\nC d", 1.0),  # case, blanks and line breaks don't count
        ("a b c d", "a b c e", 1 / 3),  # abc, bcd | abc, bce
        ("a b c", "d e f", 0.0),
        ("a", "a", 1.0),
        ("a", "b", 0.0),
        ("", "", 1.0),
        ("", "a", 0.0),
        ("x!=1", "x$=1", 0.0),  # signs are words of their own
    ],
)
def test_similarity_is_jaccard_of_three_words(one: str, other: str, expected: float) -> None:
    assert similarity(one, other) == pytest.approx(expected)


def test_no_near_duplicate_is_missed() -> None:
    varied = [" ".join(words) for words in _variants(random.Random(4), bases=100)]  # noqa: S311 - the same texts each time
    found = clusters(chat(str(number), text, "") for number, text in enumerate(varied))
    assert [set(each.ids) for each in found] == _by_brute_force(varied)


def _variants(rng: random.Random, *, bases: int) -> list[list[str]]:
    """Five texts around each base, from equal to far."""
    words, made = [f"w{number}" for number in range(3000)], []
    for _ in range(bases):
        base = [rng.choice(words) for _ in range(rng.randint(20, 200))]
        for share in (0, 0.01, 0.03, 0.05, 0.1):
            changed = list(base)
            for _ in range(int(len(base) * share)):
                changed[rng.randrange(len(base))] = rng.choice(words)
            made.append(changed)
    return made


def _by_brute_force(texts: list[str]) -> list[set[str]]:
    sets = [frozenset(zip(words, words[1:], words[2:], strict=False)) for words in map(str.split, texts)]
    groups: list[set[str]] = [{str(number)} for number in range(len(sets))]
    for one in range(len(sets)):
        for other in range(one + 1, len(sets)):
            common = len(sets[one] & sets[other])
            if common >= 0.8 * (len(sets[one]) + len(sets[other]) - common) and groups[one] is not groups[other]:
                groups[one] |= groups[other]
                for member in groups[other]:
                    groups[int(member)] = groups[one]
    return [group for number, group in enumerate(groups) if len(group) > 1 and min(map(int, group)) == number]


def test_the_threshold_itself_counts() -> None:
    words = [f"w{number}" for number in range(1000)]
    one, other = " ".join(words[:902]), " ".join(words[100:])  # 900 and 898 shingles, 800 in common: 800/998
    assert similarity(one, other) == 800 / 998
    pair = [chat("a", one, ""), chat("b", other, "")]
    assert [each.ids for each in clusters(pair, 800 / 998)] == [("a", "b")]
    assert clusters(pair, 801 / 998) == []


def test_a_cluster_says_what_links_it_and_keeps_the_order_of_reading() -> None:
    question = " ".join(f"w{number}" for number in range(100))
    texts = {"late": question, "b": "other words altogether", "a": question, "c": question + " more"}
    (found,) = clusters(chat(name, text, "") for name, text in texts.items())
    assert found.ids == ("late", "a", "c")
    assert [(each.one, each.other, each.similarity) for each in found.pairs] == [
        ("late", "a", 1.0),
        ("late", "c", 0.9899),
    ]


def test_system_prompts_dont_make_examples_alike() -> None:
    system = " ".join(f"s{number}" for number in range(200))
    assert clusters([chat("a", "x y z", "1 2 3", system), chat("b", "u v w", "4 5 6", system)]) == []


def test_prompts_alone_can_be_compared() -> None:
    pair = [chat("a", "how do I open a file", "so"), chat("b", "how do I open a file", "quite another answer here")]
    assert clusters(pair) == []
    assert [each.ids for each in clusters(pair, text=prompt_text)] == [("a", "b")]


def test_a_thousand_copies_are_one_cluster() -> None:
    index = SimilarityIndex()
    for number in range(1000):
        index.add(str(number), shingles("print a$ : goto again"))
    (found,) = index.clusters()
    assert len(found.ids) == 1000
    assert {each.one for each in found.pairs} == {"0"}


def test_nothing_has_no_clusters() -> None:
    assert clusters([]) == []
    assert clusters([chat("a", "x", "y")]) == []


@pytest.mark.parametrize("threshold", [0.0, 1.1, -1.0])
def test_a_threshold_that_is_none_is_refused(threshold: float) -> None:
    with pytest.raises(UserInputError, match="is no similarity"):
        clusters([], threshold)
