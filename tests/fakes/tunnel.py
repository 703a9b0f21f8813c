"""A proxy for encrypted connections: it opens tunnels (``CONNECT``), or refuses to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast


class Tunnels(ThreadingHTTPServer):
    """Attributes:
    refusal: Status to answer instead of opening a tunnel; None opens it.
    asked: Every ``host:port`` that a tunnel was wanted to.
    """

    daemon_threads = True
    block_on_close = False
    refusal: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up."""


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Stays silent."""

    def do_CONNECT(self) -> None:
        owner = cast("Tunnels", self.server)
        owner.asked.append(self.path)
        if owner.refusal is not None:
            self.send_error(owner.refusal)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as far:
            self.send_response(200)
            self.end_headers()
            threading.Thread(target=_pass_on, args=(far, self.connection), daemon=True).start()
            _pass_on(self.connection, far)
        self.close_connection = True


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def tunnels() -> Iterator[Tunnels]:
    server = Tunnels()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
