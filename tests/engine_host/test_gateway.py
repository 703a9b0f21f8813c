"""The gateway for IDEs: what it answers, and what it doesn't. The engine is a stand-in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bbj_desktop.core.budget import TokenCounter
from bbj_desktop.core.errors import EngineCrashedError, EngineError, StoreAccessError, UserInputError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Prompt, Role
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.local_key import local_key
from bbj_desktop.services.runtime.embedded_host.gateway import MAX_HEADER_BYTES, Gateway, Limits
from bbj_desktop.services.runtime.embedded_host.host import Owner
from bbj_desktop.services.runtime.embedded_host.naming import Naming
from bbj_desktop.services.runtime.embedded_host.serving import Offered
from bbj_desktop.services.runtime.engine import EngineConfig
from tests.engine_host.conftest import wait_until
from tests.fakes.installed import installed
from tests.fakes.llama_server import StandIn

KEY = "bbj-the-right-key-for-this-gateway"
ENGINE_KEY = "the engine's own key"
FIM_TEMPLATE = "{{ if .Suffix }}<|P|>{{ .Prompt }}<|S|>{{ .Suffix }}<|M|>{{ else }}{{ .Prompt }}{{ end }}"
CHAT = {"model": "bbj-coder:7b", "messages": [{"role": "user", "content": "one two three"}]}


@dataclass
class _Engine:
    config: EngineConfig
    address: str
    key: str = ENGINE_KEY
    alive: bool = True

    def obituary(self) -> EngineError | None:
        return None

    def close(self) -> None:
        """Nothing runs."""


@dataclass(frozen=True)
class _Shelf:
    version: InstalledVersion
    fim: InstalledVersion

    def offered(self) -> tuple[Offered, ...]:
        chat, fim = Offered("bbj-coder:7b", self.version), Offered("bbj-coder-fim:1.5b", self.fim)
        return (chat, fim, Offered(self.version.key, self.version))

    def config(self, version: InstalledVersion) -> EngineConfig:
        return EngineConfig(version.path, 512, "", 1)

    def counter(self, version: InstalledVersion) -> TokenCounter:
        return TokenCounter(None, version.release.prompt, version.context_length)


@dataclass
class Desk:
    """A gateway in front of a stand-in engine, on a loop of its own."""

    gateway: Gateway
    engine: StandIn
    owner: Owner
    loop: asyncio.AbstractEventLoop

    @property
    def port(self) -> int:
        return self.gateway.port

    def ask(self, path: str = "/v1/chat/completions", body: Any = CHAT, **headers: str) -> httpx.Response:
        known = {"Authorization": f"Bearer {KEY}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        return httpx.post(f"http://127.0.0.1:{self.port}{path}", json=body, headers=known, trust_env=False)

    def get(self, path: str, **headers: str) -> httpx.Response:
        known = {"Authorization": f"Bearer {KEY}"} | headers
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=known, trust_env=False)

    def raw(self, request: bytes, *, end: bool = False) -> bytes:
        """Everything that is answered to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            connection.sendall(request)
            if end:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def head(self, line: str = "POST /v1/chat/completions HTTP/1.1", **headers: str) -> bytes:
        """The head of a request that is right but for what is named."""
        fields = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"Bearer {KEY}"} | headers
        lines = [line, *(f"{name.replace('_', '-')}: {text}" for name, text in fields.items() if text)]
        return "\r\n".join([*lines, "", ""]).encode()


@pytest.fixture
def limits() -> Limits:
    return Limits(body_bytes=64 * 1024)


