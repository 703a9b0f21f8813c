"""Infers generation and type of an example, with a confidence and the evidence.

The confidence is no probability that was calibrated: evidence of weight ``w`` gives ``1 - 0.6^w`` (a hint 0.4, a usual
mark 0.64, a proof 0.78, several 0.9), less what speaks for something else. ``docs/training-data.md`` has what it was
worth on labelled examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.fences import fences
from trainer.data.example import GENERATIONS, CodeBlock, Example, ExampleType, Generation
from trainer.data.markers import AnswerShape, Marker, Markers, packaged_markers

LEAST_CONFIDENCE = 0.4
"""Below it the label is ``unknown``."""

_DOUBT = 0.6  # left by evidence of weight 1
_OLD: frozenset[Generation] = frozenset({"character", "vpro5"})
_MINOR = 1.0  # weight that is no more than a slip beside _CLEAR
_CLEAR = 3.0
_MOSTLY = 0.6  # share of an answer's signs that stand in fences, from which on it is code
_STRING = re.compile(r'"[^"\n]*"?')
_REMARK = re.compile(r"(?:^|(?<=[;:\s]))rem\b.*$|/@@[\s\S]*?@/", re.IGNORECASE | re.MULTILINE)
_BARE_CODE = re.compile(
    r"^\s*(?:rem\b|print\b|let\b|open\s*\(|class\s+public|method\s+public|use\s+::|\w+[!$%]\s*=)", re.IGNORECASE
)


class Evidence(BaseModel):
    """One mark that was seen.

    Attributes:
        label: What it speaks for.
        marker: The mark's name.
        weight: How much it weighs.
        part: ``question``, ``answer``, ``input`` or ``output``.
        line: Line in that text or code, from 1; 0 where it is about the whole.
    """

    model_config = ConfigDict(frozen=True)

    label: str
    marker: str
    weight: float
    part: str
    line: int = 0


class Inferred(BaseModel):
    """What was inferred about an example.

    Attributes:
        generation: ``("mixed",)`` where one piece of code has marks of old and new generations; ``("unknown",)``
            without enough evidence.
        type: ``unknown`` without enough evidence.
        generation_confidence: 0 … 1.
        type_confidence: 0 … 1.
        evidence: What speaks for these labels, and against them.
    """

    model_config = ConfigDict(frozen=True)

    generation: tuple[Generation, ...]
    type: ExampleType
    generation_confidence: float
    type_confidence: float
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class _Seen:
    """The texts of an example as the marks see them."""

    question: str
    question_code: tuple[CodeBlock, ...]
    answer: str
    answer_code: tuple[CodeBlock, ...]
    shape: AnswerShape


def infer(example: Example, markers: Markers | None = None) -> Inferred:
    """Looks for marks; the labels that the example has already don't count."""
    known = markers or packaged_markers()
    seen = _look(example)
    kind, kind_confidence, kind_evidence = _type(seen, known)
    migrates = "migration" in (kind, example.type)
    blocks = seen.answer_code if migrates and seen.answer_code else (*seen.question_code, *seen.answer_code)
    generation, confidence, evidence = infer_generation(blocks, known)
    if generation == "unknown":
        generation, confidence, evidence = _generation_of_words(seen, known)
    return Inferred(
        generation=(generation,),
        type=kind,
        generation_confidence=round(confidence, 2),
        type_confidence=round(kind_confidence, 2),
        evidence=(*evidence, *kind_evidence),
    )


def infer_generation(
    blocks: Iterable[CodeBlock], markers: Markers | None = None
) -> tuple[Generation, float, list[Evidence]]:
    """The generation that code shows: one of the four, ``all`` for BBj without any mark of one, ``mixed``, ``unknown``.

    Returns:
        Label, confidence 0 … 1, evidence.
    """
    known = markers or packaged_markers()
    codes = [(each.part, each.code, plain_code(each.code)) for each in blocks if each.language in ("bbj", "")]
    evidence: list[Evidence] = []
    for label, several in known.generations.items():
        evidence.extend(_matches(label, several, codes))
    if evidence:
        return _decided(evidence)
    neutral = list(_matches("all", known.neutral, codes))
    weight = sum(each.weight for each in neutral)
    confidence = 0.9 * _confidence(weight)  # a mark that isn't known here may be in it
    return ("all", confidence, neutral) if confidence >= LEAST_CONFIDENCE else ("unknown", confidence, neutral)


def plain_code(code: str) -> str:
    """Code without remarks and without what stands in double quotes; lines stay where they are."""
    quoted = _STRING.sub('""', code)
    return _REMARK.sub(lambda match: "\n" * match[0].count("\n"), quoted)


