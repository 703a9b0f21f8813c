"""Code in an answer is coloured while it arrives."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbj_desktop.cli.painting import Painter

ANSWER = "Here:\n\n```bbj\nrem note\nprint 1\n```\nDone, `x`.\n\n~~~java\nint x;\n~~~\nEnd"
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def painted(*pieces: str) -> str:
    painter = Painter()
    return "".join(map(painter.feed, pieces)) + painter.finish()


def test_code_is_coloured_and_prose_is_not() -> None:
    lines = painted(ANSWER).split("\n")
    assert [bool(COLOUR.search(line)) for line in lines] == [False] * 3 + [True] * 2 + [False] * 4 + [True] + [
        False
    ] * 2


@given(st.lists(st.integers(0, len(ANSWER)), max_size=12))
def test_pieces_of_any_size_give_the_same(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(ANSWER)]
    pieces = [ANSWER[start:end] for start, end in pairwise(borders)]
    assert painted(*pieces) == painted(ANSWER)


@given(st.text(alphabet="`~ab\n \"'", max_size=60))
def test_only_colours_are_added(text: str) -> None:
    assert COLOUR.sub("", painted(text)) == text


def test_prose_does_not_wait_for_the_end_of_its_line() -> None:
    assert Painter().feed("The answer") == "The answer"


def test_a_comment_over_several_lines_keeps_its_colour() -> None:
    first, second = painted("```bbj\n/@@\ntext\n@/\n```\n").split("\n")[1:3]
    assert set(COLOUR.findall(first)) == set(COLOUR.findall(second)) != set()


@pytest.mark.parametrize("language", ["klingon-7", "text"])
def test_a_language_without_colours_stays_plain(language: str) -> None:
    assert painted(f"```{language}\nx\n```") == f"```{language}\nx\n```"
