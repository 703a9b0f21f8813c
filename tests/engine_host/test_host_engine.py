"""What the host does with the engine: lends, switches, unloads, and says why it died. With a stand-in llama-server."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from bbj_desktop.core.chat import Finished
from bbj_desktop.core.errors import EngineCrashedError, EngineError, EngineMissingError, EngineRefusedError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime import engine
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime, engine_config
from bbj_desktop.services.runtime.embedded_host.host import Owner
from bbj_desktop.services.runtime.engine import EngineConfig, EngineProgram
from tests.engine_host.conftest import Home, is_running, question, text_of, wait_until
from tests.fakes import llama_server
from tests.fakes.installed import installed

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def program(tmp_path: Path) -> EngineProgram:
    """The stand-in as an executable file."""
    path = tmp_path / "llama server (stand-in)"
    source = Path(llama_server.__file__).read_text(encoding="utf-8")
    path.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    path.chmod(0o755)
    return EngineProgram("llama-server", path)


@pytest.fixture
def model(tmp_path: Path) -> InstalledVersion:
    path = tmp_path / "Modell ä.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    return installed(path)


@pytest.fixture
def client(home: Home, program: EngineProgram) -> Iterator[EmbeddedRuntime]:
    runtime = home.client(program=program)
    yield runtime
    runtime.close()


def _ask(client: EmbeddedRuntime, model: InstalledVersion, text: str = "hello") -> str:
    return text_of(list(client.chat(model, question(text=text), Cancel())))


def _engine_pid(home: Home) -> int:
    with home.lease() as lease:
        return int(lease.ask("status")["engine_pid"])


def test_an_executable_by_its_path_is_the_engine(client: EmbeddedRuntime, model: InstalledVersion) -> None:
    assert client.status().available
    assert _ask(client, model, "one two") == "onetwo"


def test_two_programs_use_one_engine(home: Home, client: EmbeddedRuntime, model: InstalledVersion) -> None:
    _ask(client, model)
    second = home.client(program=client._program)
    events = list(second.chat(model, question(), Cancel()))
    second.close()
    assert isinstance(events[-1], Finished)
    assert events[-1].statistics.load_s == 0
    with home.lease() as lease:
        assert lease.ask("status")["starts"] == 1


def test_what_is_in_memory_is_told_to_every_program(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion
) -> None:
    _ask(client, model)
    assert [each.name for each in home.client().running()] == [model.key]


def test_nothing_is_started_to_tell_what_is_in_memory(home: Home) -> None:
    assert home.client().running() == ()
    assert not home.place.record.exists()


def test_another_model_takes_the_place_of_the_one_in_memory(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion
) -> None:
    _ask(client, model)
    first = _engine_pid(home)
    _ask(client, model.model_copy(update={"context_length": 1024}))
    assert not is_running(first)
    assert client.running()[0].name == model.key


def test_another_model_waits_until_the_answer_is_given(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion
) -> None:
    answering = client.chat(model, question(text="slow"), Cancel())
    next(answering)
    first = _engine_pid(home)
    other = home.client(program=client._program)
    said: list[str] = []
    waiting = threading.Thread(
        target=lambda: said.append(_ask(other, model.model_copy(update={"context_length": 1024})))
    )
    waiting.start()
    with home.lease() as lease:
        assert lease.ask("status")["answering"] == 1
        assert is_running(first)
        assert said == []
    answering.close()  # type: ignore[attr-defined]  # a generator
    waiting.join(30)
    other.close()
    assert said == ["hello"]


def test_nobody_waits_for_ever_behind_answers_of_another_model_that_overlap(tmp_path: Path) -> None:
    order: list[int] = []

    async def use() -> None:
        owner = Owner(lambda config, _: StandInEngine(config))
        mine, other = (EngineConfig(tmp_path / "m", length, "", 1) for length in (512, 1024))

        async def ask(config: EngineConfig) -> None:
            async with owner.lent(config):
                order.append(config.context_length)

        async with owner.lent(mine):
            waiting = [asyncio.create_task(ask(other)), asyncio.create_task(ask(mine))]
            await asyncio.sleep(0)
            given_up = asyncio.create_task(ask(other))
            await asyncio.sleep(0)
            given_up.cancel()
            assert order == []
        await asyncio.gather(*waiting)
        assert (owner.users, owner.number) == (0, 3)

    asyncio.run(use())
    assert order == [1024, 512]


@dataclass
class StandInEngine:
    """Nothing runs."""

    config: EngineConfig
    address: str = ""
    key: str = ""
    alive: bool = True

    def obituary(self) -> EngineError | None:
        return None

    def close(self) -> None:
        self.alive = False


def test_the_models_memory_is_freed_after_a_while_and_the_host_stays(
    home: Home, program: EngineProgram, model: InstalledVersion
) -> None:
    client = home.client(program=program, unload_s=0.1)
    _ask(client, model)
    assert wait_until(lambda: client.running() == ())
    assert is_running(home.record.pid)
    assert _ask(client, model) == "hello"
    client.close()


def test_unloading_frees_the_memory_at_once(home: Home, client: EmbeddedRuntime, model: InstalledVersion) -> None:
    _ask(client, model)
    pid = _engine_pid(home)
    client.unload(model)
    assert not is_running(pid)


@POSIX_ONLY
@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("die:SIGKILL", "SIGKILL"),
        ("die:SIGSEGV", "native code"),
        ("die:SIGILL", "AVX2"),
        ("die:SIGABRT", "gave up by itself"),
        ("die:SIGBUS", "disk failed"),
        ("exit:7", "status 7"),
    ],
)
def test_each_way_to_die_has_its_own_reason_and_the_next_question_is_answered(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion, order: str, said: str
) -> None:
    with pytest.raises(EngineCrashedError, match=said):
        _ask(client, model, f"well {order} then")
    assert _ask(client, model) == "hello"
    with home.lease() as lease:
        status = lease.ask("status")
    assert said in status["last_crash"]["message"]
    assert (status["crashes"], status["starts"]) == (1, 2)


@POSIX_ONLY
def test_every_program_that_waited_is_told_the_same_reason(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion
) -> None:
    other = home.client(program=client._program)
    both = [client.chat(model, question(text="slow"), Cancel()), other.chat(model, question(text="slow"), Cancel())]
    for answer in both:
        next(answer)
    for child in psutil.Process(_engine_pid(home)).children():
        child.send_signal(signal.SIGSEGV)
    for answer in both:
        with pytest.raises(EngineCrashedError, match="SIGSEGV"):
            list(answer)
    other.close()


def test_a_file_that_isnt_a_model_is_refused_with_the_engines_reason(client: EmbeddedRuntime, tmp_path: Path) -> None:
    path = tmp_path / "kein Modell.gguf"
    path.write_bytes(b"nonsense")
    with pytest.raises(EngineRefusedError, match="invalid magic"):
        _ask(client, installed(path))


def test_a_file_that_was_replaced_is_loaded_anew(home: Home, client: EmbeddedRuntime, model: InstalledVersion) -> None:
    """By a repair, say: the engine would go on with the damaged one, which it still holds."""
    _ask(client, model)
    new = model.path.with_suffix(".new")
    new.write_bytes(model.path.read_bytes())
    new.replace(model.path)
    _ask(client, model)
    _ask(client, model)
    with home.lease() as lease:
        assert lease.ask("status")["starts"] == 2


def test_an_executable_keeps_no_old_prompts_and_shows_none(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion
) -> None:
    _ask(client, model)
    (computing,) = psutil.Process(_engine_pid(home)).children()
    given = computing.environ()
    assert (given["LLAMA_ARG_CACHE_RAM"], given["LLAMA_ARG_ENDPOINT_SLOTS"], given["LLAMA_ARG_OFFLINE"]) == (
        "0",
        "0",
        "1",
    )


@POSIX_ONLY
def test_an_engine_that_hangs_is_ended_and_said_and_the_next_one_answers(
    program: EngineProgram, model: InstalledVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = engine_config(model, program, 1)

    async def use() -> None:
        owner = Owner(functools.partial(engine.launch_child, tmp_path / "Zustand"))
        async with owner.lent(config) as loan:
            await owner.look_after()
            assert owner.crashes == 0
            for child in psutil.Process(owner.engine_pid).children():
                child.send_signal(signal.SIGSTOP)
            monkeypatch.setattr(engine, "HEALTH_TIMEOUT_S", 0.2)
            await owner.look_after()
            died = await owner.obituary(loan.number)
            assert died is not None
            assert "didn't answer any more" in died.message
        async with owner.lent(config) as loan:
            assert (loan.fresh, loan.number, owner.crashes) == (True, 2, 1)
        await owner.unload(only_if_idle=False)

    asyncio.run(use())


def test_an_engine_without_a_place_for_its_log_answers_all_the_same(
    home: Home, program: EngineProgram, model: InstalledVersion, tmp_path: Path
) -> None:
    """A full disk, a folder of somebody else."""
    (tmp_path / "Datei").write_text("where a folder is needed")
    client = home.client(program=program, state=str(tmp_path / "Datei" / "logs"))
    assert _ask(client, model) == "hello"
    client.close()


def test_a_host_that_is_killed_takes_the_engine_along_and_the_next_question_starts_anew(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion
) -> None:
    _ask(client, model)
    first, second = home.record.pid, _engine_pid(home)
    computing = [child.pid for child in psutil.Process(second).children()]
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: not any(map(is_running, [second, *computing])))
    assert _ask(client, model) == "hello"
    assert home.record.pid != first


def test_a_host_that_is_killed_during_an_answer_is_told(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion
) -> None:
    answer = client.chat(model, question(text="slow"), Cancel())
    next(answer)
    os.kill(home.record.pid, signal.SIGKILL)
    with pytest.raises(EngineCrashedError, match="host ended"):
        list(answer)
    assert _ask(client, model) == "hello"


def test_an_engines_process_that_is_killed_leaves_no_executable_behind(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion
) -> None:
    _ask(client, model)
    pid = _engine_pid(home)
    (computing,) = [child.pid for child in psutil.Process(pid).children()]
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_running(computing))


def test_the_key_is_on_no_command_line(home: Home, client: EmbeddedRuntime, model: InstalledVersion) -> None:
    _ask(client, model)
    with home.lease() as lease:
        config = lease.ask("status")
    host = psutil.Process(config["pid"])
    lines = [" ".join(process.cmdline()) for process in (host, *host.children(recursive=True))]
    assert len(lines) == 3
    assert not any(key in line for line in lines for key in _keys(home, client, model))


def _keys(home: Home, client: EmbeddedRuntime, model: InstalledVersion) -> list[str]:
    from bbj_desktop.services.runtime.embedded import engine_config
    from bbj_desktop.services.runtime.embedded_host.host import config_to_json

    config = config_to_json(engine_config(model, client._program, 1))
    with home.lease() as lease:
        return [home.record.key, str(lease.ask("borrow", config=config)["key"])]


def test_an_executable_that_isnt_there_is_said(home: Home, tmp_path: Path, model: InstalledVersion) -> None:
    client = home.client(program=EngineProgram("llama-server", tmp_path / "nowhere"))
    assert not client.status().available
    with pytest.raises(EngineMissingError, match="there is no llama-server"):
        _ask(client, model)
    client.close()


def test_an_executable_that_cant_be_run_is_said(home: Home, tmp_path: Path, model: InstalledVersion) -> None:
    path = tmp_path / "text"
    path.write_text("no program")
    client = home.client(program=EngineProgram("llama-server", path))
    with pytest.raises(EngineMissingError, match="can't be started"):
        _ask(client, model)
    client.close()


def test_a_question_cancelled_while_it_waits_gives_up_its_place(
    home: Home, client: EmbeddedRuntime, model: InstalledVersion
) -> None:
    answering = client.chat(model, question(text="slow"), Cancel())
    next(answering)
    other, cancel = home.client(program=client._program), Cancel()
    threading.Timer(0.2, cancel.cancel).start()
    (finished,) = other.chat(model.model_copy(update={"context_length": 1024}), question(), cancel)
    assert isinstance(finished, Finished)
    assert finished.statistics.stop_reason == "cancelled"
    answering.close()  # type: ignore[attr-defined]  # a generator
    other.close()
