"""A generation label that the code contradicts."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.data.example import Example, Generation
from trainer.data.formats.parsed import Problem
from trainer.data.labelling import Evidence, infer_generation

_SURE = 0.7
"""Least confidence of what the code shows; a proof has 0.78."""

_ALSO: dict[str, frozenset[str]] = {
    "character": frozenset({"vpro5"}),  # Visual PRO/5 programs print and ask as character programs do
    "bbj-gui": frozenset({"dwc"}),  # DWC programs make their windows as BBj GUI programs do
}


def check(example: Example) -> Iterator[Problem]:
    """Compares the label with the marks in the code; a migration's with those in its new code."""
    label = example.generation
    if label in (("unknown",), ("mixed",)):
        return
    blocks = example.code_blocks("output") if example.type == "migration" else example.code_blocks()
    shown, confidence, evidence = infer_generation(blocks)
    if confidence < _SURE or shown in ("all", "unknown") or _agrees(label, shown):
        return
    against = [each for each in evidence if _speaks_against(each, label)]
    if shown == "mixed" and not any(each.weight > 1 for each in against):
        return
    marks = "; ".join(f"{each.marker} ({each.label}; {each.part}, line {each.line})" for each in against[:3])
    what = "old and new generations" if shown == "mixed" else shown
    yield Problem(
        "contradicted-generation",
        "warning",
        f"It is labelled {example.generation_label}, and the code shows {what}: {marks}.",
        "Correct the label (bbj-trainer data label --confirm) or the code.",
    )


def _agrees(label: tuple[Generation, ...], shown: str) -> bool:
    return bool(set(label) & ({shown} | _ALSO.get(shown, frozenset())))


def _speaks_against(evidence: Evidence, label: tuple[Generation, ...]) -> bool:
    return evidence.label != "all" and not _agrees(label, evidence.label)
