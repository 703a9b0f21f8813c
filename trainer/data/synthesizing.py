"""Synthetic examples: a model is asked for the instruction to which real, compiling code is the answer.

Only the instruction is the model's; the code is what people wrote. What comes back is filtered, marked as synthetic and
put into the review queue. What was done is written down beside it, so that the same command takes up where it ended.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from bbj_desktop.core.compiling import Verdict
from bbj_desktop.core.errors import TransportError, UserInputError
from bbj_desktop.services.compiler import Compiler
from trainer.data.checks import answers, blocks, secrets, texts
from trainer.data.example import Compiled, Example
from trainer.data.files import Found
from trainer.data.labelling import infer
from trainer.data.logbook import Logbook
from trainer.data.queue import add_to_queue
from trainer.data.sources import BBjSource

KIND = "bbj-training-synthesis"
FORMAT = 1
LOG_NAME = "synthesis.sidecar.jsonl"
LEAST_LINES, MOST_CHARACTERS = 4, 6_000
_FLUSHED = 20  # examples that a killed process may lose
_GIVEN_UP = 5  # questions in a row that failed
_LEAST_WORDS, _MOST_WORDS = 5, 120
_SIGNS_OF_CODE = re.compile(r"```|\bmethodend\b|\bclassend\b|[!$]\s*=|^\s*rem\b", re.IGNORECASE | re.MULTILINE)
_CHATTER = re.compile(
    r"^(?:sure|certainly|of course|here is|here's|as an ai|i cannot|i can't|i'm sorry)\b", re.IGNORECASE
)

SYSTEM = """\
You write tasks for programmers of BBj, a Business BASIC. You are shown a finished program. Write the task that somebody
would set who doesn't know this program and wants exactly it: what it shall do, with the names and values that can't be
guessed. Don't write code and don't mention that a program exists already. Answer with a JSON object:
{"instruction": "…"}"""


class Asks(Protocol):
    """What instructions come from."""

    def ask(self, system: str, question: str) -> str:
        """An answer; raises TransportError."""


@dataclass(slots=True)
class Synthesized:
    """What came of it.

    Attributes:
        queued: Ids of the examples that wait for review now.
        outcomes: How many sources ended how: ``queued``, ``done-before``, ``does-not-compile``, ``not-judged``,
            ``too-short``, ``too-long``, ``secret``, ``no-instruction``, ``holds-code``, ``repeated``, ``refused``,
            ``failed`` (tried again by the next run).
        stopped: Why it ended early; empty when it didn't.
    """

    queued: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    stopped: str = ""


def synthesize(
    sources: Iterable[BBjSource],
    endpoint: Asks,
    queue: Path,
    compiler: Compiler | None,
    now: Callable[[], datetime],
    found: Found,
    *,
    by: str,
    without_compiler: bool = False,
    most: int | None = None,
) -> Synthesized:
    """Asks for an instruction to each source.

    Args:
        endpoint: The model.
        queue: Folder of the review queue, see ``trainer.data.queue``.
        compiler: Judges the sources.
        now: The time, in UTC.
        by: Who puts them into the queue: the model's name.
        without_compiler: Take sources that nobody judged, too; they are marked so.
        most: Questions to ask at most.

    Raises:
        UserInputError: There is no compiler, and that isn't accepted.
        StoreAccessError: The queue can't be written.
    """
    if compiler is None and not without_compiler:
        raise UserInputError(
            "There is no BBj compiler here, so no code can be judged.",
            hint="Name one with --compiler, or take code that isn't judged with --without-compiler.",
        )
    work = _Work(Logbook(queue / LOG_NAME, KIND, FORMAT, "a log of syntheses"), queue, now, found, by)
    done = work.done()
    asked = failed = 0
    try:
        for source in sources:
            if source.digest in done:
                work.result.outcomes["done-before"] += 1
                continue
            why, compiled = _judged(source, compiler, without_compiler=without_compiler)
            if why:
                work.result.outcomes[why] += 1  # isn't written down: another compiler may judge otherwise
                continue
            if most is not None and asked >= most:
                break
            asked += 1
            try:
                answer = endpoint.ask(SYSTEM, f"```bbj\n{source.text.rstrip()}\n```")
            except TransportError as error:
                work.result.outcomes["failed"] += 1
                failed += 1
                if failed >= _GIVEN_UP:
                    work.result.stopped = str(error)
                    break
                continue
            failed = 0
            work.take(source, answer, compiled)
    finally:
        work.flush()
    return work.result


@dataclass(slots=True)
class _Work:
    """What one run holds, and writes now and then."""

    log: Logbook
    queue: Path
    now: Callable[[], datetime]
    found: Found
    by: str
    result: Synthesized = field(default_factory=Synthesized)
    _examples: list[Example] = field(default_factory=list)
    _records: list[dict[str, str]] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def done(self) -> set[str]:
        """Digests of the sources that earlier runs decided; their instructions are remembered, too."""
        records = [record for _, record in self.log.read()]
        self._known = {str(record["instruction"]) for record in records if "instruction" in record}
        return {str(record.get("source")) for record in records}

    def take(self, source: BBjSource, answer: str, compiled: Compiled) -> None:
        instruction = _instruction(answer)
        why = _useless(instruction) or ("repeated" if _key(instruction) in self._known else "")
        example = None if why else _example(source, instruction, compiled)
        if example is not None and _refused(example):
            why = "refused"
        record = {"source": source.digest, "outcome": why or "queued"}
        if example is not None and not why:
            self._known.add(_key(instruction))
            record["instruction"] = _key(instruction)
            self._examples.append(example)
        self.result.outcomes[why or "queued"] += 1
        self._records.append(record)
        if len(self._records) >= _FLUSHED:
            self.flush()

    def flush(self) -> None:
        """First the examples, then that they are done: adding an example twice adds it once."""
        examples, self._examples = self._examples, []
        records, self._records = self._records, []
        if examples:
            queued = add_to_queue(self.queue, examples, "synthetic", self.found, by=self.by, at=self.now())
            self.result.queued.extend(each.id for each in queued.added)
        if records:
            self.log.append(records)


def _judged(source: BBjSource, compiler: Compiler | None, *, without_compiler: bool) -> tuple[str, Compiled]:
    """Why a source isn't used, and what the compiler said."""
    if source.text.strip().count("\n") + 1 < LEAST_LINES:
        return "too-short", "not-judged"
    if len(source.text) > MOST_CHARACTERS:
        return "too-long", "not-judged"
    bare = Example(id="x", type="completion", output=source.text)
    if any(each.severity == "error" for each in secrets.check(bare)):
        return "secret", "not-judged"
    verdict = compiler.check(source.text).syntax.verdict if compiler else Verdict.NOT_JUDGED
    if verdict is Verdict.COMPILES:
        return "", "compiles"
    if verdict is Verdict.FAILS:
        return "does-not-compile", "fails"
    return ("" if without_compiler else "not-judged"), "not-judged"


