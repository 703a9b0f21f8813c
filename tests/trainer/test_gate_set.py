"""The gate set: drawn once, frozen, and held out for ever."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from bbj_desktop.core.errors import FormatError, TooNewError, UserInputError
from trainer.cli.main import main
from trainer.data.example import Example
from trainer.data.gate import draw_gate, load_gate, save_gate
from trainer.data.split import load_split
from trainer.data.splitting import make_split

OLDEST = """{"format": 1, "kind": "bbj-gate-set", "drawn_from": "ab",
"digest": "b0595f0eb9b96c71c6c943c3388f2193fd9bd8d17711468706375ef91de2cb52",
"cases": [{"id": "a", "type": "completion", "generation": ["dwc"], "instruction": "q", "output": "x"}]}"""


def example(number: int, kind: str = "completion") -> Example:
    words = " ".join(f"w{number}x{place}" for place in range(20))
    return Example.of(id=f"{kind}{number}", type=kind, generation="dwc", instruction=words, output=f"print {number}")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "Sätze" / "x.jsonl"
    path.parent.mkdir()
    found = [example(number, kind) for number in range(30) for kind in ("completion", "explanation")]
    keys = {"id", "type", "generation", "instruction", "output"}
    path.write_text("".join(each.model_dump_json(include=keys) + "\n" for each in found))
    assert main(["data", "split", str(path), "--output", str(tmp_path / "split.json"), "--held-out-share", "0.5"]) == 0
    return path


def test_cases_come_from_all_cells_in_turn() -> None:
    found = [example(number, kind) for kind, count in (("completion", 50), ("migration", 2)) for number in range(count)]
    gate = draw_gate(found, "f", cases=10)
    assert Counter(each.type for each in gate.cases) == {"completion": 8, "migration": 2}


def test_the_order_of_the_examples_changes_nothing() -> None:
    found = [example(number) for number in range(20)]
    assert draw_gate(found, "f", cases=5) == draw_gate(found[::-1], "f", cases=5)


def test_a_gate_set_comes_back_as_it_was_frozen(tmp_path: Path) -> None:
    gate = draw_gate([example(number) for number in range(20)], "f", cases=5)
    save_gate(tmp_path / "gate.json", gate)
    assert load_gate(tmp_path / "gate.json") == gate


def test_a_gate_set_that_somebody_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    save_gate(path, draw_gate([example(1), example(2)], "f"))
    path.write_text(path.read_text().replace("print 1", "print 2", 1))
    with pytest.raises(FormatError, match="was changed since it was frozen"):
        load_gate(path)


def test_the_oldest_format_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    path.write_text(OLDEST)
    assert [each.id for each in load_gate(path).cases] == ["a"]


def test_a_gate_set_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gate.json").write_text('{"format": 2}')
    with pytest.raises(TooNewError):
        load_gate(tmp_path / "gate.json")


def test_nothing_held_out_gives_no_gate_set() -> None:
    with pytest.raises(UserInputError, match="Nothing is held out"):
        draw_gate([], "f")


def test_draw_and_show_say_the_same(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split, gate = str(tmp_path / "split.json"), str(tmp_path / "gate.json")
    capsys.readouterr()
    assert main(["data", "gate", "draw", str(data), "--split", split, "--output", gate, "--cases", "10"]) == 0
    drawn = capsys.readouterr().out
    assert main(["data", "gate", "show", gate]) == 0
    assert capsys.readouterr().out == drawn
    assert drawn.splitlines()[:2] == [f"10 cases: {gate}", "  types: completion 5, explanation 5"]


def test_draw_says_when_there_are_fewer(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split, gate = str(tmp_path / "split.json"), str(tmp_path / "gate.json")
    assert main(["data", "gate", "draw", str(data), "--split", split, "--output", gate]) == 1
    assert "Only 30 examples are held out; 150 were asked for." in capsys.readouterr().out


def test_draw_refuses_to_draw_over_a_frozen_set(data: Path, tmp_path: Path) -> None:
    split, gate = str(tmp_path / "split.json"), tmp_path / "gate.json"
    arguments = ["data", "gate", "draw", str(data), "--split", split, "--output", str(gate), "--cases", "5"]
    main(arguments)
    before = gate.read_bytes()
    assert main(arguments) == 2
    assert gate.read_bytes() == before


def test_draw_refuses_data_that_isnt_what_was_split(data: Path, tmp_path: Path) -> None:
    split, gate = tmp_path / "split.json", tmp_path / "gate.json"
    data.write_text(data.read_text() + json.dumps({"instruction": "new", "output": "new"}) + "\n")
    assert main(["data", "gate", "draw", str(data), "--split", str(split), "--output", str(gate)]) == 2
    assert not gate.exists()


def test_the_gate_set_stays_held_out_without_any_earlier_split(data: Path, tmp_path: Path) -> None:
    split, gate, later = tmp_path / "split.json", tmp_path / "gate.json", tmp_path / "later.json"
    main(["data", "gate", "draw", str(data), "--split", str(split), "--output", str(gate), "--cases", "25"])
    main(["data", "split", str(data), "--output", str(later), "--gate-set", str(gate)])
    assert {each.id for each in load_gate(gate).cases} == {each.id for each in load_split(later).held_out}


def test_the_gate_set_is_remembered_by_data_that_lacks_it() -> None:
    case = example(1)
    split = make_split([example(number) for number in range(2, 12)], gate=[case])
    assert [each.id for each in split.remembered] == [case.id]
