"""A small real web server for static files, with faults on demand.

It serves a folder or a mapping on a loopback port, with HEAD, ``Range``, ``If-Range`` and strong ETags, and records
every request. ``script(path, fault, …)`` queues faults: each request for that path takes the next one, and when none is
left the server behaves. A fault is a small value; the server below interprets it.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
import socket
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    Attributes:
        status: Answer with this status and no content.
        headers: Added to the head, replacing headers of the same name.
        drop_after: Close the connection after so many bytes of content.
        stall_after: Send so many bytes of content, then nothing while the client waits.
        flip: Change the byte at this offset of the file.
        shift: Send a range that begins so many bytes later than asked, and say so.
        no_range: Answer the whole file with 200.
        no_length: Don't tell the length; the end of the connection ends the content.
        endless: Content without end.
        gzipped: Compressed content, and say so.
        rate_bytes_per_s: Send no faster than this.
        redirect: Answer 302 to this address.
        content: Serve this instead, with its own ETag: the object has changed.
        silent_s: Wait so long before the answer's head.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    stall_after: int | None = None
    flip: int | None = None
    shift: int = 0
    no_range: bool = False
    no_length: bool = False
    endless: bool = False
    gzipped: bool = False
    rate_bytes_per_s: float | None = None
    redirect: str | None = None
    content: bytes | None = None
    silent_s: float = 0.0


@dataclass
class Request:
    """One request as it came, and how many bytes of content were sent in answer."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent_bytes: int = 0

    @property
    def range(self) -> tuple[int, int | None] | None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        return (int(found[1]), int(found[2]) if found[2] else None) if found else None


