"""What the BBj compiler says of a piece of code, and which pieces of an answer it is asked about.

No compiler, no verdict: ``NOT_JUDGED`` is neither a pass nor a failure, wherever it is shown or counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.fences import Fence, fences

# <file>: error at line <legacy line> (<physical line>):     <source>          as bbjcpl writes it to stderr
_LINE = re.compile(r"^.*?: error at line (?P<legacy>\d+) \((?P<line>\d+)\):\s*(?P<source>.*)$")
_LONGEST_NOTICE = 300  # characters of a text that the compiler wasn't expected to say

BBJ_FENCES = frozenset({"", "bbj", "bbx", "basic", "business-basic", "businessbasic", "bbj-gui", "dwc", "vpro5"})


class Verdict(StrEnum):
    """What is known of a piece of code."""

    COMPILES = "compiles"
    FAILS = "fails"
    NOT_JUDGED = "not judged"


class CompilerLine(BaseModel):
    """A line that the compiler refuses. Errors cascade: how many there are means little.

    Attributes:
        line: Physical line of the code, from 1.
        legacy_line: Its line number in the old sense.
        source: The refused text as the compiler repeats it.
    """

    model_config = ConfigDict(frozen=True)

    line: int
    legacy_line: int
    source: str


class Judgement(BaseModel):
    """What one run of the compiler says.

    Attributes:
        errors: The refused lines; empty unless it fails.
        reason: Why there is no verdict; empty when there is one.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    errors: tuple[CompilerLine, ...] = ()
    reason: str = ""


class CompileReport(BaseModel):
    """Syntax and types are two questions: only the first one decides whether code compiles.

    Attributes:
        types: What the type check says; None when it wasn't asked, or the syntax is wrong already.
    """

    model_config = ConfigDict(frozen=True)

    syntax: Judgement
    types: Judgement | None = None


def not_judged(reason: str) -> Judgement:
    return Judgement(verdict=Verdict.NOT_JUDGED, reason=reason)


def interpret(said: str, status: int | None) -> Judgement:
    """Reads what ``bbjcpl`` wrote to stderr.

    It exits 0 even when the code is wrong, so lines of its error form decide. Silence compiles. Any other text, such as
    a licence notice, is no verdict, and neither is a process that didn't end by itself.

    Args:
        status: Exit status, negative for a signal; None when it was killed because of its time limit.
    """
    lines = [line for line in said.splitlines() if line.strip()]
    errors = tuple(_error(match) for line in lines if (match := _LINE.match(line)))
    if errors:
        return Judgement(verdict=Verdict.FAILS, errors=errors)
    if status is None:
        return not_judged("The compiler didn't end within its time.")
    if lines:
        return not_judged(f"The compiler said: {' '.join(lines)[:_LONGEST_NOTICE]}")
    if status != 0:
        return not_judged(f"The compiler ended with status {status} and said nothing.")
    return Judgement(verdict=Verdict.COMPILES)


def _error(match: re.Match[str]) -> CompilerLine:
    return CompilerLine(
        line=int(match["line"]), legacy_line=int(match["legacy"]), source=match["source"].rstrip("\r\n ")
    )


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block of an answer.

    Attributes:
        language: What the fence names, in lower case; empty for none.
        code: Its lines, each with its end.
        line: Line of the answer on which the code begins, from 1.
        closed: Whether its end is there.
    """

    language: str
    code: str
    line: int
    closed: bool = True

    @property
    def is_bbj(self) -> bool:
        """A block without a language is taken for BBj: that is what the models are asked for."""
        return is_bbj(self.language)


def is_bbj(language: str) -> bool:
    """Whether a fence of that language holds BBj; none is taken for it."""
    return language in BBJ_FENCES


def code_blocks(answer: str) -> tuple[CodeBlock, ...]:
    """The fenced blocks of a Markdown text, also those within lists and quotations, and a last one without an end."""
    return tuple(
        CodeBlock(language=each.language, code=_lines_of(each), line=each.line + 1, closed=each.closed)
        for each in fences(answer)
    )


def _lines_of(fence: Fence) -> str:
    if not fence.code:
        return ""
    return fence.code if not fence.closed and fence.code.endswith("\n") else fence.code + "\n"


def bbj_blocks(answer: str) -> tuple[CodeBlock, ...]:
    """The blocks of an answer that a BBj compiler can be asked about."""
    return tuple(block for block in code_blocks(answer) if block.is_bbj and block.code.strip())


class CheckedBlock(BaseModel):
    """A block of an answer and what the compiler says of it.

    Attributes:
        line: Line of the answer on which the code begins, from 1.
    """

    model_config = ConfigDict(frozen=True)

    line: int
    code: str
    report: CompileReport


class CheckedAnswer(BaseModel):
    """An answer's blocks, each judged.

    Attributes:
        blocks: Empty when the answer holds no BBj in fences.
    """

    model_config = ConfigDict(frozen=True)

    blocks: tuple[CheckedBlock, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """It fails when one block does, and compiles when all do."""
        verdicts = {block.report.syntax.verdict for block in self.blocks}
        if Verdict.FAILS in verdicts:
            return Verdict.FAILS
        return Verdict.COMPILES if verdicts == {Verdict.COMPILES} else Verdict.NOT_JUDGED


def mending_prompt(blocks: Sequence[CheckedBlock]) -> str:
    """What the model is told when the compiler refused its code; empty when it refused none."""
    refused = [block for block in blocks if block.report.syntax.verdict is Verdict.FAILS]
    if not refused:
        return ""
    complaints = "\n\n".join(_complaint(block) for block in refused)
    return (
        f"The BBj compiler refuses this code:\n\n{complaints}\n\n"
        "Write the whole program again, corrected, in one ```bbj block."
    )


def _complaint(block: CheckedBlock) -> str:
    lines = "\n".join(f"line {error.line}: {error.source}" for error in block.report.syntax.errors)
    return f"```bbj\n{block.code.rstrip()}\n```\n{lines}"
