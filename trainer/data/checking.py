"""Looks for all that is wrong with training data. ``check_data`` is the door.

One pass over the stream; of each example a digest, its shingles and a signature are kept, no texts.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from multiprocessing import get_context
from pathlib import Path

from pydantic import BaseModel

from bbj_desktop.core.compiling import Verdict
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.compiler import Compiler
from trainer.data.checks import answers, blocks, compiling, labels, lengths, repeated, secrets, texts, whole
from trainer.data.checks.examined import Examined, examined
from trainer.data.example import Example
from trainer.data.files import walk
from trainer.data.finding import SEVERITIES, Finding, Severity
from trainer.data.formats.parsed import Problem
from trainer.data.labels import labelled
from trainer.data.reading import read_examples
from trainer.data.similarity import THRESHOLD, Cluster

KEPT = 5000
"""Findings of one kind that are listed; all are counted."""

Check = Callable[[Example], Iterable[Problem]]
CHECKS: tuple[Check, ...] = (answers.check, blocks.check, labels.check, secrets.check)
"""What looks at one example at a time, after its texts."""

_MUCH_BYTES = 8_000_000  # from which on a second process pays: it takes a second to start
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
        kind = self._kind(finding.code, finding.severity)
        kind.count += 1
        if kind.count <= KEPT:
            self.kept.append(finding)

    def merge(self, other: Findings) -> None:
        self.severities.update(other.severities)
        self.kept.extend(other.kept)
        for each in other.kinds.values():
            self._kind(each.code, each.severity).count += each.count

    def in_order(self, files: Iterable[str]) -> list[Finding]:
        """What was kept, by the order of files and lines."""
        places = {file: place for place, file in enumerate(files)}
        return sorted(self.kept, key=lambda each: (places.get(each.file, -1), each.file, each.line))

    def worst_first(self, ordered: Iterable[Finding]) -> list[Kind]:
        """The kinds, with their first ones."""
        for each in ordered:
            kind = self.kinds[each.code]
            if not kind.message:
                kind.first, kind.message = each.where, each.message
        return sorted(self.kinds.values(), key=lambda each: (SEVERITIES.index(each.severity), -each.count, each.code))

    def _kind(self, code: str, severity: Severity) -> Kind:
        kind = self.kinds.setdefault(code, Kind(code=code, severity=severity, count=0, first="", message=""))
        kind.severity = min(kind.severity, severity, key=SEVERITIES.index)
        return kind


@dataclass
class _Looked:
    """What one process found in its share of the examples."""

    findings: Findings = field(default_factory=Findings)
    several: list[Examined] = field(default_factory=list)
    compiled: Counter[str] = field(default_factory=Counter)


def check_data(
    paths: Iterable[Path], settings: CheckSettings, cancel: Cancel | None = None, *, processes: int | None = None
) -> CheckedData:
    """Reads all, looks at each example and at all of them together.

    Args:
        paths: Files and folders.
        settings: What is asked for.
        cancel: Obeyed between examples.
        processes: 1 or 2; None takes two where there is much to read and no compiler to wait for.

    Raises:
        NotFoundError: A path, the labels or the tokenizer isn't there.
        FormatError: The labels or the tokenizer can't be read.
        Cancelled: Asked to stop.
    """
    given = list(paths)
    counter = lengths.TokenCounter(settings.tokenizer)
    shares = processes or (2 if settings.compiler is None and _is_much(given) else 1)
    looked = _look(given, settings, cancel) if shares == 1 else _look_in_two(given, settings, cancel)
    findings, several = looked.findings, looked.several
    clusters = repeated.near_duplicates(several, settings.threshold)
    for finding in _together(several, clusters, settings):
        findings.add(finding)
    ordered = findings.in_order(dict.fromkeys(each.file for each in several))
    return CheckedData(
        examples=len(several),
        errors=findings.severities["error"],
        warnings=findings.severities["warning"],
        remarks=findings.severities["info"],
        kinds=findings.worst_first(ordered),
        findings=ordered,
        compiler=str(settings.compiler.program) if settings.compiler else "",
        compiled={each.value: looked.compiled[each.value] for each in Verdict},
        shapes=dict(Counter(each.shape for each in several).most_common()),
        lengths=_lengths([each.tokens for each in several], counter, settings.max_seq_length),
        cells=[Cell(type=a, generation=b, difficulty=c, count=n) for (a, b, c), n in whole.cells(several).items()],
        clusters=len(clusters),
    )


def _look_in_two(paths: list[Path], settings: CheckSettings, cancel: Cancel | None) -> _Looked:
    """Both processes read all, and each looks at every second example: reading is cheap beside looking."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        others = pool.submit(_look, paths, settings, None, 1, 2)
        looked = _look(paths, settings, cancel, 0, 2)
        second = others.result()
    looked.findings.merge(second.findings)
    looked.compiled.update(second.compiled)
    in_turn = zip_longest(looked.several, second.several)
    looked.several = [each for pair in in_turn for each in pair if each is not None]
    return looked


def _look(
    paths: list[Path], settings: CheckSettings, cancel: Cancel | None, share: int = 0, shares: int = 1
) -> _Looked:
    """Looks at every ``shares``-th example, from ``share`` on; the first share tells what was wrong with reading."""
    looked, counter = _Looked(), lengths.TokenCounter(settings.tokenizer)
    found = looked.findings.add if share == 0 else _tell_nobody
    stream = labelled(read_examples(paths, found, cancel=cancel), settings.labels, found)
    for example, verdict, refused in compiling.judged(islice(stream, share, None, shares), settings.compiler):
        looked.compiled[verdict.value] += 1
        tokens = counter.tokens(example)
        long = lengths.check(tokens, settings.max_seq_length, estimated=counter.estimated)
        for problem in (*problems(example), *refused, *long):
            looked.findings.add(problem.finding(example.source, example.id))
        looked.several.append(examined(example, tokens))
    return looked


def _tell_nobody(finding: Finding) -> None:
    """The other share tells it."""


def _is_much(paths: Iterable[Path]) -> bool:
    total = 0
    for path in walk(paths, _tell_nobody):
        with suppress(OSError):
            total += path.stat().st_size
    return total > _MUCH_BYTES


def problems(example: Example) -> Iterator[Problem]:
    """What is wrong with one example by itself; what follows from a literal backslash-n isn't told twice."""
    yield from texts.check(example)
    as_meant = texts.mended(example, texts.with_line_breaks)
    for check in CHECKS:
        yield from check(as_meant)


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
