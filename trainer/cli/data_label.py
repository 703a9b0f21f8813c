"""``data label``: infers what the source doesn't say, and takes an expert's word for it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError

from bbj_desktop.core.errors import NotFoundError, UserInputError
from trainer.cli.findings import has_error, show_findings
from trainer.cli.screen import Outcome, Screen, examples_text
from trainer.data.example import TYPES, Example, Generation
from trainer.data.finding import Finding
from trainer.data.labelling import infer
from trainer.data.labels import Label, load_labels, save_labels
from trainer.data.reading import read_examples

SHOWN = 10  # labels that are listed: those with the least confidence


class Labelled(BaseModel):
    """Result of ``data label``.

    Attributes:
        labels_file: Where the labels are; empty when they were only shown.
        examples: How many were read.
        confirmed: How many labels experts have confirmed.
        generations: How many of each, as the labels now say.
        types: How many of each, as the labels now say.
        unsure: The labels to look at first: inferred, those with the least confidence.
        findings: What was wrong while reading.
    """

    labels_file: str
    examples: int
    confirmed: int
    generations: dict[str, int]
    types: dict[str, int]
    unsure: list[Label]
    findings: list[Finding]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "Infers generation and type where the source doesn't say them, with a confidence and the evidence. The labels\n"
        "go into a file of their own; the source stays as it is. Run it again when there is more data: what was\n"
        "confirmed stays."
    )
    parser.add_argument("path", nargs="+", metavar="PATH", type=Path, help="files and folders")
    parser.add_argument("--out", metavar="FILE", type=Path, help="the labels file, new or to be renewed")
    parser.add_argument(
        "--confirm",
        action="append",
        default=[],
        metavar="ID[=LABELS]",
        help="confirm what was inferred, or say what is right: ID=completion,bbj-gui+dwc; may be repeated",
    )


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Infers, confirms, writes."""
    if arguments.confirm and not arguments.out:
        raise UserInputError("--confirm needs --out.", hint="Name the labels file that keeps what is confirmed.")
    findings: list[Finding] = []
    before = load_labels(arguments.out) if arguments.out and arguments.out.exists() else {}
    labels = {each.id: each for each in _inferred(read_examples(arguments.path, findings.append), before)}
    for text in arguments.confirm:
        label = _confirmed(text, labels)
        labels[label.id] = label
    if arguments.out:
        # what isn't among the examples this time may be next time: an expert's word isn't thrown away
        kept = [each for each in before.values() if each.id not in labels and each.state == "confirmed"]
        save_labels(arguments.out, [*labels.values(), *kept])
    result = _summed_up(labels.values(), findings, str(arguments.out or ""))
    return Outcome(result, lambda screen: _show(screen, result), int(has_error(findings)))


def _inferred(examples: Iterable[Example], before: dict[str, Label]) -> Iterator[Label]:
    for example in examples:
        kept = before.get(example.id)
        if kept is not None and kept.state == "confirmed" and kept.content_hash == example.content_hash:
            yield kept
            continue
        found = infer(example)
        said_generation, said_type = example.generation != ("unknown",), example.type != "unknown"
        yield Label(
            id=example.id,
            content_hash=example.content_hash,
            generation=example.generation if said_generation else found.generation,
            type=example.type if said_type else found.type,
            generation_confidence=1.0 if said_generation else found.generation_confidence,
            type_confidence=1.0 if said_type else found.type_confidence,
            evidence=found.evidence,
        )


def _confirmed(text: str, labels: dict[str, Label]) -> Label:
    name, _, said = text.partition("=")
    if name not in labels:
        raise NotFoundError(f"There is no example {name!r}.", hint="bbj-trainer data label --json lists the ids.")
    changes: dict[str, object] = {}
    for word in filter(None, (each.strip() for each in said.split(","))):
        changes["type" if word in TYPES else "generation"] = word if word in TYPES else word.split("+")
    sure = {"state": "confirmed", "generation_confidence": 1.0, "type_confidence": 1.0}
    try:
        return Label.model_validate(dict(labels[name]) | changes | sure)
    except ValidationError as error:
        hint = f"Types: {', '.join(TYPES)}. Generations: {', '.join(get_args(Generation))}, or several with +."
        raise UserInputError(f"{said!r} are no labels.", hint=hint) from error


def _summed_up(labels: Iterable[Label], findings: list[Finding], labels_file: str) -> Labelled:
    listed = list(labels)
    open_ones = [each for each in listed if each.state == "inferred" and _least(each) < 1]
    return Labelled(
        labels_file=labels_file,
        examples=len(listed),
        confirmed=sum(each.state == "confirmed" for each in listed),
        generations=dict(Counter("+".join(each.generation) for each in listed).most_common()),
        types=dict(Counter(each.type for each in listed).most_common()),
        unsure=sorted(open_ones, key=_least)[:SHOWN],
        findings=findings,
    )


def _least(label: Label) -> float:
    return min(label.generation_confidence, label.type_confidence)


def _show(screen: Screen, result: Labelled) -> None:
    where = f"; labels in {result.labels_file}" if result.labels_file else "; nothing was written without --out"
    screen.line(f"{examples_text(result.examples)}, {result.confirmed:,} confirmed{where}")
    for name in ("generations", "types"):
        counts: dict[str, int] = getattr(result, name)
        screen.line(f"  {name}: " + ", ".join(f"{value} {count:,}" for value, count in counts.items()))
    if result.unsure:
        screen.line("Look at these first:")
        rows = [(each.id, *_cells(each), _evidence(each)) for each in result.unsure]
        screen.table(("EXAMPLE", "GENERATION", "", "TYPE", "", "EVIDENCE"), rows, right=frozenset({2, 4}))
    show_findings(screen, result.findings)


def _cells(label: Label) -> tuple[str, str, str, str]:
    return (
        "+".join(label.generation),
        f"{label.generation_confidence:.2f}",
        label.type,
        f"{label.type_confidence:.2f}",
    )


def _evidence(label: Label) -> str:
    strongest = sorted(label.evidence, key=lambda each: -each.weight)[:2]
    return "; ".join(f"{each.marker} ({each.label})" for each in strongest) or "none"
