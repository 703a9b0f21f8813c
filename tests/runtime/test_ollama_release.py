"""What Ollama is told of a release, and how its answer is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.chat import ChatRequest, Message
from bbj_desktop.core.errors import EngineCrashedError, EngineRefusedError
from bbj_desktop.core.release import Parameters, Prompt
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama_refusal import refusal
from bbj_desktop.services.runtime.ollama_release import (
    chat_of,
    creation_of,
    differences_from,
    parameters_of,
    read_parameters,
    served_digest,
)
from tests.fakes.installed import GO_TEMPLATE, installed


@pytest.fixture
def version(tmp_path: Path) -> InstalledVersion:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    return installed(path, context_length=2048)


def _shown(version: InstalledVersion, **changes: Any) -> dict[str, Any]:
    parameters = (
        'stop                           "<|endoftext|>"\n'
        "num_ctx                        2048\n"
        "temperature                    0.2\n"
        'stop                           "<|im_end|>"\n'
        "repeat_penalty                 1\n"
        "top_p                          0.9"
    )
    return {"template": GO_TEMPLATE, "system": version.release.prompt.system, "parameters": parameters} | changes


def test_the_context_length_is_always_set(version: InstalledVersion) -> None:
    assert parameters_of(version)["num_ctx"] == 2048


def test_a_release_without_a_repeat_penalty_gets_none_instead_of_ollamas_default(version: InstalledVersion) -> None:
    assert parameters_of(version)["repeat_penalty"] == 1.0


def test_both_licences_arrive(version: InstalledVersion) -> None:
    assert creation_of(version)["license"] == ["The release's licence", "The base's licence"]


def test_the_same_licence_text_arrives_once(version: InstalledVersion) -> None:
    same = installed(version.path, licence_text="The base's licence")
    assert creation_of(same)["license"] == ["The base's licence"]


def test_a_release_without_a_system_prompt_sends_none(version: InstalledVersion) -> None:
    silent = installed(version.path, prompt=Prompt(go_template="t", jinja_template="t"))
    assert "system" not in creation_of(silent)


def test_a_limit_of_the_answer_is_passed_on(version: InstalledVersion) -> None:
    prompt = Prompt(go_template="t", jinja_template="t", parameters=Parameters(max_tokens=99))
    assert parameters_of(installed(version.path, prompt=prompt))["num_predict"] == 99


def test_a_request_of_its_own_replaces_what_the_release_says(version: InstalledVersion) -> None:
    request = ChatRequest(
        messages=(Message(role="user", content="Hi"),), system="Be short.", temperature=1.0, max_tokens=5, seed=7
    )
    body = chat_of(version, request, {"num_thread": 1})
    assert body["messages"][0] == {"role": "system", "content": "Be short."}
    assert body["options"] == {"num_ctx": 2048, "num_thread": 1, "temperature": 1.0, "num_predict": 5, "seed": 7}


def test_a_conversation_is_never_cut_silently(version: InstalledVersion) -> None:
    assert chat_of(version, ChatRequest(messages=()), {})["truncate"] is False


def test_what_ollama_shows_is_recognised_in_any_order(version: InstalledVersion) -> None:
    assert differences_from(version, _shown(version)) == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"template": "{{ .Prompt }}"}, "the template"),
        ({"system": "Something else."}, "the system prompt"),
        ({"parameters": "num_ctx 2048"}, "the parameter repeat_penalty"),
        ({"parameters": ""}, "the parameter num_ctx"),
    ],
)
def test_what_differs_is_named(version: InstalledVersion, changes: dict[str, Any], said: str) -> None:
    assert said in differences_from(version, _shown(version, **changes))


def test_a_parameter_that_nobody_asked_for_is_a_difference(version: InstalledVersion) -> None:
    shown = _shown(version)
    shown["parameters"] += "\nmirostat                       1"
    assert differences_from(version, shown) == ("the parameter mirostat",)


def test_strings_are_read_with_gos_escapes() -> None:
    assert read_parameters(r'stop    "\n\"x\"\t\u00fc"') == {"stop": ('\n"x"\tü',)}


def test_large_numbers_are_read_in_gos_notation() -> None:
    assert read_parameters("num_ctx                        1.048576e+06") == {"num_ctx": (1048576.0,)}


def test_the_digest_served_is_read_from_the_modelfile() -> None:
    digest = "0" * 63 + "a"
    modelfile = f"# To build a new one:\n# FROM bbj:1\n\nFROM C:\\Users\\Jürgen X\\blobs\\sha256-{digest}\nTEMPLATE x"
    assert served_digest(modelfile) == f"sha256:{digest}"


def test_a_modelfile_without_a_blob_has_no_digest() -> None:
    assert served_digest("FROM llama3.2\n") is None


@pytest.mark.parametrize(
    "said",
    [
        "the input length exceeds the context length",
        '{"error":{"message":"request (3010 tokens) exceeds the available context size (512 tokens)","n_ctx":512}}',
        '{"error":{"type":"exceed_context_size_error","message":"exceeds the context","n_prompt_tokens":3010}}',
    ],
)
def test_too_long_a_conversation_is_said_with_the_context_length(said: str) -> None:
    error = refusal(said, status=400, doing="answer", context_length=512)
    assert isinstance(error, EngineRefusedError)
    assert "too long" in error.message
    assert "512" in error.message


def test_the_number_of_tokens_is_named_when_it_is_told() -> None:
    said = '{"error":{"message":"exceeds the context","n_prompt_tokens":3010,"n_ctx":512}}'
    assert "3010 tokens" in refusal(said, status=400, doing="answer").message


@pytest.mark.parametrize(
    "said", ["llama runner process has terminated: signal: killed", "llama-server exited with status 1"]
)
def test_an_engine_that_died_inside_ollama_is_a_crash(said: str) -> None:
    assert isinstance(refusal(said, status=500, doing="answer"), EngineCrashedError)


def test_an_unknown_model_says_what_to_do() -> None:
    error = refusal("model 'x' not found", status=404, doing="answer with x")
    assert "nstall" in error.hint
