"""An OpenAI-compatible server with one scripted answer after the other, the last one repeated."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        status: HTTP status.
        body: What is sent; a text becomes the content of a message.
        headers: Sent besides.
        silent: Nothing is sent at all until the server ends.
    """

    body: bytes | str = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False

    def sent(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps({"choices": [{"message": {"role": "assistant", "content": self.body}}]}).encode()


class InstructingServer:
    """Listens on loopback while it is a context manager.

    Attributes:
        asked: Bodies of the questions.
        keys: What came in the header Authorization.
    """

    def __init__(self, replies: Sequence[Reply | str]) -> None:
        self._replies = [each if isinstance(each, Reply) else Reply(each) for each in replies]
        self._ended = threading.Event()
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    def __enter__(self) -> Self:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

            def do_POST(self) -> None:
                assert self.path == "/v1/chat/completions", self.path
                reply = fake._replies[min(len(fake.asked), len(fake._replies) - 1)]
                fake.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                fake.keys.append(self.headers.get("Authorization"))
                if reply.silent:
                    fake._ended.wait()
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.sent())))
                self.end_headers()
                self.wfile.write(reply.sent())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"
