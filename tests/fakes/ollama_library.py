"""A registry that Ollama pulls from, as ``docs/ollama.md`` records ("pull from loopback"), on a loopback port."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class OllamaLibrary:
    """Serves models from construction until the ``with`` block ends.

    Attributes:
        models: Layers by ``namespace/name:tag``: kinds (``model``, ``adapter``, ``template``) with contents.
        blobs: Contents by digest; may be changed, then they aren't what their names say.
        sent_bytes: Of blobs.
        break_after: Cuts every connection after so many bytes of blobs in all; None for never.
        requests: Paths.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.sent_bytes = 0
        self.break_after: int | None = None
        self.requests: list[str] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def publish(self, name: str, *layers: tuple[str, bytes]) -> None:
        """Offers a model: ``("model", content)`` and so on."""
        config = b'{"model_format":"gguf"}'
        described = [(f"application/vnd.ollama.image.{kind}", content) for kind, content in layers]
        described.append(("application/vnd.docker.container.image.v1+json", config))
        *parts, last = [self._blob(kind, content) for kind, content in described]
        self.manifests[name] = json.dumps({"schemaVersion": 2, "config": last, "layers": parts}).encode()

    def _blob(self, kind: str, content: bytes) -> dict[str, Any]:
        self.blobs[digest_of(content)] = content
        return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, library: OllamaLibrary) -> None:
        self.library = library
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """The one who pulled went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        library = self.server.library
        library.requests.append(self.path)
        repository, kind, last = self.path.removeprefix("/v2/").rsplit("/", 2)
        if kind == "manifests":
            return self._send(200, library.manifests.get(f"{repository}:{last}"))
        content = library.blobs.get(last)
        if content is None or self.command == "HEAD" or kind == "data":
            return self._send(206 if "Range" in self.headers else 200, content, data=True)
        return self._send(200, b"", location=f"http://{library.host}/v2/{repository}/data/{last}")

    def _send(self, status: int, content: bytes | None, *, location: str = "", data: bool = False) -> None:
        self.send_response(404 if content is None else status)
        content = content or b""
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        body = content[int(asked[1]) : int(asked[2]) + 1] if asked else content
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._write(body, counted=data)

    def _write(self, body: bytes, *, counted: bool) -> None:
        library = self.server.library
        for start in range(0, len(body), 1000):
            if counted and library.break_after is not None and library.sent_bytes >= library.break_after:
                self.close_connection = True
                return
            piece = body[start : start + 1000]
            self.wfile.write(piece)
            library.sent_bytes += len(piece) if counted else 0
