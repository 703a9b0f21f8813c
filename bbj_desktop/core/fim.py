"""How a completion model is given what stands before and after the cursor.

The one place that says it is the release's Go template, whose part with ``.Suffix`` Ollama itself uses; every other
runtime and every IDE gets it from there, so that no base model's tokens stand in the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bbj_desktop.core.budget import kept_for_answer
from bbj_desktop.core.errors import EngineRefusedError
from bbj_desktop.core.go_syntax import NotCheckableError
from bbj_desktop.core.go_template import render_fim
from bbj_desktop.core.release import Release, ReleaseTexts, Role
from bbj_desktop.core.tokenizing import Tokenizer

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

    def unknown_marks(self, tokenizer: Tokenizer | None) -> tuple[str, ...]:
        """What looks like a token of the model and isn't one; nothing where its tokenizer isn't known."""
        marks = [mark for text in self.tokens for mark in _MARK.findall(text)]
        return tuple(mark for mark in marks if tokenizer is not None and not tokenizer.has_special(mark))


def fim_template(release: ReleaseTexts) -> FimTemplate | None:
    """Reads it from a release; None for one that can't complete between two texts (every chat release)."""
    if release.role is not Role.FIM:
        return None
    try:
        return _from_prompt(render_fim(release.prompt.go_template, _PREFIX_HERE, _SUFFIX_HERE))
    except NotCheckableError:
        return _from_text(release.prompt.go_template)


_PREFIX_HERE, _SUFFIX_HERE = "\ue000prefix\ue001", "\ue000suffix\ue001"
"""Of characters that no template has."""


def _from_prompt(prompt: str) -> FimTemplate | None:
    """From what Ollama would make of two marks; None where one of them doesn't come through once."""
    if prompt.count(_PREFIX_HERE) != 1 or prompt.count(_SUFFIX_HERE) != 1:
        return None
    prefix_first = prompt.index(_PREFIX_HERE) < prompt.index(_SUFFIX_HERE)
    first, second = (_PREFIX_HERE, _SUFFIX_HERE) if prefix_first else (_SUFFIX_HERE, _PREFIX_HERE)
    before, _, rest = prompt.partition(first)
    between, _, after = rest.partition(second)
    return FimTemplate(before, between, after, prefix_first)


def _from_text(template: str) -> FimTemplate | None:
    """From a template that can't be rendered here: by the look of it."""
    for pattern, prefix_first in ((_PREFIX_FIRST, True), (_SUFFIX_FIRST, False)):
        if match := pattern.search(template):
            before, between, after = match.groups()
            return FimTemplate(before, between, after, prefix_first)
    return None


_MARK = re.compile(r"<[^<>\s]+>")


def required_template(release: Release, key: str, tokenizer: Tokenizer | None) -> FimTemplate:
    """The template of a version that is asked to fill in.

    Args:
        key: Of the version.
        tokenizer: Its own; None when it isn't known, then the template is believed.

    Raises:
        EngineRefusedError: It can't: a chat model, a template that isn't understood, or a model without its tokens,
            which would read them as common text.
    """
    template = fim_template(release)
    if template is None:
        raise _cannot(release, key)
    missing = template.unknown_marks(tokenizer)
    if missing:
        raise EngineRefusedError(
            f"{key} can't fill in: its template names {', '.join(missing)}, and its model has no such token.",
            hint="Tell whoever published it.",
        )
    return template


def _cannot(release: Release, key: str) -> EngineRefusedError:
    if release.role is Role.FIM:
        return EngineRefusedError(
            f"{key} is a completion model whose template doesn't say where prefix and suffix go.",
            hint="Tell whoever published it.",
        )
    return EngineRefusedError(
        f"{key} is a chat model: it was trained to answer questions, which takes away filling in between two texts.",
        hint="Type: bbj-desktop install --role fim",
    )


def longest_answer(release: Release, context_length: int, wanted: int | None) -> int:
    """Of a completion, in tokens: what is asked for or the release says, and at most half of the context."""
    return min(wanted or release.prompt.parameters.max_tokens or kept_for_answer(context_length), context_length // 2)


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
    kept_suffix = _longest(len(suffix), room, lambda length: count(suffix[:length]))
    kept_prefix = _longest(len(prefix), room, lambda length: count(prefix[len(prefix) - length :]))
    behind = max(int(room * SUFFIX_SHARE), room - count(prefix[len(prefix) - kept_prefix :]))
    kept_suffix = _longest(kept_suffix, behind, lambda length: count(suffix[:length]))
    before = room - count(suffix[:kept_suffix])
    kept_prefix = _longest(kept_prefix, before, lambda length: count(prefix[len(prefix) - length :]))
    head, tail = _whole_lines(prefix, kept_prefix), _whole_lines_behind(suffix, kept_suffix)
    prompt_tokens = count(template.render(head, tail))
    return Gap(head, tail, len(prefix) - len(head), len(suffix) - len(tail), prompt_tokens)


def _longest(most: int, tokens: int, count: Callable[[int], int]) -> int:
    """The greatest length up to ``most`` whose tokens are at most so many; what is shorter has fewer (but for a token
    or two). A file's far ends aren't looked at: it may be long, and this happens at each key that is pressed."""
    low, high = 0, min(most, max(tokens, 1))
    while count(high) <= tokens:
        if high == most:
            return most
        low, high = high, min(most, high * 4)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= tokens else (low, middle)
    return low


def _whole_lines(prefix: str, kept: int) -> str:
    part = prefix[len(prefix) - kept :]
    return part if kept == len(prefix) else part.partition("\n")[2] or part


def _whole_lines_behind(suffix: str, kept: int) -> str:
    part = suffix[:kept]
    return part if kept == len(suffix) else "".join(part.rpartition("\n")[:2]) or part
