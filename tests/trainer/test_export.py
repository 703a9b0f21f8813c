"""Exports: one side, behind the gate, with general examples among them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trainer.cli.main import main
from trainer.data.example import Example
from trainer.data.general import general_examples
from trainer.data.reading import read_examples
from trainer.data.review import decide
from trainer.data.split import load_split

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """20 examples, one of them synthetic and accepted, and their split."""
    folder = tmp_path / "Sätze"
    folder.mkdir()
    rows = [{"id": f"e{row}", "instruction": " ".join(f"{row}w{word}" for word in range(9))} for row in range(20)]
    for row in rows:
        row |= {"type": "completion", "generation": "all", "output": f"print {row['id']}"}
    rows[0]["origin"] = "synthetic"
    (folder / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    decide(folder, [first(folder)], "accepted", by="anna", at=NOW)
    share = ["--held-out-share", "0.2", "--output", str(tmp_path / "split.json")]
    assert main(["data", "split", str(folder), *share]) == 0
    return folder


def first(folder: Path) -> Example:
    return next(iter(read_examples([folder], lambda _: None)))


def exported(data: Path, name: str, *more: str) -> list[str]:
    target = data.parent / name
    split = str(data.parent / "split.json")
    assert main(["data", "export", str(data), "--split", split, "--out", str(target), *more]) == 0
    return [each.id for each in read_examples([target], lambda _: None)]


def test_each_side_comes_whole_and_alone(data: Path) -> None:
    split = load_split(data.parent / "split.json")
    assert sorted(exported(data, "a.jsonl")) == sorted(split.train)
    held_out = exported(data, "b.jsonl", "--side", "held-out")
    assert sorted(held_out) == sorted(each.id for each in split.held_out)


def test_what_was_rejected_since_the_split_is_stopped(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    side = load_split(data.parent / "split.json").side("e0") or ""
    decide(data, [first(data)], "rejected", by="anna", at=NOW)
    assert "e0" not in exported(data, "a.jsonl", "--side", side)
    assert "1 stopped by a review since the split" in capsys.readouterr().out


def test_the_seed_decides_the_order(data: Path) -> None:
    assert exported(data, "a.jsonl", "--seed", "1") == exported(data, "b.jsonl", "--seed", "1")
    assert exported(data, "c.jsonl", "--seed", "2") != exported(data, "d.jsonl", "--seed", "1")


def test_general_examples_have_their_share(data: Path) -> None:
    general = data.parent / "general.jsonl"
    general.write_text(
        "".join(json.dumps({"id": f"g{n}", "instruction": f"q{n}", "output": "a"}) + "\n" for n in range(9))
    )
    ids = exported(data, "a.jsonl", "--general", f"{general}=0.2")
    assert (len(ids), sum(each.startswith("g") for each in ids)) == (20, 4)


def test_general_code_becomes_a_task_to_continue_it(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("a = 1\nb = 2\nc = 3\nd = 4\n")
    (tmp_path / "y.jsonl").write_text('{"text": "1\\n2\\n3\\n4"}\n{"text": "short"}\n')
    found = list(general_examples(tmp_path, lambda _: None))
    assert [each.output for each in found] == ["```\nc = 3\nd = 4\n```", "```\n3\n4\n```"]
    assert found[0].instruction == "Continue this code.\n\n```\na = 1\nb = 2\n```"


def test_too_little_general_data_ends_with_2_and_writes_nothing(data: Path) -> None:
    general = data.parent / "general.jsonl"
    general.write_text('{"instruction": "q", "output": "a"}\n')
    split, out = str(data.parent / "split.json"), data.parent / "a.jsonl"
    arguments = ["data", "export", str(data), "--split", split, "--out", str(out)]
    assert main([*arguments, "--general", f"{general}=0.5"]) == 2
    assert not out.exists()


def test_other_data_than_what_was_split_are_refused(data: Path) -> None:
    (data / "y.jsonl").write_text('{"instruction": "q", "output": "a"}\n')
    split, out = str(data.parent / "split.json"), data.parent / "a.jsonl"
    assert main(["data", "export", str(data), "--split", split, "--out", str(out)]) == 2
    assert not out.exists()
