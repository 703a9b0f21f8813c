"""``report``: a failed answer in a file, without what is nobody's business."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from bbj_desktop.actions.field_report import field_report
from bbj_desktop.core.compiling import CheckedAnswer
from bbj_desktop.services.redacting import Redactor
from tests.cli.conftest import Call
from tests.fakes.compiler import bbj_installation

REDACTOR = Redactor(users=["jmueller"], homes=["/home/jmueller"], hosts=["payroll-srv"])
ANSWER = """\
Use this, jmueller:

```bbj
open (1) "/srv/firma/geheim/kunden.dat"
password$="hunter2x"
BAD alert("x")
```
"""


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    path = tmp_path / "Antwort ä.md"
    path.write_text(ANSWER)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in compiler needs a system with #! lines")
def test_it_holds_question_answer_compilers_lines_and_correction(call: Call, answer: Path, tmp_path: Path) -> None:
    right, report = tmp_path / "right.bbj", tmp_path / "report.md"
    right.write_text('open (1) "kunden.dat"\n')
    home = bbj_installation(tmp_path / "BBj")
    called = call(
        "report", report, "--question", 'Open "the" file: how?', "--answer", answer,
        "--correction", right, "--compiler", home, "--yes", "--json",
    )  # fmt: skip
    assert called.result == {"file": str(report), "verdict": "fails"}
    text = report.read_text()
    assert 'description: "Open \\"the\\" file: how?"' in text
    assert '## Code\n\n```bbj\nopen (1) "kunden.dat"\n```\n' in text
    assert "## Failed Answer\n\n````markdown\nUse this" in text
    assert 'answer line 6: BAD alert("x")' in text


@pytest.mark.parametrize(
    ("planted", "kept"),
    [
        ('open (1) "/srv/firma/geheim/kunden.dat"', 'open (1) "…/kunden.dat"'),
        ('x$ = "C:\\Firma\\Lohn\\2026.dat"', 'x$ = "…/2026.dat"'),
        ("use ::lib/tools.bbj::Tools", "use ::lib/tools.bbj::Tools"),
        ("a = b / c / d", "a = b / c / d"),
        ("/@@ documentation @/", "/@@ documentation @/"),
        ('password$="hunter2x"', 'password$="…secret…"'),
        ("rem by jmueller on payroll-srv", "rem by …user… on host-1"),
        ("mail chef@firma.example", "mail …mail…"),
        ("sk-abcdefghijklmnopqrstuv", "…secret…"),
    ],
)  # fmt: skip
def test_what_is_nobodys_business_is_taken_out_everywhere(planted: str, kept: str) -> None:
    made = field_report(planted, planted, CheckedAnswer(), REDACTOR, correction=planted, generation="all").text
    assert made.count(kept) >= 2
    assert planted == kept or planted not in made


def test_nothing_is_written_where_nobody_agrees(call: Call, answer: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    assert call("report", report, "--question", "How?", "--answer", answer).code == 2
    assert not report.exists()


def test_it_is_shown_before_it_is_written(call: Call, answer: Path, tmp_path: Path) -> None:
    called = call("report", tmp_path / "r.md", "--question", "How?", "--answer", answer, "--yes")
    assert (tmp_path / "r.md").read_text() in called.err


def test_without_a_compiler_it_says_not_judged(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("```bbj\nprint 1\n```\n"))
    monkeypatch.delenv("BBJ_HOME", raising=False)
    called = call("report", tmp_path / "r.md", "--question", "How?", "--answer", "-", "--yes", "--json")
    assert called.result["verdict"] == "not judged"


def test_nothing_is_overwritten(call: Call, answer: Path) -> None:
    assert call("report", answer, "--question", "How?", "--answer", answer, "--yes").code == 2
    assert answer.read_text() == ANSWER


@pytest.mark.parametrize(("question", "name", "code"), [("How?", "nowhere.md", 3), (" ", "", 2)])
def test_wrong_input_is_said(call: Call, answer: Path, tmp_path: Path, question: str, name: str, code: int) -> None:
    given = tmp_path / name if name else answer
    assert call("report", tmp_path / "r.md", "--question", question, "--answer", given, "--yes").code == code
