"""``data gate``: draws the fixed set of cases that every release is judged by, and shows it."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from pydantic import BaseModel

from trainer.cli.nested import add_actions
from trainer.cli.options import add_labels_argument
from trainer.cli.screen import Outcome, Screen
from trainer.data.finding import Finding
from trainer.data.gate import CASES, GateSet, draw_gate, load_gate, save_gate
from trainer.data.labels import labelled
from trainer.data.reading import read_examples
from trainer.data.saving import refuse_existing
from trainer.data.split import load_split, members


class Gate(BaseModel):
    """Result of ``data gate``.

    Attributes:
        file: The gate set's.
        digest: Of its cases.
        drawn_from: Fingerprint of the dataset.
        cases: How many there are.
        wanted: How many were asked for; 0 when it is only shown.
        types: How many of each type.
        generations: How many of each generation.
        difficulties: How many of each difficulty.
    """

    file: str
    digest: str
    drawn_from: str
    cases: int
    wanted: int
    types: dict[str, int]
    generations: dict[str, int]
    difficulties: dict[str, int]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parsers = add_actions(
        parser, {"draw": "draw cases from what is held out, once", "show": "check that a gate set is as it was drawn"}
    )
    draw = parsers["draw"]
    draw.add_argument("path", nargs="+", metavar="PATH", type=Path, help="the files and folders that were split")
    draw.add_argument("--split", required=True, metavar="FILE", type=Path, help="their split")
    draw.add_argument("--output", required=True, metavar="FILE", type=Path, help="the gate set, a new JSON file")
    draw.add_argument("--cases", type=int, default=CASES, metavar="N", help=f"how many (default {CASES})")
    add_labels_argument(draw)
    parsers["show"].add_argument("file", metavar="FILE", type=Path, help="a gate set")


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Draws or shows."""
    if arguments.word == "show":
        result = _described(arguments.file, load_gate(arguments.file), 0)
        return Outcome(result, lambda screen: _show(screen, result))
    refuse_existing(arguments.output)
    split = load_split(arguments.split)
    findings: list[Finding] = []
    examples = labelled(read_examples(arguments.path, findings.append), arguments.labels, findings.append)
    gate = draw_gate(members(examples, split, "held-out"), split.fingerprint, cases=arguments.cases)
    save_gate(arguments.output, gate)
    result = _described(arguments.output, gate, arguments.cases)
    return Outcome(result, lambda screen: _show(screen, result), int(len(gate.cases) < arguments.cases))


def _described(path: Path, gate: GateSet, wanted: int) -> Gate:
    return Gate(
        file=str(path),
        digest=gate.digest,
        drawn_from=gate.drawn_from,
        cases=len(gate.cases),
        wanted=wanted,
        types=dict(sorted(Counter(each.type for each in gate.cases).items())),
        generations=dict(sorted(Counter(each.generation_label for each in gate.cases).items())),
        difficulties=dict(sorted(Counter(each.difficulty for each in gate.cases).items())),
    )


def _show(screen: Screen, gate: Gate) -> None:
    screen.line(f"{gate.cases:,} case{'' if gate.cases == 1 else 's'}: {gate.file}")
    for name in ("types", "generations", "difficulties"):
        counts: dict[str, int] = getattr(gate, name)
        screen.line(f"  {name}: " + ", ".join(f"{value} {count:,}" for value, count in counts.items()))
    screen.line(f"  digest: {gate.digest}")
    if gate.cases < gate.wanted:
        screen.line(f"  Only {gate.cases:,} examples are held out; {gate.wanted:,} were asked for.")
