"""Splits: what holds however the data grows, and what the command says."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbj_desktop.core.errors import FormatError, TooNewError, UserInputError
from trainer.cli.main import main
from trainer.data.example import Example
from trainer.data.split import Split, load_split, members, save_split
from trainer.data.splitting import make_split

DAMAGED = """{"format": 1, "fingerprint": "", "share": 0.1, "train": [],
"held_out": [{"id": "b", "content_hash": "", "content": "AQ==", "prompt": ""}]}"""
WORDS = [
    f"{start}{end}" for start in ("open", "read", "print", "find", "sort") for end in ("file", "key", "row", "box")
]


def example(seed: int, variant: int = 0, copy: int = 0, **more: object) -> Example:
    """The same seed and variant give the same content; variants of a seed are near-duplicates."""
    chance = random.Random(seed)  # noqa: S311 - the same in every run
    words = [chance.choice(WORDS) + str(chance.randrange(50)) for _ in range(60)]
    if variant:
        words[-1] = f"variant{variant}"
    labels = {"type": ["completion", "explanation"][seed % 2], "generation": ["dwc", "vpro5"][seed // 2 % 2]}
    fields = labels | {"instruction": " ".join(words[:30]), "output": " ".join(words[30:])} | more
    return Example.of(id=f"e{seed}.{variant}.{copy}", **fields)


keys = st.tuples(st.integers(0, 40), st.integers(0, 2), st.integers(0, 1))
datasets = st.lists(keys, unique=True, min_size=1, max_size=40).map(lambda found: [example(*each) for each in found])
few = settings(max_examples=25, deadline=None)


def held(split: Split) -> set[str]:
    return {each.content_hash for each in split.held_out}


@few
@given(datasets, st.randoms(use_true_random=False))
def test_the_order_of_the_examples_changes_nothing(found: list[Example], chance: random.Random) -> None:
    mixed = chance.sample(found, len(found))
    assert make_split(found) == make_split(mixed)


@few
@given(datasets)
def test_copies_change_nothing(found: list[Example]) -> None:
    copies = [each.model_copy(update={"id": f"{each.id}-copy"}) for each in found]
    assert held(make_split([*found, *copies])) == held(make_split(found))


@few
@given(datasets)
def test_every_example_has_one_side_and_copies_never_cross(found: list[Example]) -> None:
    split = make_split(found, share=0.3)
    sides = [*split.train, *(each.id for each in split.held_out), *(each.id for each in split.left_out)]
    assert sorted(sides) == sorted(each.id for each in found)
    trained = {each.content_hash for each in found if split.side(each.id) == "train"}
    assert not trained & held(split)


@few
@given(datasets, datasets)
def test_what_was_held_out_stays_held_out_when_the_data_grows(old: list[Example], new: list[Example]) -> None:
    first = make_split(old, share=0.3)
    grown = list({each.id: each for each in (*old, *new)}.values())
    second = make_split(grown, share=0.3, previous=[first])
    assert held(first) <= held(second)


@few
@given(datasets, datasets)
def test_what_was_held_out_is_remembered_by_data_that_lacks_it(old: list[Example], new: list[Example]) -> None:
    first = make_split(old, share=0.3)
    second = make_split(new, share=0.3, previous=[first])
    third = make_split([*old], share=0.3, previous=[second])
    seen = {each.content_hash for each in (*second.held_out, *second.remembered)}
    assert held(first) <= seen
    assert held(first) <= held(third)


@few
@given(datasets, datasets)
def test_no_near_duplicate_of_a_held_out_example_trains(old: list[Example], new: list[Example]) -> None:
    split = make_split(new, share=0.3, previous=[make_split(old, share=0.3)])
    outside = {each.id.split(".")[0] for each in (*split.held_out, *split.remembered)}
    assert not outside & {each.split(".")[0] for each in split.train}


def test_the_share_is_met_in_all_and_in_each_cell() -> None:
    found = [example(seed) for seed in range(400)]
    split = make_split(found)
    cells = Counter(each.cell for each in found if split.side(each.id) == "held-out")
    assert len(split.held_out) == 40
    assert set(cells.values()) == {10}
    assert len(cells) == 4


def test_examples_that_resemble_no_other_are_held_out_first() -> None:
    found = [*(example(seed) for seed in range(20)), *(example(99, variant) for variant in range(1, 21))]
    split = make_split(found)
    assert (len(split.held_out), len(split.train), split.left_out) == (4, 36, ())


def test_the_same_question_with_another_answer_doesnt_cross() -> None:
    asked = [example(seed) for seed in range(20)]
    first = make_split(asked)
    again = [each.changed(id=f"{each.id}-again", output=f"quite another answer {each.id}") for each in asked]
    split = make_split([*asked, *again], previous=[first])
    assert {f"{each.id}-again" for each in first.held_out} <= {each.id for each in split.left_out}


def test_an_edited_example_with_its_id_stays_held_out() -> None:
    found = [example(seed) for seed in range(20)]
    first = make_split(found)
    name = first.held_out[0].id
    edited = [each.changed(output="corrected since") if each.id == name else each for each in found]
    assert make_split(edited, previous=[first]).side(name) == "held-out"


def test_what_a_model_wrote_needs_a_review_to_pass() -> None:
    found = [example(seed, origin="synthetic") for seed in range(10)]
    accepted = [each.changed(review="accepted") for each in found[:4]]
    rejected = [each.changed(review="rejected", origin="curated") for each in found[4:6]]
    split = make_split([*accepted, *rejected, *found[6:], example(77, origin="field")])
    assert Counter(each.why for each in split.left_out) == {"rejected": 2, "not-reviewed": 5}
    assert len(split.train) + len(split.held_out) == 4


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(UserInputError, match="is no share"):
        make_split([example(1)], share=share)


def test_the_oldest_format_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(
        '{"format": 1, "fingerprint": "ab", "share": 0.1, "train": ["a"], "left_out": [{"id": "c", "why": "rejected"}],'
        '"held_out": [{"id": "b", "content_hash": "cd", "content": "AQAAAA==", "prompt": ""}]}'
    )
    split = load_split(path)
    assert [split.side(each) for each in "abcd"] == ["train", "held-out", "left-out", None]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", FormatError),
        ('{"format": 2}', TooNewError),
        (DAMAGED, FormatError),
    ],
)
def test_a_damaged_split_is_refused(tmp_path: Path, text: str, error: type[Exception]) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(error):
        load_split(path)


def test_a_split_comes_back_as_it_was_written(tmp_path: Path) -> None:
    split = make_split([example(seed) for seed in range(30)])
    save_split(tmp_path / "ä b" / "split.json", split)
    assert load_split(tmp_path / "ä b" / "split.json") == split


def test_members_of_other_data_are_refused() -> None:
    found = [example(seed) for seed in range(20)]
    split = make_split(found)
    assert len(list(members(found, split, "train"))) == 18
    with pytest.raises(UserInputError, match="aren't those that were split"):
        list(members(found[1:], split, "train"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "meine Sätze" / "x.jsonl"
    path.parent.mkdir()
    rows = [example(seed) for seed in range(30)] + [example(3, 1)]
    path.write_text(
        "".join(each.model_dump_json(include={"id", "type", "instruction", "output"}) + "\n" for each in rows)
    )
    return path


def test_the_command_writes_ids_and_says_how_many(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "split.json"
    assert main(["data", "split", str(data), "--output", str(output)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"28 examples to train on, 3 held out (9.7% of both): {output}"
    assert load_split(output).fingerprint in lines[-1]


def test_the_command_overwrites_nothing(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "split.json"
    output.write_text("mine")
    assert main(["data", "split", str(data), "--output", str(output)]) == 2
    assert output.read_text() == "mine"


def test_the_command_takes_earlier_splits(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    main(["data", "split", str(data), "--output", str(one)])
    data.write_text("".join(data.read_text().splitlines(keepends=True)[:5]))
    capsys.readouterr()
    code = main(["data", "split", str(data), "--output", str(two), "--previous", str(one), "--json"])
    result = json.loads(capsys.readouterr().out)["result"]
    assert code == 0
    assert result["remembered"] + result["held_out"] >= 3
    assert load_split(two).earlier == (load_split(one).fingerprint,)


@pytest.mark.parametrize("given", [[], ["--previous", "nowhere.json"], ["--held-out-share", "2"]])
def test_wrong_input_ends_the_command_before_it_writes(tmp_path: Path, given: list[str]) -> None:
    (tmp_path / "leer").mkdir()
    output = tmp_path / "split.json"
    assert main(["data", "split", str(tmp_path / "leer"), "--output", str(output), *given]) in (2, 3)
    assert not output.exists()
