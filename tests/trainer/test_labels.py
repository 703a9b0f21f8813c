"""Labels that are inferred: how good they are, what they say for themselves, and what experts make of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bbj_desktop.core.errors import FormatError, NotFoundError, TooNewError, UserInputError
from trainer.cli.main import main
from trainer.data.example import Example
from trainer.data.finding import Finding
from trainer.data.labelling import Inferred, infer, plain_code
from trainer.data.labels import labelled, load_labels
from trainer.data.markers import packaged_markers
from trainer.data.reading import read_examples

CHATS = Path(__file__).with_name("labelled_chats.jsonl")
CHAT = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "%s"}]}\n'


def code(text: str, **more: str) -> Inferred:
    return infer(Example.of(instruction="Complete this.", input=text, output=text, **({"type": "completion"} | more)))


def test_what_is_inferred_agrees_with_experts_on_the_set() -> None:
    right_generation = right_type = wrong_and_sure = 0
    examples = list(read_examples([CHATS], lambda _: None))
    for each in examples:
        found = infer(each)
        right_generation += found.generation == each.generation
        right_type += found.type == each.type
        wrong_and_sure += found.generation != each.generation and found.generation_confidence > 0.8
        wrong_and_sure += found.type != each.type and found.type_confidence > 0.8
    assert (len(examples), right_generation, right_type, wrong_and_sure) == (51, 50, 49, 0)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("print 'CS',@(0,0),a$", "character"),
        ("print (sysgui)'WINDOW'(1,1,9,9,\"x\",$$,$$)", "vpro5"),
        ('w! = BBjAPI().getSysGui().addWindow(1,1,9,9,"x")', "bbj-gui"),
        ('BBjAPI().getWebManager().executeAsyncScript("x()")', "dwc"),
        ('w! = sysgui!.addWindow("x")\nw!.setPanelStyle("a","b")\nweb! = BBjAPI().getWebManager()', "dwc"),
        ('while 1\n  read (1,end=*break)a$\n  x=pos("a"=a$)\nwend', "all"),
        ("print 'CS',@(0,0),a$\nw! = BBjAPI().getSysGui()", "mixed"),
        ("x", "unknown"),
    ],
)
def test_code_shows_its_generation(text: str, label: str) -> None:
    assert code(text).generation == (label,)


def test_marks_in_remarks_and_texts_dont_count() -> None:
    found = code('rem w! = BBjAPI().getSysGui()\nwhile 1\n  a$="getWebManager()"; rem CTRL(1)\n  b$=str(1)\nwend')
    assert found.generation == ("all",)


def test_plain_code_keeps_its_lines() -> None:
    assert plain_code('a$="rem no" ; rem yes\n/@@ two\nlines @/\nb=1').split("\n") == ['a$="" ; ', "", "", "b=1"]


def test_a_migration_is_judged_by_where_it_leads() -> None:
    example = Example.of(
        type="migration", input="print (sysgui)'TITLE'(\"x\")", output="w! = BBjAPI().getSysGui().addWindow(1,1,1,1)"
    )
    assert infer(example).generation == ("bbj-gui",)


def test_evidence_names_its_line() -> None:
    found = code("rem first\n\nprint 'CS'\nprint @(1,1)")
    assert [(each.label, each.line) for each in found.evidence if each.part == "input"] == [
        ("character", 4),
        ("character", 3),
    ]


def test_the_packaged_markers_cover_all_labels() -> None:
    markers = packaged_markers()
    assert set(markers.generations) == set(markers.words) == {"character", "vpro5", "bbj-gui", "dwc"}
    assert set(markers.types) == {"completion", "migration", "comprehension", "explanation"}


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    path = tmp_path / "meine Gespräche.jsonl"
    question = "Explain this code.\\n```bbj\\nprint 'CS',@(1,1)\\n```"
    path.write_text(CHAT % (question, "It clears the screen.") + CHAT % ("Hi", "Hello"))
    return path


def first_id(path: Path) -> str:
    return next(iter(read_examples([path], lambda _: None))).id


def test_labels_go_into_a_file_of_their_own(chats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = chats.read_bytes()
    assert main(["data", "label", str(chats), "--out", str(tmp_path / "labels.jsonl"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert (result["examples"], result["types"]) == (2, {"comprehension": 1, "explanation": 1})
    assert chats.read_bytes() == before
    labels = load_labels(tmp_path / "labels.jsonl")
    assert labels[first_id(chats)].generation == ("character",)


def test_labels_can_be_laid_over_the_examples(chats: Path, tmp_path: Path) -> None:
    main(["data", "label", str(chats), "--out", str(tmp_path / "labels.jsonl")])
    found = list(labelled(read_examples([chats], lambda _: None), tmp_path / "labels.jsonl", lambda _: None))
    assert found[0].cell == ("comprehension", "character", "unknown")


def test_what_the_source_says_beats_what_is_inferred_but_not_what_is_confirmed(tmp_path: Path) -> None:
    path, labels = tmp_path / "x.jsonl", tmp_path / "labels.jsonl"
    path.write_text('{"id": "a", "type": "migration", "generation": "dwc", "instruction": "q", "output": "a"}\n')
    main(["data", "label", str(path), "--out", str(labels)])
    (inferred,) = labelled(read_examples([path], lambda _: None), labels, lambda _: None)
    main(["data", "label", str(path), "--out", str(labels), "--confirm", "a=completion,bbj-gui+dwc"])
    (confirmed,) = labelled(read_examples([path], lambda _: None), labels, lambda _: None)
    assert inferred.cell[:2] == ("migration", "dwc")
    assert confirmed.cell[:2] == ("completion", "bbj-gui+dwc")


def test_what_was_confirmed_stays_when_labels_are_made_anew(chats: Path, tmp_path: Path) -> None:
    labels, name = tmp_path / "labels.jsonl", first_id(chats)
    main(["data", "label", str(chats), "--out", str(labels), "--confirm", f"{name}=vpro5"])
    main(["data", "label", str(chats), "--out", str(labels)])
    assert (load_labels(labels)[name].generation, load_labels(labels)[name].state) == (("vpro5",), "confirmed")


def test_a_label_of_something_that_changed_isnt_used(tmp_path: Path) -> None:
    path, labels = tmp_path / "x.jsonl", tmp_path / "labels.jsonl"
    path.write_text('{"id": "a", "instruction": "Why?", "output": "So."}\n')
    main(["data", "label", str(path), "--out", str(labels), "--confirm", "a=dwc"])
    path.write_text('{"id": "a", "instruction": "Why?", "output": "No."}\n')
    said: list[Finding] = []
    (example,) = labelled(read_examples([path], said.append), labels, said.append)
    assert (example.generation, [each.code for each in said]) == (("unknown",), ["stale-label"])


@pytest.mark.parametrize(("said", "code"), [("nobody", 3), ("a=swing", 2), ("a=all+dwc", 2)])
def test_a_confirmation_of_nothing_is_refused(said: str, code: int, tmp_path: Path) -> None:
    path, labels = tmp_path / "x.jsonl", tmp_path / "labels.jsonl"
    path.write_text('{"id": "a", "instruction": "Why?", "output": "So."}\n')
    assert main(["data", "label", str(path), "--out", str(labels), "--confirm", said]) == code
    assert not labels.exists()


def test_confirming_needs_a_place_to_keep_it(chats: Path) -> None:
    assert main(["data", "label", str(chats), "--confirm", first_id(chats)]) == UserInputError.exit_code


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"{}\n", FormatError, "isn't a labels file"),
        (b"\xff\n", FormatError, "isn't UTF-8"),
        (b'{"format": 9, "kind": "bbj-training-labels"}\n', TooNewError, "reads up to 1"),
        (b'{"format": 1, "kind": "bbj-training-labels"}\n{"id": 1}\n', FormatError, ":2: not labels"),
    ],
)
def test_a_labels_file_that_cant_be_read_is_said(
    content: bytes, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "l").write_bytes(content)
    with pytest.raises(error, match=message):
        load_labels(tmp_path / "l")


def test_a_labels_file_that_isnt_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no labels file"):
        load_labels(tmp_path / "l")


def test_the_oldest_labels_file_is_read(tmp_path: Path) -> None:
    line = {"id": "a", "content_hash": "0", "generation": ["dwc"], "type": "completion", "state": "confirmed"}
    (tmp_path / "l").write_text('{"format": 1, "kind": "bbj-training-labels"}\n' + json.dumps(line) + "\n")
    assert load_labels(tmp_path / "l")["a"].generation == ("dwc",)
