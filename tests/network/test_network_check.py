"""Each reason why a registry can't be reached is told apart from the others, against real servers on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.services.network_check import Certificate, Verdict, hosts_of, interpret, observe, proxy_for
from tests.fakes.certificates import Authority
from tests.fakes.release_server import Fault, ReleaseServer
from tests.fakes.tunnel import Tunnels, tunnels

SIGNED = {"metadata/timestamp.json": b'{"signatures": [], "signed": {}}'}
PAGE = b"<!DOCTYPE html><html><title>Welcome to the guest network</title></html>"
PATH = "metadata/timestamp.json"
NETWORK = Network(proxy=DIRECT, connect_timeout_s=2)


class Servers:
    """Starts servers, and stops them at the end."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder

    def plain(self, files: Mapping[str, bytes] = SIGNED) -> ReleaseServer:
        return self._stack.enter_context(ReleaseServer(files))

    def encrypted(self, authority: Authority, **certificate: object) -> ReleaseServer:
        return self._stack.enter_context(ReleaseServer(SIGNED, tls=authority.server(**certificate)))  # type: ignore[arg-type]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack, tmp_path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "Überwachung GmbH Proxy CA")


@pytest.fixture
def proxy() -> Iterator[Tunnels]:
    with tunnels() as proxy:
        yield proxy


def look(address: str, network: Network = NETWORK, *, clock: timedelta = timedelta()) -> tuple[Verdict, ...]:
    """What is said about an address, by a machine whose clock is off by ``clock``."""
    seen = observe(address, network, datetime.now(UTC) + clock)
    assert seen is not None
    return interpret(seen)


def only(verdicts: tuple[Verdict, ...]) -> Verdict:
    (verdict,) = verdicts
    return verdict


def test_a_server_that_answers_is_fine(servers: Servers) -> None:
    verdict = only(look(servers.plain().address))
    assert verdict.state == "ok"
    assert "not encrypted" in verdict.text


def test_of_an_encrypted_way_the_issuer_is_named(servers: Servers, authority: Authority) -> None:
    network = Network(proxy=DIRECT, ca_file=authority.file)
    verdict = only(look(servers.encrypted(authority).address, network))
    assert verdict.state == "ok"
    assert "Überwachung GmbH Proxy CA" in verdict.text


def test_dns_that_does_not_know_the_name() -> None:
    verdict = only(look("https://registry.invalid/bbj"))
    assert verdict.state == "error"
    assert verdict.text == "DNS: the name registry.invalid isn't known here."


def test_dns_that_does_not_know_the_proxy() -> None:
    network = Network(proxy="http://user:secret@proxy.invalid:3128")
    verdict = only(look("https://registry.invalid/bbj", network))
    assert verdict.text == "DNS: the proxy's name proxy.invalid isn't known here."


def test_nothing_listens_there() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    verdict = only(look(f"https://127.0.0.1:{port}"))
    assert verdict.text.startswith(f"127.0.0.1:{port} can't be reached")
    assert f"allow 127.0.0.1:{port}" in verdict.hint


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses(proxy: Tunnels, status: int) -> None:
    proxy.refusal = status
    verdict = only(look("https://registry.invalid/bbj", Network(proxy=proxy.address)))
    assert verdict.text.startswith("Proxy: ")
    assert str(status) in verdict.text
    assert "registry.invalid:443" in verdict.hint


def test_a_proxy_that_opens_the_way_is_named(servers: Servers, authority: Authority, proxy: Tunnels) -> None:
    network = Network(proxy=proxy.address, no_proxy=(), ca_file=authority.file)
    server = servers.encrypted(authority)
    through, fine = look(server.address, network)
    assert proxy.address.removeprefix("http://") in through.text
    assert fine.state == "ok"
    assert proxy.asked == [f"127.0.0.1:{server.port}"]


def test_the_secrets_of_a_proxy_are_not_shown(proxy: Tunnels) -> None:
    proxy.refusal = 407
    address = proxy.address.replace("//", "//user:secret@")
    verdict = only(look("https://registry.invalid/bbj", Network(proxy=address)))
    assert "secret" not in verdict.text + verdict.hint


def test_intercepted_tls_names_the_issuer(servers: Servers, authority: Authority) -> None:
    verdict = only(look(servers.encrypted(authority).address))
    assert verdict.text.startswith("TLS: ")
    assert '"Überwachung GmbH Proxy CA"' in verdict.text
    assert "--ca-file" in verdict.hint


def test_a_certificate_of_another_server(servers: Servers, authority: Authority) -> None:
    network = Network(proxy=DIRECT, ca_file=authority.file)
    verdict = only(look(servers.encrypted(authority, address="127.0.0.9").address, network))
    assert "another server answers in the place of 127.0.0.1" in verdict.text
    assert "log in" in verdict.hint


def test_a_server_that_wants_to_see_a_certificate(servers: Servers, authority: Authority) -> None:
    network = Network(proxy=DIRECT, ca_file=authority.file)
    server = servers.encrypted(authority, clients=True)
    verdict = only(look(server.address, network))
    assert verdict.text.startswith("TLS: ")
    assert "--client-certificate" in verdict.hint
    shown = network.model_copy(update={"client_certificate": authority.client()})
    assert only(look(server.address, shown)).state == "ok"


