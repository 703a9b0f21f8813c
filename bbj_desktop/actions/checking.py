"""Letting the BBj compiler judge an answer, and letting the model mend what it refuses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from bbj_desktop.core.compiling import (
    CheckedAnswer,
    CheckedBlock,
    CodeBlock,
    CompileReport,
    Verdict,
    bbj_blocks,
    mending_prompt,
    not_judged,
)
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.settings import Settings
from bbj_desktop.services.compiler import Compiler, TypeCheck, find_compiler

MENDING_ATTEMPTS = 3  # how often a model may try again
NO_COMPILER = "No BBj compiler was found on this machine."
CUT_OFF = "The answer was cut off in it, at its limit of tokens."


def compiler_for(values: Settings) -> Compiler | None:
    """The compiler of this machine; None when there is none.

    Raises:
        SettingsError: The one that the settings name isn't there.
    """
    found = find_compiler(values.compiler)
    return replace(found, types=_types_for(values)) if found else None


def _types_for(values: Settings) -> TypeCheck | None:
    if values.type_check == "off":
        return None
    folders = (values.compiler_prefix or "").split(os.pathsep)
    return TypeCheck(
        prefixes=tuple(Path(folder).expanduser().absolute() for folder in folders if folder),
        configuration=values.compiler_config.absolute() if values.compiler_config else None,
        class_path=values.compiler_class_path or "",
        warnings=values.type_check == "warnings",
    )


def check_code(compiler: Compiler | None, code: str, cancel: Cancel | None = None) -> CompileReport:
    """Judges a piece of code; without a compiler it is "not judged". Raises Cancelled on request."""
    return compiler.check(code, cancel) if compiler else CompileReport(syntax=not_judged(NO_COMPILER))


def check_answer(
    compiler: Compiler | None, answer: str, cancel: Cancel | None = None, *, cut_off: bool = False
) -> CheckedAnswer:
    """Judges every BBj block of an answer, each for itself.

    Args:
        cut_off: The answer ended at its limit of tokens. Then a last block without an end isn't judged: what the
            compiler would refuse is the cut, which no model can mend.

    Raises:
        Cancelled: On request.
    """

    def report(block: CodeBlock) -> CompileReport:
        if cut_off and not block.closed:
            return CompileReport(syntax=not_judged(CUT_OFF))
        return check_code(compiler, block.code, cancel)

    return CheckedAnswer(
        blocks=tuple(
            CheckedBlock(line=block.line, code=block.code, report=report(block)) for block in bbj_blocks(answer)
        )
    )


def ask_until_it_compiles(
    question: str,
    ask: Callable[[str], str],
    check: Callable[[str], CheckedAnswer],
    may_mend: Callable[[int], bool],
) -> Iterator[tuple[str, CheckedAnswer]]:
    """Asks, checks and, while the compiler refuses something, asks the model to mend it.

    Args:
        ask: Sends a text in one and the same conversation and returns the answer.
        may_mend: Told the number of the attempt that would follow, from 1; says whether it may be made.

    Yields:
        Each answer and what the compiler says of it; the last one is the one to keep.
    """
    text = question
    for attempt in count(1):
        answer = ask(text)
        checked = check(answer)
        yield answer, checked
        if checked.verdict is not Verdict.FAILS or not may_mend(attempt):
            return
        text = mending_prompt(checked.blocks)
