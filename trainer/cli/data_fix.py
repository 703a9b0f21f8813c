"""``data fix``: repairs what is safe, into a new version of the data."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path

from pydantic import BaseModel

from trainer.cli.findings import has_error, show_findings
from trainer.cli.options import add_labels_argument
from trainer.cli.screen import Outcome, Screen, examples_text
from trainer.data.files import VERSION_CHANGES
from trainer.data.finding import Finding
from trainer.data.repairing import Change, Version, repair_data

_LINES = 8  # of a difference


class Fixed(BaseModel):
    """Result of ``data fix``.

    Attributes:
        output: The new version's folder; empty when there was nothing to repair.
        version: What it says of itself.
        shown: The first changes; all are in its ``dataset-changes.jsonl``.
        findings: What couldn't be read, and so isn't in it.
    """

    output: str
    version: Version
    shown: list[Change]
    findings: list[Finding]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "Writes a new version of the data with what is safe repaired: literal backslash-n, line ends, characters that\n"
        "can't be seen, bbj_gui, missing and unclosed fences, repeated examples. The source stays as it is; without\n"
        "anything to repair nothing is written."
    )
    parser.add_argument("path", nargs="+", metavar="PATH", type=Path, help="files and folders")
    parser.add_argument("--output", required=True, metavar="FOLDER", type=Path, help="a new or empty folder")
    parser.add_argument("--drop-system-prompt", action="store_true", help="train without it; the sidecar keeps it")
    add_labels_argument(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Repairs and shows the difference."""
    findings: list[Finding] = []
    done = repair_data(
        arguments.path,
        arguments.output,
        findings.append,
        labels=arguments.labels,
        drop_system_prompt=arguments.drop_system_prompt,
    )
    fixed = Fixed(
        output=str(arguments.output) if done.written else "",
        version=done.version,
        shown=done.shown,
        findings=findings,
    )
    return Outcome(fixed, lambda screen: _show(screen, fixed), int(has_error(findings)))


def _show(screen: Screen, fixed: Fixed) -> None:
    if not fixed.output:
        screen.line(f"{examples_text(fixed.version.examples)}, nothing to repair; nothing was written.")
    else:
        screen.line(f"{examples_text(fixed.version.examples)} written to {fixed.output}.")
        for kind, count in fixed.version.changes.items():
            screen.line(f"  {kind} {count:,}")
        for change in fixed.shown:
            _show_change(screen, change)
        screen.line(f"{Path(fixed.output, VERSION_CHANGES)} has each change.")
    show_findings(screen, fixed.findings)


def _show_change(screen: Screen, change: Change) -> None:
    screen.line(f"{change.file}:{change.line}: {', '.join(change.kinds)}" + ("" if change.after else ": dropped"))
    for name, before in change.before.items():
        lines = difflib.unified_diff(_visible(before), _visible(change.after[name]), lineterm="", n=0)
        several = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
        for line in several[:_LINES]:
            screen.line(f"    {line}")
        if len(several) > _LINES:
            screen.line(f"    … {len(several) - _LINES} more lines")


def _visible(text: str) -> list[str]:
    """Lines in which what can't be seen is shown as its code."""
    return ["".join(each if each.isprintable() else ascii(each)[1:-1] for each in line) for line in text.split("\n")]
