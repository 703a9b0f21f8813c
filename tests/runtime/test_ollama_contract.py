"""The calls that we make, against Ollama: both behaviours of the fake by default, and unchanged against the real server
that ``BBJ_TEST_OLLAMA`` names (with a real small model, under tags of our own, which are removed again)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bbj_desktop.core.chat import ChatEvent, ChatRequest, CompletionRequest, Delta, Finished, Message
from bbj_desktop.core.errors import EngineRefusedError
from bbj_desktop.core.progress import Cancel, Event, Transfer, silent
from bbj_desktop.core.release import Prompt
from bbj_desktop.core.routes import Route
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.ide_probe import Address, try_out
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from tests.fakes.contract import KEEP_ALIVE_S, REAL, TARGETS, contract_model, left_as_found
from tests.fakes.installed import GO_TEMPLATE, JINJA_TEMPLATE, installed
from tests.fakes.ollama import FakeOllama

pytestmark = pytest.mark.ollama


@dataclass
class Target:
    """A server under test with two versions that can be registered there."""

    runtime: OllamaRuntime
    api: OllamaApi
    version: InstalledVersion
    newer: InstalledVersion


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return contract_model(tmp_path)


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, gguf: Path) -> Iterator[Target]:
    if REAL:
        yield from _target(REAL, gguf)
        return
    with FakeOllama(version=request.param, answer=["Hello"] + [" again"] * 40) as fake:
        yield from _target(fake.address, gguf)


def _target(address: str, gguf: Path) -> Iterator[Target]:
    runtime = OllamaRuntime(address, options={"num_thread": 1}, routes=[Route.CREATE], keep_alive_s=KEEP_ALIVE_S)
    api = OllamaApi(runtime.address)
    with closing(runtime), closing(api), left_as_found(api):
        yield Target(runtime, api, installed(gguf), installed(gguf, version="2026.2"))


def _ask(target: Target, text: str = "Say hello.", **wishes: int) -> list[ChatEvent]:
    request = ChatRequest(messages=(Message(role="user", content=text),), **wishes)
    return list(target.runtime.chat(target.version, request, Cancel()))


def test_it_can_be_used(target: Target) -> None:
    status = target.runtime.status()
    assert status.available, status.reason
    assert status.version


def test_a_registered_version_has_a_tag_of_its_own(target: Target) -> None:
    registration = target.runtime.register(target.version, silent, Cancel())
    assert registration.tag == target.version.key
    assert target.version.key in target.runtime.tags()


def test_what_it_serves_is_recorded(target: Target) -> None:
    registration = target.runtime.register(target.version, silent, Cancel())
    shown = target.api.show(target.version.key)
    assert shown is not None
    assert registration.served_digest is not None
    assert registration.served_digest.replace(":", "-") in shown["modelfile"]


def test_template_system_prompt_and_parameters_arrive(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    shown = target.api.show(target.version.key)
    assert shown is not None
    assert shown["template"] == GO_TEMPLATE
    assert shown["system"] == target.version.release.prompt.system
    assert "num_ctx" in shown["parameters"]


def test_an_upload_reports_its_bytes(target: Target) -> None:
    if REAL:
        pytest.skip("needs a server that doesn't have the file: the fake")
    events: list[Event] = []
    target.runtime.register(target.version, events.append, Cancel())
    transfers = [event for event in events if isinstance(event, Transfer)]
    total = target.version.variant.file.length_bytes
    assert transfers[-1] == Transfer(done_bytes=total, total_bytes=total)


def test_registering_again_changes_nothing(target: Target) -> None:
    first = target.runtime.register(target.version, silent, Cancel())
    known = target.version.model_copy(update={"registrations": (first,)})
    before = target.api.tags()
    assert target.runtime.register(known, silent, Cancel()) == first
    assert target.api.tags() == before


def test_a_second_version_lives_beside_the_first(target: Target) -> None:
    for version in (target.version, target.newer):
        target.runtime.register(version, silent, Cancel())
    assert {target.version.key, target.newer.key} <= set(target.runtime.tags())


def test_the_aliases_follow_the_active_version(target: Target) -> None:
    for version in (target.version, target.newer):
        target.runtime.register(version, silent, Cancel())
        aliases = target.runtime.activate(version)
        tags = target.api.tags()
        assert aliases == ("bbj-coder-demo-test:135m", "bbj-coder-demo-test:latest")
        assert {tags[alias] for alias in aliases} == {tags[version.key]}


def test_an_unregistered_version_leaves_nothing(target: Target) -> None:
    before = target.api.tags()
    target.runtime.register(target.version, silent, Cancel())
    target.runtime.activate(target.version)
    target.runtime.unregister(target.version, None)
    assert target.api.tags() == before


def test_the_aliases_go_to_the_successor(target: Target) -> None:
    # another system prompt: otherwise both tags are one manifest
    newer = installed(target.newer.path, version="2026.2", prompt=_other_prompt("Another prompt."))
    for version in (target.version, newer):
        target.runtime.register(version, silent, Cancel())
        target.runtime.activate(version)
    target.runtime.unregister(newer, target.version)
    tags = target.api.tags()
    assert newer.key not in tags
    assert tags["bbj-coder-demo-test:latest"] == tags[target.version.key]


def test_removing_an_inactive_version_leaves_the_aliases_alone(target: Target) -> None:
    newer = installed(target.newer.path, version="2026.2", prompt=_other_prompt("Another prompt."))
    for version in (target.version, newer):
        target.runtime.register(version, silent, Cancel())
    target.runtime.activate(newer)
    target.runtime.unregister(target.version, None)
    tags = target.api.tags()
    assert tags["bbj-coder-demo-test:latest"] == tags[newer.key]


def test_unregistering_what_isnt_registered_is_harmless(target: Target) -> None:
    target.runtime.unregister(target.version, None)


def test_activating_what_isnt_registered_is_refused(target: Target) -> None:
    with pytest.raises(EngineRefusedError, match=target.version.key):
        target.runtime.activate(target.version)


def test_an_answer_is_streamed_with_its_numbers_at_the_end(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    *deltas, finished = _ask(target, max_tokens=8)
    assert deltas
    assert all(isinstance(event, Delta) for event in deltas)
    assert isinstance(finished, Finished)
    numbers = finished.statistics
    assert numbers.stop_reason in {"stop", "length"}
    assert 0 < numbers.ttft_s <= numbers.total_s
    assert numbers.answer_tokens > 0
    assert numbers.prompt_tokens
    assert numbers.decode_tokens_per_s


def test_a_raw_prompt_is_written_on_without_a_template(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    request = CompletionRequest(prompt="One, two, three, four,", stop=("<|fim_middle|>",), max_tokens=4, seed=1)
    *deltas, finished = target.runtime.complete(target.version, request, Cancel())
    assert deltas
    assert isinstance(finished, Finished)
    assert 0 < finished.statistics.answer_tokens <= 4
    assert finished.statistics.prompt_tokens


def test_a_model_stays_in_memory_as_long_as_it_is_told(target: Target) -> None:
    keeping = OllamaRuntime(target.runtime.address, options={"num_thread": 1}, keep_alive_s=60)
    target.runtime.register(target.version, silent, Cancel())
    list(
        keeping.chat(
            target.version, ChatRequest(messages=(Message(role="user", content="REM"),), max_tokens=1), Cancel()
        )
    )
    (loaded,) = [model for model in keeping.running() if model.name == target.version.key]
    assert loaded.size_bytes  # what predictions are held against
    assert loaded.vram_bytes is not None
    keeping.close()


def test_an_answer_ends_at_its_limit(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    finished = _ask(target, "Write a long story about a ship.", max_tokens=3)[-1]
    assert isinstance(finished, Finished)
    assert finished.statistics.stop_reason == "length"


def test_the_same_seed_gives_the_same_answer(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    answers = ["".join(e.text for e in _ask(target, max_tokens=8, seed=3) if isinstance(e, Delta)) for _ in range(2)]
    assert answers[0] == answers[1]


def test_a_cancelled_answer_stops_and_says_so(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    cancel = Cancel()
    request = ChatRequest(messages=(Message(role="user", content="Write a long story about a ship."),))
    events = target.runtime.chat(target.version, request, cancel)
    next(events)
    cancel.cancel()
    *_, finished = events
    assert isinstance(finished, Finished)
    assert finished.statistics.stop_reason == "cancelled"


def test_too_long_a_conversation_is_refused_with_the_limit(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    with pytest.raises(EngineRefusedError, match=r"too long.*512"):
        _ask(target, "word " * 3000, max_tokens=4)


def test_a_version_that_isnt_registered_cant_answer(target: Target) -> None:
    with pytest.raises(EngineRefusedError, match="not found"):
        _ask(target)


def test_a_loaded_model_is_shown_and_can_be_unloaded(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    _ask(target, max_tokens=2)
    assert target.version.key in {model.name for model in target.runtime.running()}
    target.runtime.unload(target.version)
    gone = threading.Event()
    for _ in range(300):  # a real server ends its process a moment later
        if target.version.key not in {model.name for model in target.runtime.running()}:
            break
        gone.wait(0.1)
    else:
        pytest.fail("still loaded after half a minute")


def test_unloading_what_isnt_known_is_harmless(target: Target) -> None:
    target.runtime.unload(target.version)


def test_a_bad_template_is_an_error_although_the_status_is_200(target: Target) -> None:
    broken = installed(target.version.path, prompt=Prompt(go_template="{{ .Prompt", jinja_template=JINJA_TEMPLATE))
    with pytest.raises(EngineRefusedError, match="template"):
        target.runtime.register(broken, silent, Cancel())
    assert broken.key not in target.runtime.tags()


def test_content_that_isnt_what_was_signed_is_refused(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(b"GGUF" + b"x" * 5000)
    version = installed(path)
    path.write_bytes(b"GGUF" + b"y" * 5000)
    with pytest.raises(EngineRefusedError, match="digest mismatch"):
        target.runtime.register(version, silent, Cancel())


def _other_prompt(system: str) -> Prompt:
    return Prompt(go_template=GO_TEMPLATE, jinja_template=JINJA_TEMPLATE, system=system)


def test_a_changed_tag_is_made_anew(target: Target) -> None:
    changed = installed(target.version.path, prompt=_other_prompt("Somebody else's prompt."))
    target.runtime.register(changed, silent, Cancel())
    target.runtime.register(target.version, silent, Cancel())
    shown = target.api.show(target.version.key)
    assert shown is not None
    assert shown["system"] == target.version.release.prompt.system


def _skip_unless_it_speaks_as_openai(target: Target) -> None:
    """The stand-in doesn't; ``tests/ide`` has one that does."""
    known = httpx.get(f"{target.runtime.address}/v1/models", trust_env=False).status_code if REAL else 404
    if known != 200:
        pytest.skip("needs a server with an OpenAI-compatible /v1: a real one, BBJ_TEST_OLLAMA=http://host:port")


def test_what_an_ide_asks_is_answered_or_refused_in_a_form_that_we_read(target: Target) -> None:
    _skip_unless_it_speaks_as_openai(target)
    target.runtime.register(target.version, silent, Cancel())
    address = Address(target.version.key, f"{REAL}/v1", REAL)
    tried = {each.ability: each for each in try_out(address, completes=False, cancel=Cancel())}
    assert [tried[name].reason for name in ("chat", "streamed chat")] == ["", ""]
    assert "insert" in tried["completion with suffix"].reason  # a chat release has no .Suffix
    assert all(each.works or each.reason for each in tried.values())
