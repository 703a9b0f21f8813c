"""Code fences: read alike whole and in pieces, and as people and models write them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bbj_desktop.core.compiling import code_blocks
from bbj_desktop.core.fences import Fence, fenced, fences, has_fence
from bbj_desktop.ui.models.answer import AnswerParser

MARKDOWN = st.text(alphabet="`~>-1. \tab\n", max_size=80)
LINES = st.lists(
    st.sampled_from(
        ["```bbj", "```", "~~~~ Java x", "~~~~", "````", "a", "  b", "", "> ```", "> c", "1. ```", "   ```"]
    ),
    max_size=12,
).map("\n".join)


def only(text: str) -> Fence:
    (found,) = fences(text)
    return found


def test_a_block_knows_its_language_lines_and_file() -> None:
    text = "So:\n<!-- filename: a b.bbj -->\n\n```BBj extra\nprint 1\n\n```\nend"
    assert only(text) == Fence("bbj", "print 1\n", "a b.bbj", line=4, end=7, closed=True)


def test_a_name_belongs_to_the_next_block_only() -> None:
    assert [each.name for each in fences("<!-- filename: a -->\n```\n```\n```\n```")] == ["a", ""]
    assert only("<!-- filename: a -->\nwords\n```\n```").name == ""


def test_a_block_without_an_end_goes_on_to_the_last_line() -> None:
    assert only("```bbj\nprint 1\nprint 2") == Fence("bbj", "print 1\nprint 2", "", line=1, end=3, closed=False)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1. first\n\n   ```bbj\n   if a\n     b\n   ```\n", "if a\n  b"),
        ("- x\n\n        ```\n        a\n        ```", "a"),
        ("1. first\n   ```bbj\nprint 1\n   ```\n", "print 1"),  # what CommonMark would make two blocks of
        ("10. ```bbj\n    print 1\n    ```", "print 1"),
        ("> so:\n> ```bbj\n> print 1\n>  print 2\n> ```\n", "print 1\n print 2"),
        ("> ```\n> a\nwords", "a"),
        ("````\n```\n````", "```"),
        ("~~~ a`b\n```\n~~~", "```"),
        ("```\n~~~\n```", "~~~"),
        ("```\na\n    ```\n```", "a\n    ```"),
        ("```\r\na\r\n```\r\n", "a"),
    ],
)
def test_code_is_what_stands_between_the_fences(text: str, code: str) -> None:
    assert only(text).code == code
    assert only(text).closed


@pytest.mark.parametrize("text", ["Use ```x``` here", "``` a ` b", "``", "a ```", "x > ```"])
def test_backticks_within_a_line_are_no_fence(text: str) -> None:
    assert not has_fence(text)


@pytest.mark.parametrize(
    "text", ["> " * 20_000, "- " * 20_000, "\t" * 20_000, "`" * 20_000 + " `", "1. " * 20_000 + "x"]
)
def test_odd_lines_are_read_in_one_pass(text: str) -> None:
    assert len(list(fences(f"{text}```\n" * 3))) <= 2


@given(st.text(alphabet="`~ab\n", max_size=40))
def test_what_is_put_into_a_fence_comes_out_again(code: str) -> None:
    assert only(fenced(code)).code == code


@example("> ```\n> c\na", 1)
@given(st.one_of(MARKDOWN, LINES), st.integers(1, 5))
def test_a_streamed_answer_has_the_blocks_that_the_compiler_is_asked_about(text: str, size: int) -> None:
    parser = AnswerParser()
    for start in range(0, len(text), size):
        parser.feed(text[start : start + size])
    parser.finish()
    shown = [(each.language, each.text.removesuffix("\n")) for each in parser.segments if each.kind == "code"]
    assert shown == [(each.language, each.code.removesuffix("\n")) for each in code_blocks(text)]
