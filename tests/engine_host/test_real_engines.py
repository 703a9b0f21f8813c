"""The host with the real engine and a real small model: fed broken files, starved, and reached by an IDE."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import resource
import secrets
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import httpx
import psutil
import pytest

from bbj_desktop.core.chat import Finished
from bbj_desktop.core.errors import EngineCrashedError, EngineRefusedError, StoreError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.versions import InstalledVersion, Registration
from bbj_desktop.services.local_key import local_key
from bbj_desktop.services.runtime.base import RunningModel
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime, engine_config
from bbj_desktop.services.runtime.embedded_host.door import DoorOptions
from bbj_desktop.services.runtime.engine import EngineProgram
from bbj_desktop.services.store.store import Store
from tests.engine_host.conftest import Home, free_port, question, text_of, wait_until
from tests.fakes.gguf import tiny_gguf
from tests.fakes.installed import installed

pytestmark = pytest.mark.model

_MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def client(home: Home, version: InstalledVersion) -> Iterator[EmbeddedRuntime]:
    assert version.path.exists()
    runtime = home.client()
    yield runtime
    runtime.close()


# -- broken files: each has its own reason


def test_a_cut_file_is_refused(client: EmbeddedRuntime, version: InstalledVersion, tmp_path: Path) -> None:
    path = tmp_path / "abgeschnitten.gguf"
    with version.path.open("rb") as whole:
        path.write_bytes(whole.read(20_000_000))
    with pytest.raises(EngineRefusedError, match="not within the file bounds"):
        list(client.chat(installed(path), question(), Cancel()))


def test_a_file_that_became_empty_is_refused_before_an_engine_meets_it(
    home: Home, client: EmbeddedRuntime, tmp_path: Path
) -> None:
    path = tmp_path / "leer.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    emptied = installed(path)
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="has 0 bytes instead of 104"):
        list(client.chat(emptied, question(), Cancel()))
    assert not home.place.record.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"G", "failed to read magic"),
        (b"\0" * 64, "invalid magic characters"),
        (b"GGUF\3\0\0\0" + b"\xff" * 16, "number of tensors is -1"),
        (b"GGUF\x63\0\0\0" + bytes(16), "version"),
    ],
    ids=["one byte", "zeros", "huge header", "another version"],
)
def test_a_file_that_is_no_model_is_refused_with_the_engines_reason(
    client: EmbeddedRuntime, tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "ä.gguf"
    path.write_bytes(content)
    with pytest.raises(EngineRefusedError, match=rf"can't load ä\.gguf: .*{said}") as caught:
        list(client.chat(installed(path), question(), Cancel()))
    assert "Install the version again" in caught.value.hint


def test_an_architecture_that_nobody_knows_is_refused(client: EmbeddedRuntime, tmp_path: Path) -> None:
    path = tmp_path / "fremd.gguf"
    path.write_bytes(tiny_gguf().replace(b"llama", b"xxxxx"))
    with pytest.raises(EngineRefusedError, match="unknown model architecture: 'xxxxx'"):
        list(client.chat(installed(path), question(), Cancel()))


def test_after_a_broken_file_a_whole_one_is_answered_by_the_same_host(
    home: Home, client: EmbeddedRuntime, version: InstalledVersion, tmp_path: Path
) -> None:
    path = tmp_path / "kaputt.gguf"
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(EngineRefusedError, match="magic"):
        list(client.chat(installed(path), question(), Cancel()))
    pid = home.record.pid
    assert text_of(list(client.chat(version, question(), Cancel())))
    assert home.record.pid == pid


# -- starved


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group with too little memory for the model."""
    own = next((line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line), "")
    group = _MEMORY_GROUPS / own.rpartition(":")[2].lstrip("/") / f"bbj-test-{secrets.token_hex(4)}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(110 * 1024 * 1024))
    except OSError:
        pytest.skip("needs the right to make a memory control group (version 1)")
    yield group
    assert wait_until(lambda: not (group / "cgroup.procs").read_text().strip())
    group.rmdir()


