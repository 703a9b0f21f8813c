"""How the stand-in for Ollama speaks HTTP: bodies, streams of lines, and what goes wrong with them."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tests.fakes.ollama import FakeOllama


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next requests to a path.

    Attributes:
        kind: ``drop`` cuts the connection after ``after`` lines, ``error`` sends an error line there, ``hang`` says
            nothing from there on until the client goes away, ``status`` answers 500 at once.
        text: Of the error.
        times: How often.
    """

    kind: Literal["drop", "error", "hang", "status"]
    after: int = 0
    text: str = "something went wrong"
    times: int = 1


class FakeServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeOllama, handler: type[SpeakingHandler]) -> None:
        self.fake = fake
        super().__init__((fake.host, fake.port), handler)
        if fake.tls is not None:
            self.socket = fake.tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        del request, client_address
        error = sys.exception()
        if isinstance(error, OSError):  # the client went away
            self.fake.abandoned += 1
        else:
            self.fake.problems.append(f"the fake itself failed: {error!r}")


class SpeakingHandler(BaseHTTPRequestHandler):
    """Takes bodies, gives JSON and NDJSON.

    Attributes:
        fault: What goes wrong with this request.
    """

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    server: FakeServer
    fault: Fault | None

    def route(self, method: str) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        self.route("GET")

    def do_HEAD(self) -> None:
        self.route("HEAD")

    def do_POST(self) -> None:
        self.route("POST")

    def do_DELETE(self) -> None:
        self.route("DELETE")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def finish(self) -> None:
        with contextlib.closing(self.rfile), contextlib.suppress(OSError):  # what is still buffered may find nobody
            super().finish()

    @property
    def fake(self) -> FakeOllama:
        return self.server.fake

    def drain(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if len(raw) < length:  # the client was killed between head and body
            raise ConnectionResetError
        return raw

    def json(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def empty(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def stream(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Sends NDJSON; ollama.md:15 `HTTP stays 200`, whatever comes."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        iterator = iter(lines)
        number = 0
        while self.fault is None or number < self.fault.after:
            line = next(iterator, None)
            if line is None:
                if self._client_is_gone():
                    self.fake.abandoned += 1
                return self._chunk(b"")
            self._chunk(json.dumps(line).encode() + b"\n")
            time.sleep(self.fake.piece_s)
            number += 1
        return self._break(self.fault)

    def _break(self, fault: Fault) -> None:
        if fault.kind == "error":
            self._chunk(json.dumps({"error": fault.text}).encode() + b"\n")
            self._chunk(b"")
            return
        self.close_connection = True
        if fault.kind == "hang":
            self._wait_for_the_client_to_go()

    def _client_is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _wait_for_the_client_to_go(self) -> None:
        if self.fake.on_hang is not None:
            self.fake.on_hang()
        self.connection.settimeout(0.05)
        while not self.fake.stopping.is_set():
            try:
                if not self.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.fake.abandoned += 1

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()