@pytest.fixture
def desk(tmp_path: Path, limits: Limits) -> Iterator[Desk]:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with StandIn(ENGINE_KEY) as engine:

        def launch(config: EngineConfig, _cancel: Cancel) -> _Engine:
            return _Engine(config, engine.address)

        owner = Owner(launch)
        fim = installed(path, role=Role.FIM, prompt=Prompt(go_template=FIM_TEMPLATE, jinja_template="{{ x }}"))
        gateway = Gateway(owner, _Shelf(installed(path), fim), KEY, 0, limits)  # type: ignore[arg-type]
        _on(loop, gateway.open())
        yield Desk(gateway, engine, owner, loop)
        _on(loop, gateway.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _on(loop: asyncio.AbstractEventLoop, job: Any) -> Any:
    future: Future[Any] = asyncio.run_coroutine_threadsafe(job, loop)
    return future.result(20)


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


# -- what it answers


def test_a_chat_is_answered(desk: Desk) -> None:
    answer = desk.ask()
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "one two three"


def test_a_stream_is_passed_on_as_it_comes(desk: Desk) -> None:
    body = CHAT | {"stream": True, "messages": [{"role": "user", "content": "slow"}]}
    url = f"http://127.0.0.1:{desk.port}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines).removeprefix("data: "))["choices"][0]["delta"]["content"] == "slow"


@pytest.mark.parametrize("name", ["bbj-coder:7b", "bbj-coder-fim:1.5b"])
@pytest.mark.parametrize("stream", [True, False])
def test_the_model_answers_under_the_name_that_was_asked_for(desk: Desk, name: str, *, stream: bool) -> None:
    text = desk.ask(body=CHAT | {"model": name, "stream": stream}).text
    assert set(re.findall(r'"model": ?"(.*?)"', text)) == {name}


def test_a_name_that_comes_in_pieces_is_replaced_and_nothing_else() -> None:
    said = json.dumps(
        {"content": 'it is "model":"bbj-desktop" \u00e4 "mod', "model": "bbj-desktop", "more": "bbj-desktop"}
    )
    for compact in (said, said.replace('": ', '":')):
        whole = compact.encode()
        for at in range(len(whole)):
            naming = Naming('a "name"')
            sent = naming.more(whole[:at]) + naming.more(whole[at:]) + naming.rest()
            assert json.loads(sent) == json.loads(said) | {"model": 'a "name"'}


def test_what_cant_be_a_name_isnt_held_back() -> None:
    naming = Naming("x")
    assert [naming.more(piece) for piece in (b'data: {"a": 1}\n\n', b"data: [DONE]\n\n")] == [
        b'data: {"a": 1}\n\n',
        b"data: [DONE]\n\n",
    ]


def test_the_models_are_listed_under_all_their_names(desk: Desk) -> None:
    names = [each["id"] for each in desk.get("/v1/models").json()["data"]]
    assert names == ["bbj-coder:7b", "bbj-coder-fim:1.5b", "bbj-coder-demo-test:2026.1-135m-q4_1"]
    assert desk.get("/v1/models/bbj-coder:7b").json()["id"] == "bbj-coder:7b"
    assert desk.get("/v1/models/gpt").status_code == 404


def test_a_model_that_isnt_here_is_refused_with_those_that_are(desk: Desk) -> None:
    answer = desk.ask(body=CHAT | {"model": "gpt-9"})
    assert answer.status_code == 404
    assert "bbj-coder:7b" in answer.json()["error"]["message"]


def test_the_release_says_what_the_client_doesnt(desk: Desk) -> None:
    desk.ask()
    _, body = desk.engine.bodies[0]
    assert body["messages"][0] == {"role": "system", "content": 'You write BBj: PRINT "…"\nNothing else.'}
    assert (body["temperature"], body["top_p"], body["stop"]) == (0.2, 0.9, ["<|im_end|>", "<|endoftext|>"])
    assert "model" not in body


def test_what_the_client_says_counts(desk: Desk) -> None:
    own = [{"role": "system", "content": "Mine."}, {"role": "user", "content": "x"}]
    desk.ask(body=CHAT | {"messages": own, "temperature": 1.5})
    _, body = desk.engine.bodies[0]
    assert (body["messages"], body["temperature"]) == (own, 1.5)


FILL = {"model": "bbj-coder-fim:1.5b", "prompt": "a", "suffix": "b", "max_tokens": 9}


def test_a_completion_with_a_suffix_is_filled_in_with_the_releases_tokens(desk: Desk) -> None:
    """The engine's own completion ignores the suffix without a word; its ``/infill`` has an order of its own."""
    answer = desk.ask("/v1/completions", FILL)
    path, body = desk.engine.bodies[0]
    assert (path, body["prompt"], body["max_tokens"]) == ("/v1/completions", "<|P|>a<|S|>b<|M|>", 9)
    assert "suffix" not in body
    assert answer.json()["choices"][0]["text"] == "<|P|>a<|S|>b<|M|>"


def test_the_tokens_around_a_gap_stop_the_answer(desk: Desk) -> None:
    """They come out of the engine as no text, unless it is told to preserve them."""
    desk.ask("/v1/completions", FILL | {"stop": "\n\n"})
    _, body = desk.engine.bodies[0]
    assert body["stop"] == body["preserved_tokens"] == ["\n\n", "<|P|>", "<|S|>", "<|M|>"]


def test_a_streamed_completion_with_a_suffix_is_filled_in(desk: Desk) -> None:
    lines = [line for line in desk.ask("/v1/completions", FILL | {"stream": True}).text.splitlines() if line]
    assert json.loads(lines[0].removeprefix("data: "))["choices"][0]["text"] == "<|P|>a<|S|>b<|M|>"
    assert lines[-1] == "data: [DONE]"


def test_what_is_far_from_the_cursor_is_left_out_where_there_is_no_room(desk: Desk) -> None:
    prefix, suffix = "far away\n" * 500 + "near\n", "\nnear" + "\nfar away" * 500
    desk.ask("/v1/completions", FILL | {"prompt": prefix, "suffix": suffix})
    _, body = desk.engine.bodies[0]
    assert len(body["prompt"]) < 2000
    assert "near\n<|S|>\nnear" in body["prompt"]


@pytest.mark.parametrize("change", [{"prompt": ["a"]}, {"suffix": 7}, {"prompt": None}])
def test_a_gap_that_isnt_between_texts_is_refused(desk: Desk, change: dict[str, Any]) -> None:
    answer = desk.ask("/v1/completions", FILL | change)
    assert answer.status_code == 400
    assert "must be texts" in answer.json()["error"]["message"]


def test_a_model_that_cant_fill_in_says_so(desk: Desk) -> None:
    answer = desk.ask("/v1/completions", FILL | {"model": "bbj-coder:7b"})
    assert answer.status_code == 400
    assert "is a chat model" in answer.json()["error"]["message"]
    assert desk.engine.bodies == []


def test_anthropics_key_header_is_known(desk: Desk) -> None:
    url = f"http://127.0.0.1:{desk.port}/v1/messages"
    answer = httpx.post(url, json=CHAT, headers={"x-api-key": KEY}, trust_env=False)
    assert answer.status_code == 200
    assert desk.engine.bodies[0][1]["system"]


def test_a_client_that_goes_away_ends_the_engines_work(desk: Desk) -> None:
    with _slow_answer(desk):
        assert desk.owner.users == 1
    assert desk.engine.gone.wait(10)
    assert wait_until(lambda: desk.owner.users == 0)


def test_the_engines_own_key_and_address_stay_inside(desk: Desk) -> None:
    said = desk.ask()
    assert ENGINE_KEY not in str(said.headers) + said.text
    assert desk.engine.address not in str(said.headers) + said.text


# -- an engine that dies


@pytest.fixture
def dying(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Its engine breaks every connection off, and says why."""
    monkeypatch.setattr(_Engine, "obituary", lambda _: EngineCrashedError("It ended by SIGSEGV.", hint="Ask again."))
    return desk


def test_an_engine_that_dies_before_its_answer_is_told_with_the_reason(dying: Desk) -> None:
    dying.engine.before_answer = dying.engine.break_off
    answer = dying.ask()
    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == "It ended by SIGSEGV. Ask again."


@pytest.mark.parametrize(
    ("path", "begin"), [("/v1/chat/completions", 'data: {"type": "error"'), ("/v1/messages", "event: error\ndata: {")]
)
def test_an_engine_that_dies_in_a_stream_is_told_in_it_and_the_answer_doesnt_look_whole(
    dying: Desk, path: str, begin: str
) -> None:
    dying.engine.before_end = dying.engine.break_off
    body = json.dumps(CHAT | {"stream": True}).encode()
    answer = dying.raw(dying.head(f"POST {path} HTTP/1.1", Content_Length=str(len(body))) + body).decode()
    last = answer.strip().split("\r\n")[-1]
    assert last.startswith(begin)
    assert "SIGSEGV" in last
    assert not answer.endswith("0\r\n\r\n")


# -- who isn't answered


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", f"Bearer {ENGINE_KEY}"],
)
def test_without_the_key_nothing_is_answered(desk: Desk, authorization: str) -> None:
    assert _status(desk.raw(desk.head("GET /v1/models HTTP/1.1", Authorization=authorization))) == 401
    assert desk.engine.bodies == []


def test_two_keys_are_no_key(desk: Desk) -> None:
    two = desk.head("GET /v1/models HTTP/1.1", X_Api_Key=KEY)
    assert _status(desk.raw(two)) == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:11435", "file://"])
def test_no_web_page_is_served_even_with_the_key(desk: Desk, origin: str) -> None:
    answer = desk.ask(origin=origin)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert desk.engine.bodies == []


def test_a_page_that_hides_its_origin_isnt_served(desk: Desk) -> None:
    assert desk.ask(sec_fetch_site="cross-site").status_code == 403


def test_a_browsers_preflight_gets_no_leave(desk: Desk) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"http://127.0.0.1:{desk.port}/v1/chat/completions", headers=headers, trust_env=False)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost:1", "127.0.0.2", "[::2]", "0"])
def test_a_name_that_was_made_to_point_here_isnt_served(desk: Desk, host: str) -> None:
    """DNS rebinding: the browser believes to talk to its page's own server."""
    assert _status(desk.raw(desk.head("GET /v1/models HTTP/1.1", Host=host))) == 421


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_this_machines_own_names_are_served(desk: Desk, name: str) -> None:
    assert _status(desk.raw(desk.head("GET /v1/models HTTP/1.1", Host=f"{name}:{desk.port}"))) == 200


def test_a_request_without_a_host_isnt_served(desk: Desk) -> None:
    assert _status(desk.raw(desk.head("GET /v1/models HTTP/1.1", Host=""))) == 400
    assert _status(desk.raw(desk.head("GET /v1/models HTTP/1.0", Host=""))) == 421


def test_it_is_nobodys_proxy(desk: Desk) -> None:
    assert _status(desk.raw(desk.head("GET http://evil.example/v1/models HTTP/1.1"))) == 400
    assert _status(desk.raw(desk.head("CONNECT evil.example:443 HTTP/1.1"))) == 400


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/embeddings",
        "/props",
        "/slots",
        "/metrics",
        "/v1/../props",
        "//v1/chat/completions",
        "/v1/chat/completions/",
    ],
)
def test_only_the_paths_that_are_needed_are_there(desk: Desk, path: str) -> None:
    assert _status(desk.raw(desk.head(f"POST {path} HTTP/1.1", Content_Length="0"))) == 404
    assert desk.engine.bodies == []


