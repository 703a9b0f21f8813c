"""``data synthesize``: instructions to real code, from a model, for the review queue."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from bbj_desktop.core.errors import UserInputError
from bbj_desktop.services.compiler import find_compiler
from trainer.cli.findings import has_error, show_findings
from trainer.cli.screen import Outcome, Screen, examples_text
from trainer.data.endpoint import TIMEOUT_S, Endpoint
from trainer.data.finding import Finding
from trainer.data.sources import Counted, read_sources
from trainer.data.synthesizing import synthesize

KEY_VARIABLE = "BBJ_TRAINER_API_KEY"


class Made(BaseModel):
    """Result of ``data synthesize``.

    Attributes:
        output: The queue's folder.
        queued: Ids of the examples that wait for review now.
        outcomes: How many sources ended how.
        left_out: Files that aren't sources, by reason.
        stopped: Why it ended early; empty when it didn't.
        findings: What was wrong while reading.
    """

    output: str
    queued: list[str]
    outcomes: dict[str, int]
    left_out: dict[str, int]
    stopped: str
    findings: list[Finding]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "Shows real BBj code that compiles to a model and asks for the instruction to it. The examples wait for a\n"
        "reviewer. Your sources go to that server. Interrupted anywhere, the same command takes up where it ended.\n"
        f"The key of the server, if it wants one, comes from the environment: {KEY_VARIABLE}."
    )
    parser.add_argument("source", nargs="+", metavar="SOURCES", type=Path, help="folders and files of BBj sources")
    parser.add_argument("--endpoint", required=True, metavar="URL", help="e.g. http://localhost:11434/v1")
    parser.add_argument("--model", required=True, metavar="NAME", help="as that server calls it")
    parser.add_argument("--output", required=True, metavar="FOLDER", type=Path, help="the review queue, new or not")
    parser.add_argument("--compiler", metavar="PATH", type=Path, help="bbjcpl, or the folder of a BBj installation")
    parser.add_argument(
        "--without-compiler", action="store_true", help="take code that no compiler judged, and mark it so"
    )
    parser.add_argument("--most", type=int, metavar="N", help="ask at most so many questions")
    parser.add_argument("--per-minute", type=float, metavar="N", help="ask at most so many questions a minute")
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT_S, metavar="SECONDS", help=f"for one answer (default {TIMEOUT_S:g})"
    )


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Asks, filters, queues."""
    if arguments.timeout <= 0 or (arguments.per_minute is not None and arguments.per_minute <= 0):
        raise UserInputError("--timeout and --per-minute must be above 0.", hint="Leave them out.")
    endpoint = Endpoint(
        arguments.endpoint,
        arguments.model,
        os.environ.get(KEY_VARIABLE, ""),
        timeout_s=arguments.timeout,
        interval_s=60 / arguments.per_minute if arguments.per_minute else 0.0,
    )
    findings: list[Finding] = []
    counted = Counted()
    done = synthesize(
        read_sources(arguments.source, findings.append, counted),
        endpoint,
        arguments.output,
        find_compiler(arguments.compiler),
        lambda: datetime.now(UTC),
        findings.append,
        by=arguments.model,
        without_compiler=arguments.without_compiler,
        most=arguments.most,
    )
    result = Made(
        output=str(arguments.output),
        queued=done.queued,
        outcomes=dict(sorted(done.outcomes.items())),
        left_out=dict(sorted(counted.left_out.items())),
        stopped=done.stopped,
        findings=findings,
    )
    return Outcome(result, lambda screen: _show(screen, result), int(bool(done.stopped) or has_error(findings)))


def _show(screen: Screen, result: Made) -> None:
    screen.line(f"Waiting for review in {result.output}: {examples_text(len(result.queued))}")
    for what, counts in (("sources", result.outcomes), ("other files", result.left_out)):
        if counts:
            screen.line(f"  {what}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    if result.stopped:
        screen.line(f"Ended early: {result.stopped}")
    show_findings(screen, result.findings)
