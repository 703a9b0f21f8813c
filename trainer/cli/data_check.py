"""``data check``: every problem with file, line and what to do."""

from __future__ import annotations

import argparse
from pathlib import Path

from bbj_desktop.core.errors import UserInputError
from bbj_desktop.services.compiler import find_compiler
from trainer.cli.findings import show_findings
from trainer.cli.options import add_labels_argument
from trainer.cli.screen import Outcome, Screen, examples_text
from trainer.data.checking import CheckedData, CheckSettings, check_data
from trainer.data.checks.whole import LEAST_IN_CELL
from trainer.data.finding import Finding
from trainer.data.page import write_page
from trainer.data.saving import refuse_existing

_KINDS_OF_SEVERITY = {"error": "error", "warning": "warning", "info": "remark"}


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "Looks for what is wrong with training data, example by example and as a whole. Nothing is changed: data fix\n"
        "repairs what is safe, into a new place. Ends with 1 when there is an error."
    )
    parser.add_argument("path", nargs="+", metavar="PATH", type=Path, help="files and folders")
    add_labels_argument(parser)
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a page with plots, too: a new file")
    parser.add_argument(
        "--tokenizer",
        metavar="FILE",
        type=Path,
        help="the base model's tokenizer.json; without it tokens are estimated",
    )
    parser.add_argument(
        "--max-seq-length", metavar="N", type=int, default=1024, help="tokens that training takes (default 1024)"
    )
    parser.add_argument(
        "--least-in-cell", metavar="N", type=int, default=LEAST_IN_CELL, help="fewer examples make a thin cell (5)"
    )
    compiler = parser.add_mutually_exclusive_group()
    compiler.add_argument("--compiler", metavar="PATH", type=Path, help="bbjcpl, or the folder of a BBj installation")
    compiler.add_argument("--no-compiler", action="store_true", help="don't look for bbjcpl")
    parser.add_argument("--all", action="store_true", help="list every problem, not the first of each kind")


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Checks and reports."""
    if arguments.max_seq_length < 1:
        raise UserInputError(f"--max-seq-length {arguments.max_seq_length} is no length.", hint="Take e.g. 1024.")
    if arguments.html is not None:
        refuse_existing(arguments.html)
    settings = CheckSettings(
        labels=arguments.labels,
        tokenizer=arguments.tokenizer,
        max_seq_length=arguments.max_seq_length,
        least_in_cell=arguments.least_in_cell,
        compiler=None if arguments.no_compiler else find_compiler(arguments.compiler),
    )
    checked = check_data(arguments.path, settings)
    if arguments.html is not None:
        write_page(arguments.html, checked, least_in_cell=arguments.least_in_cell)
    return Outcome(checked, lambda screen: _show(screen, checked, all_of_them=arguments.all), int(checked.errors > 0))


def _show(screen: Screen, checked: CheckedData, *, all_of_them: bool) -> None:
    lengths = checked.lengths
    screen.line(
        f"{examples_text(checked.examples)}; {lengths.median:,} tokens at the median, {lengths.longest:,} at most "
        f"({lengths.counted_by})"
    )
    screen.line(f"  answers: {', '.join(f'{name} {count:,}' for name, count in checked.shapes.items()) or 'none'}")
    screen.line(f"  compiler: {_judged(checked)}")
    if all_of_them:
        show_findings(screen, checked.findings, limit=len(checked.findings))
        return
    if not checked.kinds:
        screen.line("Nothing was found.")
        return
    rows = [
        (_KINDS_OF_SEVERITY[each.severity], each.code, f"{each.count:,}", _first(checked.findings, each.code))
        for each in checked.kinds
    ]
    screen.table(("SEVERITY", "PROBLEM", "COUNT", "FIRST"), rows, right=frozenset({2}))
    screen.line(_totals(checked))
    screen.line("--all lists each with what to do, --json too, --html FILE writes a page.")


def _judged(checked: CheckedData) -> str:
    if not checked.compiler:
        return "none found; no code was judged"
    return ", ".join(f"{name} {count:,}" for name, count in checked.compiled.items()) + f" ({checked.compiler})"


def _first(findings: list[Finding], code: str) -> str:
    first = next(each for each in findings if each.code == code)
    return f"{first.where}: {first.message}" if first.where else first.message


def _totals(checked: CheckedData) -> str:
    """``1 error, 2 warnings, 0 remarks``."""
    counts = {"error": checked.errors, "warning": checked.warnings, "remark": checked.remarks}
    return ", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
