"""What listens where Ollama should, and isn't it: said to be that, and never started over."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bbj_desktop.core.errors import EngineRefusedError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_starting import OllamaStarter
from tests.fakes.certificates import loopback_tls
from tests.fakes.ollama import FakeOllama


class _Website(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = b"<html><body><h1>Welcome</h1></body></html>"
        self.send_response(200 if self.path == "/ollama/api/version" else 404)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@contextmanager
def a_website() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Website) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextmanager
def a_greeting() -> Iterator[str]:
    """As SSH or a mail server: speaks first, and no HTTP."""

    def greet() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            with closing(connection):
                connection.sendall(b"SSH-2.0-stand-in\r\n")
                connection.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextmanager
def silence() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def reason(address: str) -> str:
    runtime = OllamaRuntime(address)
    status = runtime.status()
    runtime.close()
    assert not status.available
    return status.reason


@pytest.mark.parametrize(
    ("other", "path", "words"),
    [
        (a_website, "", "isn't Ollama: it tells no version (HTTP 404)"),
        (a_website, "/ollama", "isn't Ollama: it tells no version (HTTP 200)"),
        (a_greeting, "", "doesn't speak as Ollama does"),
        (silence, "", "says nothing for 1.5 s"),
    ],
)
def test_something_else_is_said_to_be_that(
    other: Callable[[], AbstractContextManager[str]], path: str, words: str
) -> None:
    with other() as address:
        said = reason(address + path)
    assert words in said
    assert "another program uses that port" in said
    assert "<html>" not in said


def test_nothing_is_started_where_something_else_listens(tmp_path: Path) -> None:
    starter = OllamaStarter(tmp_path / "state", tmp_path / "logs")
    with a_website() as address, pytest.raises(EngineRefusedError, match=r"answers at .* already"):
        starter.start(tmp_path / "ollama", address, silent, Cancel())


def test_a_certificate_that_nobody_vouches_for_is_said(tmp_path: Path) -> None:
    tls, _ = loopback_tls(tmp_path)
    with FakeOllama(tls=tls) as server:
        said = reason(server.address)
    assert "isn't trusted" in said
    assert "ca_file" in said


def test_https_where_http_is_spoken_is_said() -> None:
    with FakeOllama() as server:
        assert "write http://" in reason(server.address.replace("http:", "https:"))
        server.problems.clear()
