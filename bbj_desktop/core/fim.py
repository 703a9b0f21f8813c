"""How a completion model is given what stands before and after the cursor.

The one place that says it is the release's Go template, whose part with ``.Suffix`` Ollama itself uses; every other
runtime and every IDE gets it from there, so that no base model's tokens stand in the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bbj_desktop.core.release import Release, Role

_FIELD = r"\{{\{{-?\s*\.{name}\s*-?\}}\}}"
_TEXT = r"([^{}]*)"
_PROMPT, _SUFFIX = _FIELD.format(name="Prompt"), _FIELD.format(name="Suffix")
_PREFIX_FIRST = re.compile(_TEXT + _PROMPT + _TEXT + _SUFFIX + _TEXT)
_SUFFIX_FIRST = re.compile(_TEXT + _SUFFIX + _TEXT + _PROMPT + _TEXT)


@dataclass(frozen=True, slots=True)
class FimTemplate:
    """Prefix, suffix and the tokens around them.

    Attributes:
        before: In front of the part that comes first.
        between: Between the two.
        after: Behind the second one; the model writes the middle from there.
        prefix_first: Whether the prefix is the first part, as for Qwen2.5-Coder.
    """

    before: str
    between: str
    after: str
    prefix_first: bool = True

    def render(self, prefix: str, suffix: str) -> str:
        """The prompt for a cursor between ``prefix`` and ``suffix``."""
        first, second = (prefix, suffix) if self.prefix_first else (suffix, prefix)
        return f"{self.before}{first}{self.between}{second}{self.after}"

    def mustache(self) -> str:
        """The same for Continue, which fills ``{{{prefix}}}`` and ``{{{suffix}}}`` in without escaping them."""
        return self.render("{{{prefix}}}", "{{{suffix}}}")

    @property
    def tokens(self) -> tuple[str, ...]:
        """The texts that mark its borders; none of them may come out of the model."""
        return tuple(filter(None, (text.strip() for text in (self.before, self.between, self.after))))


def fim_template(release: Release) -> FimTemplate | None:
    """Reads it from a release; None for one that can't complete between two texts (every chat release)."""
    if release.role is not Role.FIM:
        return None
    for pattern, prefix_first in ((_PREFIX_FIRST, True), (_SUFFIX_FIRST, False)):
        if match := pattern.search(release.prompt.go_template):
            before, between, after = match.groups()
            return FimTemplate(before, between, after, prefix_first)
    return None


@dataclass(frozen=True, slots=True)
class Gap:
    """What is around the cursor, as much of it as the model is given.

    Attributes:
        prefix: Before the cursor.
        suffix: Behind it.
        left_out_before: Characters of the file's beginning that are left out.
        left_out_behind: Characters of its end.
        prompt_tokens: What the prompt takes, its own tokens included.
    """

    prefix: str
    suffix: str
    left_out_before: int
    left_out_behind: int
    prompt_tokens: int


SUFFIX_SHARE = 0.25
"""Of the room: what stands before the cursor says more about what comes next. What one side leaves is the other's."""


def gap(template: FimTemplate, prefix: str, suffix: str, *, room_tokens: int, count: Callable[[str], int]) -> Gap:
    """Keeps what is nearest to the cursor, whole lines where possible.

    Args:
        room_tokens: For the prompt.
        count: Counts the tokens of a text.
    """
    room = max(0, room_tokens - count(template.render("", "")))
    behind = min(count(suffix), max(int(room * SUFFIX_SHARE), room - count(prefix)))
    kept_suffix = _longest(len(suffix), lambda length: count(suffix[:length]) <= behind)
    before = room - count(suffix[:kept_suffix])
    kept_prefix = _longest(len(prefix), lambda length: count(prefix[len(prefix) - length :]) <= before)
    head, tail = _whole_lines(prefix, kept_prefix), _whole_lines_behind(suffix, kept_suffix)
    prompt_tokens = count(template.render(head, tail))
    return Gap(head, tail, len(prefix) - len(head), len(suffix) - len(tail), prompt_tokens)


def _longest(most: int, fits: Callable[[int], bool]) -> int:
    """The greatest length up to ``most`` that fits; what is shorter fits too (but for a token or two)."""
    if fits(most):
        return most
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _whole_lines(prefix: str, kept: int) -> str:
    part = prefix[len(prefix) - kept :]
    return part if kept == len(prefix) else part.partition("\n")[2] or part


def _whole_lines_behind(suffix: str, kept: int) -> str:
    part = suffix[:kept]
    return part if kept == len(suffix) else "".join(part.rpartition("\n")[:2]) or part
