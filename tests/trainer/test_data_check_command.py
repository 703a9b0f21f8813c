"""``data check`` as it is typed: terminal, JSON, page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.trainer.planted import Planter, write
from trainer.cli.main import main
from trainer.data.checking import CheckedData

VOID = frozenset({"meta"})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    planter = Planter()
    rows = [planter.clean() for _ in range(20)]
    rows += [*planter.flaws["unbalanced-block"](), *planter.flaws["raw-code"](), *planter.flaws["raw-code"]()]
    return write(tmp_path / "Beispiele <b>&.jsonl", rows)


def test_the_worst_comes_first(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(data), "--least-in-cell", "0", "--no-compiler"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("23 examples; ")
    assert lines[2:] == [
        "  compiler: none found; no code was judged",
        "SEVERITY  PROBLEM           COUNT  FIRST",
        f"error     unbalanced-block      1  {data}:21: Blocks of the answer's code: line 1: while without wend.",
        f"warning   raw-code              2  {data}:22: The answer is code without a fence.",
        "1 error, 2 warnings, 0 remarks",
        "--all lists each with what to do, --json too, --html FILE writes a page.",
    ]


def test_all_are_listed_when_asked_for(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "check", str(data), "--least-in-cell", "0", "--all"])
    assert f"{data}:23: warning: The answer is code without a fence." in capsys.readouterr().out.splitlines()


def test_clean_data_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "x.jsonl", [Planter().clean()])
    assert main(["data", "check", str(path), "--least-in-cell", "0"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing was found."


def test_json_has_every_finding(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(data), "--least-in-cell", "0", "--json"]) == 1
    result = CheckedData.model_validate(json.loads(capsys.readouterr().out)["result"])
    assert [(each.code, each.line) for each in result.findings] == [
        ("unbalanced-block", 21),
        ("raw-code", 22),
        ("raw-code", 23),
    ]
    assert all(each.hint and each.file == str(data) for each in result.findings)


def test_labels_are_laid_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"messages": Planter(seed).clean()["messages"]} for seed in range(3)]
    path, labels = write(tmp_path / "x.jsonl", rows), tmp_path / "labels.jsonl"
    assert main(["data", "label", str(path), "--out", str(labels)]) == 0
    assert main(["data", "check", str(path), "--least-in-cell", "0", "--labels", str(labels)]) == 0
    assert "unlabelled" not in capsys.readouterr().out


class _Page(HTMLParser):
    """Fails unless every element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"src", "href", "onload", "onclick"} & dict(attrs).keys()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "Bericht.html"
    assert main(["data", "check", str(data), "--html", str(page)]) == 1
    text = page.read_text(encoding="utf-8")
    _Page(text)
    assert "<script" not in text
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "<b>&.jsonl" not in text
    assert "Beispiele &lt;b&gt;&amp;.jsonl:21" in text


def test_the_plots_are_svg_with_titles(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    main(["data", "check", str(data), "--html", str(page)])
    plots = [ET.fromstring(each) for each in re.findall(r"<svg.*?</svg>", page.read_text(encoding="utf-8"), re.DOTALL)]  # noqa: S314 - our own
    titles = [each.findtext("{http://www.w3.org/2000/svg}title") for each in plots]
    assert titles == [
        "How often each kind of problem was found",
        "How many examples have how many tokens; more than 1,024 is too long",
        "How many answers are of which shape",
        "Examples, basic; framed where there are fewer than 5",
    ]
    assert all(each.get("role") == "img" for each in plots)


def test_a_page_isnt_overwritten(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "mine.html"
    page.write_text("mine")
    assert main(["data", "check", str(data), "--html", str(page)]) == 2
    assert page.read_text() == "mine"


def test_no_examples_make_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert main(["data", "check", str(tmp_path / "data"), "--html", str(tmp_path / "x.html")]) == 0
    _Page((tmp_path / "x.html").read_text(encoding="utf-8"))


def test_a_length_that_is_none_is_refused(data: Path) -> None:
    assert main(["data", "check", str(data), "--max-seq-length", "0"]) == 2
