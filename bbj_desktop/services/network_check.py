"""Why a registry can't be reached: DNS, proxy, intercepted TLS, clock or the login page of a network, told apart.

``observe`` asks once and writes down what happened; ``interpret`` says what it means. No credential is sent, and what
comes is looked at only: nothing here decides what is trusted.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from cryptography import x509
from cryptography.x509.oid import NameOID

from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.services.registry.layout import TIMESTAMP
from bbj_desktop.services.transfer.credentials import HUB_SCHEME, hub_endpoint
from bbj_desktop.services.transfer.failures import FOREIGN, translate, wants_certificate
from bbj_desktop.services.transfer.hub import HubAddress
from bbj_desktop.services.transfer.web import make_client, tls_context

CLOCK_TOLERANCE = timedelta(minutes=5)
_LOOKED_AT = 512  # bytes of an answer: enough to tell a web page from a signed document

State = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server's certificate says.

    Attributes:
        issuer: Common name, or organisation, of the authority that signed it.
        begins: First moment of its validity, UTC.
        ends: Last moment, UTC.
        names: Hosts that it is for; ``*.example.org`` stands for one part more.
    """

    issuer: str
    begins: datetime
    ends: datetime
    names: tuple[str, ...] = ()

    def holds_at(self, moment: datetime) -> bool:
        return self.begins <= moment <= self.ends

    def covers(self, host: str) -> bool:
        wildcard = f"*.{host.partition('.')[2]}"
        return any(name.lower() in {host.lower(), wildcard.lower()} for name in self.names)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came in answer to the request for a small signed document.

    Attributes:
        status: HTTP status.
        date: The server's clock, UTC; None when it doesn't say, or a cache answered.
        page: It is a web page.
    """

    status: int
    date: datetime | None
    page: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a registry's server.

    Attributes:
        host: ``host:port`` of the registry.
        asked_at: This machine's clock, UTC.
        proxy: ``host:port`` of the proxy on the way; empty for none.
        unknown_name: The host that DNS doesn't know: the proxy's or the registry's.
        failure: Why there was no answer, a sentence.
        wants_certificate: The server hung up because it was shown no client certificate.
        distrust: Why its certificate isn't trusted; empty when it is.
        certificate: What it showed, trusted or not; None on an unencrypted way.
        answer: What came; from a server that isn't trusted, too.
        hosts: ``host:port`` of every server that was asked, redirects included.
    """

    host: str
    asked_at: datetime
    proxy: str = ""
    unknown_name: str = ""
    failure: str = ""
    wants_certificate: bool = False
    distrust: str = ""
    certificate: Certificate | None = None
    answer: Answer | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that an observation means, with what to do."""

    state: State
    text: str
    hint: str = ""


def interpret(seen: Observation) -> tuple[Verdict, ...]:
    """What an observation means, the way first."""
    verdicts = [Verdict("ok", f"{seen.host} is reached through the proxy {seen.proxy}")] if seen.proxy else []
    if seen.unknown_name:
        return (_unknown_name(seen),)
    if seen.failure:
        return (_no_way(seen),)
    if seen.distrust:
        return (*verdicts, _distrusted(seen))
    if seen.answer is None:
        return tuple(verdicts)
    if _is_login_page(seen):
        return (*verdicts, _login_page(seen))
    return (*verdicts, *_clock(seen), _fine(seen))


def _unknown_name(seen: Observation) -> Verdict:
    if seen.proxy:
        return Verdict(
            "error",
            f"DNS: the proxy's name {seen.unknown_name} isn't known here.",
            "Correct the proxy in the settings or in HTTPS_PROXY; --proxy direct goes without.",
        )
    return Verdict(
        "error",
        f"DNS: the name {seen.unknown_name} isn't known here.",
        "Check its spelling and the network. Where only a proxy reaches the internet, name it: --proxy "
        "http://host:port",
    )


def _no_way(seen: Observation) -> Verdict:
    if seen.wants_certificate:
        return Verdict(
            "error",
            f"TLS: {seen.host} lets in only who shows a certificate.",
            "Ask whoever runs it for one, and name its PEM file: --client-certificate FILE",
        )
    way = f"Proxy: {seen.proxy} gives no way to {seen.host}" if seen.proxy else f"{seen.host} can't be reached"
    ask = f"Ask whoever runs {'the proxy' if seen.proxy else 'the firewall'} to allow {seen.host}."
    return Verdict("error", f"{way}: {seen.failure}", ask)


def _distrusted(seen: Observation) -> Verdict:
    shown = seen.certificate
    if shown is None:
        return Verdict("error", f"TLS: the certificate of {seen.host} isn't trusted: {seen.distrust}.")
    if not shown.holds_at(seen.asked_at):
        return _out_of_date(seen, shown)
    if not shown.covers(seen.host.rpartition(":")[0].strip("[]")):
        return Verdict(
            "error",
            f"TLS: another server answers in the place of {seen.host} (its certificate is from {shown.issuer}).",
            "If this network has a login page, open a browser and log in. Else tell who runs the network.",
        )
    return Verdict(
        "error",
        f'TLS: the certificate of {seen.host} is from "{shown.issuer}", which this machine doesn\'t trust. A proxy or '
        "a security program opens encrypted connections, or the server has an authority of its own.",
        "Ask your administrator for that authority's certificate, and name its PEM file: --ca-file FILE",
    )


def _out_of_date(seen: Observation, shown: Certificate) -> Verdict:
    """A certificate that is valid at another time: the clock is wrong, or it is really out of date."""
    says = f"this machine's clock says {seen.asked_at:%Y-%m-%d %H:%M} UTC"
    span = f"the certificate of {seen.host} is valid from {shown.begins:%Y-%m-%d} to {shown.ends:%Y-%m-%d}"
    theirs = seen.answer.date if seen.answer else None
    if theirs is not None and not shown.holds_at(theirs):
        return Verdict("error", f"TLS: {span}, {says}, and so does the server's.", "Tell who runs the server.")
    return Verdict("error", f"Clock: {says}, but {span}.", "Set the clock. If it is right, tell who runs the server.")


def _is_login_page(seen: Observation) -> bool:
    answer = seen.answer
    if answer is None:
        return False
    if answer.status == httpx.codes.NETWORK_AUTHENTICATION_REQUIRED:
        return True
    return answer.page and (answer.status == httpx.codes.OK or len(set(seen.hosts)) > 1)


def _login_page(seen: Observation) -> Verdict:
    place = seen.hosts[-1] if seen.hosts else seen.host
    return Verdict(
        "error",
        f"Login page: a web page of {place} comes instead of the registry's {TIMESTAMP}.",
        "This network wants you to log in or to agree first: open any page in a browser, then try again. Otherwise "
        f"{'the proxy' if seen.proxy else 'something on the way'} blocks {seen.host}, or the address isn't a "
        "registry's.",
    )


def _clock(seen: Observation) -> Iterator[Verdict]:
    theirs = seen.answer.date if seen.answer else None
    if theirs is None or abs(seen.asked_at - theirs) <= CLOCK_TOLERANCE:
        return
    ahead = seen.asked_at > theirs
    yield Verdict(
        "warning",
        f"Clock: this machine's is {_span(abs(seen.asked_at - theirs))} {'ahead of' if ahead else 'behind'} that of "
        f"{seen.host}.",
        "Set the clock: signatures and certificates are valid for a time only.",
    )


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    if hours >= 48:  # noqa: PLR2004 - two days
        return f"{hours / 24:.0f} days"
    return f"{hours:.1f} hours" if hours >= 1 else f"{span.total_seconds() / 60:.0f} minutes"


def _fine(seen: Observation) -> Verdict:
    how = f'encrypted, certificate from "{seen.certificate.issuer}"' if seen.certificate else "not encrypted"
    return Verdict("ok", f"{seen.host} answers ({how})")


def observe(address: str, network: Network, now: datetime) -> Observation | None:
    """Asks a registry's server for its timestamp, once.

    Args:
        address: The registry's.
        network: How to reach it.
        now: This machine's clock, UTC.

    Returns:
        What happened; None for a folder.

    Raises:
        UserInputError: The network settings name a file that can't be used.
    """
    url = _timestamp_url(address)
    if url is None:
        return None
    proxy = proxy_for(url, network)
    seen = Observation(host=_host_and_port(url), asked_at=now, proxy=_host_and_port(httpx.URL(proxy)) if proxy else "")
    asked_first = httpx.URL(proxy).host if proxy else url.host
    try:
        socket.getaddrinfo(asked_first, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return replace(seen, unknown_name=asked_first)
    return _ask(url, network, seen)


def _timestamp_url(address: str) -> httpx.URL | None:
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme == HUB_SCHEME.partition(":")[0]:
        place = HubAddress.read(address)
        return httpx.URL(f"{place.url(hub_endpoint())}/{TIMESTAMP}")
    if scheme not in {"http", "https"}:
        return None
    return httpx.URL(f"{address.rstrip('/')}/{TIMESTAMP}").copy_with(username=None, password=None)


def proxy_for(url: httpx.URL, network: Network) -> str | None:
    """The proxy on the way to an address: the settings', else the environment's or the system's."""
    if network.proxy == DIRECT:
        return None
    if network.proxy is not None:
        bare = (host.strip().lstrip("*").lstrip(".") for host in network.no_proxy)
        return None if any(url.host == host or url.host.endswith(f".{host}") for host in bare) else network.proxy
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(url.host):
        return None
    return found if "://" in found else f"http://{found}"


