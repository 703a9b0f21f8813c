"""The ways to a server: TLS, a company's own certificates, proxies."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from bbj_desktop.core.errors import Cancelled, ConnectError, ServerError, TransportError, UserInputError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.certificates import loopback_tls
from tests.fakes.release_server import Fault, ReleaseServer

CONTENT = bytes(5000)


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[ReleaseServer, Path]]:
    context, authority = loopback_tls(tmp_path)
    with ReleaseServer({"file": CONTENT}, tls=context) as server:
        yield server, authority


def read(address: str, network: Network, cancel: Cancel | None = None) -> bytes:
    source = open_source(address, network)
    try:
        return source.read("file", limit_bytes=10_000, cancel=cancel or Cancel())
    finally:
        source.close()


def test_a_certificate_of_a_named_authority_is_trusted(encrypted: tuple[ReleaseServer, Path]) -> None:
    server, authority = encrypted
    assert read(server.address, Network(proxy=DIRECT, ca_file=authority)) == CONTENT


def test_an_unknown_certificate_is_refused_with_a_hint(encrypted: tuple[ReleaseServer, Path]) -> None:
    server, _ = encrypted
    with pytest.raises(ConnectError) as caught:
        read(server.address, Network(proxy=DIRECT))
    assert "certificate" in caught.value.hint


def test_a_file_that_holds_no_certificate_is_refused(encrypted: tuple[ReleaseServer, Path], tmp_path: Path) -> None:
    server, _ = encrypted
    (tmp_path / "no certificate.pem").write_text("hello")
    with pytest.raises(UserInputError):
        read(server.address, Network(proxy=DIRECT, ca_file=tmp_path / "no certificate.pem"))


def test_a_redirect_from_https_to_http_is_refused(encrypted: tuple[ReleaseServer, Path]) -> None:
    server, authority = encrypted
    with ReleaseServer({"file": CONTENT}) as plain:
        server.script("file", Fault(redirect=f"{plain.address}/file"))
        with pytest.raises(ConnectError, match="isn't encrypted"):
            read(server.address, Network(proxy=DIRECT, ca_file=authority))
        assert plain.requests == []


def test_cancelling_wakes_an_encrypted_read_that_waits(encrypted: tuple[ReleaseServer, Path]) -> None:
    server, authority = encrypted
    server.script("file", Fault(stall_after=100))
    cancel = Cancel()
    threading.Timer(0.3, cancel.cancel).start()
    with pytest.raises(Cancelled):
        read(server.address, Network(proxy=DIRECT, ca_file=authority), cancel)


class _Proxy(BaseHTTPRequestHandler):
    """Forwards plain requests, and asks for a password where one is set."""

    seen: list[str]
    password: str | None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Stays silent."""

    def do_GET(self) -> None:
        self.seen.append(self.path)
        if self.password and self.headers.get("proxy-authorization", "") != self._expected():
            self.send_response(407)
            self.end_headers()
            return
        answer = httpx.get(self.path, trust_env=False)
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def _expected(self) -> str:
        return "Basic " + base64.b64encode(f"user:{self.password}".encode()).decode()


class Proxy:
    def __init__(self, password: str | None = None) -> None:
        self.seen: list[str] = []
        handler = type("Handler", (_Proxy,), {"seen": self.seen, "password": password})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer({"file": CONTENT}) as server:
        yield server


def test_a_named_proxy_is_used(server: ReleaseServer, proxy: Proxy) -> None:
    assert read(server.address, Network(proxy=proxy.address, no_proxy=())) == CONTENT
    assert proxy.seen == [f"{server.address}/file"]


def test_exceptions_go_directly(server: ReleaseServer, proxy: Proxy) -> None:
    assert read(server.address, Network(proxy=proxy.address)) == CONTENT
    assert proxy.seen == []


def test_the_environments_proxy_is_used(server: ReleaseServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.address)
    assert read(server.address, Network()) == CONTENT
    assert proxy.seen == [f"{server.address}/file"]


def test_direct_overrules_the_environment(server: ReleaseServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy.address)
    assert read(server.address, Network(proxy=DIRECT)) == CONTENT
    assert proxy.seen == []


def test_a_proxy_that_asks_for_a_password_is_told_apart(server: ReleaseServer) -> None:
    proxy = Proxy("secret")
    with pytest.raises(ServerError, match="407") as caught:
        read(server.address, Network(proxy=proxy.address, no_proxy=()))
    assert "proxy" in caught.value.hint
    with_password = proxy.address.replace("//", "//user:secret@")
    assert read(server.address, Network(proxy=with_password, no_proxy=())) == CONTENT
    proxy.close()


def test_a_proxy_that_is_not_there_is_no_connection(server: ReleaseServer) -> None:
    proxy = Proxy()
    proxy.close()
    with pytest.raises(TransportError):
        read(server.address, Network(proxy=proxy.address, no_proxy=()))
    assert server.requests == []


@pytest.mark.parametrize("value", ["proxy:3128", "socks5://host:1", "http://", "yes"])
def test_a_proxy_that_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="a proxy is"):
        Network(proxy=value)
