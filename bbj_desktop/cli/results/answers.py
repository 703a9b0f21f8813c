"""Results about what models answer, and about what is said of it."""

from __future__ import annotations

from typing import Literal

from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.compiling import CheckedAnswer, Verdict


class AskResult(ResultModel):
    """Attributes:
    version: Key of the version that answered.
    answer: The last one, when the model was asked to mend it.
    checks: What the compiler said of each answer in turn; empty unless it was to be asked.
    left_out: Earlier questions of a chat that were left out with their answers, because the context was full.
    """

    version: str
    runtime: str
    answer: str
    statistics: Statistics
    checks: tuple[CheckedAnswer, ...] = ()
    left_out: int = 0


class CompleteResult(ResultModel):
    """Attributes:
    completion: What belongs at the cursor.
    prompt_tokens: Of the prompt that was made of what is around it.
    tokens_counted: With the model's own tokenizer; else they are estimated.
    left_out_before: Characters of the file's beginning that didn't fit into the context.
    left_out_behind: Characters of its end.
    """

    version: str
    runtime: str
    completion: str
    prompt_tokens: int
    tokens_counted: bool
    left_out_before: int
    left_out_behind: int
    statistics: Statistics


class ChatResult(ResultModel):
    """The end of a chat; with ``--json`` each answer is an AskResult of its own line before it."""

    version: str
    answers: int


class ValidatedCode(ResultModel):
    """Attributes:
    lines: What the compiler refuses, or why it didn't judge.
    types: What its type check says; None when it wasn't asked for.
    type_lines: What the type check complains of, or why it said nothing.
    """

    verdict: Verdict
    lines: tuple[str, ...]
    types: Verdict | None = None
    type_lines: tuple[str, ...] = ()


class FieldReportResult(ResultModel):
    """A failed answer that was written down.

    Attributes:
        verdict: What the compiler says of the answer.
    """

    file: str
    verdict: Verdict


class McpResult(ResultModel):
    """The end of a server.

    Attributes:
        address: Where it was; none for stdio.
    """

    transport: Literal["stdio", "http"]
    address: str | None = None


class DemoView(ResultModel):
    key: str
    runtime: str
    fetched_bytes: int
    install_s: float
    question: str
    answer: str
    statistics: Statistics
