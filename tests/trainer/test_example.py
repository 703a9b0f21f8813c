"""The one type of a training example: its labels, its chat, its code, its identity."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from trainer.data.example import Example, Message

ASKED = "Complete the handler"
PREFIX = "method public void onClick()\n"
CONTINUED = "    #window!.setVisible(0)\nmethodend"


def completion(**more: Any) -> Example:
    fields = {"type": "completion", "instruction": ASKED, "input": PREFIX, "output": CONTINUED}
    return Example.of(**(fields | more))


def test_a_list_of_generations_is_kept_from_the_oldest_to_the_newest() -> None:
    assert completion(generation=["dwc", "bbj-gui"]).generation == ("bbj-gui", "dwc")


def test_the_other_spelling_of_bbj_gui_is_understood() -> None:
    assert completion(generation="bbj_gui").generation == ("bbj-gui",)


@pytest.mark.parametrize("label", ["swing", [], ["all", "dwc"], 7, [["dwc"]]])
def test_what_is_no_generation_is_refused(label: object) -> None:
    with pytest.raises(ValidationError):
        completion(generation=label)


def test_prefix_and_completion_are_input_and_output() -> None:
    example = completion()
    assert (example.prefix, example.completion) == (PREFIX, CONTINUED)


def test_a_completion_asks_with_its_prefix_and_answers_with_code() -> None:
    assert completion(system="You know BBj.").to_messages() == (
        Message(role="system", content="You know BBj."),
        Message(role="user", content=f"{ASKED}\n\n```bbj\nmethod public void onClick()\n```"),
        Message(role="assistant", content=f"```bbj\n{CONTINUED}\n```"),
    )


def test_a_comprehension_answers_in_words() -> None:
    example = Example.of(type="comprehension", instruction="What is this?", input="OPEN(1)A$", output="It opens A$.")
    assert example.to_messages()[-1] == Message(role="assistant", content="It opens A$.")


def test_a_migration_answers_with_the_code_after_and_the_words_beside_it() -> None:
    example = Example.of(type="migration", instruction="Convert.", input="A", output="B", explanation="Because.")
    assert example.to_messages()[-1].content == "```bbj\nB\n```\n\nBecause."


def test_a_title_alone_becomes_a_question() -> None:
    example = Example.of(type="comprehension", title="Keyed files", input="OPEN(1)A$", output="It opens A$.")
    assert example.to_messages()[0].content.startswith("Explain this BBj code: Keyed files\n\n```bbj")


def test_messages_of_a_chat_stay_as_they_are() -> None:
    example = Example.of(form="chat", type="completion", instruction="Go on: x", output="y = 1")
    assert [each.content for each in example.to_messages()] == ["Go on: x", "y = 1"]


def test_code_that_holds_fences_isnt_fenced_again() -> None:
    text = "<!-- filename: a.bbj -->\n```bbj\nx\n```\n\n<!-- filename: b.bbj -->\n```bbj\ny\n```"
    example = completion(input=text)
    assert example.to_messages()[0].content == f"{ASKED}\n\n{text}"
    assert [(each.name, each.code, each.line) for each in example.code_blocks("input")] == [
        ("a.bbj", "x", 3),
        ("b.bbj", "y", 8),
    ]


def test_bare_code_of_a_completion_is_code_and_words_are_not() -> None:
    assert [each.part for each in completion().code_blocks()] == ["input", "output"]
    asked = Example.of(type="comprehension", instruction="?", input="a", output="Words.")
    assert [each.part for each in asked.code_blocks()] == ["input"]


def test_a_fence_that_never_ends_is_marked() -> None:
    (block,) = Example.of(form="chat", output="So:\n```bbj\nprint 1").code_blocks()
    assert (block.code, block.closed) == ("print 1", False)


def test_the_content_hash_ignores_labels_system_prompt_and_line_endings() -> None:
    other = completion(system="x", difficulty="basic", input=PREFIX.replace("\n", "\r\n"), tags=("a",))
    assert other.content_hash == completion().content_hash


def test_the_content_hash_sees_question_and_answer() -> None:
    hashes = {completion().content_hash, completion(output="x").content_hash, completion(instruction="x").content_hash}
    assert len(hashes) == 3


def test_an_id_is_made_from_the_content() -> None:
    assert completion().id == f"ex-{completion().content_hash[:16]}"


def test_a_change_keeps_the_id_and_is_checked() -> None:
    example = completion()
    assert example.changed(difficulty="basic").id == example.id
    with pytest.raises(ValidationError):
        example.changed(difficulty="hard")
