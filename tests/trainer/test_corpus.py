"""Corpora: which files count, how they are packed, mixed and cut."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bbj_desktop.core.errors import UserInputError
from trainer.cli.main import main
from trainer.data.corpus import Piece, Plan, make_corpus, pack
from trainer.data.fim import KINDS, cuts, fim_tokens
from trainer.data.finding import Finding
from trainer.data.line_numbers import without_line_numbers
from trainer.data.mixing import mixed
from trainer.data.sources import Counted, read_sources

CLASS = """\
class public Greeter
    method public void greet(BBjString name!)
        print "Hello, ", name!
        print "Good day."
    methodend
classend
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One file for each thing that may become of it."""
    root = tmp_path / "Quellen ä"
    (root / "lib").mkdir(parents=True)
    (root / "a.bbj").write_text(CLASS)
    (root / "umlaut.src").write_bytes('rem Grüße\nprint "x"\n'.encode("cp1252"))
    (root / "wide.bbl").write_bytes("print 16\r\n".encode("utf-16"))
    (root / "mark.bbjt").write_bytes(b"\xef\xbb\xbfprint 8\n")
    (root / "lib" / "old.BBX").write_text("0010 print 1\n0020 goto 0010\n")
    (root / "lib" / "copy.bbj").write_bytes(CLASS.replace("\n", "  \r\n").encode())
    (root / "lib" / "Config.BBx").write_text("PREFIX=x\n")
    (root / "tokens.bbj").write_bytes(b"<<bbj>>\0\1\2")
    (root / "empty.bbj").write_text(" \n")
    (root / "nul.bbj").write_bytes(b"print 1\0\n")
    (root / "readme.txt").write_text("x")
    return root


def test_every_file_is_read_or_counted(folder: Path) -> None:
    counted, findings = Counted(), list[Finding]()
    sources = list(read_sources([folder], findings.append, counted))
    assert [Path(each.file).name for each in sources] == ["a.bbj", "old.BBX", "mark.bbjt", "umlaut.src", "wide.bbl"]
    assert dict(counted.left_out) == {
        "tokenised": 1, "configuration": 1, "duplicate": 1, "empty": 1, "not-text": 1, "other-kind": 1,
    }  # fmt: skip
    assert dict(counted.encodings) == {"utf-8": 3, "windows-1252": 1, "utf-16": 1}
    assert [each.code for each in findings] == ["not-text"]


def test_texts_come_without_marks_and_in_plain_lines(folder: Path) -> None:
    texts = {Path(each.file).name: each.text for each in read_sources([folder], lambda _: None, Counted())}
    assert (texts["mark.bbjt"], texts["wide.bbl"]) == ("print 8\n", "print 16\n")
    assert texts["umlaut.src"].startswith("rem Grüße")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("10 a=1\n20 print a\n", "a=1\nprint a\n"),
        ("0010 print 1\n0020 GOTO 0010\n", "L10:\nprint 1\nGOTO L10\n"),
        ("10 on x goto 30,40\n30 end\n40 stop", "on x goto L30,L40\nL30:\nend\nL40:\nstop"),
        ("10 open(1,err=30)f$\n30 end\n", "open(1,err=L30)f$\nL30:\nend\n"),
        ("10 read(1,end=30) iol=20\n20 iolist a\n30 end", "read(1,end=L30) iol=L20\nL20:\niolist a\nL30:\nend"),
        ('10 print "goto 99"; rem goto 98\n', 'print "goto 99"; rem goto 98\n'),
        ("10 seterr 0\n20 seterr 10\n", "L10:\nseterr 0\nseterr L10\n"),
    ],
)  # fmt: skip
def test_line_numbers_go_and_what_refers_to_them_stays(before: str, after: str) -> None:
    assert without_line_numbers(before) == (after, True)


@pytest.mark.parametrize(
    "text",
    [
        "10 goto 25\n20 end\n",  # the next line above would be meant
        "10 if a then 20\n20 end\n",
        "10 if err=20 then end\n20 end\n",  # an error's number or a line's
        '10 execute "goto 20"\n20 end\n',
        "10 print pgm(20)\n20 end\n",
        "10 print 1\nprint 2\n",
        "20 print 1\n10 print 2\n",
        "print 1\n",
        "10 goto 20\n20 end\n30 L20: rem taken\n",
        "",
    ],
)
def test_a_program_stays_as_it_is_where_a_reference_isnt_sure(text: str) -> None:
    assert without_line_numbers(text) == (text, False)


@given(st.lists(st.text("ab\n", max_size=30), max_size=20), st.integers(1, 40))
def test_packing_loses_and_adds_nothing(texts: list[str], longest: int) -> None:
    documents = list(pack([Piece(str(number), text) for number, text in enumerate(texts)], longest))
    pieces = [piece for document in documents for piece in document.pieces]
    assert "".join(piece.text for piece in pieces) == "".join(texts)
    for document in documents:
        size = sum(len(piece.text) for piece in document.pieces)
        assert size <= longest or len(document.pieces) == 1


@given(st.integers(1, 300), st.floats(0.01, 0.5), st.floats(0.01, 0.4), st.integers())
def test_shares_are_exact_to_one_document(count: int, one: float, other: float, seed: int) -> None:
    found = mixed([""] * count, [("code", ["c"] * 5000, one), ("chat", ["i"] * 5000, other)], seed)
    counts = Counter(name for name, _ in found)
    total = count / (1 - one - other)
    assert counts[""] == count
    assert abs(counts["code"] - total * one) <= 0.5 + 1e-6
    assert abs(counts["chat"] - total * other) <= 0.5 + 1e-6


def test_the_seed_decides_the_order() -> None:
    def mix(seed: int) -> list[tuple[str, int]]:
        return mixed(range(50), [("x", range(100), 0.2)], seed)

    assert mix(1) == mix(1)
    assert mix(1) != mix(2)


@pytest.mark.parametrize("share", [0, -1, 1])
def test_shares_that_leave_nothing_are_refused(share: float) -> None:
    with pytest.raises(UserInputError, match="shares"):
        mixed([1], [("x", [2], share)], 0)


def test_too_little_general_text_is_said() -> None:
    with pytest.raises(UserInputError, match="x has 1 documents"):
        mixed([1] * 10, [("x", [2], 0.5)], 0)


code = st.text(st.sampled_from('ab \n"$!=()'), max_size=300) | st.sampled_from([CLASS, CLASS * 3])


@settings(max_examples=60)
@given(code, st.integers(), st.integers(1, 12), st.integers(20, 400))
def test_a_cut_gives_its_part_of_the_source_back(text: str, seed: int, count: int, longest: int) -> None:
    assume(text)
    for cut in cuts(text, "d", count, seed, longest=longest):
        whole = cut.prefix + cut.middle + cut.suffix
        assert text[cut.start : cut.start + len(whole)] == whole
        assert len(whole) <= longest
        assert cut.middle.strip()


@given(code, st.integers())
def test_a_cut_of_a_source_that_fits_gives_all_of_it_back(text: str, seed: int) -> None:
    assume(text)
    assert all(
        cut.prefix + cut.middle + cut.suffix == text for cut in cuts(text, "d", 6, seed, longest=len(text) + 400)
    )


def test_sources_are_cut_in_every_way_and_the_same_way_again() -> None:
    found = list(cuts(CLASS, "d", 6, 1, longest=1000))
    assert {cut.kind for cut in found} == set(KINDS)
    assert found == list(cuts(CLASS, "d", 6, 1, longest=1000))
    assert len({(cut.start, cut.prefix, cut.middle) for cut in found}) == len(found)


def test_a_block_is_cut_between_its_lines() -> None:
    blocks = {cut.middle for cut in cuts(CLASS, "d", 9, 1, longest=1000) if cut.kind == "block"}
    assert '        print "Hello, ", name!\n        print "Good day."\n' in blocks


def test_parts_are_rendered_in_the_order_of_the_family() -> None:
    (cut,) = cuts("ab", "d", 1, 0, longest=10)
    text = cut.render(fim_tokens())
    assert text == f"<|fim_prefix|>{cut.prefix}<|fim_suffix|>{cut.suffix}<|fim_middle|>{cut.middle}<|endoftext|>"


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UserInputError, match="no base family 'x'"):
        fim_tokens("x")


def made(output: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    both = (output / "documents.jsonl", output / "fim.jsonl")
    documents, fim = ([json.loads(line) for line in path.read_text().splitlines()] for path in both)
    return documents, fim


def test_a_corpus_is_the_same_for_the_same_seed(folder: Path, tmp_path: Path) -> None:
    plan = Plan(seed=3, document_characters=60, fim_each=3, strip_numbers=True)
    one, two = (make_corpus([folder], tmp_path / name, plan, lambda _: None) for name in "ab")
    assert one == two
    assert made(tmp_path / "a") == made(tmp_path / "b")
    documents, _ = made(tmp_path / "a")
    text = "".join(each["text"] for each in documents)
    assert "L10:\nprint 1\ngoto L10\n<|endoftext|>" in text
    assert (one.sources, one.stripped, one.documents) == (5, 1, {"bbj": len(documents)})


def test_general_texts_of_all_kinds_are_mixed_in(folder: Path, tmp_path: Path) -> None:
    general = tmp_path / "general"
    general.mkdir()
    (general / "code.jsonl").write_text('{"text": "def f(): pass"}\n{"content": "int main() {}"}\n')
    (general / "chat.jsonl").write_text('{"instruction": "Why?", "output": "So."}\n')
    (general / "x.py").write_text("print()\n")
    plan = Plan(document_characters=14, general=((general, 0.2),))
    manifest = make_corpus([folder], tmp_path / "out", plan, lambda _: None)
    assert manifest.documents[str(general)] == round(manifest.documents["bbj"] / 0.8 * 0.2)


def test_a_source_with_a_token_of_the_model_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.bbj").write_text('print "<|fim_middle|>"\n')
    (tmp_path / "b.bbj").write_text("print 1\n")
    found: list[Finding] = []
    manifest = make_corpus([tmp_path], tmp_path / "out", Plan(), found.append)
    assert (manifest.sources, manifest.left_out) == (1, {"model-token": 1})
    assert [each.code for each in found] == ["model-token"]


def test_the_command_says_what_became_of_the_files(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "corpus"
    assert main(["data", "corpus", str(folder), "--output", str(output), "--fim", "2", "--strip-numbers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("5 sources, ")
    assert "  line numbers taken off 1 source" in lines
    assert any(line.startswith("  left out: configuration 1, duplicate 1, empty 1") for line in lines)
    assert sorted(path.name for path in output.iterdir()) == ["documents.jsonl", "fim.jsonl", "manifest.json"]


@pytest.mark.parametrize("given", [["--general", "x"], ["--general", "x=y"], ["--family", "x"], ["--fim", "-1"]])
def test_wrong_input_ends_the_command_with_2(folder: Path, tmp_path: Path, given: list[str]) -> None:
    assert main(["data", "corpus", str(folder), "--output", str(tmp_path / "out"), *given]) == 2
    assert not (tmp_path / "out").exists()


def test_a_folder_without_sources_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    assert main(["data", "corpus", str(tmp_path), "--output", str(tmp_path / "out")]) == 2


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    assert main(["data", "corpus", str(folder), "--output", str(tmp_path)]) == 2
