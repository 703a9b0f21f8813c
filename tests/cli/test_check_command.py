"""``ask`` and ``chat`` with ``--check`` and ``--mend``."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.fakes.compiler import bbj_installation, calls_of
from tests.fakes.ollama import FakeOllama

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in compiler needs a system with #! lines")


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    return bbj_installation(tmp_path / "BBj")


def _block(code: str) -> tuple[str, ...]:
    return ("Here it is:\n\n```bbj\n", code, "\n```\n")


def test_code_that_compiles_is_said_to(installed: Call, ollama: FakeOllama, compiler: Path) -> None:
    ollama.answer = _block("print 1")
    called = installed("ask", "--check", "--compiler", compiler, "Print 1.")
    assert called.out == "Here it is:\n\n```bbj\nprint 1\n```\n\n"
    assert "Code from line 4 of the answer: compiles" in called.err


def test_refused_lines_are_shown(installed: Call, ollama: FakeOllama, compiler: Path) -> None:
    ollama.answer = _block("print 1\nBAD")
    called = installed("ask", "--check", "--compiler", compiler, "Print 1.")
    assert "fails" in called.err
    assert "line 2: BAD" in called.err
    assert called.code == 0


def test_the_type_check_is_said_apart(installed: Call, ollama: FakeOllama, compiler: Path, tmp_path: Path) -> None:
    ollama.answer = _block("print 1\nUNKNOWN_METHOD")
    options = ("--compiler", compiler, "--type-check", "errors", "--compiler-prefix", f"{tmp_path}:/b c")
    called = installed("ask", "--mend", *options, "Print 1.")
    assert "Code from line 4 of the answer: compiles\n  Types: fails\n    line 2: UNKNOWN_METHOD\n" in called.err
    assert calls_of(compiler) == ["-N", f'-N -t -P{tmp_path}/ "/b c/"']
    assert "attempt" not in called.err


def test_without_a_compiler_it_is_not_judged(
    installed: Call, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BBJ_HOME", raising=False)
    ollama.answer = _block("BAD")
    result = installed("ask", "--json", "--mend", "Print 1.").result
    (check,) = result["checks"]
    assert check["blocks"][0]["report"]["syntax"]["verdict"] == "not judged"


def test_the_model_is_asked_three_times_to_mend(installed: Call, ollama: FakeOllama, compiler: Path) -> None:
    ollama.answer = _block("BAD")
    ollama.requests.clear()  # the first question is asked when it is installed
    called = installed("ask", "--mend", "--compiler", compiler, "Print 1.")
    assert ollama.requests.count("POST /api/chat") == 4
    assert [f"attempt {number} of 3" in called.err for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert "It doesn't compile after 3 attempts" in called.err
    assert called.out.count("```bbj") == 4


def test_a_mended_answer_ends_it(installed: Call, ollama: FakeOllama, compiler: Path) -> None:
    ollama.answers = [_block("BAD"), _block("print 2")]
    result = installed("ask", "--json", "--mend", "--compiler", compiler, "Print 1.").result
    assert "print 2" in result["answer"]
    assert len(result["checks"]) == 2
    assert "line 1: BAD" in ollama.bodies["/api/chat"]["messages"][-1]["content"]


def test_code_that_the_limit_of_tokens_cuts_is_neither_judged_nor_mended(
    installed: Call, ollama: FakeOllama, compiler: Path
) -> None:
    ollama.answer = _block("BAD")
    ollama.requests.clear()
    called = installed("ask", "--mend", "--max-tokens", "2", "--compiler", compiler, "Print 1.")
    assert "Code from line 4 of the answer: not judged. The answer was cut off in it" in called.err
    assert ollama.requests.count("POST /api/chat") == 1
    assert not (compiler / "calls").exists()


def test_a_whole_block_before_the_cut_is_judged_and_mended(installed: Call, ollama: FakeOllama, compiler: Path) -> None:
    ollama.answers = [(*_block("BAD"), *_block("print 2")), _block("print 3")]
    result = installed("ask", "--json", "--mend", "--max-tokens", "5", "--compiler", compiler, "Print 1.").result
    verdicts = [[block["report"]["syntax"]["verdict"] for block in check["blocks"]] for check in result["checks"]]
    assert verdicts == [["fails", "not judged"], ["compiles"]]
    assert "print 2" not in ollama.bodies["/api/chat"]["messages"][-1]["content"]


def test_a_last_block_without_an_end_is_judged_where_nothing_was_cut(
    installed: Call, ollama: FakeOllama, compiler: Path
) -> None:
    ollama.answer = _block("BAD")[:2]
    assert "Code from line 4 of the answer: fails" in installed("ask", "--check", "--compiler", compiler, "Print.").err


def test_a_chat_is_checked_answer_by_answer(
    installed: Call, ollama: FakeOllama, compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("One.\nTwo.\n"))
    ollama.answer = ("No code.",)
    called = installed("chat", "--check", "--compiler", compiler)
    assert called.err.count("The answer holds no block of BBj to compile.") == 2


def test_a_compiler_that_is_not_there_is_said_before_the_question(installed: Call, tmp_path: Path) -> None:
    called = installed("ask", "--json", "--check", "--compiler", tmp_path / "nowhere", "Print 1.")
    assert called.error["code"] == "SettingsError"
