"""A small server that speaks as OpenAI's, Anthropic's and Ollama's do, as far as IDEs use it, with scripted answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

CHAT = {"choices": [{"message": {"role": "assistant", "content": "BBj"}}]}
JSON = {"choices": [{"message": {"role": "assistant", "content": '{"language": "BBj"}'}}]}
CALL = {"function": {"name": "read_file", "arguments": '{"path": "main.bbj"}'}}
TOOLS = {"choices": [{"message": {"role": "assistant", "content": "", "tool_calls": [CALL]}}]}
STREAM = 'data: {"choices": [{"delta": {"content": "B"}}]}\n\ndata: [DONE]\n\n'


@dataclass
class IdeServer:
    """Answers by the kind of question: ``chat``, ``stream``, ``json``, ``tools``, ``suffix`` and ``anthropic``.

    Attributes:
        answers: A status with an object or a text, by kind.
        key: What must be sent; None for no key.
        asked: The bodies by kind.
    """

    answers: dict[str, tuple[int, Mapping[str, Any] | str]] = field(default_factory=dict)
    key: str | None = None
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        right: dict[str, tuple[int, Mapping[str, Any] | str]] = {
            "chat": (200, CHAT),
            "stream": (200, STREAM),
            "json": (200, JSON),
            "tools": (200, TOOLS),
            "suffix": (200, {"response": "Hi", "choices": [{"text": "Hi"}]}),
            "anthropic": (200, {"content": [{"type": "text", "text": "yes"}]}),
        }
        self.answers = right | self.answers
        fake = self

        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                kind = _kind(self.path, body)
                fake.asked[kind] = body
                status, said = fake.answers[kind]
                if fake.key and self.headers.get("Authorization") != f"Bearer {fake.key}":
                    status, said = 401, {"error": {"message": "wrong key"}}
                content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


def _kind(path: str, body: Mapping[str, Any]) -> str:
    if path in ("/api/generate", "/v1/completions"):
        return "suffix"
    if path == "/v1/messages":
        return "anthropic"
    return next((kind for kind, sign in _SIGNS.items() if sign in body), "chat")


_SIGNS = {"stream": "stream", "json": "response_format", "tools": "tools"}
