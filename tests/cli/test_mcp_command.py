"""The tools for MCP clients, asked by the protocol's own client over stdio and HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import psutil
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.generating import validate_code
from bbj_desktop.actions.paths import paths_for
from bbj_desktop.cli.mcp import KEY_FILE
from bbj_desktop.core.compiling import Verdict
from bbj_desktop.core.errors import StoreAccessError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.settings import ResolvedSettings
from bbj_desktop.services.local_key import local_key
from tests.cli.conftest import PROGRAM, Call
from tests.fakes.compiler import bbj_installation
from tests.fakes.ollama import FakeOllama

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in compiler needs a system with #! lines")

Ask = Callable[[Client], Awaitable[Any]]


def _block(code: str) -> tuple[str, ...]:
    return ("Here:\n\n```bbj\n", code, "\n```\n")


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = bbj_installation(tmp_path / "BBj")
    monkeypatch.setenv("BBJ_DESKTOP_COMPILER", str(home))
    return home


def over_stdio(ask: Ask) -> Any:
    async def run() -> Any:
        parameters = StdioServerParameters(command=PROGRAM[0], args=[*PROGRAM[1:], "mcp"], env=dict(os.environ))
        async with Client(stdio_client(parameters)) as client:
            return await ask(client)

    return anyio.run(run)


def call(tool: str, **arguments: str) -> Ask:
    async def ask(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    return ask


@pytest.mark.usefixtures("installed")
def test_both_tools_are_offered() -> None:
    async def ask(client: Client) -> Any:
        return await client.list_tools()

    assert [tool.name for tool in over_stdio(ask).tools] == ["generate_bbj_code", "validate_bbj_syntax"]


@pytest.mark.usefixtures("installed")
def test_generated_code_has_been_compiled_and_mended(ollama: FakeOllama, compiler: Path) -> None:
    ollama.answers = [_block("BAD"), _block("print 2")]
    asked = call("generate_bbj_code", prompt="Print 2.", generation="character", surrounding_code="rem here\n")
    generated = over_stdio(asked).structured_content
    assert generated["code"] == "print 2\n"
    assert generated["verdict"] == "compiles"
    assert generated["attempts"] == 2
    first, *_ = ollama.bodies["/api/chat"]["messages"][-3:]
    assert "Print 2." in first["content"]
    assert "PRINT @(column,row)" in first["content"]
    assert "rem here" in first["content"]
    assert (compiler / "calls").read_text().count("-N") == 2


@pytest.mark.usefixtures("installed")
def test_code_that_the_context_cuts_off_is_not_mended(ollama: FakeOllama, compiler: Path) -> None:
    ollama.cut_short = True
    ollama.answer = _block("BAD")
    generated = over_stdio(call("generate_bbj_code", prompt="Print 2.", generation="dwc")).structured_content
    assert (generated["verdict"], generated["attempts"]) == ("not judged", 1)
    assert not (compiler / "calls").exists()


@pytest.mark.usefixtures("installed", "compiler")
def test_the_client_is_told_how_far_it_is(ollama: FakeOllama) -> None:
    ollama.answers = [_block("BAD"), _block("print 2")]
    told: list[tuple[float, str | None]] = []

    async def ask(client: Client) -> Any:
        async def tell(progress: float, total: float | None, message: str | None) -> None:
            assert total is None
            told.append((progress, message))

        asked = {"prompt": "Print 2.", "generation": "dwc"}
        return await client.call_tool("generate_bbj_code", asked, progress_callback=tell)

    assert not over_stdio(ask).is_error
    assert sorted(told) == [
        (1, "Writing the code"),
        (2, "Compiling the code"),
        (3, "Mending the code, attempt 1 of 3"),
        (4, "Compiling the code"),
    ]


@pytest.mark.usefixtures("installed")
def test_a_request_that_is_taken_back_ends_the_compiler(compiler: Path) -> None:
    async def ask(client: Client) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "validate_bbj_syntax", {"code": "HANG"})
            while not (compiler / "started").exists() or not (compiler / "started").read_text():  # noqa: ASYNC110 - another program writes it
                await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        process = psutil.Process(int((compiler / "started").read_text()))
        with suppress(psutil.NoSuchProcess), anyio.fail_after(15):  # its own limit is 20 s, then 60 s of sleep
            while process.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110 - another process ends
                await anyio.sleep(0.02)

    with suppress(psutil.NoSuchProcess):
        over_stdio(ask)


WRONG: list[tuple[str, dict[str, str], str]] = [
    ("generate_bbj_code", {"prompt": " ", "generation": "dwc"}, "no task"),
    ("generate_bbj_code", {"prompt": "Print 1.", "generation": "cobol"}, "'bbj-gui'"),
    ("generate_bbj_code", {"prompt": "word " * 20_000, "generation": "dwc"}, "too long"),
    ("validate_bbj_syntax", {}, "Field required"),
]


@pytest.mark.usefixtures("installed", "compiler")
def test_what_cannot_be_answered_is_an_error_of_the_tool_and_the_server_goes_on() -> None:
    async def ask(client: Client) -> list[Any]:
        return [await client.call_tool(tool, arguments) for tool, arguments, _ in WRONG]

    for result, (_, _, said) in zip(over_stdio(ask), WRONG, strict=True):
        assert result.is_error
        assert said in result.content[0].text


def test_no_code_is_not_said_to_compile() -> None:
    checked = validate_code(Context(ResolvedSettings(), paths_for(ResolvedSettings())), " \n", Cancel())
    assert checked.syntax.verdict is Verdict.NOT_JUDGED


@pytest.mark.usefixtures("installed", "compiler")
def test_code_that_is_wrong_comes_with_its_lines() -> None:
    result = over_stdio(call("validate_bbj_syntax", code="print 1\nBAD\n")).structured_content
    assert result == {"verdict": "fails", "lines": ["line 2: BAD"], "types": None, "type_lines": []}


@pytest.mark.usefixtures("installed")
def test_without_a_compiler_code_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BBJ_HOME", raising=False)
    result = over_stdio(call("validate_bbj_syntax", code="BAD")).structured_content
    assert result["verdict"] == "not judged"


@pytest.mark.usefixtures("customer")
def test_without_a_model_the_client_is_told_what_to_do() -> None:
    result = over_stdio(call("generate_bbj_code", prompt="Print 1.", generation="dwc"))
    assert result.is_error
    assert "bbj-desktop install" in result.content[0].text


@contextmanager
def serving(port: int) -> Iterator[None]:
    with subprocess.Popen([*PROGRAM, "mcp", "--http", str(port)], stderr=subprocess.PIPE) as server:
        try:
            _wait_until_it_listens(server, port)
            yield
        finally:
            server.terminate()
            _, said = server.communicate(timeout=20)
    assert b"Traceback" not in said


def _wait_until_it_listens(server: subprocess.Popen[bytes], port: int) -> None:
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"It ended with {server.returncode}.")


@pytest.fixture
def key(data: Path) -> str:
    return local_key(data / "config" / KEY_FILE)


def over_http(port: int, key: str, ask: Ask) -> Any:
    async def run() -> Any:
        import httpx2

        http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"})
        async with http, Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)) as client:
            return await ask(client)

    return anyio.run(run)


@pytest.mark.usefixtures("installed", "compiler")
def test_over_http_the_tools_are_the_same(free_tcp_port: int, key: str) -> None:
    with serving(free_tcp_port):
        result = over_http(free_tcp_port, key, call("validate_bbj_syntax", code="BAD"))
    assert result.structured_content["verdict"] == "fails"


@pytest.mark.usefixtures("installed")
def test_over_http_a_stranger_gets_nothing(free_tcp_port: int, key: str) -> None:
    address = f"http://127.0.0.1:{free_tcp_port}/mcp"
    good = {"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream"}
    with serving(free_tcp_port):
        statuses = [
            httpx.post(address, json={}, headers=headers).status_code
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {**good, "Origin": "https://example.com"},
                {**good, "Host": "evil.example"},
            )
        ]
    assert statuses == [401, 401, 403, 421]


@pytest.mark.usefixtures("installed")
def test_a_port_that_is_taken_is_said(call: Call, free_tcp_port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_tcp_port))
        other.listen()
        called = call("mcp", "--http", str(free_tcp_port))
    assert called.code == 2
    assert f"Port {free_tcp_port} of 127.0.0.1 can't be used: " in called.err
    assert "Serving" not in called.err  # nor a key that nobody can use
    assert "Bearer" not in called.err


def test_the_key_is_for_this_user_alone_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "Einstellungen für BBj" / "a.key"
    key = local_key(path)
    assert local_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    local_key(path)
    path.chmod(0o644)
    with pytest.raises(StoreAccessError, match="other users can read it"):
        local_key(path)


def test_an_empty_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.key").touch(0o600)
    with pytest.raises(StoreAccessError, match="too short"):
        local_key(tmp_path / "a.key")