def test_a_key_in_the_address_is_no_key(desk: Desk) -> None:
    line = f"GET /v1/models?key={KEY}&api_key={KEY} HTTP/1.1"
    assert _status(desk.raw(desk.head(line, Authorization=""))) == 401


def test_a_head_request_gets_the_head_alone(desk: Desk) -> None:
    answer = desk.raw(desk.head("HEAD /v1/models HTTP/1.1"))
    assert _status(answer) == 200
    assert answer.endswith(b"\r\n\r\n")
    assert _status(desk.raw(desk.head("HEAD /v1/chat/completions HTTP/1.1"))) == 405
    assert _status(desk.raw(desk.head("HEAD /v1/models HTTP/1.1", Authorization=""))) == 401


def test_another_method_is_refused(desk: Desk) -> None:
    assert desk.get("/v1/chat/completions").status_code == 405
    assert desk.ask("/v1/models").status_code == 405


# -- smuggling


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 50",
        "Content-Length: +5",
        "Content-Length: 5\r\n folded",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding : chunked",
        "Host: 127.0.0.1",
        "X: a\x00b",
    ],
    ids=["both", "two lengths", "signed", "folded", "two encodings", "space", "two hosts", "NUL"],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(desk: Desk, headers: str) -> None:
    head = desk.head()[:-2] + headers.encode() + b"\r\n\r\n0\r\n\r\n"
    assert _status(desk.raw(head, end=True)) in (400, 421, 501)
    assert desk.engine.bodies == []


