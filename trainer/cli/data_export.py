"""``data export``: one side of a split as a dataset of its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from trainer.cli.findings import has_error, show_findings
from trainer.cli.options import add_labels_argument, path_and_share
from trainer.cli.screen import Outcome, Screen, examples_text
from trainer.data.example import Format
from trainer.data.exporting import export
from trainer.data.finding import Finding
from trainer.data.general import general_examples
from trainer.data.labels import labelled
from trainer.data.reading import read_examples
from trainer.data.review import reviewed
from trainer.data.split import load_split
from trainer.data.writing import write_examples


class ExportMade(BaseModel):
    """Result of ``data export``.

    Attributes:
        target: The new file or folder.
        side: Which side it is.
        counts: How many examples of where: ``bbj``, and general data.
        refused: How many the gate stopped.
        findings: What was wrong while reading and writing.
    """

    target: str
    side: str
    counts: dict[str, int]
    refused: int
    findings: list[Finding]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "Writes one side of a split. What models wrote and the field reported passes only if it was accepted. General\n"
        "examples, or general code to be continued, can be mixed in; the same seed gives the same file."
    )
    parser.add_argument("path", nargs="+", metavar="PATH", type=Path, help="the files and folders that were split")
    parser.add_argument("--split", required=True, metavar="FILE", type=Path, help="their split")
    parser.add_argument("--side", choices=("train", "held-out"), default="train", help="default train")
    parser.add_argument("--to", choices=get_args(Format), default="chatml", help="the format (default chatml)")
    parser.add_argument("--out", required=True, metavar="NEW", type=Path, help="a new file; for markdown a new folder")
    parser.add_argument(
        "--general",
        action="append",
        default=[],
        metavar="PATH=SHARE",
        type=path_and_share,
        help="general examples or code, and their share of all examples, e.g. general.jsonl=0.1; may be repeated",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    add_labels_argument(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Reads, stops, mixes, writes."""
    findings: list[Finding] = []
    found = findings.append
    examples = reviewed(read_examples(arguments.path, found), arguments.path, found)
    general = [(str(path), list(general_examples(path, found)), share) for path, share in arguments.general]
    made = export(
        labelled(examples, arguments.labels, found),
        load_split(arguments.split),
        arguments.side,
        general,
        arguments.seed,
        found,
    )
    write_examples(made.examples, arguments.out, arguments.to, found)
    result = ExportMade(
        target=str(arguments.out), side=arguments.side, counts=made.counts, refused=made.refused, findings=findings
    )
    return Outcome(result, lambda screen: _show(screen, result), int(has_error(findings)))


def _show(screen: Screen, result: ExportMade) -> None:
    total = sum(result.counts.values())
    screen.line(f"{examples_text(total)}, {result.side}: {result.target}")
    for name, count in sorted(result.counts.items()):
        screen.line(f"  {name}: {count:,} ({count / total:.1%})")
    if result.refused:
        screen.line(f"  {result.refused:,} stopped by a review since the split")
    show_findings(screen, result.findings)
