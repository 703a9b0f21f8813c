"""Answers are cut into paragraphs and code while they stream."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from bbj_desktop.ui.models.answer import AnswerParser
from bbj_desktop.ui.widgets.answer import AnswerView, Prose
from bbj_desktop.ui.widgets.code import CodeBlock

ANSWER = """Here is a window:

```bbj
sysgui! = BBjAPI().getSysGui()

window! = sysgui!.addWindow(100,100,400,300,"Hello")
```
It opens at **100, 100**.

- first
- second
"""


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_pieces_of_any_size_give_the_same_segments(size: int) -> None:
    parser = AnswerParser()
    for start in range(0, len(ANSWER), size):
        parser.feed(ANSWER[start : start + size])
    parser.finish()
    assert [(segment.kind, segment.language) for segment in parser.segments] == [
        ("prose", ""),
        ("code", "bbj"),
        ("prose", ""),
        ("prose", ""),
    ]
    assert parser.segments[1].text == (
        'sysgui! = BBjAPI().getSysGui()\n\nwindow! = sysgui!.addWindow(100,100,400,300,"Hello")\n'
    )
    assert parser.segments[3].text == "- first\n- second\n"


def test_a_fence_that_never_closes_is_code_to_the_end() -> None:
    parser = AnswerParser()
    parser.feed("```bbj\nprint 1\n``")
    parser.finish()
    assert [segment.text for segment in parser.segments] == ["print 1\n``\n"]


def test_backticks_inside_a_line_are_no_fence() -> None:
    parser = AnswerParser()
    parser.feed("Use ```x``` here\n")
    parser.finish()
    assert [segment.kind for segment in parser.segments] == ["prose"]


def test_only_the_last_segment_grows() -> None:
    parser = AnswerParser()
    parser.feed("One.\n\nTwo")
    before = parser.segments[0].text
    parser.feed(" and more.\n\nThree.\n")
    parser.finish()
    assert parser.segments[0].text == before
    assert [segment.text.strip() for segment in parser.segments] == ["One.", "Two and more.", "Three."]


def _shown(qtbot: QtBot, text: str) -> AnswerView:
    view = AnswerView()
    qtbot.addWidget(view)
    view.resize(600, 400)
    view.show()
    for start in range(0, len(text), 5):
        view.append(text[start : start + 5])
    view.finish()
    return view


def test_code_is_shown_verbatim_and_can_be_copied(qtbot: QtBot) -> None:
    view = _shown(qtbot, ANSWER)
    block = next(block for block in view.blocks if isinstance(block, CodeBlock))
    block._copy.click()
    assert QGuiApplication.clipboard().text() == block.text()
    assert block.text().startswith("sysgui! = BBjAPI().getSysGui()\n\nwindow! = ")


def test_markup_that_a_model_writes_loads_nothing_and_stays_text(qtbot: QtBot) -> None:
    view = _shown(qtbot, 'See <b>this</b> <img src="file:///etc/hostname"> ![x](file:///etc/hostname)\n')
    prose = next(block for block in view.blocks if isinstance(block, Prose))
    assert "<b>this</b>" in prose.toPlainText()
    assert prose.loadResource(2, "file:///etc/hostname") is None


def test_a_long_paragraph_is_as_high_as_its_text(qtbot: QtBot) -> None:
    view = _shown(qtbot, "word " * 400)
    prose = view.blocks[0]
    assert isinstance(prose, Prose)
    assert prose.height() >= prose.document().size().height() > 100