def test_an_engine_that_exceeds_its_groups_memory_is_told_so(
    home: Home, client: EmbeddedRuntime, version: InstalledVersion, memory_group: Path
) -> None:
    with home.lease():
        (memory_group / "cgroup.procs").write_text(str(home.record.pid))
        large = version.model_copy(update={"context_length": 8192})
        with pytest.raises(EngineCrashedError, match="memory limit of its container or service"):
            list(client.chat(large, question(), Cancel()))
        psutil.Process(home.record.pid).terminate()


def test_an_engine_that_gets_no_memory_says_what_it_couldnt_do(
    home: Home, client: EmbeddedRuntime, version: InstalledVersion
) -> None:
    with home.lease():
        limit = 450 * 1024 * 1024
        psutil.Process(home.record.pid).rlimit(resource.RLIMIT_AS, (limit, limit))
        large = version.model_copy(update={"context_length": 8192})
        with pytest.raises((EngineRefusedError, EngineCrashedError)) as caught:
            list(client.chat(large, question(), Cancel()))
    assert caught.value.hint
    assert any(word in caught.value.message.lower() for word in ("memory", "alloc", "mmap"))


# -- killed


def test_a_killed_engine_is_told_and_the_next_question_is_answered(
    home: Home, client: EmbeddedRuntime, version: InstalledVersion
) -> None:
    answer = client.chat(version, question(400), Cancel())
    next(answer)
    with home.lease() as lease:
        os.kill(lease.ask("status")["engine_pid"], signal.SIGKILL)
    with pytest.raises(EngineCrashedError, match="SIGKILL"):
        list(answer)
    assert text_of(list(client.chat(version, question(), Cancel())))


# -- an IDE


