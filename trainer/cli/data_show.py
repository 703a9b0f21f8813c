"""``data show``: what is in the data, or one example of it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from bbj_desktop.core.errors import NotFoundError
from trainer.cli.findings import has_error, show_findings
from trainer.cli.options import add_labels_argument
from trainer.cli.screen import Outcome, Screen, examples_text
from trainer.data.example import Example
from trainer.data.finding import Finding
from trainer.data.labels import labelled
from trainer.data.reading import read_examples


class Shown(BaseModel):
    """Result of ``data show``.

    Attributes:
        examples: How many.
        formats: How many of each format.
        types: How many of each type.
        generations: How many of each generation or list of them.
        difficulties: How many of each difficulty.
        origins: How many of each origin.
        findings: What was wrong while reading.
        example: The one that was asked for.
    """

    examples: int
    formats: dict[str, int]
    types: dict[str, int]
    generations: dict[str, int]
    difficulties: dict[str, int]
    origins: dict[str, int]
    findings: list[Finding]
    example: Example | None = None


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("path", nargs="+", metavar="PATH", type=Path, help="files and folders")
    parser.add_argument("--id", metavar="ID", help="show this example as the model will see it")
    add_labels_argument(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Reads all and counts."""
    findings: list[Finding] = []
    examples = labelled(read_examples(arguments.path, findings.append), arguments.labels, findings.append)
    shown = _counted(examples, findings, arguments.id)
    if arguments.id and shown.example is None:
        raise NotFoundError(f"There is no example {arguments.id!r}.", hint="bbj-trainer data show --json … counts all.")
    show = _show_example if shown.example is not None else _show_counts
    return Outcome(shown, lambda screen: show(screen, shown), int(has_error(findings)))


def _counted(examples: Iterable[Example], findings: list[Finding], wanted: str | None) -> Shown:
    counters: dict[str, Counter[str]] = {
        name: Counter() for name in ("formats", "types", "generations", "difficulties", "origins")
    }
    total, found = 0, None
    for each in examples:
        total += 1
        values = (each.source.format, each.type, each.generation_label, each.difficulty, each.origin)
        for counter, value in zip(counters.values(), values, strict=True):
            counter[value] += 1
        found = each if each.id == wanted else found
    counts = {name: dict(counter.most_common()) for name, counter in counters.items()}
    return Shown(examples=total, **counts, findings=findings, example=found)


def _show_counts(screen: Screen, shown: Shown) -> None:
    screen.line(examples_text(shown.examples))
    for name in ("formats", "types", "generations", "difficulties", "origins"):
        counts: dict[str, int] = getattr(shown, name)
        if counts:
            screen.line(f"  {name}: " + ", ".join(f"{value} {count:,}" for value, count in counts.items()))
    show_findings(screen, shown.findings)


def _show_example(screen: Screen, shown: Shown) -> None:
    example = shown.example
    if example is None:
        return
    source = example.source
    screen.line(f"{example.id}  {example.type}, {example.generation_label}, {example.difficulty}, {example.origin}")
    screen.line(f"{source.file}:{source.line}")
    for message in example.to_messages():
        screen.line(f"\n[{message.role}]\n{message.content}")
