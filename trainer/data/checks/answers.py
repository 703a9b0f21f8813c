"""What the answer looks like: code in fences, words, bare code, next to nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from bbj_desktop.core.compiling import BBJ_FENCES
from bbj_desktop.core.fences import fences
from trainer.data.checks.code_shape import looks_like_code
from trainer.data.example import CODE_TYPES, Example
from trainer.data.formats.parsed import Problem

SHORT = 10
"""Characters up to which an answer counts as very short."""

Shape = Literal["fenced code", "code and words", "words", "raw code", "empty"]
_INLINE_FENCE = re.compile(r"^[^\n`]*```[^\n`]*[ \t]*```", re.MULTILINE)
_SHARE_OF_CODE = 0.6  # of the answer's signs


def check(example: Example) -> Iterator[Problem]:
    """Looks at the answer."""
    answer = example.output.strip()
    if not answer:
        yield Problem("empty-answer", "error", "There is no answer.", "Write one, or remove the example.")
        return
    if len(answer) <= SHORT:
        message = f"The answer has {len(answer)} characters: {answer!r}."
        yield Problem("short-answer", "warning", message, "See whether it answers; complete it, or remove the example.")
    yield from _fences(example)
    yield from _kind(example)


def shape(answer: str) -> Shape:
    """What most of an answer is, as it is trained."""
    answer = answer.strip()
    if not answer:
        return "empty"
    blocks = list(fences(answer))
    if not blocks:
        return "raw code" if looks_like_code(answer) else "words"
    return "fenced code" if sum(len(each.code) for each in blocks) >= _SHARE_OF_CODE * len(answer) else "code and words"


def is_raw_code(example: Example) -> bool:
    """Whether a chat's answer is code and nothing else, without fences."""
    return example.form == "chat" and "```" not in example.output and looks_like_code(example.output)


def _fences(example: Example) -> Iterator[Problem]:
    answer = example.output
    if "```" not in answer and "~~~" not in answer:
        return
    if _INLINE_FENCE.search(answer):
        message = "A code fence opens and closes on one line."
        yield Problem("wrong-fence", "warning", message, "Put the fences on lines of their own.")
    for block in fences(answer):
        if not block.closed:
            message = f"The code fence on line {block.line} of the answer is never closed."
            yield Problem("unclosed-fence", "error", message, "bbj-trainer data fix closes it at the end.")
        if not block.code.strip():
            message = f"Nothing stands in the code fence on line {block.line} of the answer."
            yield Problem("wrong-fence", "warning", message, "Fill it, or remove it.")
        elif block.language not in BBJ_FENCES and looks_like_code(block.code):
            message = f"BBj code stands in a fence for {block.language!r} (line {block.line} of the answer)."
            yield Problem("wrong-fence", "warning", message, "Name the language bbj.")


def _kind(example: Example) -> Iterator[Problem]:
    if is_raw_code(example):
        message = "The answer is code without a fence."
        yield Problem("raw-code", "warning", message, "bbj-trainer data fix puts a fence around it.")
    elif example.type in CODE_TYPES and not example.code_blocks("output"):
        message = f"The answer of a {example.type} has no code."
        yield Problem("no-code", "warning", message, "Add the code, in a ```bbj fence; or correct the type.")
    elif example.type in ("comprehension", "explanation") and _nothing_but_code(example):
        message = (
            f"The answer of {'a' if example.type == 'comprehension' else 'an'} {example.type} is code without words."
        )
        yield Problem("no-words", "warning", message, "Answer in words; or correct the type.")


def _nothing_but_code(example: Example) -> bool:
    blocks = list(fences(example.output))
    if not blocks:
        return not example.explanation and looks_like_code(example.output)
    inside = {line for each in blocks for line in range(each.line, each.end + 1)}
    outside = [line for number, line in enumerate(example.output.split("\n"), start=1) if number not in inside]
    return not example.explanation and not any(line.strip() for line in outside)