class ReleaseServer:
    """Serves ``files`` at ``address`` from construction to ``close``; a context manager.

    Args:
        files: A folder, or contents by path (``"blobs/a"``, no leading slash).
        always: A fault for every request that no script names.
        tls: Speak https with this context.

    Attributes:
        files: May be changed while it runs, when it is a mapping.
        requests: Every request so far.
    """

    def __init__(
        self,
        files: Path | Mapping[str, bytes],
        *,
        always: Fault | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.files = files
        self.always = always
        self.requests: list[Request] = []
        self._scripts: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._scheme = "https" if tls else "http"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def forget(self, path: str) -> None:
        """Takes back what is scripted for a path and hasn't happened."""
        with self._lock:
            self._scripts.pop(path, None)

    def script(self, path: str, *faults: Fault) -> None:
        """Queues faults for the next requests of ``path`` (``*`` stands for any path)."""
        with self._lock:
            self._scripts[path].extend(faults)

    def next_fault(self, path: str) -> Fault:
        with self._lock:
            for name in (path, "*"):
                if self._scripts[name]:
                    return self._scripts[name].popleft()
        return self.always or Fault()

    def record(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def content(self, path: str) -> bytes | None:
        if not isinstance(self.files, Path):
            return self.files.get(path)
        file = self.files.joinpath(*path.split("/"))
        return _content_of(file, file.stat().st_mtime_ns) if file.is_file() and ".." not in path.split("/") else None

    @property
    def connections(self) -> int:
        """Connections that were ever opened."""
        return self._server.accepted

    @property
    def open_connections(self) -> int:
        return self._server.open_count

    def drop_connections(self) -> None:
        """Hangs up on everyone."""
        self._server.end_connections()

    def answer(self, handler: Handler, path: str) -> bool:
        """Lets a subclass answer a path of its own; True when it has."""
        del handler, path
        return False

    def sent_bytes(self, path: str | None = None) -> int:
        with self._lock:
            return sum(request.sent_bytes for request in self.requests if path in {None, request.path})

    def close(self) -> None:
        if self.closing.is_set():
            return
        self.closing.set()
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@functools.lru_cache(maxsize=32)
def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


@functools.lru_cache(maxsize=32)
def _content_of(file: Path, changed_ns: int) -> bytes:
    del changed_ns
    return file.read_bytes()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.accepted = 0
        self._open: set[socket.socket] = set()

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int] | str
    ) -> None:
        assert isinstance(request, socket.socket)
        self.accepted += 1
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        self._open.discard(request)
        super().shutdown_request(request)

    @property
    def open_count(self) -> int:
        return len(self._open)

    def end_connections(self) -> None:
        """Kept-alive connections would hold their threads, and clients, beyond the server's end."""
        for connection in list(self._open):
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up, that is what is tested here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else content waits up to 40 ms until the head is acknowledged
    owner: ReleaseServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Stays silent."""

    def do_GET(self) -> None:
        self._handle(send_content=True)

    def do_HEAD(self) -> None:
        self._handle(send_content=False)

    def _handle(self, *, send_content: bool) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        self.current = Request(self.command, path, {name.lower(): value for name, value in self.headers.items()})
        self.owner.record(self.current)
        fault = self.owner.next_fault(path)
        if fault.silent_s:
            self.owner.closing.wait(fault.silent_s)
        if fault.redirect is not None:
            self.head(302, {"Location": fault.redirect, "Content-Length": "0", **fault.headers})
        elif fault.status is not None:
            self.head(fault.status, {"Content-Length": "0", **fault.headers})
        elif not self.owner.answer(self, path):
            content = self.owner.content(path) if fault.content is None else fault.content
            if content is None:
                self.head(404, {"Content-Length": "0"})
            else:
                self._send_file(content, fault, send_content=send_content)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.current.status = status
        self.send_response_only(status)
        if "Date" not in headers:
            self.send_header("Date", self.date_time_string())
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_file(self, content: bytes, fault: Fault, *, send_content: bool) -> None:
        etag = etag_of(content)
        if fault.flip is not None:
            content = content[: fault.flip] + bytes([content[fault.flip] ^ 0x10]) + content[fault.flip + 1 :]
        if fault.gzipped:
            content = gzip.compress(content)
        headers = {"ETag": etag, "Accept-Ranges": "none" if fault.no_range else "bytes"}
        asked = None if fault.no_range or fault.gzipped else self.current.range
        if asked and self.current.headers.get("if-range", etag) != etag:
            asked = None
        if asked and asked[0] >= len(content):
            self.head(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
            return
        status, body = 200, memoryview(content)
        if asked:
            first = asked[0] + fault.shift
            last = len(content) - 1 if asked[1] is None else min(asked[1], len(content) - 1)
            status, body = 206, body[first : last + 1]
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        if fault.gzipped:
            headers["Content-Encoding"] = "gzip"
        if fault.no_length or fault.endless:
            headers["Connection"] = "close"
            self.close_connection = True
        else:
            headers["Content-Length"] = str(len(body))
        self.head(status, {**headers, **fault.headers})
        if send_content:
            self._send_content(body, fault)

    def _send_content(self, body: memoryview, fault: Fault) -> None:
        end = len(body) if fault.drop_after is None else min(fault.drop_after, len(body))
        end = end if fault.stall_after is None else min(fault.stall_after, end)
        piece_bytes = PIECE_BYTES
        if fault.rate_bytes_per_s is not None:
            piece_bytes = max(1, min(PIECE_BYTES, int(fault.rate_bytes_per_s / 20)))
        position = 0
        while position < end and not self.owner.closing.is_set():
            piece = body[position : min(position + piece_bytes, end)]
            self._send(piece)
            position += len(piece)
            if fault.rate_bytes_per_s is not None:
                time.sleep(len(piece) / fault.rate_bytes_per_s)
        if fault.stall_after is not None:
            self._wait_for_the_client()
        while fault.endless and not self.owner.closing.is_set():
            self._send(memoryview(bytes(PIECE_BYTES)))
        if fault.drop_after is not None or fault.stall_after is not None:
            self.close_connection = True

    def _send(self, piece: memoryview) -> None:
        self.wfile.write(piece)
        self.current.sent_bytes += len(piece)

    def _wait_for_the_client(self) -> None:
        """Until the client hangs up."""
        with suppress(OSError):
            self.connection.settimeout(60)
            self.connection.recv(1)


def _handler_of(server: ReleaseServer) -> type[Handler]:
    return type("Handler", (Handler,), {"owner": server})
