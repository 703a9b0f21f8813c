"""``data review``: what waits for a reviewer, and what reviewers decided."""

from __future__ import annotations

import argparse
import getpass
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from bbj_desktop.core.errors import NotFoundError
from trainer.cli.findings import has_error, show_findings
from trainer.cli.nested import add_actions
from trainer.cli.screen import Outcome, Screen, examples_text
from trainer.data.example import Example, Origin, Review
from trainer.data.finding import Finding
from trainer.data.queue import add_to_queue
from trainer.data.reading import read_examples
from trainer.data.review import Reviews, State, decide, reviewed, why_not_trained

SHOWN = 50
_REPORT_SECTIONS = frozenset({"Failed Answer", "Compiler"})
"""Sections that field reports have besides; they are kept, and not trained on."""


class Row(BaseModel):
    """An example in a list.

    Attributes:
        id: Its id.
        origin: Where it comes from.
        state: What was decided.
        type: Its type.
        generation: Its generations.
        title: The beginning of what it asks.
        where: File and line.
    """

    id: str
    origin: Origin
    state: Review
    type: str
    generation: str
    title: str
    where: str


class Listed(BaseModel):
    """Result of ``data review list``.

    Attributes:
        examples: Those that were asked for.
        findings: What was wrong while reading.
    """

    examples: list[Row]
    findings: list[Finding]


class Shown(BaseModel):
    """Result of ``data review show``.

    Attributes:
        example: The example.
        history: Decisions about it, as texts, the oldest first.
    """

    example: Example
    history: list[str]


class Decided(BaseModel):
    """Result of ``data review accept``, ``reject`` and ``add``.

    Attributes:
        state: What the examples are now.
        ids: Of the examples.
        known: How many were in the queue already.
        findings: What was wrong while reading.
    """

    state: State
    ids: list[str]
    known: int = 0
    findings: list[Finding] = []


class Statistics(BaseModel):
    """Result of ``data review stats``.

    Attributes:
        counts: How many examples of each origin are in each state.
        reviewers: How many decisions each person made.
        pass_the_gate: How many may be trained on.
        findings: What was wrong while reading.
    """

    counts: dict[Origin, dict[Review, int]]
    reviewers: dict[str, int]
    pass_the_gate: int
    findings: list[Finding]


