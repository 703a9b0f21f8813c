"""Repairs go into a new version, show what they change, and have nothing left to do the second time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bbj_desktop.core.errors import TooNewError, UserInputError
from tests.trainer.planted import Planter, write
from trainer.cli.main import main
from trainer.data.checking import CheckSettings, check_data
from trainer.data.example import Example
from trainer.data.finding import Finding
from trainer.data.reading import read_examples
from trainer.data.repairing import read_version, repair_data, repaired

SAFE = {
    "literal-backslash-n": 4,
    "crlf": 4,
    "control-characters": 4,
    "raw-code": 4,
    "unclosed-fence": 4,
    "repeated-prompt": 4,
}


def nothing(finding: Finding) -> None:
    raise AssertionError(finding)


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    planter = Planter()
    rows = [row for flaw in SAFE for _ in range(4) for row in (*planter.flaws[flaw](), planter.clean())]
    return write(tmp_path / "schräge Daten.jsonl", rows)


def test_what_is_safe_is_repaired_and_counted(spoiled: Path, tmp_path: Path) -> None:
    done = repair_data([spoiled], tmp_path / "neu", nothing)
    assert done.version.changes == SAFE
    assert check_data([tmp_path / "neu"], CheckSettings(least_in_cell=0)).kinds == []


def test_the_second_run_changes_nothing(spoiled: Path, tmp_path: Path) -> None:
    first = repair_data([spoiled], tmp_path / "1", nothing)
    second = repair_data([tmp_path / "1"], tmp_path / "2", nothing)
    assert (second.written, second.version.changes) == (False, {})
    assert second.version.fingerprint == second.version.parent == first.version.fingerprint
    assert not (tmp_path / "2").exists()


def test_the_source_stays_and_the_version_names_its_parent(spoiled: Path, tmp_path: Path) -> None:
    before = spoiled.read_bytes()
    done = repair_data([spoiled], tmp_path / "neu", nothing)
    assert spoiled.read_bytes() == before
    assert read_version(tmp_path / "neu") == done.version
    again = repair_data([spoiled], tmp_path / "again", nothing)
    assert again.version == done.version
    assert done.version.parent != done.version.fingerprint


def test_ids_and_labels_survive(spoiled: Path, tmp_path: Path) -> None:
    repair_data([spoiled], tmp_path / "neu", nothing)
    before = {each.id: each.cell for each in read_examples([spoiled], nothing)}
    after = {each.id: each.cell for each in read_examples([tmp_path / "neu"], nothing)}
    assert after == {name: cell for name, cell in before.items() if not name.endswith("-again")}


def test_every_change_is_written_down(spoiled: Path, tmp_path: Path) -> None:
    repair_data([spoiled], tmp_path / "neu", nothing)
    header, *lines = (tmp_path / "neu" / "dataset-changes.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(header) == {"format": 1, "kind": "bbj-training-changes"}
    changes = [json.loads(line) for line in lines]
    assert len(changes) == sum(SAFE.values())
    literal = changes[0]
    assert literal["kinds"] == ["literal-backslash-n"]
    assert literal["after"]["output"] == literal["before"]["output"].replace("\\n", "\n")


def test_all_formats_are_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write(data / "a.jsonl", [Planter(1).flaws["crlf"]()[0] | {"id": "chat"}])
    (data / "b.json").write_text(
        '[{"id": "obj", "generation": "bbj_gui", "instruction": "Why?", "output": "So it is."}]'
    )
    (data / "c.md").write_text("---\ntitle: T\ntype: explanation\ngeneration: all\n---\n## Explanation\n\nBecause.\n")
    done = repair_data([data], tmp_path / "neu", nothing)
    assert done.version.changes == {"crlf": 1, "old-spelling": 1}
    formats = {each.source.format for each in read_examples([tmp_path / "neu"], nothing)}
    assert formats == {"chatml", "json", "markdown"}
    assert not repair_data([tmp_path / "neu"], tmp_path / "2", nothing).written


def test_a_folder_with_something_in_it_is_refused(spoiled: Path, tmp_path: Path) -> None:
    target = tmp_path / "voll"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(UserInputError, match="isn't empty"):
        repair_data([spoiled], target, nothing)
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


def test_nothing_is_left_where_there_is_nothing_to_repair(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [Planter().clean()])
    assert not repair_data([path], tmp_path / "neu", nothing).written
    assert [each.name for each in tmp_path.iterdir()] == ["x.jsonl"]


def test_the_system_prompt_leaves_the_training_and_stays_known(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [Planter().clean()])
    done = repair_data([path], tmp_path / "neu", nothing, drop_system_prompt=True)
    assert done.version.changes == {"system-prompt": 1}
    (example,) = read_examples([tmp_path / "neu"], nothing)
    assert example.system == ""
    assert example.extra["system_prompt"] == "You are 1."


@pytest.mark.parametrize(
    "text",
    [
        'Java writes "a\\nb".',
        "The sign `\\n` ends a line.",
        "It lies in C:\\new\\names.txt.",
        r"\\server\new\x",
        "'\\n' ends it",
    ],
)
def test_backslash_and_n_that_are_meant_stay(text: str) -> None:
    example = Example.of(form="chat", instruction="Q?", output=text)
    assert repaired(example) == (example, [])


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset-version.json").write_text('{"format": 2}')
    with pytest.raises(TooNewError):
        read_version(tmp_path)


def test_a_newer_programs_version_isnt_repaired(spoiled: Path, tmp_path: Path) -> None:
    repair_data([spoiled], tmp_path / "1", nothing)
    said = (tmp_path / "1" / "dataset-version.json").read_text()
    (tmp_path / "1" / "dataset-version.json").write_text(said.replace('"format": 1', '"format": 2'))
    with pytest.raises(TooNewError):
        repair_data([tmp_path / "1"], tmp_path / "2", nothing)
    assert not (tmp_path / "2").exists()


def test_the_oldest_version_is_read(tmp_path: Path) -> None:
    text = '{"format":1,"kind":"bbj-training-version","fingerprint":"a","parent":"b","examples":1,"changes":{"crlf":1}}'
    (tmp_path / "dataset-version.json").write_text(text)
    assert read_version(tmp_path).changes == {"crlf": 1}


def test_fix_shows_the_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "id": "a",
        "messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "One.\\nTwo, too."}],
    }
    path, target = write(tmp_path / "x.jsonl", [row, row | {"id": "b"}]), tmp_path / "neu"
    assert main(["data", "fix", str(path), "--output", str(target)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"1 example written to {target}.",
        "  literal-backslash-n 1",
        "  repeated-prompt 1",
        f"{path}:1: literal-backslash-n",
        "    -One.\\nTwo, too.",
        "    +One.",
        "    +Two, too.",
        f"{path}:2: repeated-prompt: dropped",
        f"{target / 'dataset-changes.jsonl'} has each change.",
    ]
    assert main(["data", "fix", str(target), "--output", str(tmp_path / "2")]) == 0
    assert capsys.readouterr().out == "1 example, nothing to repair; nothing was written.\n"


def test_what_cant_be_read_is_said(spoiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoiled.write_text(spoiled.read_text(encoding="utf-8") + "{\n", encoding="utf-8")
    assert main(["data", "fix", str(spoiled), "--output", str(tmp_path / "neu")]) == 1
    assert "error: Not valid JSON" in capsys.readouterr().out