def _host_and_port(url: httpx.URL) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def hosts_of(address: str) -> tuple[str, ...]:
    """The servers that an address names by itself, without asking anybody; none for a folder."""
    url = _timestamp_url(address)
    return () if url is None else (_host_and_port(url),)


def _ask(url: httpx.URL, network: Network, seen: Observation) -> Observation:
    try:
        return _look(url, network, tls_context(network), seen)
    except FOREIGN as error:
        distrust = _distrust(error)
        if distrust is None:
            wanted = wants_certificate(error)
            return replace(seen, failure=_reason(error, seen), wants_certificate=wanted, hosts=(seen.host,))
        seen = replace(seen, distrust=distrust.verify_message or distrust.reason or "unknown")
        with suppress(*FOREIGN):
            return _look(url, network, _trusting_all(), seen)
        return seen


def _look(url: httpx.URL, network: Network, context: ssl.SSLContext, seen: Observation) -> Observation:
    """Follows redirects to the end, and looks at the beginning of what is there."""
    hosts: list[str] = []
    with make_client(network, context) as client:
        for _ in range(network.max_redirects + 1):
            hosts.append(_host_and_port(url))
            with client.stream("GET", url, follow_redirects=False) as response:
                seen = replace(seen, certificate=seen.certificate or _certificate(response), hosts=tuple(hosts))
                target = response.headers.get("location") if response.has_redirect_location else None
                if target is None or urlsplit(target).scheme not in {"", "http", "https"}:
                    return replace(seen, answer=_answer(response))
                url = url.join(target)
    return replace(seen, failure="it redirects again and again.")


