"""How a completion model is given what stands before and after the cursor.

The one place that says it is the release's Go template, whose part with ``.Suffix`` Ollama itself uses; every other
runtime and every IDE gets it from there, so that no base model's tokens stand in the program.
"""

from __future__ import annotations

import re
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
