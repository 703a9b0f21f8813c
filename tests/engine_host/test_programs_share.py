"""The window and the command line stand on the same actions, so they share the engine without a word in either."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.engine import engine_status, stop_engine
from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.settings import Origin, OriginKind, ResolvedSettings, Settings
from bbj_desktop.core.versions import InstalledVersion
from tests.engine_host.conftest import is_running, question, text_of
from tests.fakes import llama_server
from tests.fakes.installed import installed


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[ResolvedSettings]:
    executable = tmp_path / "llama-server (stand-in)"
    source = Path(llama_server.__file__).read_text(encoding="utf-8")
    executable.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    executable.chmod(0o755)
    folder = tmp_path / "Daten für BBj"
    values = Settings(data_folder=folder, runtime="embedded", engine="llama-server", llama_server=executable)
    settings = ResolvedSettings(values, {"data_folder": Origin(OriginKind.FLAG, "--data")})
    yield settings
    stop_engine(_program(settings), Cancel())


@pytest.fixture
def model(tmp_path: Path) -> InstalledVersion:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    return installed(path)


def _program(settings: ResolvedSettings) -> Context:
    return Context(settings, paths_for(settings))


def _ask(program: Context, model: InstalledVersion) -> str:
    return text_of(list(program.runtime("embedded").chat(model, question(text="hello"), Cancel())))


def test_two_programs_of_a_user_share_the_engine(settings: ResolvedSettings, model: InstalledVersion) -> None:
    window, command_line = _program(settings), _program(settings)
    assert _ask(window, model) == _ask(command_line, model) == "hello"
    status = engine_status(window)
    assert (status.starts, len(status.clients), status.model) == (1, 2, model.key)
    command_line.close()
    window.close()
    assert engine_status(window).clients == ()


def test_the_model_is_still_there_when_the_program_comes_again(
    settings: ResolvedSettings, model: InstalledVersion
) -> None:
    for _ in range(2):
        program = _program(settings)
        _ask(program, model)
        program.close()
    assert engine_status(program).starts == 1


def test_an_engine_of_its_own_ends_with_its_program(settings: ResolvedSettings, model: InstalledVersion) -> None:
    alone = replace(settings, values=replace(settings.values, shared_engine=False))
    program = _program(alone)
    _ask(program, model)
    assert not engine_status(program).running
    pid = _engine_pid()
    program.close()
    assert not is_running(pid)


def _engine_pid() -> int:
    (engine,) = [child for child in psutil.Process().children() if "engine_host" in " ".join(child.cmdline())]
    return int(engine.pid)
