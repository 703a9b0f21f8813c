"""``data split``: which examples train and which are held out."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from pydantic import BaseModel

from trainer.cli.findings import has_error, show_findings
from trainer.cli.options import add_labels_argument
from trainer.cli.screen import Outcome, Screen, examples_text
from trainer.data.finding import Finding
from trainer.data.gate import load_gate
from trainer.data.labels import labelled
from trainer.data.reading import read_examples
from trainer.data.review import reviewed
from trainer.data.saving import refuse_existing
from trainer.data.split import load_split, save_split
from trainer.data.splitting import SHARE, make_split


class SplitMade(BaseModel):
    """Result of ``data split``.

    Attributes:
        output: The split's file.
        fingerprint: Of the dataset.
        train: How many examples train.
        held_out: How many are held out.
        left_out: How many do neither, by reason.
        remembered: How many were held out of earlier datasets and aren't in this one.
        findings: What was wrong while reading.
    """

    output: str
    fingerprint: str
    train: int
    held_out: int
    left_out: dict[str, int]
    remembered: int
    findings: list[Finding]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "Decides which examples are held out, and writes their ids. What was held out once stays held out: name the\n"
        "earlier splits. Near-duplicates of held-out examples leave training. The share comes last."
    )
    parser.add_argument("path", nargs="+", metavar="PATH", type=Path, help="files and folders")
    parser.add_argument("--output", required=True, metavar="FILE", type=Path, help="the split, a new JSON file")
    parser.add_argument(
        "--previous",
        action="append",
        default=[],
        metavar="FILE",
        type=Path,
        help="a split of an earlier dataset; may be repeated",
    )
    parser.add_argument(
        "--gate-set",
        action="append",
        default=[],
        metavar="FILE",
        type=Path,
        help="a gate set, which stays held out; may be repeated",
    )
    parser.add_argument(
        "--held-out-share", type=float, default=SHARE, metavar="SHARE", help=f"0 … 1 (default {SHARE:g})"
    )
    add_labels_argument(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Reads, splits, writes."""
    refuse_existing(arguments.output)
    previous = [load_split(path) for path in arguments.previous]
    gates = [load_gate(path) for path in arguments.gate_set]
    findings: list[Finding] = []
    examples = reviewed(read_examples(arguments.path, findings.append), arguments.path, findings.append)
    split = make_split(
        labelled(examples, arguments.labels, findings.append),
        share=arguments.held_out_share,
        previous=previous,
        gate=[case for gate in gates for case in gate.cases],
    )
    save_split(arguments.output, split)
    result = SplitMade(
        output=str(arguments.output),
        fingerprint=split.fingerprint,
        train=len(split.train),
        held_out=len(split.held_out),
        left_out=dict(sorted(Counter(each.why for each in split.left_out).items())),
        remembered=len(split.remembered),
        findings=findings,
    )
    return Outcome(result, lambda screen: _show(screen, result), int(has_error(findings)))


_REASONS = {
    "near-duplicate": "near-duplicates of held-out ones",
    "duplicate": "copies of held-out ones",
    "not-reviewed": "not reviewed",
    "rejected": "rejected by a reviewer",
}


def _show(screen: Screen, result: SplitMade) -> None:
    total = result.train + result.held_out
    share = f" ({result.held_out / total:.1%} of both)" if total else ""
    screen.line(f"{examples_text(result.train)} to train on, {result.held_out:,} held out{share}: {result.output}")
    for why, count in result.left_out.items():
        screen.line(f"  {count:,} on neither side: {_REASONS[why]}")
    if result.remembered:
        screen.line(f"  {result.remembered:,} more were held out before and aren't in this data")
    screen.line(f"  fingerprint of the data: {result.fingerprint}")
    show_findings(screen, result.findings)
