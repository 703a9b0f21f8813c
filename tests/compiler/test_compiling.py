"""Reading the compiler's words, and finding the code in an answer."""

from __future__ import annotations

import pytest

from bbj_desktop.core.compiling import (
    CheckedAnswer,
    CheckedBlock,
    CompileReport,
    Judgement,
    Verdict,
    bbj_blocks,
    code_blocks,
    interpret,
    mending_prompt,
    not_judged,
)

_REFUSED = "/home/ä b/x.bbj: error at line 120 (12):     print (sysgui\n"


def test_silence_compiles() -> None:
    assert interpret("", 0).verdict is Verdict.COMPILES


def test_a_refused_line_fails_although_the_status_is_0() -> None:
    judgement = interpret(_REFUSED, 0)
    assert judgement.verdict is Verdict.FAILS
    assert judgement.errors[0].line == 12
    assert judgement.errors[0].legacy_line == 120
    assert judgement.errors[0].source == "print (sysgui"


def test_a_drive_letter_belongs_to_the_file() -> None:
    assert interpret(r"C:\x.bbj: error at line 1 (2):  foo", 0).errors[0].line == 2


def test_a_refused_line_counts_beside_a_notice() -> None:
    judgement = interpret("Your licence expires soon.\r\n" + _REFUSED, 0)
    assert judgement.verdict is Verdict.FAILS
    assert len(judgement.errors) == 1


@pytest.mark.parametrize("status", [0, 1])
def test_any_other_text_is_no_verdict(status: int) -> None:
    judgement = interpret("Your licence expires soon.\n", status)
    assert judgement.verdict is Verdict.NOT_JUDGED
    assert "Your licence expires soon." in judgement.reason


def test_what_was_killed_for_its_time_is_not_judged() -> None:
    assert "time" in interpret("", None).reason


def test_what_was_refused_before_the_time_was_over_counts() -> None:
    assert interpret(_REFUSED, None).verdict is Verdict.FAILS


@pytest.mark.parametrize("status", [-11, 3])
def test_a_silent_end_with_another_status_is_not_judged(status: int) -> None:
    assert interpret("", status).verdict is Verdict.NOT_JUDGED


def test_a_long_notice_is_cut() -> None:
    assert len(interpret("x" * 100_000, 0).reason) < 400


def test_blocks_are_found_with_their_lines() -> None:
    answer = "Here:\n\n```bbj\nprint 1\n```\n\nand\n\n~~~~ BBj\n```\nprint 2\n~~~~\n"
    assert [(block.language, block.code, block.line) for block in code_blocks(answer)] == [
        ("bbj", "print 1\n", 4),
        ("bbj", "```\nprint 2\n", 10),
    ]


def test_an_answer_that_was_cut_off_keeps_its_last_block() -> None:
    assert code_blocks("```bbj\nprint 1\n")[0].code == "print 1\n"


def test_a_block_within_a_list_loses_its_indentation() -> None:
    assert code_blocks("1. first\n\n   ```bbj\n   print 1\n   ```\n")[0].code == "print 1\n"


@pytest.mark.parametrize(("language", "is_bbj"), [("bbj", True), ("", True), ("BBj", True), ("java", False)])
def test_only_bbj_is_compiled(language: str, is_bbj: bool) -> None:
    assert bool(bbj_blocks(f"```{language}\nprint 1\n```\n")) is is_bbj


def test_an_empty_block_is_not_compiled() -> None:
    assert bbj_blocks("```bbj\n\n```") == ()


def _block(judgement: Judgement) -> CheckedBlock:
    return CheckedBlock(line=1, code="print (\n", report=CompileReport(syntax=judgement))


_COMPILES, _FAILS = interpret("", 0), interpret(_REFUSED, 0)


@pytest.mark.parametrize(
    ("judgements", "verdict"),
    [
        ((), Verdict.NOT_JUDGED),
        ((_COMPILES, _COMPILES), Verdict.COMPILES),
        ((_COMPILES, _FAILS, not_judged("no compiler")), Verdict.FAILS),
        ((_COMPILES, not_judged("no compiler")), Verdict.NOT_JUDGED),
    ],
)
def test_an_answer_compiles_when_all_its_blocks_do(judgements: tuple[Judgement, ...], verdict: Verdict) -> None:
    assert CheckedAnswer(blocks=tuple(map(_block, judgements))).verdict is verdict


def test_the_model_is_told_the_code_and_the_refused_lines() -> None:
    prompt = mending_prompt([_block(_COMPILES), _block(_FAILS)])
    assert prompt.count("```bbj\nprint (\n```\nline 12: print (sysgui") == 1


def test_nothing_is_to_be_mended_where_nothing_was_refused() -> None:
    assert mending_prompt([_block(_COMPILES), _block(not_judged("no compiler"))]) == ""
