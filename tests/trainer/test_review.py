"""Reviews: kept beside the data with who and when, and the gate that rests on them."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bbj_desktop.core.errors import FormatError, StoreAccessError, TooNewError, UserInputError
from trainer.cli.main import main
from trainer.data.example import Example
from trainer.data.finding import Finding
from trainer.data.queue import add_to_queue
from trainer.data.reading import read_examples
from trainer.data.review import FILE_NAME, Reviews, decide, reviewed, why_not_trained
from trainer.data.split import load_split

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
REPORT = """\
---
title: Print a line
type: completion
generation: all
description: How do I print a line?
---

## Code

```bbj
print "line"
```

## Failed Answer

console.log("line")

## Compiler

line 1: console.log("line")
"""


def example(name: str, **more: object) -> Example:
    return Example.of(id=name, type="completion", generation="all", instruction=f"Ask {name}", output="x=1", **more)


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    folder = tmp_path / "zu prüfen"
    found = [example("a"), example("b"), example("c")]
    add_to_queue(folder, found, "synthetic", lambda _: None, by="anna", at=NOW)
    return folder


def states(*paths: Path) -> dict[str, tuple[str, str, str]]:
    found = reviewed(read_examples(paths, lambda _: None), paths, lambda _: None)
    return {each.id: (each.origin, each.review, why_not_trained(each)) for each in found}


@pytest.mark.parametrize(
    ("origin", "review", "why"),
    [
        ("curated", "unreviewed", ""),
        ("curated", "accepted", ""),
        ("curated", "rejected", "rejected"),
        ("synthetic", "unreviewed", "not-reviewed"),
        ("synthetic", "accepted", ""),
        ("synthetic", "rejected", "rejected"),
        ("field", "unreviewed", "not-reviewed"),
        ("field", "accepted", ""),
        ("field", "rejected", "rejected"),
    ],
)
def test_the_gate(origin: str, review: str, why: str) -> None:
    assert why_not_trained(example("a", origin=origin, review=review)) == why


def test_what_is_queued_is_new_and_doesnt_pass(queue: Path) -> None:
    assert set(states(queue).values()) == {("synthetic", "unreviewed", "not-reviewed")}


def test_adding_twice_adds_once(queue: Path) -> None:
    again = add_to_queue(queue, [example("a"), example("d"), example("d")], "synthetic", lambda _: None, by="", at=NOW)
    assert ([each.id for each in again.added], again.known) == (["d"], 2)
    assert len(states(queue)) == 4


def test_a_decision_is_kept_with_who_and_when(queue: Path) -> None:
    decide(queue, [example("a")], "accepted", by="anna", at=NOW, note="fine")
    decide(queue, [example("b")], "rejected", by="bert", at=NOW)
    assert states(queue)["a"] == ("synthetic", "accepted", "")
    assert states(queue)["b"][1] == "rejected"
    last = Reviews(queue).history[-2]
    assert (last.id, last.by, last.at, last.note) == ("a", "anna", NOW, "fine")


def test_the_last_decision_counts_and_the_earlier_ones_stay(queue: Path) -> None:
    decide(queue, [example("a")], "accepted", by="anna", at=NOW)
    decide(queue, [example("a")], "rejected", by="bert", at=NOW)
    assert states(queue)["a"][1] == "rejected"
    assert [each.state for each in Reviews(queue).history if each.id == "a"] == ["new", "accepted", "rejected"]


def test_a_decision_holds_below_the_folder_and_for_a_file_that_is_named_alone(queue: Path) -> None:
    decide(queue, [example("a")], "accepted", by="anna", at=NOW)
    (file,) = queue.glob("synthetic-*[0-9a-f].jsonl")
    assert states(queue.parent)["a"][1] == "accepted"
    assert states(file)["a"][1] == "accepted"


def test_a_decision_doesnt_hold_for_what_was_changed_since(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps({"id": "a", "type": "completion", "instruction": "Ask a", "output": "x=2"}) + "\n")
    decide(tmp_path, [example("a", origin="synthetic")], "accepted", by="anna", at=NOW)
    found: list[Finding] = []
    (only,) = reviewed(read_examples([file], found.append), [file], found.append)
    assert only.review == "unreviewed"
    assert [(each.code, each.line) for each in found] == [("stale-review", 1)]


def test_the_origin_is_known_even_where_the_format_forgot_it(queue: Path) -> None:
    (file,) = queue.glob("synthetic-*[0-9a-f].jsonl")
    file.with_name(f"{file.name}.sidecar.jsonl").unlink()
    assert {origin for origin, _, _ in states(queue).values()} == {"synthetic"}


def test_nobody_decides_nothing(queue: Path) -> None:
    with pytest.raises(UserInputError, match="somebody"):
        decide(queue, [example("a")], "accepted", by=" ", at=NOW)


def test_half_a_line_of_a_killed_writer_counts_for_nothing(queue: Path) -> None:
    file = queue / FILE_NAME
    with file.open("ab") as log:
        log.write(b'{"id": "a", "state": "acc')
    assert states(queue)["a"][1] == "unreviewed"
    decide(queue, [example("a")], "accepted", by="anna", at=NOW)
    assert states(queue)["a"][1] == "accepted"
    assert [each.state for each in Reviews(queue).history] == ["new", "new", "new", "accepted"]


def test_a_line_that_is_damaged_in_the_middle_is_an_error(queue: Path) -> None:
    file = queue / FILE_NAME
    file.write_bytes(file.read_bytes() + b"{]\n{}\n")
    with pytest.raises(FormatError, match=f"{FILE_NAME}:5: damaged"):
        Reviews(queue)


def test_the_oldest_format_can_be_read(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(
        '{"format": 1, "kind": "bbj-training-reviews"}\n{"id": "a", "content_hash": "ab", "origin": "field", '
        '"state": "new", "by": "anna", "at": "2026-05-01T12:30:00Z", "note": ""}\n'
    )
    assert Reviews(tmp_path).history[0].at == NOW


@pytest.mark.parametrize(
    ("header", "error"),
    [('{"format": 2, "kind": "bbj-training-reviews"}', TooNewError), ('{"id": "a"}', FormatError)],
)
def test_another_file_is_neither_read_nor_written(tmp_path: Path, header: str, error: type[Exception]) -> None:
    file = tmp_path / FILE_NAME
    file.write_text(header + "\n")
    with pytest.raises(error):
        Reviews(tmp_path)
    assert file.read_text() == header + "\n"


def test_a_folder_that_isnt_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises((StoreAccessError, FormatError)):
        decide(tmp_path / "x" / "y", [example("a")], "accepted", by="anna", at=NOW)


def test_writers_take_turns(tmp_path: Path) -> None:
    threads = [
        threading.Thread(
            target=decide, args=(tmp_path, [example(f"{number}")], "accepted"), kwargs={"by": "anna", "at": NOW}
        )
        for number in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(Reviews(tmp_path).history) == 8


def test_only_accepted_ones_enter_a_training_set(queue: Path, tmp_path: Path) -> None:
    assert main(["data", "review", "accept", str(queue), "--id", "a", "--by", "anna"]) == 0
    assert main(["data", "review", "reject", str(queue), "--id", "b", "--by", "anna"]) == 0
    assert main(["data", "split", str(queue), "--output", str(tmp_path / "split.json")]) == 0
    split = load_split(tmp_path / "split.json")
    assert split.train == ("a",)
    assert {each.id: each.why for each in split.left_out} == {"b": "rejected", "c": "not-reviewed"}


def test_a_report_lands_in_the_queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, folder = tmp_path / "report.md", tmp_path / "queue"
    report.write_text(REPORT)
    assert main(["data", "review", "add", str(report), "--to", str(folder), "--by", "anna"]) == 0
    assert capsys.readouterr().out == f"Waiting for review in {folder}: 1 example\n"
    ((name, state),) = states(folder).items()
    assert state == ("field", "unreviewed", "not-reviewed")
    assert main(["data", "review", "show", str(folder), "--id", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{name}  field, unreviewed, compiler: not-judged; not-reviewed"
    assert "[Failed Answer]" in lines
    assert 'console.log("line")' in lines


def test_list_shows_what_waits(queue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "review", "accept", str(queue), "--id", "a", "--id", "b", "--by", "anna"])
    capsys.readouterr()
    assert main(["data", "review", "list", str(queue), "--state", "unreviewed", "--origin", "synthetic"]) == 0
    assert capsys.readouterr().out.splitlines()[::2] == [
        "1 example",
        "c        synthetic  unreviewed  completion  all         Ask c",
    ]


def test_stats_count(queue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "review", "accept", str(queue), "--id", "a", "--by", "anna"])
    capsys.readouterr()
    assert main(["data", "review", "stats", str(queue), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["counts"]["synthetic"] == {"unreviewed": 2, "accepted": 1, "rejected": 0}
    assert (result["reviewers"], result["pass_the_gate"]) == ({"anna": 1}, 1)


def test_an_id_that_isnt_there_ends_with_3_and_decides_nothing(queue: Path) -> None:
    assert main(["data", "review", "accept", str(queue), "--id", "a", "--id", "zz", "--by", "anna"]) == 3
    assert states(queue)["a"][1] == "unreviewed"
