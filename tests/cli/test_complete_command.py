"""``complete`` as it is typed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.cli.conftest import Call


def test_a_chat_model_is_refused_with_the_reason(installed: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("print <CURSOR>"))
    called = installed("complete", "--model", "2026.1", "--json")
    assert called.code == 9
    assert "is a chat model" in called.error["message"]
    assert "--role fim" in called.error["hint"]


def test_without_a_completion_model_it_says_how_to_get_one(installed: Call, tmp_path: Path) -> None:
    prefix = tmp_path / "Präfix mit Leerzeichen.bbj"
    prefix.write_text("print ", encoding="utf-8")
    called = installed("complete", "--prefix-file", str(prefix))
    assert called.code == 3
    assert "No completion model is installed" in called.err


@pytest.mark.parametrize("text", ["print", "<CURSOR> a <CURSOR>"])
def test_stdin_needs_one_mark(installed: Call, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    called = installed("complete")
    assert called.code == 2
    assert "one <CURSOR>" in called.err


def test_a_tokenised_program_is_refused(installed: Call, tmp_path: Path) -> None:
    program = tmp_path / "program.bbj"
    program.write_bytes(b"<<bbj>>\x00\x01")
    called = installed("complete", "--prefix-file", str(program))
    assert called.code == 2
    assert "tokenised" in called.err


def test_a_file_that_isnt_there_is_named(installed: Call, tmp_path: Path) -> None:
    called = installed("complete", "--suffix-file", str(tmp_path / "nowhere.bbj"))
    assert called.code == 2
    assert "nowhere.bbj" in called.err
