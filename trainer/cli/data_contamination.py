"""``data contamination``: whether the training side knows evaluation prompts."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from trainer.cli.findings import has_error, show_findings
from trainer.cli.options import add_labels_argument
from trainer.cli.screen import Outcome, Screen
from trainer.data.contamination import Contact, Prompt, find_contacts, read_prompts
from trainer.data.example import Example
from trainer.data.files import Found
from trainer.data.finding import Finding
from trainer.data.labels import labelled
from trainer.data.reading import read_examples
from trainer.data.similarity import prompt_text
from trainer.data.split import load_split, members

SHOWN = 20


class Contamination(BaseModel):
    """Result of ``data contamination``.

    Attributes:
        prompts: How many were compared.
        trained: With how many training examples.
        contacts: Prompts that the training side knows.
        findings: What was wrong while reading.
    """

    prompts: int
    trained: int
    contacts: list[Contact]
    findings: list[Finding]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "Compares evaluation prompts with what trains: word for word, but for case, blanks and signs, and by\n"
        "resemblance. Ends with 1 when one is known."
    )
    parser.add_argument("path", nargs="+", metavar="PATH", type=Path, help="the files and folders that were split")
    parser.add_argument("--split", required=True, metavar="FILE", type=Path, help="their split")
    parser.add_argument(
        "--evaluation",
        action="append",
        default=[],
        metavar="PATH",
        type=Path,
        help="examples, a gate set, JSON lines with prompt, or text; default: what is held out; may be repeated",
    )
    add_labels_argument(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Reads both and compares."""
    split = load_split(arguments.split)
    findings: list[Finding] = []
    if arguments.evaluation:
        prompts = list(read_prompts(arguments.evaluation, findings.append))
    else:
        held_out = members(_examples(arguments, lambda _: None), split, "held-out")
        prompts = [Prompt(each.id, prompt_text(each)) for each in held_out]
    contacts = find_contacts(prompts, members(_examples(arguments, findings.append), split, "train"))
    result = Contamination(prompts=len(prompts), trained=len(split.train), contacts=contacts, findings=findings)
    return Outcome(result, lambda screen: _show(screen, result), int(bool(contacts) or has_error(findings)))


def _examples(arguments: argparse.Namespace, found: Found) -> Iterator[Example]:
    return labelled(read_examples(arguments.path, found), arguments.labels, found)


def _show(screen: Screen, result: Contamination) -> None:
    known = len({each.prompt for each in result.contacts})
    counts = Counter(each.likeness for each in result.contacts)
    said = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    how = f" ({said})" if said else ""
    screen.line(f"{result.prompts:,} prompts, {result.trained:,} training examples: {known:,} known{how}")
    if result.contacts:
        rows = [(each.prompt, each.likeness, f"{each.similarity:.2f}", each.example_id) for each in result.contacts]
        screen.table(("PROMPT", "LIKENESS", "", "TRAINED ON"), rows[:SHOWN], right=frozenset({2}))
        if len(rows) > SHOWN:
            screen.line(f"… and {len(rows) - SHOWN:,} more; --json lists all.")
    show_findings(screen, result.findings)
