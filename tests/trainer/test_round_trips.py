"""What is written with a sidecar comes back whole; without one, what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bbj_desktop.core.errors import StoreAccessError, UserInputError
from tests.trainer.examples_strategy import examples
from trainer.data.example import Example, Format
from trainer.data.finding import Finding
from trainer.data.formats import markdown
from trainer.data.reading import read_examples
from trainer.data.sidecar import Ids
from trainer.data.writing import write_examples

FORMATS: tuple[Format, ...] = get_args(Format)
NAMES = {"json": "out.json", "chatml": "out.jsonl", "markdown": "out"}


def content(each: Example) -> dict[str, Any]:
    return each.model_dump(exclude={"source"})


def unique(given_examples: list[Example]) -> list[Example]:
    ids = Ids()
    return [each.model_copy(update={"id": ids.once(each.id)}) for each in given_examples]


def representable(each: Example, form: Format) -> bool:
    return not markdown.why_not(each) if form == "markdown" else form == "json" or bool(each.to_messages())


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=st.lists(examples(), max_size=4))
@example(drawn=[Example.of(instruction="twice", output="the same")] * 3)
@example(drawn=[Example.of(id="x", output="a"), Example.of(id="x~2", output="b"), Example.of(id="x", output="c")])
def test_with_a_sidecar_nothing_is_lost(form: Format, drawn: list[Example]) -> None:
    wanted = unique(drawn)
    with TemporaryDirectory(prefix="ründ trip ") as folder:
        target = Path(folder) / NAMES[form]
        write_examples(wanted, target, form, lambda _: None)
        back = read_examples([target], lambda _: None)
        kept = [content(each) for each in wanted if representable(each, form)]
        by_id = {str(each["id"]): each for each in map(content, back)}
        assert [by_id.pop(each["id"]) for each in kept] == kept
        assert not by_id


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=st.lists(examples(), max_size=3), way=st.permutations(FORMATS))
def test_a_way_through_two_formats_ends_where_it_began(drawn: list[Example], way: list[Format]) -> None:
    wanted = [each for each in unique(drawn) if all(representable(each, form) for form in FORMATS)]
    with TemporaryDirectory() as folder:
        travelling = wanted
        for form in way[:2]:
            target = Path(folder) / f"{form}-{NAMES[form]}"
            write_examples(travelling, target, form, lambda _: None)
            travelling = list(read_examples([target], lambda _: None))
        assert sorted(map(content, travelling), key=str) == sorted(map(content, wanted), key=str)


LABELLED = Example.of(
    id="open-1",
    type="migration",
    generation="dwc",
    difficulty="basic",
    title="Open a window",
    instruction="Convert this to DWC.",
    input="PRINT (1)'WINDOW'(0,0,9,9,\"x\",$00$)",
    output='window! = sysgui!.addWindow("x")',
    explanation="addWindow replaces the mnemonic.",
    from_generation="vpro5",
    to_generation="dwc",
    tags=["window"],
    origin="synthetic",
)
LOST = {
    "json": "explanation from_generation origin tags title to_generation",
    "chatml": "difficulty explanation from_generation generation id input instruction origin output tags title "
    "to_generation type",
    "markdown": "id origin",
}


@pytest.mark.parametrize("form", FORMATS)
def test_without_a_sidecar_each_dropped_field_is_listed(form: Format, tmp_path: Path) -> None:
    said: list[Finding] = []
    written = write_examples([LABELLED], tmp_path / NAMES[form], form, said.append, with_sidecar=False)
    assert " ".join(sorted(written.dropped)) == LOST[form]
    assert len(said) == len(written.dropped)
    assert said[0].message.endswith("dropped 1 times, first in open-1.")
    assert list(tmp_path.iterdir()) == [tmp_path / NAMES[form]]


def test_a_chat_keeps_its_words_without_a_sidecar(tmp_path: Path) -> None:
    write_examples([LABELLED], tmp_path / "x.jsonl", "chatml", lambda _: None, with_sidecar=False)
    (back,) = read_examples([tmp_path / "x.jsonl"], lambda _: None)
    assert back.to_messages() == LABELLED.to_messages()
    assert back.content_hash == LABELLED.content_hash


def test_the_seeds_completion_is_written_with_its_own_keys(tmp_path: Path) -> None:
    made = Example.of(
        id="c", type="completion", generation=["dwc", "bbj_gui"], instruction="Go on", input="a", output="b"
    )
    write_examples([made], tmp_path / "x.json", "json", lambda _: None)
    assert json.loads((tmp_path / "x.json").read_text()) == [
        {
            "id": "c",
            "type": "completion",
            "generation": ["bbj-gui", "dwc"],
            "instruction": "Go on",
            "prefix": "a",
            "completion": "b",
        }
    ]


def test_json_becomes_lines_where_the_name_says_so(tmp_path: Path) -> None:
    write_examples([LABELLED, LABELLED], tmp_path / "x.jsonl", "json", lambda _: None)
    assert [json.loads(line)["id"] for line in (tmp_path / "x.jsonl").read_text().splitlines()] == ["open-1"] * 2


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("mine")
    with pytest.raises(UserInputError, match="there already"):
        write_examples([LABELLED], tmp_path / "x.jsonl", "chatml", lambda _: None)
    assert (tmp_path / "x.jsonl").read_text() == "mine"


def test_an_end_halfway_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Any:
        yield LABELLED
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreAccessError, match="No space left on device"):
        write_examples(broken(), tmp_path / "x.jsonl", "chatml", lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_markdown_refuses_what_has_no_labels(tmp_path: Path) -> None:
    said: list[Finding] = []
    chat = Example.of(form="chat", instruction="q", output="a")
    assert write_examples([chat], tmp_path / "x", "markdown", said.append).refused == 1
    assert "requires type and generation" in said[0].message


def test_a_changed_record_isnt_mixed_with_its_old_sidecar(tmp_path: Path) -> None:
    said: list[Finding] = []
    write_examples([LABELLED], tmp_path / "x.jsonl", "chatml", said.append)
    path = tmp_path / "x.jsonl"
    path.write_text(path.read_text().replace("Convert", "Rewrite"))
    (back,) = read_examples([path], said.append)
    assert (back.type, said[0].code) == ("unknown", "not-in-sidecar")
    assert back.instruction.startswith("Rewrite")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"format": 1, "kind": "else"}', "isn't a sidecar"),
        ('{"format": 2, "kind": "bbj-training-sidecar"}', "reads up to 1"),
        ("{", "damaged"),
    ],
)
def test_a_sidecar_that_cant_be_read_is_said(header: str, message: str, tmp_path: Path) -> None:
    said: list[Finding] = []
    write_examples([LABELLED], tmp_path / "x.jsonl", "chatml", said.append)
    (tmp_path / "x.jsonl.sidecar.jsonl").write_text(header)
    assert len(list(read_examples([tmp_path / "x.jsonl"], said.append))) == 1
    assert message in said[0].message


def test_the_oldest_sidecar_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"messages": [{"role": "user", "content": "q"}]}\n')
    key = next(iter(read_examples([tmp_path / "x.jsonl"], lambda _: None))).id
    lines = '{"format": 1, "kind": "bbj-training-sidecar"}\n' + json.dumps({"id": key, "fields": {"id": "mine"}}) + "\n"
    (tmp_path / "x.jsonl.sidecar.jsonl").write_text(lines)
    assert [each.id for each in read_examples([tmp_path / "x.jsonl"], lambda _: None)] == ["mine"]