def test_a_second_request_behind_the_first_isnt_read(desk: Desk) -> None:
    inner = desk.head("GET /v1/models HTTP/1.1")
    answer = desk.raw(desk.head("GET /v1/models HTTP/1.1") + inner)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"connection: close" in answer.lower() or answer == b""


# -- limits


def test_a_body_that_says_it_is_huge_is_refused_before_it_is_read(desk: Desk) -> None:
    assert _status(desk.raw(desk.head(Content_Length=str(10**12)))) == 413


def test_a_body_that_grows_and_grows_is_cut_off(desk: Desk) -> None:
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    answer = desk.raw(desk.head(Transfer_Encoding="chunked") + chunk * 3)
    assert _status(answer) == 413


def test_huge_headers_are_refused(desk: Desk) -> None:
    answer = desk.raw(desk.head(X="y" * (MAX_HEADER_BYTES + 1)))
    assert _status(answer) == 431


@pytest.mark.parametrize("limits", [Limits(request_s=0.3)])
def test_a_client_that_dribbles_its_request_is_dropped(desk: Desk) -> None:
    assert _status(desk.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: ")) == 408
    assert _status(desk.raw(desk.head(Content_Length="100") + b"{")) == 408


@pytest.mark.parametrize("limits", [Limits(reader_s=0.3)])
def test_a_client_that_doesnt_take_its_answer_is_dropped(desk: Desk) -> None:
    body = json.dumps(CHAT | {"stream": True, "messages": [{"role": "user", "content": "slow"}]}).encode()
    with socket.create_connection(("127.0.0.1", desk.port)) as stuck:
        stuck.sendall(desk.head(Content_Length=str(len(body))) + body)
        assert desk.engine.gone.wait(20)


@pytest.mark.parametrize("limits", [Limits(connections=2)])
def test_too_many_answers_at_once_are_refused(desk: Desk) -> None:
    with _slow_answer(desk), _slow_answer(desk):
        assert _status(desk.raw(desk.head("GET /v1/models HTTP/1.1"))) == 503
    assert wait_until(lambda: _status(desk.raw(desk.head("GET /v1/models HTTP/1.1"))) == 200)


@pytest.mark.parametrize("limits", [Limits(connections=3)])
def test_strangers_who_only_hold_a_connection_keep_nobody_out(desk: Desk) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(8):
            held.enter_context(socket.create_connection(("127.0.0.1", desk.port)))
        assert desk.get("/v1/models").status_code == 200
        assert len(desk.gateway._tasks) <= 4


@contextlib.contextmanager
def _slow_answer(desk: Desk) -> Iterator[socket.socket]:
    body = json.dumps(CHAT | {"stream": True, "messages": [{"role": "user", "content": "slow"}]}).encode()
    with socket.create_connection(("127.0.0.1", desk.port), 20) as connection:
        connection.sendall(desk.head(Content_Length=str(len(body))) + body)
        assert connection.recv(64)
        yield connection


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"[" * 60_000, b'"text"'])
def test_a_body_that_isnt_an_object_is_refused(desk: Desk, body: bytes) -> None:
    answer = desk.raw(desk.head(Content_Length=str(len(body))) + body)
    assert _status(answer) == 400
    assert desk.engine.bodies == []


