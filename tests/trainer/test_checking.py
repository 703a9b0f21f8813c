"""The check finds each planted flaw as often as it was planted, and nothing else."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.errors import FormatError, NotFoundError
from bbj_desktop.services.compiler import find_compiler
from tests.fakes.compiler import bbj_installation
from tests.trainer.planted import Planter, Row, write
from trainer.data.checking import CheckedData, CheckSettings, check_data
from trainer.data.checks.lengths import TokenCounter
from trainer.data.example import Example

ONLY_PLANTED = CheckSettings(least_in_cell=0)


def found(path: Path, settings: CheckSettings = ONLY_PLANTED, **options: Any) -> dict[str, int]:
    return {each.code: each.count for each in check_data([path], settings, **options).kinds}


def test_clean_examples_have_no_flaw(tmp_path: Path) -> None:
    planter = Planter()
    rows = [planter.clean(kind) for _ in range(60) for kind in ("completion", "explanation")]
    assert found(write(tmp_path / "rein und fein.jsonl", rows)) == {}


@pytest.mark.parametrize("flaw", sorted(Planter().flaws))
def test_a_flaw_is_found_as_often_as_it_was_planted(flaw: str, tmp_path: Path) -> None:
    planter = Planter()
    rows = [planter.clean() for _ in range(20)]
    for _ in range(7):
        rows += [*planter.flaws[flaw](), planter.clean("explanation")]
    assert found(write(tmp_path / "x.jsonl", rows)) == {flaw: 7}


@pytest.mark.parametrize("processes", [1, 2])
def test_all_flaws_together_are_counted_exactly(processes: int, tmp_path: Path) -> None:
    planter, chance = Planter(), random.Random(3)  # noqa: S311 - the same rows each time
    expected: Counter[str] = Counter()
    groups: list[list[Row]] = [[planter.clean()] for _ in range(200)]
    for flaw, plant in planter.flaws.items():
        expected[flaw] = chance.randint(1, 12)
        groups += [plant() for _ in range(expected[flaw])]
    chance.shuffle(groups)
    path = write(tmp_path / "alle.jsonl", [row for group in groups for row in group])
    assert found(path, processes=processes) == expected


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    planter = Planter()
    groups = [plant() for plant in planter.flaws.values()]
    path = write(tmp_path / "x.jsonl", [row for group in groups for row in group])
    assert check_data([path], CheckSettings(), processes=2) == check_data([path], CheckSettings(), processes=1)


def test_a_finding_says_where_and_what_to_do(tmp_path: Path) -> None:
    planter = Planter()
    path = write(tmp_path / "x.jsonl", [planter.clean(), *planter.flaws["unbalanced-block"]()])
    (finding,) = check_data([path], ONLY_PLANTED).findings
    assert (finding.where, finding.severity, finding.example_id) == (f"{path}:2", "error", "p2")
    assert finding.message == "Blocks of the answer's code: line 1: while without wend."
    assert finding.hint == "Complete the block, or remove what is left over."


def test_a_contradicted_label_comes_with_the_marks(tmp_path: Path) -> None:
    row = Planter().clean() | {"generation": "character"}
    row["messages"][2]["content"] = '```bbj\nw! = BBjAPI().getSysGui().addWindow(1,1,1,1,"")\n```'
    (finding,) = check_data([write(tmp_path / "x.jsonl", [row])], ONLY_PLANTED).findings
    assert finding.message == (
        "It is labelled character, and the code shows bbj-gui: "
        "getSysGui() (bbj-gui; output, line 1); add… of a window or control (bbj-gui; output, line 1)."
    )


def test_a_secret_isnt_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", Planter().flaws["secret"]())
    (finding,) = check_data([path], ONLY_PLANTED).findings
    assert finding.message == "A key or password: AKIA… (20 characters)."


def test_one_system_prompt_in_every_example_is_said_once(tmp_path: Path) -> None:
    planter = Planter()
    rows = [planter.clean() for _ in range(10)]
    for row in rows:
        row["messages"][0]["content"] = "You are an expert BBj programmer."
    assert found(write(tmp_path / "x.jsonl", rows)) == {"one-system-prompt": 1}
    rows[3]["messages"][0]["content"] = "You are another one."
    assert found(write(tmp_path / "y.jsonl", rows)) == {}


def test_thin_cells_are_counted(tmp_path: Path) -> None:
    planter = Planter()
    path = write(
        tmp_path / "x.jsonl", [planter.clean() for _ in range(20)]
    )  # five for each generation, all completions
    assert found(path, CheckSettings(least_in_cell=5)) == {"thin-cell": 12}
    assert found(path, CheckSettings(least_in_cell=6)) == {"thin-cell": 16}


def test_unlabelled_examples_are_said_once(tmp_path: Path) -> None:
    rows = [{"messages": Planter(seed).clean()["messages"]} for seed in (1, 2, 3)]
    assert found(write(tmp_path / "x.jsonl", rows)) == {"unlabelled": 1}


def test_the_order_of_findings_is_that_of_the_lines(tmp_path: Path) -> None:
    planter = Planter()
    rows = [row for plant in planter.flaws.values() for row in plant()]
    lines = [each.line for each in check_data([write(tmp_path / "x.jsonl", rows)], ONLY_PLANTED).findings]
    assert lines == sorted(lines)


def test_code_isnt_judged_without_a_compiler(tmp_path: Path) -> None:
    checked = check_data([write(tmp_path / "x.jsonl", [Planter().clean()])], ONLY_PLANTED)
    assert (checked.compiler, checked.compiled) == ("", {"compiles": 0, "fails": 0, "not judged": 1})


def test_a_compiler_marks_what_it_refuses(tmp_path: Path) -> None:
    checked = _compiled(tmp_path, "print 1\nBAD = 2", "print 1", "LICENCE = 1")
    assert checked.compiled == {"compiles": 1, "fails": 1, "not judged": 1}
    (finding,) = checked.findings
    assert (finding.code, finding.line) == ("does-not-compile", 1)
    assert finding.message == "The BBj compiler refuses it: line 2: BAD = 2."


def _compiled(folder: Path, *codes: str) -> CheckedData:
    rows = []
    for seed, code in enumerate(codes):
        row = Planter(seed).clean()
        row["messages"][2]["content"] = f"```bbj\n{code}\n```"
        rows.append(row | {"id": code})
    compiler = find_compiler(bbj_installation(folder / "BBj Größe"))
    return check_data([write(folder / "x.jsonl", rows)], CheckSettings(least_in_cell=0, compiler=compiler))


def test_tokens_are_counted_by_a_tokenizer(tmp_path: Path) -> None:
    counter = TokenCounter(_tokenizer(tmp_path))
    example = Example.of(form="chat", system="S", instruction="one two", output="three four five")
    assert counter.tokens(example) == 1 + 2 + 3 + 3 * 5
    assert not counter.estimated


def test_what_is_too_long_is_counted_with_the_tokenizer(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [Planter().clean("explanation")])
    settings = CheckSettings(least_in_cell=0, tokenizer=_tokenizer(tmp_path), max_seq_length=59)
    (finding,) = check_data([path], settings).findings
    assert finding.message == "It has 60 tokens; max_seq_length is 59: the rest would be cut off."


def _tokenizer(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_a_tokenizer_that_isnt_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no tokenizer"):
        TokenCounter(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FormatError, match="is no tokenizer"):
        TokenCounter(tmp_path)
