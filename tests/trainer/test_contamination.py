"""Evaluation prompts that the training side knows: planted ones, with exact counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainer.cli.main import main
from trainer.data.contamination import Prompt, find_contacts, read_prompts
from trainer.data.example import Example
from trainer.data.finding import Finding
from trainer.data.gate import draw_gate, save_gate

LONG = "Write a program that opens the customer file, reads each record and prints name and city of the customer"
TRAINING = [
    Example.of(id="t1", form="chat", instruction=LONG, output="rem one"),
    Example.of(id="t2", form="chat", instruction="Another question, of no interest to anybody", output="rem two"),
    Example.of(id="t3", form="chat", instruction="What is this?", output=f"It answers: {LONG}"),
]


def contacts(text: str) -> list[tuple[str, str]]:
    return [(each.example_id, each.likeness) for each in find_contacts([Prompt("p", text)], TRAINING)]


def test_the_same_prompt_is_found_as_question_and_within_an_answer() -> None:
    assert contacts(f"{LONG}\n") == [("t1", "exact"), ("t3", "exact")]


def test_another_case_and_other_signs_dont_hide_it() -> None:
    assert contacts(LONG.upper().replace(",", " ;")) == [("t1", "normalised"), ("t3", "normalised")]


def test_a_word_more_doesnt_hide_it() -> None:
    assert contacts(f"{LONG} please") == [("t1", "near-duplicate")]


def test_a_short_prompt_counts_as_a_whole_question_only() -> None:
    assert contacts("what is THIS") == [("t3", "normalised")]
    assert contacts("the customer") == []


def test_an_unknown_prompt_is_in_no_list() -> None:
    assert contacts("Sort a vector of strings by their length, the longest first, and keep equal ones in order") == []


def prompts(*paths: Path) -> list[tuple[str, str]]:
    return [(each.id, each.text) for each in read_prompts(paths, lambda _: None)]


def test_prompts_are_read_from_what_evaluations_use(tmp_path: Path) -> None:
    humaneval = tmp_path / "HumanEval.jsonl"
    humaneval.write_text('{"task_id": "HumanEval/0", "prompt": "def f(x):\\n"}\n{"task_id": 1}\n')
    text = tmp_path / "frage ä.txt"
    text.write_text("Why?")
    chats = tmp_path / "chats.jsonl"
    chats.write_text(
        '{"id": "c", "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}\n'
    )
    gate = tmp_path / "gate.json"
    save_gate(gate, draw_gate([TRAINING[0]], "f"))
    assert prompts(humaneval, text, chats, gate) == [
        (f"{humaneval}:1", "def f(x):\n"),
        (str(text), "Why?"),
        ("c", "Q"),
        ("t1", LONG),
    ]


def test_an_evaluation_file_that_holds_none_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\0\1")
    found: list[Finding] = []
    assert not list(read_prompts([tmp_path], found.append))
    assert [each.code for each in found] == ["nul-bytes"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "x.jsonl"
    rows = [{"id": f"e{row}", "instruction": " ".join(f"{row}w{word}" for word in range(9))} for row in range(20)]
    path.write_text("".join(json.dumps(row | {"output": row["id"]}) + "\n" for row in rows))
    main(["data", "split", str(path), "--output", str(tmp_path / "split.json")])
    return path


def test_a_fresh_split_is_clean(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["data", "contamination", str(data), "--split", str(tmp_path / "split.json")]) == 0
    assert capsys.readouterr().out == "2 prompts, 18 training examples: 0 known\n"


def test_a_planted_prompt_ends_the_command_with_1(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = json.loads((tmp_path / "split.json").read_text())
    asked = tmp_path / "asked.txt"
    asked.write_text(" ".join(f"{split['train'][0][1:]}w{word}" for word in range(9)))
    capsys.readouterr()
    arguments = ["data", "contamination", str(data), "--split", str(tmp_path / "split.json")]
    assert main([*arguments, "--evaluation", str(asked)]) == 1
    assert "1 prompts, 18 training examples: 1 known (exact 1)" in capsys.readouterr().out
