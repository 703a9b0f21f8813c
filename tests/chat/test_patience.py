"""An answer that doesn't come ends in an error, whichever token it waits for; cancelling ends it at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.chat import ChatRequest, CompletionRequest, Delta, Finished, Message, Statistics
from bbj_desktop.core.errors import EngineCrashedError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime
from bbj_desktop.services.runtime.lending import OwnEngine
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.patience import Patience, Watchman
from tests.fakes.installed import installed
from tests.fakes.llama_server import StandIn
from tests.fakes.ollama import FakeOllama, Fault, Model
from tests.fakes.reached import Reached

pytestmark = pytest.mark.ollama
REQUEST = ChatRequest(messages=(Message(role="user", content="Open a window."),))


@pytest.fixture
def version(tmp_path: Path) -> InstalledVersion:
    path = tmp_path / "Modell für BBj.gguf"
    path.write_bytes(b"GGUF")
    return installed(path)


@pytest.fixture(params=["0.24.0", "0.33.0"])
def fake(request: pytest.FixtureRequest, version: InstalledVersion) -> Iterator[FakeOllama]:
    with FakeOllama(version=request.param) as server:
        server.models[version.key] = Model(blob="", template="", system="", parameters={}, licences=())
        yield server


def test_a_first_token_that_never_comes(fake: FakeOllama, version: InstalledVersion) -> None:
    fake.faults["/api/chat"] = Fault("hang")
    runtime = OllamaRuntime(fake.address, patience=Patience(first_s=0.1))
    with pytest.raises(EngineCrashedError, match="fell silent"):
        list(runtime.chat(version, REQUEST, Cancel()))
    runtime.close()


def test_a_next_token_that_never_comes(fake: FakeOllama, version: InstalledVersion) -> None:
    fake.faults["/api/chat"] = Fault("hang", after=2)
    runtime = OllamaRuntime(fake.address, patience=Patience(between_s=0.1))
    answer = runtime.chat(version, REQUEST, Cancel())
    assert [next(answer), next(answer)] == [Delta(text="PRINT"), Delta(text=' "Hello')]
    with pytest.raises(EngineCrashedError, match=r"900 s for the first one, 0\.1 s for each other"):
        next(answer)
    runtime.close()


def test_whoever_reads_may_take_their_time() -> None:
    watchman = Watchman(Patience(first_s=10, between_s=0.05))
    rung = threading.Event()
    watchman.cut = rung.set
    lines = watchman.over(iter("abc"))
    next(lines)
    assert not rung.wait(0.3)
    assert list(lines) == ["b", "c"]
    assert not watchman.late


def test_cancelled_in_the_middle_it_is_cancelled_not_late(fake: FakeOllama, version: InstalledVersion) -> None:
    fake.faults["/api/chat"] = Fault("hang", after=1)
    runtime, cancel = OllamaRuntime(fake.address), Cancel()
    fake.on_hang = cancel.cancel
    events = list(runtime.chat(version, REQUEST, cancel))
    assert events[0] == Delta(text="PRINT")
    assert isinstance(events[-1], Finished)
    assert events[-1].statistics.stop_reason == "cancelled"
    runtime.close()


def test_the_embedded_engine_is_given_as_long(version: InstalledVersion, tmp_path: Path) -> None:
    waits = threading.Event()
    with StandIn("key") as server:
        server.before_answer = waits.wait
        lender = OwnEngine(lambda config, _cancel: Reached(config, server))
        runtime = EmbeddedRuntime(tmp_path, lender=lender, patience=Patience(first_s=0.1))
        with pytest.raises(EngineCrashedError, match="fell silent"):
            list(runtime.chat(version, REQUEST, Cancel()))
        waits.set()


def test_the_embedded_engine_that_stalls_in_the_middle_is_given_up(version: InstalledVersion, tmp_path: Path) -> None:
    waits = threading.Event()
    with StandIn("key") as server:
        server.before_end = waits.wait
        lender = OwnEngine(lambda config, _cancel: Reached(config, server))
        runtime = EmbeddedRuntime(tmp_path, lender=lender, patience=Patience(between_s=0.1))
        answer = runtime.chat(version, REQUEST, Cancel())
        assert isinstance(next(answer), Delta)
        with pytest.raises(EngineCrashedError, match="fell silent"):
            list(answer)
        waits.set()


def test_the_embedded_engine_that_dies_in_the_middle_says_so(version: InstalledVersion, tmp_path: Path) -> None:
    with StandIn("key") as server:
        server.before_end = server.break_off
        lender = OwnEngine(lambda config, _cancel: Reached(config, server))
        runtime = EmbeddedRuntime(tmp_path, lender=lender)
        with pytest.raises(EngineCrashedError, match="broke off in the middle"):
            list(runtime.chat(version, REQUEST, Cancel()))


@pytest.mark.parametrize(("seconds", "sent"), [(0, "0s"), (0.5, "0.5s"), (300, "300s"), (10**7, "10000000s")])
def test_how_long_ollama_keeps_a_model_is_told_as_go_reads_it(
    fake: FakeOllama, version: InstalledVersion, seconds: float, sent: str
) -> None:
    runtime = OllamaRuntime(fake.address, keep_alive_s=seconds)
    list(runtime.chat(version, REQUEST, Cancel()))
    assert fake.bodies["/api/chat"]["keep_alive"] == sent
    list(runtime.complete(version, CompletionRequest(prompt="a", max_tokens=1), Cancel()))
    assert fake.bodies["/api/generate"]["keep_alive"] == sent
    runtime.close()


def test_without_a_wish_ollama_keeps_it_as_long_as_it_wants(fake: FakeOllama, version: InstalledVersion) -> None:
    runtime = OllamaRuntime(fake.address)
    list(runtime.chat(version, REQUEST, Cancel()))
    assert "keep_alive" not in fake.bodies["/api/chat"]
    runtime.close()


def test_a_prompt_that_ollama_remembered_isnt_taken_for_read(fake: FakeOllama, version: InstalledVersion) -> None:
    runtime = OllamaRuntime(fake.address)
    fresh, again = (_statistics(runtime, version) for _ in range(2))
    assert (fresh.prefill_tokens, again.prefill_tokens) == (fresh.prompt_tokens, None)
    assert fresh.load_s > again.load_s
    runtime.close()


def _statistics(runtime: OllamaRuntime, version: InstalledVersion) -> Statistics:
    *_, last = runtime.chat(version, REQUEST, Cancel())
    assert isinstance(last, Finished)
    return last.statistics
