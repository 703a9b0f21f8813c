"""Code that the BBj compiler refuses. Without a compiler nothing is judged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from bbj_desktop.core.compiling import BBJ_FENCES, Judgement, Verdict
from bbj_desktop.services.compiler import Compiler
from trainer.data.example import CODE_TYPES, Example
from trainer.data.formats.parsed import Problem

_AT_ONCE = 64  # examples that are in work
_SHOWN = 2


Asked = tuple[Example, Verdict, list[Problem]]


def judged(examples: Iterable[Example], compiler: Compiler | None) -> Iterator[Asked]:
    """Asks the compiler about each example, on all processors at once, and keeps the order."""
    if compiler is None:
        yield from ((each, Verdict.NOT_JUDGED, []) for each in examples)
        return
    stream = iter(examples)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        while batch := list(islice(stream, _AT_ONCE)):
            answers = pool.map(lambda each: check(each, compiler), batch)
            yield from ((each, *answer) for each, answer in zip(batch, answers, strict=True))


def check(example: Example, compiler: Compiler) -> tuple[Verdict, list[Problem]]:
    """The verdict on an example's answer, and the refused lines."""
    found, judgement = verdict(example, compiler)
    if found is not Verdict.FAILS or judgement is None:
        return found, []
    refused = "; ".join(f"line {each.line}: {each.source}" for each in judgement.errors[:_SHOWN])
    message = f"The BBj compiler refuses it: {refused}."
    return found, [Problem("does-not-compile", "error", message, "Correct the code; mind the first line first.")]


def verdict(example: Example, compiler: Compiler) -> tuple[Verdict, Judgement | None]:
    """Fails when one piece of code does, compiles when all do; no code, or no verdict on some, isn't judged."""
    judgements = [compiler.check(code).syntax for code in programs(example)]
    for each in judgements:
        if each.verdict is Verdict.FAILS:
            return Verdict.FAILS, each
    compiles = bool(judgements) and all(each.verdict is Verdict.COMPILES for each in judgements)
    return (Verdict.COMPILES if compiles else Verdict.NOT_JUDGED), None


def programs(example: Example) -> list[str]:
    """The pieces of code that must stand alone: a completion with its prefix; the code of answers in words needn't."""
    if example.type not in CODE_TYPES:
        return []
    answer = [block for block in example.code_blocks("output") if block.language in BBJ_FENCES]
    if example.type == "completion":
        given = "\n".join(block.code for block in example.code_blocks("input"))
        if given and len(answer) == 1:
            return [f"{given.rstrip()}\n{answer[0].code}"]
    return [block.code for block in answer]
