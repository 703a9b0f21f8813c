"""Looks for all that is wrong with training data. ``check_data`` is the door.

One pass over the stream; of each example a digest, its shingles and a signature are kept, no texts.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from bbj_desktop.core.compiling import Verdict
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.compiler import Compiler
from trainer.data.checks import answers, blocks, compiling, labels, lengths, repeated, secrets, texts, whole
from trainer.data.checks.examined import Examined, examined
from trainer.data.example import Example
from trainer.data.finding import SEVERITIES, Finding, Severity
from trainer.data.formats.parsed import Problem
from trainer.data.labels import labelled
from trainer.data.reading import read_examples
from trainer.data.similarity import THRESHOLD, Cluster

KEPT = 5000
"""Findings of one kind that are listed; all are counted."""

Check = Callable[[Example], Iterable[Problem]]
CHECKS: tuple[Check, ...] = (texts.check, answers.check, blocks.check, labels.check, secrets.check)
"""What looks at one example at a time."""

_BUCKETS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True)
class CheckSettings:
    """What is asked for.

    Attributes:
        labels: A labels file, laid over the examples.
        tokenizer: The base model's ``tokenizer.json``; None estimates.
        max_seq_length: Tokens that training will take of an example.
        threshold: Jaccard similarity of near-duplicates.
        least_in_cell: Examples below which a cell is thin.
        compiler: Asked about code that must stand alone; None leaves it not judged.
    """

    labels: Path | None = None
    tokenizer: Path | None = None
    max_seq_length: int = 1024
    threshold: float = THRESHOLD
    least_in_cell: int = whole.LEAST_IN_CELL
    compiler: Compiler | None = None


class Kind(BaseModel):
    """One kind of problem.

    Attributes:
        code: Its name.
        severity: The worst among its findings.
        count: How many.
        first: Where the first one is.
        message: What the first one says.
    """

    code: str
    severity: Severity
    count: int
    first: str
    message: str


class Lengths(BaseModel):
    """Tokens of the examples.

    Attributes:
        counted_by: The tokenizer, or how it was estimated.
        max_seq_length: What training takes.
        median: Tokens.
        longest: Tokens.
        buckets: Upper bound in tokens and how many examples are in it; the last one, 0, has no bound.
    """

    counted_by: str
    max_seq_length: int
    median: int = 0
    longest: int = 0
    buckets: list[tuple[int, int]] = []


class Cell(BaseModel):
    """Examples of one type, generation and difficulty."""

    type: str
    generation: str
    difficulty: str
    count: int


class CheckedData(BaseModel):
    """All that was found.

    Attributes:
        format: Version of this report.
        examples: How many were read.
        errors: How many findings are errors.
        warnings: How many are warnings.
        remarks: How many are infos.
        kinds: The kinds, the worst and most frequent first.
        findings: Each one, in the order of files and lines; of a kind no more than KEPT.
        compiler: The compiler that judged; empty without one.
        compiled: How many examples compile, fail, or were not judged.
        shapes: How many answers are fenced code, code and words, words, raw code, empty.
        lengths: How long the examples are.
        cells: How many examples each cell has; an example of several generations counts in each.
        clusters: How many groups of near-duplicates there are.
    """

    format: int = 1
    examples: int
    errors: int
    warnings: int
    remarks: int
    kinds: list[Kind]
    findings: list[Finding]
    compiler: str
    compiled: dict[str, int]
    shapes: dict[str, int]
    lengths: Lengths
    cells: list[Cell]
    clusters: int


@dataclass
class Findings:
    """Counts all findings and keeps a bounded number of each kind."""

    kept: list[Finding] = field(default_factory=list)
    kinds: dict[str, Kind] = field(default_factory=dict)
    severities: Counter[Severity] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        self.severities[finding.severity] += 1
        kind = self.kinds.get(finding.code)
        if kind is None:
            kind = self.kinds[finding.code] = Kind(
                code=finding.code, severity=finding.severity, count=0, first=finding.where, message=finding.message
            )
        kind.count += 1
        kind.severity = min(kind.severity, finding.severity, key=SEVERITIES.index)
        if kind.count <= KEPT:
            self.kept.append(finding)

    def worst_first(self) -> list[Kind]:
        return sorted(self.kinds.values(), key=lambda each: (SEVERITIES.index(each.severity), -each.count, each.code))


def check_data(paths: Iterable[Path], settings: CheckSettings, cancel: Cancel | None = None) -> CheckedData:
    """Reads all, looks at each example and at all of them together.

    Raises:
        NotFoundError: A path, the labels or the tokenizer isn't there.
        FormatError: The labels or the tokenizer can't be read.
        Cancelled: Asked to stop.
    """
    findings = Findings()
    counter = lengths.TokenCounter(settings.tokenizer)
    stream = labelled(read_examples(paths, findings.add, cancel=cancel), settings.labels, findings.add)
    compiled: Counter[str] = Counter()
    several: list[Examined] = []
    for example, verdict, refused in compiling.judged(stream, settings.compiler):
        compiled[verdict.value] += 1
        tokens = counter.tokens(example)
        long = lengths.check(tokens, settings.max_seq_length, estimated=counter.estimated)
        for problem in (*problems(example), *refused, *long):
            findings.add(problem.finding(example.source, example.id))
        several.append(examined(example, tokens))
    clusters = repeated.near_duplicates(several, settings.threshold)
    for finding in _together(several, clusters, settings):
        findings.add(finding)
    order = {each.file: place for place, each in reversed(list(enumerate(several)))}
    return CheckedData(
        examples=len(several),
        errors=findings.severities["error"],
        warnings=findings.severities["warning"],
        remarks=findings.severities["info"],
        kinds=findings.worst_first(),
        findings=sorted(findings.kept, key=lambda each: (order.get(each.file, -1), each.file, each.line)),
        compiler=str(settings.compiler.program) if settings.compiler else "",
        compiled={each.value: compiled[each.value] for each in Verdict},
        shapes=dict(Counter(each.shape for each in several).most_common()),
        lengths=_lengths([each.tokens for each in several], counter, settings.max_seq_length),
        cells=[Cell(type=a, generation=b, difficulty=c, count=n) for (a, b, c), n in whole.cells(several).items()],
        clusters=len(clusters),
    )


def problems(example: Example) -> Iterator[Problem]:
    """What is wrong with one example by itself."""
    for check in CHECKS:
        yield from check(example)


def _together(several: list[Examined], clusters: list[Cluster], settings: CheckSettings) -> Iterator[Finding]:
    yield from repeated.check_prompts(several)
    yield from repeated.check_likeness(several, clusters)
    yield from whole.check_system_prompts(several)
    yield from whole.check_cells(several, settings.least_in_cell)


def _lengths(tokens: list[int], counter: lengths.TokenCounter, longest: int) -> Lengths:
    if not tokens:
        return Lengths(counted_by=counter.name, max_seq_length=longest)
    bounds = Counter(next((bound for bound in _BUCKETS if each <= bound), 0) for each in tokens)
    return Lengths(
        counted_by=counter.name,
        max_seq_length=longest,
        median=round(statistics.median(tokens)),
        longest=max(tokens),
        buckets=[(bound, bounds[bound]) for bound in (*_BUCKETS, 0)],
    )