def test_a_clock_that_is_behind_the_certificate(servers: Servers, authority: Authority) -> None:
    """The other way round, which is the same: the certificate begins tomorrow, and the server says that it is then."""
    network = Network(proxy=DIRECT, ca_file=authority.file)
    server = servers.encrypted(authority, begins_in=timedelta(days=1))
    later = {"Date": format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)}
    server.files = {}
    server.script(PATH, Fault(status=404, headers=later))
    verdict = only(look(server.address, network))
    assert verdict.text.startswith("Clock: this machine's clock says")
    assert verdict.hint.startswith("Set the clock")


def test_a_certificate_that_has_expired_while_both_clocks_agree(servers: Servers, authority: Authority) -> None:
    network = Network(proxy=DIRECT, ca_file=authority.file)
    verdict = only(look(servers.encrypted(authority, begins_in=timedelta(days=-60)).address, network))
    assert verdict.text.startswith("TLS: the certificate of 127.0.0.1")
    assert verdict.hint == "Tell who runs the server."


@pytest.mark.parametrize(
    ("clock", "text"),
    [
        (timedelta(hours=3), "3.0 hours ahead of"),
        (timedelta(minutes=-20), "20 minutes behind"),
        (timedelta(days=-400), "400 days behind"),
    ],
)
def test_a_clock_that_is_off(servers: Servers, clock: timedelta, text: str) -> None:
    warning, fine = look(servers.plain().address, clock=clock)
    assert (warning.state, fine.state) == ("warning", "ok")
    assert warning.text.startswith("Clock: ")
    assert text in warning.text


def test_a_clock_that_is_a_little_off_is_no_matter(servers: Servers) -> None:
    assert only(look(servers.plain().address, clock=timedelta(minutes=4))).state == "ok"


def test_an_answer_of_a_cache_says_nothing_about_the_clock(servers: Servers) -> None:
    server = servers.plain()
    old = format_datetime(datetime.now(UTC) - timedelta(days=3), usegmt=True)
    server.script(PATH, Fault(status=404, headers={"Date": old, "Age": "259200"}))
    assert only(look(server.address)).state == "ok"


def test_a_page_in_the_registrys_place_is_a_login_page(servers: Servers) -> None:
    verdict = only(look(servers.plain({PATH: PAGE}).address))
    assert verdict.text.startswith("Login page: ")
    assert "in a browser" in verdict.hint


def test_a_redirect_to_a_page_elsewhere_is_a_login_page(servers: Servers) -> None:
    server, portal = servers.plain(), servers.plain({"login": PAGE})
    server.script(PATH, Fault(redirect=f"{portal.address}/login"))
    assert f"a web page of 127.0.0.1:{portal.port}" in only(look(server.address)).text


def test_a_network_that_says_that_it_wants_a_login(servers: Servers) -> None:
    server = servers.plain()
    server.script(PATH, Fault(status=511))
    assert only(look(server.address)).text.startswith("Login page: ")


def test_a_redirect_to_the_document_elsewhere_is_fine(servers: Servers) -> None:
    server, other = servers.plain(), servers.plain()
    server.script(PATH, Fault(redirect=f"{other.address}/{PATH}"))
    seen = observe(server.address, NETWORK, datetime.now(UTC))
    assert seen is not None
    assert only(interpret(seen)).state == "ok"
    assert seen.hosts == (f"127.0.0.1:{server.port}", f"127.0.0.1:{other.port}")


def test_an_error_of_the_server_is_not_the_networks(servers: Servers) -> None:
    server = servers.plain()
    server.script(PATH, Fault(status=503))
    assert only(look(server.address)).state == "ok"


def test_no_credential_is_sent(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_TOKEN", "secret")
    server = servers.plain()
    look(server.address.replace("//", "//user:secret@"))
    assert [request.headers.get("authorization") for request in server.requests] == [None]


def test_a_folder_needs_no_network(tmp_path: Path) -> None:
    assert observe(str(tmp_path), NETWORK, datetime.now(UTC)) is None
    assert hosts_of(tmp_path.as_uri()) == ()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://models.example.org/bbj", "models.example.org:443"),
        ("http://models.example.org:8080", "models.example.org:8080"),
        ("https://[2001:db8::1]/", "[2001:db8::1]:443"),
        ("hf://basis/bbj-coder@v1", "huggingface.co:443"),
    ],
)
def test_the_host_to_allow_is_known_without_asking(address: str, host: str) -> None:
    assert hosts_of(address) == (host,)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("models.example.org", None),
        ("deep.models.example.org", None),
        ("localhost", None),
        ("badexample.org", "http://proxy:3128"),
        ("other.example.com", "http://proxy:3128"),
    ],
)
def test_exceptions_from_a_named_proxy(host: str, expected: str | None) -> None:
    network = Network(proxy="http://proxy:3128", no_proxy=("localhost", ".example.org"))
    assert proxy_for(httpx.URL(f"https://{host}/"), network) == expected


def test_the_environments_proxy_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "proxy.example.org:8080")
    monkeypatch.setenv("no_proxy", "direct.example.org")
    assert proxy_for(httpx.URL("https://models.example.org/"), Network()) == "http://proxy.example.org:8080"
    assert proxy_for(httpx.URL("https://direct.example.org/"), Network()) is None


@pytest.mark.parametrize(
    ("host", "covered"),
    [("a.example.org", True), ("A.EXAMPLE.ORG", True), ("example.org", False), ("b.a.example.org", False)],
)
def test_a_certificate_for_a_whole_domain(host: str, *, covered: bool) -> None:
    now = datetime.now(UTC)
    assert Certificate("CA", now, now, ("*.example.org",)).covers(host) is covered
