"""What answers taught, as the commands show it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama

ANSWER = ["word "] * 20


def _lines(data: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (data / "learned" / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def test_an_answer_is_remembered_with_its_figures_and_memory(installed: Call, ollama: FakeOllama, data: Path) -> None:
    ollama.answer = ANSWER
    assert installed("ask", "What is BBj?").code == 0
    (line,) = _lines(data)
    assert line["key"] == "bbj-coder:2026.1-7b-q4_0"
    assert line["answer_tokens"] == 20
    assert line["engine_version"] == ollama.version
    assert line["decode_tokens_per_s"] == pytest.approx(20)
    assert line["load_s"] == pytest.approx(0.02)  # registering had loaded it
    assert isinstance(line["predicted_bytes"], int)
    assert isinstance(line["used_bytes"], int)


def test_neither_the_question_nor_the_answer_is_remembered(installed: Call, ollama: FakeOllama, data: Path) -> None:
    ollama.answer = ["secretword"] * 20
    installed("ask", "Where is the passphrase?")
    text = (data / "learned" / "answers.jsonl").read_text(encoding="utf-8")
    assert "secretword" not in text
    assert "passphrase" not in text


def test_the_next_recommendation_shows_what_was_measured(installed: Call, ollama: FakeOllama) -> None:
    ollama.answer = ANSWER
    installed("ask", "What is BBj?")
    shown = installed("recommend").out
    assert "measured here: 20 tokens/s on " in shown
    assert ", n=1" in shown


def test_the_whole_way_is_told_on_request_only(installed: Call, ollama: FakeOllama) -> None:
    ollama.answer = ANSWER
    for _ in range(3):
        installed("ask", "What is BBj?")
    assert "The way to it" not in installed("recommend").out
    shown = installed("recommend", "--explain").out
    assert f"Engine (set): Ollama {ollama.version}, as asked for." in shown
    assert "\n  Route (found): " in shown
    assert "\n  Speed (measured): 20 tokens a second: the middle half of 3 answers" in shown
    role = installed("recommend", "--explain", "--json").result["roles"][0]
    assert [step["about"] for step in role["explanation"]][:2] == ["engine", "route"]
    assert installed("recommend", "--json").result["roles"][0]["explanation"] == []


def test_the_versions_show_it_too(installed: Call, ollama: FakeOllama) -> None:
    assert installed("versions", "--json").result["versions"][0]["measured"] is None
    ollama.answer = ANSWER
    installed("ask", "What is BBj?")
    measured = installed("versions", "--json").result["versions"][0]["measured"]
    assert measured["tokens_per_s"] == pytest.approx(20)
    assert measured["count"] == 1
    assert "measured here: 20 tokens/s" in installed("versions").out


def test_a_folder_that_cant_be_written_costs_no_answer(installed: Call, data: Path) -> None:
    (data / "learned").write_text("in the way", encoding="utf-8")
    called = installed("ask", "What is BBj?")
    assert called.code == 0
    assert "Hello" in called.out


def test_a_model_that_ollama_splits_is_said_with_the_answer(installed: Call, ollama: FakeOllama) -> None:
    ollama.vram_share = 0.5
    called = installed("ask", "What is BBj?")
    assert called.code == 0
    assert "Ollama put 50 % of bbj-coder:2026.1-7b-q4_0 on the processor" in called.err


def test_where_it_lay_is_remembered_with_every_answer(
    installed: Call, ollama: FakeOllama, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("What is BBj?\nAnd a window?\n"))
    ollama.vram_share = 0.5
    ollama.answer = ANSWER
    assert installed("chat").code == 0
    first, second = _lines(data)
    assert first["gpu_share"] == second["gpu_share"] == pytest.approx(0.5, abs=0.01)
    assert "vram_bytes" in first
    assert "vram_bytes" not in second


def test_purge_removes_it(installed: Call, data: Path) -> None:
    installed("ask", "What is BBj?")
    assert (data / "learned").exists()
    assert installed("purge", "--yes").code == 0
    assert not (data / "learned").exists()
