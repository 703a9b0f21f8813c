"""Examples that repeat others: the same question with the same answer or another one, and near-duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from trainer.data.checks.examined import Examined
from trainer.data.finding import Finding
from trainer.data.similarity import THRESHOLD, Cluster, SimilarityIndex


def check_prompts(several: Iterable[Examined]) -> Iterator[Finding]:
    """Compares each question with those before it."""
    answers: dict[bytes, dict[bytes, Examined]] = {}
    for each in several:
        before = answers.setdefault(each.prompt, {})
        if same := before.get(each.answer):
            message = f"The same question and answer are at {same.where}."
            yield each.finding("repeated-prompt", "warning", message, "bbj-trainer data fix keeps the first one.")
        elif before:
            first = next(iter(before.values()))
            message = f"The same question has another answer at {first.where}."
            hint = "Keep the right answer, or say in the questions what differs."
            yield each.finding("conflicting-answers", "error", message, hint)
        before.setdefault(each.answer, each)


def near_duplicates(several: Sequence[Examined], threshold: float = THRESHOLD) -> list[Cluster]:
    """Clusters of near-duplicates; examples with the same question and answer count once."""
    index, seen = SimilarityIndex(), set[tuple[bytes, bytes]]()
    for number, each in enumerate(several):
        if (each.prompt, each.answer) not in seen:
            seen.add((each.prompt, each.answer))
            index.add(str(number), each.shingles, each.signature)
    return index.clusters(threshold)


def check_likeness(several: Sequence[Examined], clusters: Iterable[Cluster]) -> Iterator[Finding]:
    """Says of each near-duplicate but the first of its cluster what it resembles."""
    for cluster in clusters:
        first = several[int(cluster.ids[0])]
        linked = {pair.other: pair for pair in reversed(cluster.pairs)}
        for number in cluster.ids[1:]:
            pair = linked.get(number)
            like = several[int(pair.one)] if pair else first
            grade = f" (Jaccard {pair.similarity:.2f})" if pair else ""
            message = f"A near-duplicate of {like.where}{grade}; {len(cluster.ids)} belong together."
            hint = "Keep the best one: together they weigh as many, and can't stand on both sides of a split."
            yield several[int(number)].finding("near-duplicate", "warning", message, hint)
