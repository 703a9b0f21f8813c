"""``mcp``: BBj code for any client of the Model Context Protocol, from the local model and the local compiler."""

from __future__ import annotations

import hmac
import signal
import socket
from typing import TYPE_CHECKING

from bbj_desktop import __version__
from bbj_desktop.cli.results.answers import McpResult
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.errors import EngineMissingError, UserInputError

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"
KEY_FILE = "mcp.key"
_INSTRUCTIONS = (
    "Writes and checks BBj, the Business BASIC of BASIS. Everything happens on this machine: no text leaves it. "
    "Where a BBj compiler is found, generated code has been compiled; else its verdict is 'not judged'."
)


def mcp(session: Session) -> Outcome:
    """Serves until the client ends it (stdio) or a signal comes (HTTP)."""
    server = _server(session)
    if session.arguments.http is None:
        _serve_stdio(server)
        return Outcome(McpResult(transport="stdio"), lambda _screen: None)
    address = f"http://{HOST}:{session.arguments.http}/mcp"
    _serve_http(session, server, session.arguments.http, address)
    return Outcome(McpResult(transport="http", address=address), lambda _screen: None)


def _server(session: Session) -> MCPServer:
    try:
        from mcp.server import MCPServer
    except ImportError as error:
        raise EngineMissingError(
            "The package mcp isn't installed here.", hint='Type: pip install "bbj-desktop[mcp]"'
        ) from error
    from bbj_desktop.cli.mcp_tools import declare_tools

    server = MCPServer("bbj-desktop", version=__version__, instructions=_INSTRUCTIONS, log_level="WARNING")
    declare_tools(server, session.context, session.arguments.model)
    return server


def _serve_stdio(server: MCPServer) -> None:
    """The client ends it by closing stdin, or by a signal, which needs no careful end: nothing is being written."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run("stdio")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve_http(session: Session, server: MCPServer, port: int, address: str) -> None:
    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    from bbj_desktop.services.local_key import local_key

    key = local_key(session.paths.config / KEY_FILE)
    names = [f"{name}:{port}" for name in (HOST, "localhost")]
    # no web page may reach it, whatever its origin
    security = TransportSecuritySettings(allowed_hosts=names, allowed_origins=[])
    app = server.streamable_http_app(host=HOST, transport_security=security)
    config = uvicorn.Config(KeyRequired(app, key), log_config=None, timeout_graceful_shutdown=1)
    with _listen(port) as listening:  # before it is said to be there
        session.screen.message(f"Serving MCP at {address}", "bold")
        session.screen.message(f"Clients send the header  Authorization: Bearer {key}")
        uvicorn.Server(config).run(sockets=[listening])


def _listen(port: int) -> socket.socket:
    """Takes the port. Raises UserInputError when it can't be had."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise UserInputError(
            f"Port {port} of {HOST} can't be used: {error.strerror or error}.",
            hint="Another program may have it: take another port.",
        ) from error


class KeyRequired:
    """An ASGI application that lets nobody through to another one without the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] != "http" or hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        from starlette.responses import PlainTextResponse

        refusal = PlainTextResponse("The key is missing or wrong.", 401, {"WWW-Authenticate": "Bearer"})
        await refusal(scope, receive, send)