def _look(example: Example) -> _Seen:
    question_code, answer_code = example.code_blocks("input"), example.code_blocks("output")
    if example.form == "chat" and not answer_code and _BARE_CODE.match(example.output):
        answer_code = (CodeBlock(part="output", code=example.output),)
    question = example.instruction or example.title
    return _Seen(
        question=_without_fences(question),
        question_code=question_code,
        answer=_without_fences(example.output),
        answer_code=answer_code,
        shape=_shape(example.output, answer_code),
    )


def _shape(answer: str, code: Sequence[CodeBlock]) -> AnswerShape:
    if not answer.strip():
        return "none"
    in_code = sum(len(each.code) for each in code)
    return "code" if in_code >= _MOSTLY * len(answer.strip()) else "words"


def _without_fences(text: str) -> str:
    inside = {line for each in fences(text) for line in range(each.line, each.end + 1)}
    return "\n".join("" if number in inside else line for number, line in enumerate(text.split("\n"), start=1))


def _type(seen: _Seen, known: Markers) -> tuple[ExampleType, float, list[Evidence]]:
    evidence: list[Evidence] = []
    for label, several in known.types.items():
        evidence.extend(_matches(label, several, [("question", seen.question, seen.question)]))
    evidence.extend(
        Evidence(label=shape.type, marker=shape.name, weight=shape.weight, part="answer")
        for shape in known.shapes
        if shape.question_code == bool(seen.question_code) and shape.answer == seen.shape
    )
    if not evidence:
        return "unknown", 0.0, []
    weights = {label: _weight(evidence, label) for label in known.types}
    best = max(weights, key=lambda label: weights[label])
    confidence = _confidence(weights[best]) * weights[best] / sum(weights.values())
    return (best, confidence, evidence) if confidence >= LEAST_CONFIDENCE else ("unknown", confidence, evidence)


def _decided(evidence: list[Evidence]) -> tuple[Generation, float, list[Evidence]]:
    weights: dict[Generation, float] = {label: _weight(evidence, label) for label in GENERATIONS}
    present = {label: weight for label, weight in weights.items() if weight}
    if max(present.values()) >= _CLEAR:
        present = {label: weight for label, weight in present.items() if weight > _MINOR}
    old, new = present.keys() & _OLD, present.keys() - _OLD
    if old and new:
        return "mixed", _confidence(min(sum(present[each] for each in side) for side in (old, new))), evidence
    if new:  # DWC programs make their windows as BBj GUI programs do
        label: Generation = "dwc" if "dwc" in new else "bbj-gui"
    else:  # Visual PRO/5 programs may print and ask as character programs do
        label = "vpro5" if "vpro5" in old else "character"
    confidence = _confidence(present[label])
    if present.keys() == _OLD and present["character"] > present["vpro5"]:
        return "mixed", _confidence(present["vpro5"]), evidence
    return (label, confidence, evidence) if confidence >= LEAST_CONFIDENCE else ("unknown", confidence, evidence)


def _generation_of_words(seen: _Seen, known: Markers) -> tuple[Generation, float, list[Evidence]]:
    texts = [("question", seen.question, seen.question), ("answer", seen.answer, seen.answer)]
    evidence: list[Evidence] = []
    for label, several in known.words.items():
        evidence.extend(_matches(label, several, texts))
    if not evidence:
        neutral = list(_matches("all", known.neutral_words, texts))
        return ("all", _confidence(1), neutral) if neutral else ("unknown", 0.0, [])
    weights: dict[Generation, float] = {label: _weight(evidence, label) for label in GENERATIONS}
    best = max(weights, key=lambda label: weights[label])
    confidence = _confidence(weights[best]) * weights[best] / sum(weights.values())
    return (best, confidence, evidence) if confidence >= LEAST_CONFIDENCE else ("unknown", confidence, evidence)


_Label = TypeVar("_Label", bound=str)


def _matches(label: _Label, several: Iterable[Marker], texts: Iterable[tuple[str, str, str]]) -> Iterable[Evidence]:
    """Each mark's first match in the texts (part, as it is, plain)."""
    listed = [(part, raw.lower(), plain.lower()) for part, raw, plain in texts]
    for marker in several:
        for part, raw, plain in listed:
            if line := marker.first_line(raw if marker.raw else plain):
                yield Evidence(label=label, marker=marker.name, weight=marker.weight, part=part, line=line)
                break


def _weight(evidence: Iterable[Evidence], label: str) -> float:
    return sum(each.weight for each in evidence if each.label == label)


def _confidence(weight: float) -> float:
    return 1 - float(_DOUBT**weight)
