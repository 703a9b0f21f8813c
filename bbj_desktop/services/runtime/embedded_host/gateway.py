"""A fixed address on this machine where IDEs reach the embedded engine, in OpenAI's (and Anthropic's) words.

The bare engine answers any ``Origin``, and a web page could reach it through a name that resolves to this machine. So
here: a key, compared in constant time; only this machine's names as ``Host``; no ``Origin`` at all and no CORS; only
the paths that are needed; one request a connection, so that nothing can be smuggled behind another; limits on length,
number and patience. Both 127.0.0.1 and ::1 are taken: otherwise another user's program could take the one that is free
and be sent keys by clients that say ``localhost``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import json
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import h11
import httpx

from bbj_desktop.core.errors import BBjDesktopError, EngineRefusedError, NotFoundError, UserInputError
from bbj_desktop.services.runtime.embedded_host.host import Loan, Owner
from bbj_desktop.services.runtime.embedded_host.naming import Naming
from bbj_desktop.services.runtime.embedded_host.serving import Offered, Shelf, completed, filled_in

MAX_HEADER_BYTES = 32 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_CONNECTIONS = 32
REQUEST_TIMEOUT_S = 20.0
"""For a whole request to arrive."""
READER_TIMEOUT_S = 60.0
"""For a client to take what was sent: a stuck one must not hold the engine."""

_ANSWER_TIMEOUT_S = 900.0
_PIECE_BYTES = 64 * 1024
_JSON = "application/json"
_STREAMS_END = (b"[DONE]", b"message_stop")
"""In the last event of a whole stream, OpenAI's or Anthropic's. Not each engine ends a broken one otherwise."""
_LAST_EVENT_BYTES = 256
_LINGER_S = 0.5
_LINGER_PIECES = 64
_POSTS = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/messages", "/infill"})
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Connection", "close"),
)

log = logging.getLogger(__name__)


class RefusalError(Exception):
    """A request that isn't served.

    Attributes:
        status: HTTP status.
        kind: As in OpenAI's errors.
    """

    def __init__(self, status: HTTPStatus, message: str, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind

    def to_json(self) -> dict[str, Any]:
        """As OpenAI's clients read it, and Anthropic's, which look at ``type`` too."""
        error = {"message": str(self), "type": self.kind, "param": None, "code": int(self.status)}
        return {"type": "error", "error": error}


@dataclass(slots=True)
class Limits:
    """What a client may ask for; tests make them small.

    Attributes:
        request_s: For a whole request to arrive.
        reader_s: For a client to take what was sent.
        body_bytes: Longest body.
        connections: At once.
    """

    request_s: float = REQUEST_TIMEOUT_S
    reader_s: float = READER_TIMEOUT_S
    body_bytes: int = MAX_BODY_BYTES
    connections: int = MAX_CONNECTIONS


@dataclass(frozen=True, slots=True)
class Request:
    """One that was read whole."""

    method: str
    path: str
    headers: dict[str, list[str]] = field(repr=False)
    body: bytes = field(repr=False)


class Gateway:
    """Serves until it is closed.

    Args:
        owner: Lends the engine.
        shelf: What is offered.
        key: That clients must send.
        port: On this machine; 0 takes a free one.
    """

    def __init__(self, owner: Owner, shelf: Shelf, key: str, port: int, limits: Limits | None = None) -> None:
        self.port = port
        self._owner = owner
        self._shelf = shelf
        self._key = key
        self._limits = limits or Limits()
        self._servers: list[asyncio.Server] = []
        self._tasks: dict[asyncio.Task[None], _Client] = {}  # the oldest first

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def open(self) -> None:
        """Begins to listen. Raises UserInputError when the port is taken."""
        try:
            server = await asyncio.start_server(self._meet, "127.0.0.1", self.port, limit=_PIECE_BYTES)
        except OSError as error:
            raise _taken(self.port, error) from error
        self._servers.append(server)
        self.port = server.sockets[0].getsockname()[1]
        try:
            self._servers.append(await asyncio.start_server(self._meet, "::1", self.port, limit=_PIECE_BYTES))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                await self.close()
                raise _taken(self.port, error) from error
            log.info("no IPv6 here: %s", error)
        log.info("gateway open on port %d", self.port)

    async def close(self) -> None:
        """Ends every answer and stops listening."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        client = _Client(reader, writer, self._limits)
        self._tasks[task] = client
        try:
            if len(self._tasks) > self._limits.connections and not self._make_room(task):
                await client.refuse(RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections at once."))
            else:
                await self._serve(client)
        except (OSError, TimeoutError, h11.ProtocolError, asyncio.CancelledError):
            pass  # the client has gone, or must
        finally:
            del self._tasks[task]
            writer.close()

    def _make_room(self, newcomer: asyncio.Task[None]) -> bool:
        """Whoever hasn't shown the key yet gives way, the oldest first: else anybody on this machine could keep the
        user's own programs out."""
        strangers = (task for task, client in self._tasks.items() if not client.known and not task.cancelling())
        oldest = next((task for task in strangers if task is not newcomer), None)
        return oldest is not None and oldest.cancel()

    async def _serve(self, client: _Client) -> None:
        try:
            try:
                async with asyncio.timeout(self._limits.request_s):
                    request = await client.request(self._check)
            except h11.RemoteProtocolError as error:
                raise RefusalError(HTTPStatus(error.error_status_hint), "This isn't a request.") from error
            except TimeoutError as error:
                raise RefusalError(HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive.") from error
            await client.while_there(self._answer(request, client))
        except RefusalError as refusal:
            await client.refuse(refusal)
        except BBjDesktopError as error:
            await client.refuse(_refusal(error))

    def _check(self, method: str, target: str, headers: dict[str, list[str]]) -> None:
        """Everything that can be judged before the body is read. Raises RefusalError."""
        if not target.startswith("/"):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "Not a proxy.")
        hosts = headers.get("host", [])
        names = {"127.0.0.1", "localhost", "[::1]"}
        allowed = names | {f"{name}:{self.port}" for name in names}
        if len(hosts) != 1 or hosts[0].lower() not in allowed:
            raise RefusalError(HTTPStatus.MISDIRECTED_REQUEST, "This address has another name.")
        if "origin" in headers or "sec-fetch-site" in headers:
            raise RefusalError(HTTPStatus.FORBIDDEN, "Web pages aren't served.", "permission_error")
        self._check_key(headers)
        path = target.partition("?")[0]
        if path == "/v1/models" or path.startswith("/v1/models/"):
            expected: tuple[str, ...] = ("GET", "HEAD")
        elif path in _POSTS:
            expected = ("POST",)
        else:
            raise RefusalError(HTTPStatus.NOT_FOUND, f"Nothing is at {path[:100]}.", "not_found_error")
        if method not in expected:
            raise RefusalError(HTTPStatus.METHOD_NOT_ALLOWED, f"{path[:100]} takes {expected[0]}.")

    def _check_key(self, headers: dict[str, list[str]]) -> None:
        given = [*headers.get("authorization", ()), *headers.get("x-api-key", ())]
        kind, _, text = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if headers.get("x-api-key"):
            kind, text = "bearer", given[0]
        known = hmac.compare_digest(text.strip().encode(), self._key.encode())
        if len(given) != 1 or kind.lower() != "bearer" or not known:
            raise RefusalError(
                HTTPStatus.UNAUTHORIZED,
                "The key is missing or wrong. bbj-desktop gateway status --show-key tells it.",
                "authentication_error",
            )

    async def _answer(self, request: Request, client: _Client) -> None:
        offered = await asyncio.to_thread(self._shelf.offered)
        if request.method != "POST":
            await client.say(HTTPStatus.OK, _models(request.path, offered))
            return
        body = _json_object(request.body)
        wanted = _choose(body.get("model"), offered)
        body = completed(request.path, body, wanted)
        if request.path == "/v1/completions" and body.get("suffix"):
            body = await asyncio.to_thread(self._filled_in, body, wanted)
        config = await asyncio.to_thread(self._shelf.config, wanted.version)
        async with self._owner.lent(config) as loan:
            self._owner.label = {"name": wanted.version.key, "digest": wanted.version.variant.file.digest}
            await self._relay(loan, request.path, body, Naming(wanted.name), client)

    def _filled_in(self, body: dict[str, Any], wanted: Offered) -> dict[str, Any]:
        try:
            return filled_in(body, wanted, self._shelf.counter(wanted.version))
        except EngineRefusedError as error:
            raise RefusalError(HTTPStatus.BAD_REQUEST, str(error)) from error

    async def _relay(self, loan: Loan, path: str, body: dict[str, Any], naming: Naming, client: _Client) -> None:
        """Passes the answer on as it comes, but for the model's name. Being cancelled closes the connection, which
        stops the engine's work."""
        timeout = httpx.Timeout(_ANSWER_TIMEOUT_S, connect=5.0)
        headers = {"Authorization": f"Bearer {loan.engine.key}", "Accept-Encoding": "identity"}
        try:
            async with (
                httpx.AsyncClient(trust_env=False, timeout=timeout, verify=False) as engine,  # noqa: S501 - loopback http
                engine.stream("POST", f"{loan.engine.address}{path}", json=body, headers=headers) as answer,
            ):
                await client.begin(HTTPStatus(answer.status_code), answer.headers.get("content-type", _JSON))
                end = b""
                async for piece in answer.aiter_raw():
                    await client.more(naming.more(piece))
                    end = (end + piece)[-_LAST_EVENT_BYTES:]
                if path != "/infill" and client.streams and not any(mark in end for mark in _STREAMS_END):
                    raise httpx.RemoteProtocolError("the stream has no end")
                await client.more(naming.rest())
                await client.end()
        except httpx.HTTPError as error:
            await client.broken(await self._why(loan, error))

    async def _why(self, loan: Loan, error: httpx.HTTPError) -> RefusalError:
        """The reason that the engine ended for says more than the broken connection that it was noticed by."""
        died = await self._owner.obituary(loan.number)
        text = f"The engine broke off: {error}." if died is None else str(died)
        return RefusalError(HTTPStatus.BAD_GATEWAY, text, "engine_error")


class _Client:
    """One connection: one request, one answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self.writer = writer
        self.path = ""
        self.known = False
        self.begun = False
        self.streams = False
        self._method = ""
        self._reader = reader
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER_BYTES)

    async def request(self, check: Any) -> Request:
        """Reads the request; ``check`` judges it before its body is read. Raises RefusalError."""
        head = await self._event()
        if not isinstance(head, h11.Request):
            raise ConnectionResetError
        if sum(len(name) + len(value) for name, value in head.headers) > MAX_HEADER_BYTES:
            raise RefusalError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too long.")
        headers: dict[str, list[str]] = {}
        for name, value in head.headers:
            headers.setdefault(name.decode("ascii").lower(), []).append(value.decode("latin-1"))
        method, target = head.method.decode("ascii"), head.target.decode("latin-1")
        self._method, self.path = method, target.partition("?")[0]
        check(method, target, headers)
        self.known = True
        if int(headers.get("content-length", ["0"])[0]) > self._limits.body_bytes:
            raise _too_large(self._limits.body_bytes)
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        return Request(method, self.path, headers, await self._body())

    async def _body(self) -> bytes:
        body = bytearray()
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise ConnectionResetError
            body += event.data
            if len(body) > self._limits.body_bytes:
                raise _too_large(self._limits.body_bytes)
        return bytes(body)

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_PIECE_BYTES))
        return event

    async def while_there(self, answering: Any) -> None:
        """Answers for as long as the client is there: when it goes, or sends what nobody asked for, that ends."""
        answer = asyncio.create_task(answering)
        gone = asyncio.create_task(self._reader.read(1))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ConnectionResetError
            answer.result()
        finally:
            for task in (answer, gone):
                task.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def begin(self, status: HTTPStatus, kind: str) -> None:
        self.begun = True
        self.streams = "event-stream" in kind
        headers = [("Content-Type", kind), ("Transfer-Encoding", "chunked"), *_HEADERS]
        await self._send(h11.Response(status_code=status, headers=headers))

    async def more(self, piece: bytes) -> None:
        if piece:
            await self._send(h11.Data(data=piece))

    async def broken(self, refusal: RefusalError) -> None:
        """The engine broke off: a stream gets the reason as its last event. What was begun is never ended as HTTP ends
        a whole answer, because it must not look like one. Raises ``refusal`` where nothing was said yet."""
        if not self.begun:
            raise refusal
        if self.streams:
            kind = "event: error\n" if self.path == "/v1/messages" else ""
            await self.more(f"{kind}data: {json.dumps(refusal.to_json())}\n\n".encode())
            self.writer.close()
        else:
            self.writer.transport.abort()

    async def end(self) -> None:
        await self._send(h11.EndOfMessage())

    async def say(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        headers = [("Content-Type", _JSON), ("Content-Length", str(len(content))), *_HEADERS]
        self.begun = True
        await self._send(h11.Response(status_code=status, headers=headers))
        if self._method != "HEAD":
            await self._send(h11.Data(data=content))
        await self._send(h11.EndOfMessage())

    async def refuse(self, refusal: RefusalError) -> None:
        if self.begun or self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.writer.transport.abort()
            return
        await self.say(refusal.status, refusal.to_json())
        await self._linger()

    async def _linger(self) -> None:
        """Closing while bytes are unread would reset the connection, and the client never see why it was refused."""
        self.writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                for _ in range(_LINGER_PIECES):
                    if not await self._reader.read(_PIECE_BYTES):
                        return

    async def _send(self, event: Any) -> None:
        self.writer.write(self._http.send(event) or b"")
        async with asyncio.timeout(self._limits.reader_s):
            await self.writer.drain()


def _models(path: str, offered: tuple[Offered, ...]) -> dict[str, Any]:
    listed = [
        {
            "id": each.name,
            "object": "model",
            "created": int(each.version.installed_at.timestamp()),
            "owned_by": "bbj-desktop",
        }
        for each in offered
    ]
    if path == "/v1/models":
        return {"object": "list", "data": listed}
    name = path.removeprefix("/v1/models/")
    for each in listed:
        if each["id"] == name:
            return each
    raise _unknown(name, offered)


def _choose(name: object, offered: tuple[Offered, ...]) -> Offered:
    """The model of that name; without one the first, which is an active one."""
    if name is None and offered:
        return offered[0]
    for each in offered:
        if each.name == name:
            return each
    raise _unknown(name, offered)


def _unknown(name: object, offered: tuple[Offered, ...]) -> RefusalError:
    known = ", ".join(each.name for each in offered) or "none is installed for the embedded engine"
    return RefusalError(
        HTTPStatus.NOT_FOUND, f"There is no model {str(name)[:100]!r}. Known are: {known}.", "not_found_error"
    )


def _refusal(error: BBjDesktopError) -> RefusalError:
    if isinstance(error, UserInputError):
        return RefusalError(HTTPStatus.BAD_REQUEST, str(error))
    status = HTTPStatus.NOT_FOUND if isinstance(error, NotFoundError) else HTTPStatus.BAD_GATEWAY
    return RefusalError(status, str(error), "engine_error")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusalError(HTTPStatus.BAD_REQUEST, "The body isn't JSON.") from error
    if not isinstance(value, dict):
        raise RefusalError(HTTPStatus.BAD_REQUEST, "The body isn't a JSON object.")
    return value


def _too_large(limit: int) -> RefusalError:
    return RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is longer than {limit} bytes.")


def _taken(port: int, error: OSError) -> UserInputError:
    if error.errno == errno.EADDRINUSE:
        text = f"Port {port} is taken by another program, so the gateway can't open there."
    else:
        text = f"The gateway can't open port {port}: {error}."
    return UserInputError(text, hint="End that program, or choose another port: gateway_port, --gateway-port.")
