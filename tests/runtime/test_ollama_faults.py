"""Ollama missing, too old, slow, dying, lying, and full of other people's models: against the fake."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bbj_desktop.core.chat import ChatEvent, ChatRequest, Delta, Finished, Message
from bbj_desktop.core.errors import (
    Cancelled,
    EngineCrashedError,
    EngineMismatchError,
    EngineMissingError,
    EngineRefusedError,
    EngineTooOldError,
    NotFoundError,
    StoreError,
)
from bbj_desktop.core.progress import Cancel, Event, Remark, Step, Transfer, silent
from bbj_desktop.core.routes import Route
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from tests.fakes.installed import installed
from tests.fakes.ollama import FakeOllama, Fault, Model

PATIENCE_S = 20.0
QUESTION = ChatRequest(messages=(Message(role="user", content="Hello?"),))


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server


@pytest.fixture
def runtime(fake: FakeOllama) -> Iterator[OllamaRuntime]:
    runtime = OllamaRuntime(fake.address, routes=[Route.CREATE])
    yield runtime
    runtime.close()


@pytest.fixture
def version(tmp_path: Path) -> InstalledVersion:
    path = tmp_path / "Modell ü.gguf"
    path.write_bytes(b"GGUF" + bytes(range(256)) * 20_000)  # 5 MB
    return installed(path)


def _foreign(fake: FakeOllama, name: str) -> Model:
    model = Model(blob="sha256:" + "f" * 64, template="t", system="", parameters={}, licences=())
    fake.models[name] = model
    return model


def _closed_port() -> str:
    with FakeOllama() as server:
        return server.address


def _cancel_soon(cancel: Cancel, after_s: float = 0.1) -> None:
    timer = threading.Timer(after_s, cancel.cancel)
    timer.daemon = True
    timer.start()


# -- status


def test_no_server_makes_it_unavailable_and_says_what_to_do() -> None:
    runtime = OllamaRuntime(_closed_port())
    status = runtime.status()
    runtime.close()
    assert not status.available
    assert "bbj-desktop ollama start" in status.reason


def test_a_server_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        runtime = OllamaRuntime(f"127.0.0.1:{silent_server.getsockname()[1]}")
        status = runtime.status()
        runtime.close()
    assert not status.available
    assert "says nothing for 1.5 s" in status.reason


def test_something_else_at_the_address_isnt_taken_for_ollama() -> None:
    with FakeOllama() as fake:
        runtime = OllamaRuntime(f"{fake.address}/elsewhere")
        status = runtime.status()
        runtime.close()
        fake.problems.clear()  # the wrong path is the point
    assert not status.available


def test_too_old_a_version_is_named_with_the_one_needed() -> None:
    with FakeOllama(version="0.5.7") as fake:
        runtime = OllamaRuntime(fake.address, routes=[Route.CREATE])
        status = runtime.status()
        runtime.close()
    assert not status.available
    assert status.version == "0.5.7"
    assert "0.5.7" in status.reason
    assert "0.9.0" in status.reason


def test_too_old_a_version_registers_nothing(version: InstalledVersion) -> None:
    with FakeOllama(version="0.5.7") as fake:
        runtime = OllamaRuntime(fake.address, routes=[Route.CREATE])
        with pytest.raises(EngineTooOldError):
            runtime.register(version, silent, Cancel())
        runtime.close()
        assert not fake.blobs


def test_a_local_server_can_use_any_vendors_gpu(runtime: OllamaRuntime) -> None:
    assert runtime.status().accelerators == frozenset({"nvidia", "amd", "apple"})


@pytest.mark.parametrize(("version", "copies"), [("0.24.0", 1), ("0.30.0", 3), ("0.33.0-rc2", 3), ("0.0.0", 3)])
def test_a_server_that_rewrites_files_is_known_to_need_more_disk(version: str, copies: int) -> None:
    with FakeOllama(version=version) as fake:
        runtime = OllamaRuntime(fake.address, routes=[Route.CREATE])
        assert runtime.status().copies == copies
        runtime.close()


def test_what_a_remote_server_has_isnt_known() -> None:
    runtime = OllamaRuntime("gpu.invalid:1")
    status = runtime.status()
    runtime.close()
    assert status.accelerators is None
    assert status.models_folder is None
    assert not status.local


def test_the_environments_proxy_isnt_asked(runtime: OllamaRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert runtime.status().available
    assert runtime.running() == ()


# -- register


def test_a_new_server_rewrites_the_file_which_is_said_and_recorded(
    runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    events: list[Event] = []
    registration = runtime.register(version, events.append, Cancel())
    assert registration.served_digest not in {None, version.variant.file.digest}
    assert any(isinstance(event, Remark) and "rewrote" in event.text for event in events)


def test_an_old_server_serves_the_signed_bytes(version: InstalledVersion) -> None:
    with FakeOllama(version="0.24.0") as fake:
        runtime = OllamaRuntime(fake.address, routes=[Route.CREATE])
        registration = runtime.register(version, silent, Cancel())
        runtime.close()
    assert registration.served_digest == version.variant.file.digest


def test_a_blob_that_is_there_isnt_uploaded_again(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    fake.blobs[version.variant.file.digest] = version.path.read_bytes()
    runtime.register(version, silent, Cancel())
    assert not any(request.startswith("POST /api/blobs") for request in fake.requests)


def test_a_version_that_is_as_it_should_be_isnt_created_again(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    registration = runtime.register(version, silent, Cancel())
    fake.requests.clear()
    runtime.register(version.model_copy(update={"registrations": (registration,)}), silent, Cancel())
    assert fake.requests == ["GET /api/version", "POST /api/show"]


def test_a_cancelled_upload_stops_at_once_and_leaves_no_tag(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    fake.piece_s = 0.05  # 5 MB in pieces of 64 KiB: four seconds
    cancel = Cancel()

    def report(event: Event) -> None:
        if isinstance(event, Transfer):
            cancel.cancel()

    with pytest.raises(Cancelled):
        runtime.register(version, report, cancel)
    assert not fake.blobs  # it wasn't sent to its end
    assert not fake.models


def test_a_cancelled_create_is_mended_by_the_next_run(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    fake.faults["/api/create"] = Fault("hang", after=1)
    cancel = Cancel()

    def report(event: Event) -> None:
        if isinstance(event, Step) and event.name == "upload":
            _cancel_soon(cancel)

    with pytest.raises(Cancelled):
        runtime.register(version, report, cancel)
    fake.faults.clear()
    assert runtime.register(version, silent, Cancel()).tag in fake.models


@pytest.mark.parametrize(
    ("path", "fault", "error"),
    [
        ("/api/blobs", Fault("drop", after=3), EngineCrashedError),
        ("/api/create", Fault("drop", after=2), EngineCrashedError),
        ("/api/create", Fault("error", after=2, text="no space left on device"), EngineRefusedError),
        ("/api/create", Fault("status", text="permission denied"), EngineRefusedError),
        ("/api/show", Fault("status"), EngineRefusedError),
    ],
)
def test_a_failed_step_is_an_error_and_the_next_run_mends_it(
    fake: FakeOllama,
    runtime: OllamaRuntime,
    version: InstalledVersion,
    path: str,
    fault: Fault,
    error: type[Exception],
) -> None:
    # the same request may be the first of its kind that looks whether the blob is there: let that one through
    fake.faults[path] = replace(fault, times=2) if path == "/api/blobs" else fault
    with pytest.raises(error):
        runtime.register(version, silent, Cancel())
    assert version.key not in fake.models
    fake.faults.clear()
    assert runtime.register(version, silent, Cancel()).tag in fake.models


def test_a_create_that_ends_without_success_isnt_one(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    fake.faults["/api/create"] = Fault("error", after=4, text="unexpected EOF")
    with pytest.raises(EngineRefusedError, match="unexpected EOF"):
        runtime.register(version, silent, Cancel())


@pytest.mark.parametrize(
    ("shown", "named"),
    [
        ({"template": "{{ .Prompt }}"}, "the template"),
        ({"system": ""}, "the system prompt"),
        ({"parameters": "num_ctx 2048"}, "the parameter num_ctx"),
    ],
)
def test_a_server_that_serves_something_else_is_a_mismatch_and_the_tag_goes(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion, shown: dict[str, str], named: str
) -> None:
    fake.show_override = dict(shown)
    with pytest.raises(EngineMismatchError, match=named):
        runtime.register(version, silent, Cancel())
    assert version.key not in fake.models


def test_a_file_that_is_gone_is_said_before_anything_is_asked(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    version.path.unlink()
    with pytest.raises(NotFoundError, match="is gone"):
        runtime.register(version, silent, Cancel())
    assert not fake.requests


def test_a_file_of_another_length_isnt_handed_over(runtime: OllamaRuntime, version: InstalledVersion) -> None:
    version.path.write_bytes(b"GGUF")
    with pytest.raises(StoreError, match="4 bytes"):
        runtime.register(version, silent, Cancel())


# -- other people's models


def test_a_name_that_somebody_else_uses_is_left_alone(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    theirs = _foreign(fake, "bbj-coder-demo-test:latest")
    runtime.register(version, silent, Cancel())
    assert runtime.activate(version) == ("bbj-coder-demo-test:135m",)
    assert fake.models["bbj-coder-demo-test:latest"] == theirs


def test_removing_touches_no_other_model(fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion) -> None:
    names = ("bbj-coder-demo-test:latest", "llama3.2:latest", "bbj-coder-demo-test:mine")
    theirs = {name: _foreign(fake, name) for name in names}
    runtime.register(version, silent, Cancel())
    runtime.activate(version)
    runtime.unregister(version, None)
    assert fake.models == theirs


def test_an_alias_of_an_older_version_of_ours_is_taken_over(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    newer = installed(version.path, version="2026.2", context_length=1024)
    for each in (version, newer):
        runtime.register(each, silent, Cancel())
        runtime.activate(each)
    assert fake.models["bbj-coder-demo-test:latest"] == fake.models[newer.key]


# -- chat


@pytest.fixture
def registered(runtime: OllamaRuntime, version: InstalledVersion) -> InstalledVersion:
    runtime.register(version, silent, Cancel())
    return version


def _text(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_the_numbers_of_the_last_line_become_statistics(runtime: OllamaRuntime, registered: InstalledVersion) -> None:
    events = list(runtime.chat(registered, QUESTION, Cancel()))
    assert _text(events) == 'PRINT "Hello BBj"'
    finished = events[-1]
    assert isinstance(finished, Finished)
    numbers = finished.statistics
    assert (numbers.load_s, numbers.prompt_tokens, numbers.answer_tokens) == (0.02, 20, 3)  # registering had loaded it
    assert numbers.prefill_tokens_per_s == pytest.approx(200)
    assert numbers.decode_tokens_per_s == pytest.approx(20)


def test_an_answer_is_stopped_at_once_while_the_model_says_nothing(
    fake: FakeOllama, runtime: OllamaRuntime, registered: InstalledVersion
) -> None:
    fake.faults["/api/chat"] = Fault("hang", after=1)
    cancel = Cancel()
    _cancel_soon(cancel)
    events = list(runtime.chat(registered, QUESTION, cancel))
    assert _text(events) == "PRINT"
    assert isinstance(events[-1], Finished)
    assert events[-1].statistics.stop_reason == "cancelled"


def test_a_stopped_answer_is_stopped_for_the_server_too(
    fake: FakeOllama, runtime: OllamaRuntime, registered: InstalledVersion
) -> None:
    fake.faults["/api/chat"] = Fault("hang", after=1)
    cancel = Cancel()
    _cancel_soon(cancel)
    list(runtime.chat(registered, QUESTION, cancel))
    deadline = time.monotonic() + PATIENCE_S
    while not fake.abandoned and time.monotonic() < deadline:
        time.sleep(0.01)
    assert fake.abandoned == 1


def test_an_answer_that_nobody_reads_on_is_stopped_for_the_server(
    fake: FakeOllama, runtime: OllamaRuntime, registered: InstalledVersion
) -> None:
    fake.faults["/api/chat"] = Fault("hang", after=1)
    events = runtime.chat(registered, QUESTION, Cancel())
    next(events)
    del events
    deadline = time.monotonic() + PATIENCE_S
    while not fake.abandoned and time.monotonic() < deadline:
        time.sleep(0.01)
    assert fake.abandoned == 1


def test_a_whole_answer_is_read_to_the_end_of_its_stream(
    fake: FakeOllama, runtime: OllamaRuntime, registered: InstalledVersion
) -> None:
    fake.piece_s = 0.02
    events = list(runtime.chat(registered, QUESTION, Cancel()))
    assert isinstance(events[-1], Finished)
    time.sleep(5 * fake.piece_s)  # the server looks whether somebody still listens before it ends the stream
    assert fake.abandoned == 0


def test_an_answer_whose_stream_breaks_after_its_last_line_is_whole(
    fake: FakeOllama, runtime: OllamaRuntime, registered: InstalledVersion
) -> None:
    fake.faults["/api/chat"] = Fault("drop", after=len(fake.answer) + 1)
    *_, last = runtime.chat(registered, QUESTION, Cancel())
    assert isinstance(last, Finished)


def test_a_stop_after_the_last_line_comes_too_late(
    fake: FakeOllama, runtime: OllamaRuntime, registered: InstalledVersion
) -> None:
    fake.faults["/api/chat"] = Fault("hang", after=len(fake.answer) + 1)
    cancel = Cancel()
    _cancel_soon(cancel)
    ends = [event for event in runtime.chat(registered, QUESTION, cancel) if isinstance(event, Finished)]
    assert [end.statistics.stop_reason for end in ends] == ["stop"]


def test_a_question_cancelled_before_it_was_sent_ends_as_cancelled(
    fake: FakeOllama, runtime: OllamaRuntime, registered: InstalledVersion
) -> None:
    fake.requests.clear()
    cancel = Cancel()
    cancel.cancel()
    (finished,) = runtime.chat(registered, QUESTION, cancel)
    assert isinstance(finished, Finished)
    assert finished.statistics.stop_reason == "cancelled"
    assert not fake.requests


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("drop", after=1), EngineCrashedError),
        (Fault("error", after=1, text="an error was encountered while running the model"), EngineRefusedError),
        (Fault("error", after=1, text="llama runner process has terminated: signal: killed"), EngineCrashedError),
        (Fault("status", text="llama-server exited: out of memory"), EngineCrashedError),
    ],
)
def test_what_breaks_in_the_middle_of_an_answer_is_an_error(
    fake: FakeOllama, runtime: OllamaRuntime, registered: InstalledVersion, fault: Fault, error: type[Exception]
) -> None:
    fake.faults["/api/chat"] = fault
    with pytest.raises(error):
        list(runtime.chat(registered, QUESTION, Cancel()))


def test_after_an_error_the_next_question_is_answered(
    fake: FakeOllama, runtime: OllamaRuntime, registered: InstalledVersion
) -> None:
    fake.faults["/api/chat"] = Fault("drop", after=1)
    with pytest.raises(EngineCrashedError):
        list(runtime.chat(registered, QUESTION, Cancel()))
    assert _text(list(runtime.chat(registered, QUESTION, Cancel()))) == 'PRINT "Hello BBj"'


def test_a_server_that_went_away_is_missing(version: InstalledVersion) -> None:
    runtime = OllamaRuntime(_closed_port())
    for call in (
        lambda: list(runtime.chat(version, QUESTION, Cancel())),
        lambda: runtime.register(version, silent, Cancel()),
        lambda: runtime.activate(version),
        runtime.running,
        lambda: runtime.unload(version),
    ):
        with pytest.raises(EngineMissingError):
            call()
    runtime.close()


# -- the fake itself


def test_every_answer_of_the_fake_cites_a_line_that_says_so() -> None:
    root = Path(__file__).parents[2]
    facts = (root / "docs" / "ollama.md").read_text(encoding="utf-8").splitlines()
    fakes = sorted((root / "tests" / "fakes").glob("ollama*.py"))
    source = "".join(path.read_text(encoding="utf-8") for path in fakes)
    cited = re.findall(r"ollama\.md:(\d+) `([^`]+)`", source)
    assert len(cited) == len(re.findall(r"ollama\.md:\d", source)) > 15
    assert [(number, words) for number, words in cited if words not in facts[int(number) - 1]] == []


def test_an_unknown_request_fails_the_test_that_makes_it() -> None:
    fake = FakeOllama()
    runtime = OllamaRuntime(f"{fake.address}/v1")
    runtime.status()
    runtime.close()
    with pytest.raises(AssertionError, match=r"unknown request: GET /v1/api/version"), fake:
        pass
