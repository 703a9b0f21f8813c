"""Fill-in-the-middle examples: a piece is cut out of a source, and the model learns to put it back.

By line (the rest of a line, as an editor asks for it), by block (the lines within ``method … methodend`` and the like)
and by random span. Rendered in the order prefix, suffix, middle (PSM: Bavarian et al. 2022, "Efficient Training of
Language Models to Fill in the Middle") with the tokens of the base family, which are data in
``resources/training/fim.json``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.resources import resource

NEWEST_FORMAT = 1
FAMILY = "qwen2.5-coder"
Kind = Literal["line", "block", "span"]
KINDS: tuple[Kind, ...] = ("line", "block", "span")

_MAX_MIDDLE = 1_200  # characters; some 400 tokens, as much as an editor asks for
_TRIES = 8
_OPENING = re.compile(r"^[ \t]*(?:method|class|interface|while|for|repeat|switch|def)\b", re.IGNORECASE)
_CLOSING = re.compile(r"^[ \t]*(?:methodend|classend|interfaceend|wend|next|until|swend|fnend)\b", re.IGNORECASE)


class FimTokens(BaseModel):
    """What a base family puts around the parts.

    Attributes:
        prefix: In front of the prefix.
        suffix: In front of the suffix.
        middle: In front of the middle.
        end: Behind the middle, and between documents.
        reserved: Further tokens that may not occur in sources.
    """

    model_config = ConfigDict(frozen=True)

    prefix: str
    suffix: str
    middle: str
    end: str
    reserved: tuple[str, ...] = ()

    def occur_in(self, text: str) -> bool:
        """Whether a text holds one of them: a tokenizer would take it for the border that it names."""
        return any(token in text for token in (self.prefix, self.suffix, self.middle, self.end, *self.reserved))


class FimExample(BaseModel):
    """One cut.

    Attributes:
        kind: How it was cut.
        source: Digest of the source.
        start: Where in the source the prefix begins, in characters.
        prefix: What stands before.
        middle: What the model shall write; never empty.
        suffix: What stands behind.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    source: str
    start: int
    prefix: str
    middle: str
    suffix: str

    def render(self, tokens: FimTokens) -> str:
        """The text that trains."""
        return f"{tokens.prefix}{self.prefix}{tokens.suffix}{self.suffix}{tokens.middle}{self.middle}{tokens.end}"


class _Table(BaseModel):
    format: int
    families: dict[str, FimTokens]


@cache
def fim_tokens(family: str = FAMILY) -> FimTokens:
    """The tokens of a base family.

    Raises:
        UserInputError: There is no such family.
    """
    text = resource("training/fim.json").read_text(encoding="utf-8")
    families = parse_document(_Table, text, what="table of tokens", newest=NEWEST_FORMAT).families
    if family not in families:
        raise UserInputError(f"There is no base family {family!r}.", hint=f"Known: {', '.join(families)}.")
    return families[family]


def cuts(text: str, digest: str, count: int, seed: int, *, longest: int) -> Iterator[FimExample]:
    """Cuts a source, each kind in turn; a source without blocks gives lines and spans.

    Args:
        text: The source.
        digest: Its digest; with the seed it decides where the cuts are.
        count: How many are wanted; a short source gives fewer. None comes twice.
        seed: The run's.
        longest: Characters of prefix, middle and suffix together.
    """
    chance = random.Random(f"{seed}:{digest}")  # noqa: S311 - repeatable on purpose
    blocks = _blocks(text)
    kinds = [kind for kind in KINDS if kind != "block" or blocks]
    seen: set[tuple[int, int]] = set()
    for number in range(count):
        kind = kinds[number % len(kinds)]
        for _ in range(_TRIES):
            begin, end = _span(kind, text, blocks, chance, min(_MAX_MIDDLE, longest))
            if text[begin:end].strip() and (begin, end) not in seen:
                seen.add((begin, end))
                yield _cut(kind, text, digest, begin, end, longest)
                break


def _cut(kind: Kind, text: str, digest: str, begin: int, end: int, longest: int) -> FimExample:
    """The part of the source around the middle that fits: two thirds of the room for the prefix."""
    room = longest - (end - begin)
    before = min(begin, max(room * 2 // 3, room - (len(text) - end)))
    after = room - before
    start = begin - before
    return FimExample(
        kind=kind,
        source=digest,
        start=start,
        prefix=text[start:begin],
        middle=text[begin:end],
        suffix=text[end : end + after],
    )


def _span(kind: Kind, text: str, blocks: list[tuple[int, int]], chance: random.Random, longest: int) -> tuple[int, int]:
    if kind == "block":
        begin, end = chance.choice(blocks)
        return begin, min(end, begin + longest)
    if kind == "span":
        begin = chance.randrange(len(text))
        return begin, min(len(text), begin + chance.randint(1, longest))
    begin = chance.randrange(len(text))
    end = text.find("\n", begin)
    return begin, min(len(text) if end < 0 else end, begin + longest)


def _blocks(text: str) -> list[tuple[int, int]]:
    """Where the inner lines of blocks begin and end, in characters; long blocks are left to random spans."""
    found: list[tuple[int, int]] = []
    opened: list[int] = []
    place = 0
    for line in text.splitlines(keepends=True):
        if _CLOSING.match(line):
            if opened:
                begin = opened.pop()
                if 0 < place - begin <= _MAX_MIDDLE:
                    found.append((begin, place))
        elif _OPENING.match(line):
            opened.append(place + len(line))
        place += len(line)
    return found