def _instruction(answer: str) -> str:
    """The instruction in an answer: of the JSON object that was asked for, or of a plain text; empty without one."""
    start, end = answer.find("{"), answer.rfind("}")
    if 0 <= start < end:
        try:
            record = json.loads(answer[start : end + 1])
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            text = record.get("instruction")
            return text.strip() if isinstance(text, str) else ""
    return answer.strip().strip('"').strip()


def _useless(instruction: str) -> str:
    if _SIGNS_OF_CODE.search(instruction):
        return "holds-code"
    words = len(instruction.split())
    return "no-instruction" if not _LEAST_WORDS <= words <= _MOST_WORDS or _CHATTER.match(instruction) else ""


def _key(instruction: str) -> str:
    return hashlib.sha256(" ".join(re.findall(r"\w+", instruction.lower())).encode()).hexdigest()


def _example(source: BBjSource, instruction: str, compiled: Compiled) -> Example:
    draft = Example.of(
        type="completion",
        instruction=instruction,
        output=source.text.rstrip(),
        origin="synthetic",
        compiler=compiled,
        tags=(f"source:{source.digest[:16]}",),
    )
    generation = infer(draft).generation
    return draft.changed(generation=generation)


def _refused(example: Example) -> bool:
    """Whether the checks find an error in it."""
    problems = (each for module in (answers, blocks, secrets, texts) for each in module.check(example))
    return any(each.severity == "error" for each in problems)