@pytest.mark.parametrize("model", [None, 7, [], {"a": 1}, "x" * 10_000])
def test_a_model_that_is_no_name_is_answered_in_order(desk: Desk, model: object) -> None:
    assert desk.ask(body=CHAT | {"model": model}).status_code == (200 if model is None else 404)


# -- the port and the key


def test_a_port_that_is_taken_is_said(desk: Desk) -> None:
    second = Gateway(desk.owner, desk.gateway._shelf, KEY, desk.port)
    with pytest.raises(UserInputError, match=f"Port {desk.port} is taken") as caught:
        _on(desk.loop, second.open())
    assert "gateway_port" in caught.value.hint


def test_only_this_machine_can_reach_it(desk: Desk) -> None:
    names = {server.sockets[0].getsockname()[0] for server in desk.gateway._servers}
    assert names <= {"127.0.0.1", "::1"}


def test_the_key_stays_the_same_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "Schlüssel" / "gateway.key"
    first = local_key(path)
    assert local_key(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert local_key(path, renew=True) != first


def test_a_key_that_others_can_read_isnt_used(tmp_path: Path) -> None:
    path = tmp_path / "gateway.key"
    local_key(path)
    path.chmod(0o644)
    with pytest.raises(StoreAccessError, match="other users can read it"):
        local_key(path)


def test_a_key_that_is_too_short_isnt_used(tmp_path: Path) -> None:
    path = tmp_path / "gateway.key"
    path.write_text("abc\n")
    path.chmod(0o600)
    with pytest.raises(StoreAccessError, match="too short"):
        local_key(path)
