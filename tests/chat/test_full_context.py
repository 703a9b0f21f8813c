"""A conversation that outgrows its context goes on: what is left out is asked for and said, nothing goes silently."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions.chatting import Conversation
from bbj_desktop.core.budget import Room, TokenCounter, kept_for_answer
from bbj_desktop.core.chat import Message
from bbj_desktop.core.errors import ContextFullError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from tests.chat.test_budget import LETTERS
from tests.fakes.installed import installed
from tests.fakes.ollama import FakeOllama, Model

pytestmark = pytest.mark.ollama


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama(answer=["an answer "]) as fake:
        yield fake


@pytest.fixture
def conversation(ollama: FakeOllama, tmp_path: Path) -> Iterator[Conversation]:
    """Every letter is a token; a context of 512, of which 64 are kept for the answer."""
    gguf = tmp_path / "Modell für BBj.gguf"
    gguf.write_bytes(b"GGUF")
    version = installed(gguf)
    ollama.models[version.key] = Model(blob="", template="", system="", parameters={}, licences=())
    runtime = OllamaRuntime(ollama.address)
    yield Conversation(version, runtime, lambda: TokenCounter(LETTERS, version.release.prompt, 512))
    runtime.close()


def _ask(conversation: Conversation, text: str) -> None:
    for _ in conversation.ask(text, Cancel()):
        pass


def _questions(conversation: Conversation) -> list[str]:
    return [each.content[0] for each in conversation.messages if each.role == "user"]


def test_only_as_many_of_the_oldest_are_left_out_as_keep_the_question_from_its_room(conversation: Conversation) -> None:
    for letter in "abc":
        _ask(conversation, letter * 80)
    question = "d" * 120
    with pytest.raises(ContextFullError, match="Nothing was sent"):
        _ask(conversation, question)
    turns = conversation.too_many(question)
    assert turns is not None
    conversation.leave_out(turns - 1)
    assert conversation.room(question).too_long
    conversation.leave_out(1)
    _ask(conversation, question)
    assert _questions(conversation)[-1] == "d"
    assert conversation.messages[0].role == "user"


def test_what_is_too_long_alone_isnt_helped_by_leaving_out(conversation: Conversation) -> None:
    _ask(conversation, "a" * 80)
    assert conversation.too_many("b" * 1000) is None


def test_an_answer_goes_with_its_question(conversation: Conversation) -> None:
    for letter in "abc":
        _ask(conversation, letter)
    assert conversation.leave_out(2) == 2
    assert [each.role for each in conversation.messages] == ["user", "assistant"]
    assert _questions(conversation) == ["c"]


def test_more_than_there_is_cant_be_left_out(conversation: Conversation) -> None:
    assert conversation.leave_out(3) == 0
    _ask(conversation, "a")
    assert conversation.leave_out(3) == 1
    assert conversation.messages == ()


def test_what_to_do_depends_on_what_there_is_to_leave_out() -> None:
    with pytest.raises(ContextFullError) as first:
        Room(5321, 4096, exact=True).refuse_too_long()
    assert first.value.hint.startswith("Shorten the question; or install")
    with pytest.raises(ContextFullError) as later:
        Room(5321, 4096, exact=True, turns=2).refuse_too_long()
    assert later.value.hint.startswith("Leave out its oldest questions")


def test_an_estimate_bounds_the_answer_too_so_that_no_beginning_is_forgotten_in_silence() -> None:
    assert Room(3000, 4096, exact=False).bounded(None) == 1096
    assert Room(9000, 4096, exact=False).bounded(None) == kept_for_answer(4096)


def test_earlier_questions_are_counted(conversation: Conversation) -> None:
    _ask(conversation, "a")
    assert conversation.room("b").turns == 1
    counter = TokenCounter(None, conversation.version.release.prompt, 512)
    assert counter.room((Message(role="user", content="a"),)).turns == 0
