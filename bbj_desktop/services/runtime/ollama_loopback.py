"""A registry with one model in it, on this machine only, for the seconds in which Ollama pulls it.

It answers what Ollama's pull asks (``docs/ollama.md``, "pull from loopback"): the manifest, ``HEAD`` of a blob with its
length, a plain ``GET`` that says where the blob really is, and ranges of that. It is bound to 127.0.0.1, its only
namespace can't be guessed, whatever else is asked is 404, and it is closed as soon as the pull has ended.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Generator, Mapping
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Protocol, Self

from bbj_desktop.core.errors import BBjDesktopError, Cancelled
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.runtime.ollama_manifest import MANIFEST_TYPE, Manifest

_NAMESPACE = "bbj-desktop-"
_OURS = re.compile(rf"127\.0\.0\.1:(\d+)/{_NAMESPACE}[0-9a-f]{{32}}/model:pulled")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_SILENCE_S = 300.0  # seconds; Ollama may write to a slow disk between two reads


class Blob(Protocol):
    """What can be pulled.

    Attributes:
        length_bytes: Of the whole.
    """

    @property
    def length_bytes(self) -> int: ...

    def read(self, offset: int, length_bytes: int, cancel: Cancel) -> Generator[bytes]:
        """A range of it, in pieces. Raises BBjDesktopError when it can't be had; then the pull ends."""
        ...


class LoopbackRegistry:
    """Serves while the ``with`` block runs.

    Args:
        manifest: The model.
        blobs: What the manifest names, by digest.
        cancel: Ends the reading of blobs.

    Attributes:
        name: What Ollama is to pull.
        sent_bytes: Of blobs, so far.
        asked: Somebody who knows its name has come.
        failure: Why a blob couldn't be read, once one couldn't; the first reason.
        failed: Called when that happens, on the thread that noticed.
    """

    def __init__(self, manifest: Manifest, blobs: Mapping[str, Blob], cancel: Cancel) -> None:
        self.sent_bytes = 0
        self.asked = False
        self.failure: BBjDesktopError | None = None
        self.failed = Cancel()
        self.manifest = manifest.to_bytes()
        self.blobs = dict(blobs)
        self.namespace = f"{_NAMESPACE}{secrets.token_hex(16)}"
        self.closing = Cancel()
        self._forget = cancel.on_cancel(self.closing.cancel)
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="loopback-registry", daemon=True
        )

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def name(self) -> str:
        return f"{self.host}/{self.namespace}/model:pulled"

    def count(self, sent: int) -> None:
        with self._lock:
            self.sent_bytes += sent

    def give_up(self, error: BBjDesktopError) -> None:
        with self._lock:
            self.failure = self.failure or error
        self.failed.cancel()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        self.closing.cancel()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def left_over(name: str) -> int | None:
    """The port in a name that such a registry gave to a model; None for every other name."""
    match = _OURS.fullmatch(name)
    return int(match.group(1)) if match else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, registry: LoopbackRegistry) -> None:
        self.registry = registry
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ollama went away, or the reading was ended: whoever asked for the pull is told by other means."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE_S
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Requests are nobody's business here."""

    def version_string(self) -> str:
        return "registry"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        registry = self.server.registry
        base = f"/v2/{registry.namespace}/model/"
        if self.headers.get("Host") != registry.host or not self.path.startswith(base):
            return self._empty(HTTPStatus.NOT_FOUND)
        registry.asked = True
        what = self.path.removeprefix(base)
        if what == "manifests/pulled":
            return self._whole(registry.manifest)
        kind, _, digest = what.partition("/")
        blob = registry.blobs.get(digest)
        if kind not in {"blobs", "data"} or blob is None:
            return self._empty(HTTPStatus.NOT_FOUND)
        if self.command == "HEAD":
            return self._empty(HTTPStatus.OK, blob.length_bytes)
        if kind == "blobs":  # Ollama wants to be told the place, even with a 200
            return self._empty(HTTPStatus.OK, location=f"http://{registry.host}{base}data/{digest}")
        return self._range(blob)

    def _empty(self, status: HTTPStatus, length: int = 0, *, location: str = "") -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _whole(self, content: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", MANIFEST_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _range(self, blob: Blob) -> None:
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2] or blob.length_bytes), blob.length_bytes - 1) if asked else blob.length_bytes - 1
        if first > last:
            return self._empty(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        self.send_response(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{blob.length_bytes}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        return self._send(blob, first, last - first + 1)

    def _send(self, blob: Blob, offset: int, length: int) -> None:
        registry = self.server.registry
        self.close_connection = True  # whatever ends the sending: no half answer is taken for a whole one
        try:
            with closing(blob.read(offset, length, registry.closing)) as pieces:
                for piece in pieces:
                    self.wfile.write(piece)
                    registry.count(len(piece))
        except Cancelled:
            return
        except BBjDesktopError as error:
            registry.give_up(error)
            return
        self.close_connection = False