def test_an_ide_gets_a_chat_a_stream_and_the_models_and_wakes_the_model_itself(
    home: Home, version: InstalledVersion, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    store.install(version)
    registration = Registration(runtime="embedded", tag=version.key, aliases=("bbj-coder:135m",))
    store.activate(version.key, (registration,))
    key_file = tmp_path / "gateway.key"
    options = DoorOptions(port=free_port(), key_file=str(key_file), store=str(tmp_path / "store"))
    key = local_key(key_file)
    with home.lease() as lease:
        address = lease.ask("gateway_start", **asdict(options))["gateway"]
        with httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60) as ide:
            assert ide.get(f"{address}/models").json()["data"][0]["id"] == "bbj-coder:135m"
            body = {"model": "bbj-coder:135m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
            whole = ide.post(f"{address}/chat/completions", json=body).json()
            streamed = ide.post(f"{address}/chat/completions", json=body | {"stream": True}).text
            named = _names_said(ide, address, "bbj-coder:135m")
            by_its_key = _names_said(ide, address, version.key)
            suffix = ide.post(f"{address}/completions", json={"model": version.key, "prompt": "a", "suffix": "b"})
        assert named == {"bbj-coder:135m"}
        assert by_its_key == {version.key}
        assert whole["choices"][0]["message"]["content"]
        assert streamed.endswith("data: [DONE]\n\n")
        assert suffix.status_code == 400
        assert "is a chat model" in suffix.json()["error"]["message"]
        assert lease.ask("status")["starts"] == 1


def _names_said(ide: httpx.Client, address: str, name: str) -> set[str]:
    """What the model is called in every answer and every event of a stream that names one, in all three formats."""
    messages = [{"role": "user", "content": "Hi"}]
    asked: dict[str, dict[str, object]] = {
        "chat/completions": {"messages": messages},
        "completions": {"prompt": "a"},
        "messages": {"messages": messages},
    }
    said: set[str] = set()
    for path, body in asked.items():
        whole, streamed = (
            ide.post(f"{address}/{path}", json=body | {"model": name, "max_tokens": 2, "stream": stream}).text
            for stream in (False, True)
        )
        found = [set(re.findall(r'"model": ?"([^"]*)"', text)) for text in (whole, streamed)]
        assert all(found), path
        said = said.union(*found)
    return said


# -- llama-cpp-python


@pytest.fixture
def binding(home: Home, version: InstalledVersion) -> Iterator[EmbeddedRuntime]:
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("needs the package llama-cpp-python")
    assert version.path.exists()
    runtime = home.client(program=EngineProgram("llama-cpp-python"))
    yield runtime
    runtime.close()


def test_llama_cpp_python_answers_and_tells_its_numbers(binding: EmbeddedRuntime, version: InstalledVersion) -> None:
    events = list(binding.chat(version, question(8), Cancel()))
    assert text_of(events)
    assert isinstance(events[-1], Finished)
    numbers = events[-1].statistics
    assert (numbers.answer_tokens, numbers.stop_reason) == (8, "length")
    assert numbers.prompt_tokens
    assert numbers.prefill_tokens_per_s
    assert numbers.decode_tokens_per_s


def test_llama_cpp_python_repeats_an_answer_by_its_seed(binding: EmbeddedRuntime, version: InstalledVersion) -> None:
    hot = question(8).model_copy(update={"seed": 42, "temperature": 1.5})
    first, second = (text_of(list(binding.chat(version, hot, Cancel()))) for _ in range(2))
    assert first == second


def test_llama_cpp_python_reads_the_same_prompt_as_the_built_in_engine(
    home: Home, binding: EmbeddedRuntime, version: InstalledVersion
) -> None:
    with contextlib.closing(home.client()) as built_in:
        ends = [list(each.chat(version, question(1), Cancel()))[-1] for each in (binding, built_in)]
    assert len({end.statistics.prompt_tokens for end in ends if isinstance(end, Finished)}) == 1


def test_llama_cpp_python_refuses_what_is_too_long_with_both_numbers(
    binding: EmbeddedRuntime, version: InstalledVersion
) -> None:
    with pytest.raises(EngineRefusedError, match=r"too long: it has 20\d\d tokens.*512"):
        list(binding.chat(version, question(text="word " * 2000), Cancel()))


def test_llama_cpp_python_stops_when_it_is_cancelled(binding: EmbeddedRuntime, version: InstalledVersion) -> None:
    cancel = Cancel()
    answer = binding.chat(version, question(400), cancel)
    next(answer)
    cancel.cancel()
    *_, finished = answer
    assert isinstance(finished, Finished)
    assert finished.statistics.stop_reason == "cancelled"
    assert text_of(list(binding.chat(version, question(2), Cancel())))


def test_llama_cpp_python_writes_what_a_schema_asks_for_and_refuses_what_it_cant(
    binding: EmbeddedRuntime, version: InstalledVersion
) -> None:
    config = engine_config(version, EngineProgram("llama-cpp-python"), 1)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    body = {"messages": [{"role": "user", "content": "A number."}], "max_tokens": 30, "temperature": 0, "seed": 1}
    structured = body | {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    with (
        binding._lender.borrow(config, RunningModel(name=version.key), Cancel()) as loan,
        httpx.Client(headers={"Authorization": f"Bearer {loan.engine.key}"}, trust_env=False, timeout=60) as ide,
    ):
        address = f"{loan.engine.address}/v1"
        answer = ide.post(f"{address}/chat/completions", json=structured).json()
        written = answer["choices"][0]["message"]["content"]
        tools = ide.post(f"{address}/chat/completions", json=body | {"tools": [{"type": "function"}]})
        other = ide.post(f"{address}/messages", json=body)
    assert isinstance(json.loads(written)["n"], int)
    assert answer["model"] == "bbj-desktop"  # which the gateway replaces
    assert (tools.status_code, other.status_code) == (400, 501)
    assert "tools aren't supported" in tools.json()["error"]["message"]
