"""``data convert``: the same examples in another format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from trainer.cli.findings import has_error, show_findings
from trainer.cli.options import add_labels_argument
from trainer.cli.screen import Outcome, Screen, examples_text
from trainer.data.example import Format
from trainer.data.finding import Finding
from trainer.data.labels import labelled
from trainer.data.reading import read_examples
from trainer.data.writing import write_examples


class Converted(BaseModel):
    """Result of ``data convert``.

    Attributes:
        target: The new file or folder.
        format: Its format.
        examples: How many were written.
        refused: How many the format can't hold.
        dropped: Fields without a place, and in how many examples; empty with a sidecar.
        findings: What was wrong while reading and writing.
    """

    target: str
    format: Format
    examples: int
    refused: int
    dropped: dict[str, int]
    findings: list[Finding]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "Writes the examples in another format, into a new file or folder. What that has no place for goes into a\n"
        "sidecar beside it, which is found by itself when it is read."
    )
    parser.add_argument("path", nargs="+", metavar="PATH", type=Path, help="files and folders")
    parser.add_argument("--to", required=True, choices=get_args(Format), help="the format")
    parser.add_argument("--out", required=True, metavar="NEW", type=Path, help="a new file; for markdown a new folder")
    parser.add_argument("--no-sidecar", action="store_true", help="drop what has no place, and say what")
    add_labels_argument(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Reads and writes in one go."""
    findings: list[Finding] = []
    examples = labelled(read_examples(arguments.path, findings.append), arguments.labels, findings.append)
    beside = not arguments.no_sidecar
    written = write_examples(examples, arguments.out, arguments.to, findings.append, with_sidecar=beside)
    result = Converted(
        target=str(arguments.out),
        format=arguments.to,
        examples=written.examples,
        refused=written.refused,
        dropped=dict(sorted(written.dropped.items())),
        findings=findings,
    )
    return Outcome(result, lambda screen: _show(screen, result), int(has_error(findings)))


def _show(screen: Screen, result: Converted) -> None:
    refused = f"; {result.refused:,} not written" if result.refused else ""
    screen.line(f"{examples_text(result.examples)} written to {result.target} as {result.format}{refused}.")
    show_findings(screen, result.findings)
