"""``data show`` and ``data convert`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainer.cli.main import main

ROWS = (
    '{"id": "a", "type": "completion", "generation": "dwc", "difficulty": "basic", '
    '"instruction": "Go on", "prefix": "x! =", "completion": "null()"}\n'
    '{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, '
    '{"role": "assistant", "content": "A"}]}\n'
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "meine Dätensätze" / "x.jsonl"
    path.parent.mkdir()
    path.write_text(ROWS)
    return path


def test_show_counts_what_is_there(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(data.parent)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2 examples",
        "  formats: json 1, chatml 1",
        "  types: completion 1, unknown 1",
        "  generations: dwc 1, unknown 1",
        "  difficulties: basic 1, unknown 1",
        "  origins: curated 2",
    ]


def test_show_ends_with_1_when_something_cant_be_read(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.write_text(ROWS + "{\n")
    assert main(["data", "show", str(data)]) == 1
    last = capsys.readouterr().out.splitlines()[-3:]
    assert last == [
        f"{data}:3: error: Not valid JSON: Expecting property name enclosed in double quotes (column 2).",
        "    Correct or remove the line; the others were read.",
        "1 error",
    ]


def test_show_prints_one_example_as_the_model_sees_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(data), "--id", "a"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a  completion, dwc, basic, curated",
        f"{data}:1",
        "",
        "[user]",
        "Go on",
        "",
        "```bbj",
        "x! =",
        "```",
        "",
        "[assistant]",
        "```bbj",
        "null()",
        "```",
    ]


def test_show_of_an_example_that_isnt_there_ends_with_3(data: Path) -> None:
    assert main(["data", "show", str(data), "--id", "b"]) == 3


def test_convert_writes_and_says_how_many(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.jsonl"
    assert main(["data", "convert", str(data), "--to", "chatml", "--out", str(target)]) == 0
    assert capsys.readouterr().out == f"2 examples written to {target} as chatml.\n"
    assert [set(json.loads(line)) for line in target.read_text().splitlines()] == [{"messages"}, {"messages"}]


def test_convert_lists_what_it_drops(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.jsonl"
    assert main(["data", "convert", str(data), "--to", "chatml", "--out", str(target), "--no-sidecar", "--json"]) == 0
    dropped = json.loads(capsys.readouterr().out)["result"]["dropped"]
    assert dropped == dict.fromkeys(["difficulty", "generation", "id", "input", "instruction", "output", "type"], 1)


def test_convert_ends_with_1_when_a_format_cant_hold_all(data: Path, tmp_path: Path) -> None:
    assert main(["data", "convert", str(data), "--to", "markdown", "--out", str(tmp_path / "md")]) == 1
    assert [path.name for path in sorted((tmp_path / "md").iterdir())] == ["000001-a.md", "sidecar.jsonl"]


def test_convert_overwrites_nothing(data: Path) -> None:
    assert main(["data", "convert", str(data), "--to", "chatml", "--out", str(data)]) == 2
    assert data.read_text() == ROWS


def test_a_place_that_isnt_there_ends_with_3(tmp_path: Path) -> None:
    assert main(["data", "show", str(tmp_path / "nowhere")]) == 3