def _answer(response: httpx.Response) -> Answer:
    begin = b""
    for piece in response.iter_raw():
        begin += piece
        if len(begin) >= _LOOKED_AT:
            break
    kind = response.headers.get("content-type", "").lower()
    page = begin.lstrip()[:1] == b"<" or (kind.startswith("text/html") and begin.lstrip()[:1] != b"{")
    return Answer(status=response.status_code, date=_date(response.headers), page=page)


def _date(headers: httpx.Headers) -> datetime | None:
    if "age" in headers:  # a cache repeats an old answer
        return None
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else None


def _certificate(response: httpx.Response) -> Certificate | None:
    shown = response.extensions["network_stream"].get_extra_info("ssl_object")
    encoded = shown.getpeercert(True) if shown is not None else None
    if not encoded:
        return None
    try:
        certificate = x509.load_der_x509_certificate(encoded)
        names = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
        names = names or certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        issuer = str(names[0].value) if names else "an authority without a name"
        hosts = _names(certificate)
    except ValueError:
        return None
    printable = "".join(sign for sign in issuer if sign.isprintable())
    return Certificate(printable[:100], certificate.not_valid_before_utc, certificate.not_valid_after_utc, hosts)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def _distrust(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The failed verification behind an exception; httpx and httpcore wrap it."""
    for _ in range(8):
        if error is None or isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _trusting_all() -> ssl.SSLContext:
    """For a look at a certificate that has just been refused, and at nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: Exception, seen: Observation) -> str:
    ours = translate(error, seen.host)
    if isinstance(error, httpx.ProxyError):
        return f"it says {error}."
    return ours.message
