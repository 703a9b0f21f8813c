"""``data corpus``: what continued pretraining reads."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import BaseModel

from bbj_desktop.core.errors import UserInputError
from trainer.cli.findings import has_error, show_findings
from trainer.cli.options import path_and_share
from trainer.cli.screen import Outcome, Screen
from trainer.data.corpus import DOCUMENT_CHARACTERS, Manifest, Plan, make_corpus
from trainer.data.fim import FAMILY
from trainer.data.finding import Finding


class CorpusMade(BaseModel):
    """Result of ``data corpus``.

    Attributes:
        output: The new folder.
        manifest: What is in it.
        findings: What was wrong while reading.
    """

    output: str
    manifest: Manifest
    findings: list[Finding]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "Packs BBj sources (.bbj .bbjt .bbl .src .bbx) into documents, with general code and instructions among them,\n"
        "and cuts fill-in-the-middle examples. The same seed gives the same corpus."
    )
    parser.add_argument("folder", nargs="+", metavar="FOLDER", type=Path, help="folders and files of sources")
    parser.add_argument("--output", required=True, metavar="NEW", type=Path, help="a new folder")
    parser.add_argument(
        "--general",
        action="append",
        default=[],
        metavar="PATH=SHARE",
        type=path_and_share,
        help="general code or instructions, and their share of the documents, e.g. general.jsonl=0.1; may be repeated",
    )
    parser.add_argument("--strip-numbers", action="store_true", help="take line numbers off where nothing is lost")
    parser.add_argument("--fim", type=int, default=0, metavar="N", help="fill-in-the-middle examples of each source")
    parser.add_argument("--family", default=FAMILY, metavar="NAME", help=f"base family (default {FAMILY})")
    parser.add_argument(
        "--document-characters",
        type=int,
        default=DOCUMENT_CHARACTERS,
        metavar="N",
        help=f"most characters of a document (default {DOCUMENT_CHARACTERS})",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Makes the corpus."""
    if arguments.document_characters < 1 or arguments.fim < 0:
        raise UserInputError("--document-characters must be above 0 and --fim not below.", hint="Leave them out.")
    plan = Plan(
        seed=arguments.seed,
        document_characters=arguments.document_characters,
        strip_numbers=arguments.strip_numbers,
        general=tuple(arguments.general),
        fim_each=arguments.fim,
        family=arguments.family,
    )
    findings: list[Finding] = []
    manifest = make_corpus(arguments.folder, arguments.output, plan, findings.append)
    result = CorpusMade(output=str(arguments.output), manifest=manifest, findings=findings)
    return Outcome(result, lambda screen: _show(screen, result), int(has_error(findings)))


def _show(screen: Screen, result: CorpusMade) -> None:
    made = result.manifest
    total = sum(made.documents.values())
    sources, documents = _count(made.sources, "source"), _count(total, "document")
    screen.line(f"{sources}, {made.characters:,} characters, in {documents}: {result.output}")
    for name, count in sorted(made.documents.items()):
        screen.line(f"  {name}: {_count(count, 'document')} ({count / total:.1%})")
    if made.fim:
        screen.line("  fill-in-the-middle: " + ", ".join(f"{kind} {count:,}" for kind, count in made.fim.items()))
    if made.stripped:
        screen.line(f"  line numbers taken off {_count(made.stripped, 'source')}")
    if made.left_out:
        screen.line("  left out: " + ", ".join(f"{why} {count:,}" for why, count in made.left_out.items()))
    screen.line("  encodings: " + ", ".join(f"{name} {count:,}" for name, count in made.encodings.items()))
    show_findings(screen, result.findings)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