def declare(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description = (
        "What models wrote and what the field reported isn't trained on before somebody accepted it. Decisions are\n"
        "kept beside the data, with who and when."
    )
    parsers = add_actions(
        parser,
        {
            "list": "list examples by origin and state",
            "show": "show one example and what was decided about it",
            "accept": "let examples into training",
            "reject": "keep examples out of training",
            "stats": "count origins, states and reviewers",
            "add": "put field reports into a queue",
        },
    )
    for word in ("list", "show", "accept", "reject", "stats"):
        parsers[word].add_argument("path", nargs="+", metavar="PATH", type=Path, help="files and folders")
    parsers["list"].add_argument("--state", choices=get_args(Review), help="only these")
    parsers["list"].add_argument("--origin", choices=get_args(Origin), help="only these")
    for word in ("show", "accept", "reject"):
        many = "append" if word != "show" else "store"
        parsers[word].add_argument("--id", action=many, required=True, metavar="ID", help="an example's id")
    for word in ("accept", "reject", "add"):
        parsers[word].add_argument("--by", default=None, metavar="NAME", help="who decides; default: the user's name")
    for word in ("accept", "reject"):
        parsers[word].add_argument("--note", default="", metavar="TEXT", help="why, for the next person")
    parsers["add"].add_argument("path", nargs="+", metavar="REPORT", type=Path, help="reports: files and folders")
    parsers["add"].add_argument("--to", required=True, metavar="FOLDER", type=Path, help="the queue's folder")
    parsers["add"].add_argument(
        "--origin", choices=("field", "synthetic"), default="field", help="where they come from (default field)"
    )


def run(arguments: argparse.Namespace, screen: Screen) -> Outcome:  # noqa: ARG001 - every command takes it
    """Does what the third word says."""
    actions: dict[str, Callable[[argparse.Namespace], Outcome]] = {
        "list": _list,
        "show": _show_one,
        "accept": _decide,
        "reject": _decide,
        "stats": _stats,
        "add": _add,
    }
    return actions[arguments.word](arguments)


def _list(arguments: argparse.Namespace) -> Outcome:
    findings: list[Finding] = []
    rows = [
        _row(each)
        for each in _read(arguments.path, findings)
        if arguments.state in (None, each.review) and arguments.origin in (None, each.origin)
    ]
    result = Listed(examples=rows, findings=findings)
    return Outcome(result, lambda screen: _show_list(screen, result), int(has_error(findings)))


def _show_list(screen: Screen, result: Listed) -> None:
    screen.line(examples_text(len(result.examples)))
    if result.examples:
        rows = [(each.id, each.origin, each.state, each.type, each.generation, each.title) for each in result.examples]
        screen.table(("EXAMPLE", "ORIGIN", "STATE", "TYPE", "GENERATION", "ASKS"), rows[:SHOWN])
    if len(result.examples) > SHOWN:
        screen.line(f"… and {len(result.examples) - SHOWN:,} more; --json lists all.")
    show_findings(screen, result.findings)


def _show_one(arguments: argparse.Namespace) -> Outcome:
    (example,) = _named(arguments.path, [arguments.id])
    folders = {
        folder for path in arguments.path for folder in (path, *path.rglob("*/"), path.parent) if folder.is_dir()
    }
    history = sorted(
        (each for folder in folders for each in Reviews(folder).history if each.content_hash == example.content_hash),
        key=lambda each: each.at,
    )
    lines = [
        f"{each.at:%Y-%m-%d %H:%M} {each.state} by {each.by}{f': {each.note}' if each.note else ''}" for each in history
    ]
    result = Shown(example=example, history=lines)
    return Outcome(result, lambda screen: _show_example(screen, result))


def _show_example(screen: Screen, result: Shown) -> None:
    example = result.example
    gate = why_not_trained(example) or "may be trained on"
    screen.line(f"{example.id}  {example.origin}, {example.review}, compiler: {example.compiler}; {gate}")
    screen.line(f"{example.source.file}:{example.source.line}")
    for line in result.history:
        screen.line(f"  {line}")
    for message in example.to_messages():
        screen.line(f"\n[{message.role}]\n{message.content}")
    sections = example.extra.get("sections")
    for title, text in sections.items() if isinstance(sections, dict) else ():
        screen.line(f"\n[{title}]\n{text}")


def _decide(arguments: argparse.Namespace) -> Outcome:
    examples = _named(arguments.path, arguments.id)
    state: State = "accepted" if arguments.word == "accept" else "rejected"
    by, at = _reviewer(arguments), datetime.now(UTC)
    for folder in sorted({Path(each.source.file).parent for each in examples}):
        here = [each for each in examples if Path(each.source.file).parent == folder]
        decide(folder, here, state, by=by, at=at, note=arguments.note)
    result = Decided(state=state, ids=[each.id for each in examples])
    return Outcome(result, lambda screen: screen.line(f"{examples_text(len(examples))} {state} by {by}."))


def _stats(arguments: argparse.Namespace) -> Outcome:
    findings: list[Finding] = []
    counts: dict[Origin, dict[Review, int]] = {
        origin: dict.fromkeys(get_args(Review), 0) for origin in get_args(Origin)
    }
    folders: set[Path] = set()
    passing = 0
    for each in _read(arguments.path, findings):
        counts[each.origin][each.review] += 1
        passing += not why_not_trained(each)
        folders.add(Path(each.source.file).parent)
    decisions = (each for folder in sorted(folders) for each in Reviews(folder).history if each.state != "new")
    reviewers = dict(Counter(each.by for each in decisions).most_common())
    result = Statistics(counts=counts, reviewers=reviewers, pass_the_gate=passing, findings=findings)
    return Outcome(result, lambda screen: _show_stats(screen, result), int(has_error(findings)))


def _show_stats(screen: Screen, result: Statistics) -> None:
    states = get_args(Review)
    rows = [(origin, *(f"{result.counts[origin][state]:,}" for state in states)) for origin in result.counts]
    screen.table(("ORIGIN", *(state.upper() for state in states)), rows, right=frozenset(range(1, len(states) + 1)))
    screen.line(f"{examples_text(result.pass_the_gate)} may be trained on.")
    if result.reviewers:
        said = ", ".join(f"{name} {count:,}" for name, count in result.reviewers.items())
        screen.line(f"Decisions: {said}")
    show_findings(screen, result.findings)


def _add(arguments: argparse.Namespace) -> Outcome:
    findings: list[Finding] = []

    def found(finding: Finding) -> None:
        if finding.code != "unknown-section" or not any(name in finding.message for name in _REPORT_SECTIONS):
            findings.append(finding)

    examples = list(read_examples(arguments.path, found))
    queued = add_to_queue(
        arguments.to, examples, arguments.origin, lambda _: None, by=_reviewer(arguments), at=datetime.now(UTC)
    )
    result = Decided(state="new", ids=[each.id for each in queued.added], known=queued.known, findings=findings)
    return Outcome(result, lambda screen: _show_added(screen, arguments.to, result), int(has_error(findings)))


def _show_added(screen: Screen, folder: Path, result: Decided) -> None:
    known = f"; {result.known:,} were there already" if result.known else ""
    screen.line(f"Waiting for review in {folder}: {examples_text(len(result.ids))}{known}")
    show_findings(screen, result.findings)


def _read(paths: list[Path], findings: list[Finding]) -> Iterator[Example]:
    return reviewed(read_examples(paths, findings.append), paths, findings.append)


def _named(paths: list[Path], ids: list[str]) -> list[Example]:
    wanted = {each.id: each for each in _read(paths, []) if each.id in ids}
    for each in ids:
        if each not in wanted:
            raise NotFoundError(
                f"There is no example {each!r}.", hint="bbj-trainer data review list PATH lists the ids."
            )
    return [wanted[each] for each in dict.fromkeys(ids)]


def _row(example: Example) -> Row:
    asked = (example.title or example.instruction).strip().split("\n", 1)[0]
    return Row(
        id=example.id,
        origin=example.origin,
        state=example.review,
        type=example.type,
        generation=example.generation_label,
        title=asked if len(asked) <= 50 else f"{asked[:49]}…",  # noqa: PLR2004 - fits a terminal
        where=f"{example.source.file}:{example.source.line}",
    )


def _reviewer(arguments: argparse.Namespace) -> str:
    if arguments.by is not None:
        return str(arguments.by)
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this number
        return ""
