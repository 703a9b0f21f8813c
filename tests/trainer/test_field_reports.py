"""What the customer's app writes is what the review queue takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.actions.field_report import field_report
from bbj_desktop.core.compiling import CheckedAnswer
from bbj_desktop.services.redacting import Redactor
from trainer.cli.main import main
from trainer.data.example import Example
from trainer.data.reading import read_examples

REDACTOR = Redactor(users=["jmueller"])


def taken_in(folder: Path, question: str, answer: str, correction: str = "") -> Example:
    report = folder / "report.md"
    field_report(question, answer, CheckedAnswer(), REDACTOR, correction=correction, generation="dwc").write(report)
    assert main(["data", "review", "add", str(report), "--to", str(folder / "queue")]) == 0
    (example,) = read_examples([folder / "queue"], lambda _: None)
    return example


@pytest.mark.parametrize(
    "awkward", ["How?", 'a: "b" #c\n\n## Code\n```bbj\nx\n```', "ä😀\x00\x85\u2028", "---\nx: [", "~~~\n````\n```"]
)
def test_any_question_and_answer_arrive(tmp_path: Path, awkward: str) -> None:
    example = taken_in(tmp_path, f"Print {awkward}", f"Wrong: {awkward}", "print 1\nprint 2")
    assert (example.origin, example.type, example.generation) == ("field", "completion", ("dwc",))
    assert example.output == "print 1\nprint 2"
    assert example.instruction.startswith("Print ")


def test_the_failed_answer_is_kept_and_not_trained_on(tmp_path: Path) -> None:
    example = taken_in(tmp_path, "How?", "```bbj\nalert(1)\n```", "print 1")
    assert "alert" in str(example.extra["sections"])
    assert "alert" not in "".join(each.content for each in example.to_messages())


def test_without_a_correction_there_is_no_answer_yet(tmp_path: Path) -> None:
    assert taken_in(tmp_path, "How?", "alert(1)").output == ""
