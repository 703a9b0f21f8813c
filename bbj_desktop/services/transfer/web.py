"""A registry on a web server: any static one that speaks HTTP/1.1, with ranges or without."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import truststore

import bbj_desktop
from bbj_desktop.core.errors import (
    ChangedError,
    ConnectError,
    MixAndMatchError,
    RangeError,
    ServerError,
    StalledError,
    UserInputError,
)
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.transfer.credentials import Finder
from bbj_desktop.services.transfer.failures import FOREIGN, check_status, translate
from bbj_desktop.services.transfer.source import parts_of

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_WHO_ARE_YOU = frozenset({401, 403})
_SMALL_BODY_BYTES = 64 * 1024  # a redirect's body up to this is read, so that the connection can be used again
_LARGE_BYTES = 16 * 1024 * 1024  # from here on it pays to read past httpx, although that costs the connection

_ASLEEP = 2.0  # times the stall time-out


class Line:
    """A client for one request at a time, which another thread can wake.

    A read that waits for bytes ends when the socket below it is shut down; httpcore tells through its trace extension
    which sockets it opened.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.woken = False
        self.overdue = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._note(info["return_value"].get_extra_info("socket"))

    def _note(self, opened: socket.socket) -> None:
        with self._lock:
            self._sockets = [known for known in self._sockets if known.fileno() >= 0]
            self._sockets.append(opened)
            woken = self.woken
        if woken:
            self.wake()

    def wake(self) -> None:
        with self._lock:
            self.woken = True
            for opened in self._sockets:
                with suppress(OSError):
                    # an SSLSocket's own shutdown would drop its TLS state while the other thread reads through it
                    socket.socket.shutdown(opened, socket.SHUT_RDWR)

    @contextmanager
    def wakes_after(self, seconds: float) -> Iterator[None]:
        """The time limit for an answer's head: httpx's own starts again with every byte."""
        timer = threading.Timer(seconds, self._too_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _too_late(self) -> None:
        self.overdue = True
        self.wake()


class _Pace:
    """Gives a transfer up that is slower than a least rate. Only time spent waiting for the server counts, and not that
    in which this process or machine slept: nothing waits that much longer than its time limit while awake."""

    def __init__(self, network: Network, what: str) -> None:
        self._network = network
        self._what = what
        self._waited_s = 0.0
        self._bytes = 0

    def add(self, waited_s: float, count: int) -> None:
        if waited_s > _ASLEEP * self._network.stall_timeout_s:
            self._waited_s, self._bytes = 0.0, 0
            return
        self._waited_s += waited_s
        self._bytes += count
        if self._waited_s < self._network.stall_timeout_s:
            return
        if self._bytes < self._waited_s * self._network.min_rate_bytes_per_s:
            raise StalledError(
                f"{self._what} sends only {self._bytes / self._waited_s:.0f} bytes a second.",
                hint="Check the network and try again.",
            )
        self._waited_s, self._bytes = 0.0, 0


class WebStream:
    """The answer to one request, see ``ByteStream``."""

    def __init__(
        self, response: httpx.Response, what: str, *, offset: int, length: int | None, pace: _Pace, guard: _Guard
    ) -> None:
        self.ranged = response.status_code == httpx.codes.PARTIAL_CONTENT
        self.offset, self.total_bytes = _extent(response, what, offset, length)
        etag = response.headers.get("etag", "")
        self.validator = etag if etag.startswith('"') else None
        self._pieces = response.iter_raw()
        self._rest = memoryview(b"")
        self._left = int(response.headers.get("content-length", -1))
        self._socket = _socket_of(response) if self._left >= _LARGE_BYTES else None
        self._bypassed = False
        self._pace = pace
        self._guard = guard

    def __iter__(self) -> Iterator[bytes]:
        while True:
            begun = time.monotonic()
            with self._guard():
                piece = next(self._pieces, None)
            if piece is None:
                return
            self._left -= len(piece)
            self._pace.add(time.monotonic() - begun, len(piece))
            yield piece

    def read_into(self, buffer: memoryview) -> int:
        """Fills a buffer with what comes next: at least one byte, 0 at the end. Not to be mixed with iterating.

        Most of a large answer goes from the socket into the buffer, past httpx and its parser, which copy each byte
        three times into memory that is new each time: that costs more than hashing it. What they have read beyond the
        head comes through them first. They don't see the end of such an answer, so its connection isn't used again.
        """
        begun = time.monotonic()
        with self._guard():
            count = self._receive(buffer) if self._bypassed else self._take(buffer)
        self._pace.add(time.monotonic() - begun, count)
        return count

    def _take(self, buffer: memoryview) -> int:
        if not self._rest:
            self._rest = memoryview(next(filter(None, self._pieces), b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._left -= count
        self._bypassed = self._socket is not None and not self._rest and self._left > 0
        return count

    def _receive(self, buffer: memoryview) -> int:
        if self._socket is None or self._left == 0:
            return 0
        count = self._socket.recv_into(buffer, min(len(buffer), self._left))
        if count == 0:
            raise httpx.RemoteProtocolError("the server hung up")
        self._left -= count
        return count

    def finish(self) -> None:
        """Lets an answer that was read to its last byte see its end: only then is its connection used again."""
        if self._left == 0 and not self._bypassed:
            for _ in self._pieces:
                pass


class _Guard:
    """Makes ``with guard():`` turn foreign exceptions into ours, or into Cancelled when that is why they came."""

    def __init__(self, line: Line, cancel: Cancel, what: str) -> None:
        self._line = line
        self._cancel = cancel
        self._what = what

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self._cancel.check()
        try:
            yield
        except FOREIGN as error:
            self._cancel.check()
            if self._line.overdue:
                raise StalledError(f"{self._what} doesn't answer in time.", hint="Try again later.") from error
            raise translate(error, self._what) from error
        self._cancel.check()


class WebSource:
    """One mirror of a registry on a web server.

    Args:
        address: ``http://`` or ``https://`` address of the folder. A user name and password in it go to that server
            only.
        network: How to reach it.
        login: Looks up who we are to that server; called once, when it first answers 401 or 403. The answer is sent to
            that server only, not to where it redirects.

    Attributes:
        address: Without credentials.
        hosts: The servers that were asked so far, redirects included, e.g. ``cdn.example.org:8443``.

    Raises:
        UserInputError: The address or the file of certificates can't be used.
    """

    def __init__(self, address: str, network: Network, *, login: Finder | None = None) -> None:
        self._base = _base(address)
        self.address = str(self._base.copy_with(username=None, password=None)).rstrip("/")
        self.hosts: set[str] = set()
        self._login = None if self._base.userinfo else login
        self._known_login: str | None = None
        self._network = network
        self._context: ssl.SSLContext | None = None
        self._idle: list[Line] = []
        self._lock = threading.Lock()

    def read(self, path: str, *, limit_bytes: int, cancel: Cancel) -> bytes:
        content = bytearray()
        with self._open(path, 0, None, None, cancel) as stream:
            for piece in stream:
                content += piece
                if len(content) > limit_bytes:
                    raise MixAndMatchError(
                        f"{self.address}/{path} is longer than the {limit_bytes} bytes that it may have."
                    )
        return bytes(content)

    @contextmanager
    def stream(
        self, path: str, *, offset: int = 0, length: int | None = None, validator: str | None = None, cancel: Cancel
    ) -> Iterator[WebStream]:
        with self._open(path, offset, length, validator, cancel) as stream:
            yield stream

    def close(self) -> None:
        with self._lock:
            lines, self._idle = self._idle, []
        for line in lines:
            line.client.close()

    @contextmanager
    def _open(
        self, path: str, offset: int, length: int | None, validator: str | None, cancel: Cancel
    ) -> Iterator[WebStream]:
        what = f"{self.address}/{path}"
        url = self._base.join("/".join(quote(part, safe="") for part in parts_of(path)))
        cancel.check()
        with self._lent(cancel) as line:
            guard = _Guard(line, cancel, what)
            with guard(), line.wakes_after(self._network.connect_timeout_s + self._network.stall_timeout_s):
                response = self._ask(line, url, _headers(offset, length, validator), what)
            try:
                self._check(response, what)
                _refuse_unusable(response, what, validator)
                pace = _Pace(self._network, what)
                stream = WebStream(response, what, offset=offset, length=length, pace=pace, guard=guard)
                yield stream
                with suppress(*FOREIGN):
                    stream.finish()
            finally:
                with suppress(*FOREIGN):
                    response.close()

    def _ask(self, line: Line, url: httpx.URL, headers: dict[str, str], what: str) -> httpx.Response:
        """Sends a request and follows its redirects; httpx's own way would hand https over to http."""
        for _ in range(self._network.max_redirects + 1):
            response = self._send_as_known(line, url, headers)
            if not response.has_redirect_location:
                return response
            drop(response)
            url = _redirected(url, response, what)
        raise ServerError(f"{what} is redirected again and again.", status=response.status_code)

    def _send_as_known(self, line: Line, url: httpx.URL, headers: dict[str, str]) -> httpx.Response:
        """Says who we are where we are asked for it; elsewhere, e.g. at a content network, never."""
        if _origin(url) != _origin(self._base):
            return self._send(line, url, headers)
        given = self._known_login
        response = self._send(line, url, headers, given)
        if given is not None or response.status_code not in _WHO_ARE_YOU:
            return response
        found = self._find_login()
        if found is None:
            return response
        drop(response)
        return self._send(line, url, headers, found)

    def _send(self, line: Line, url: httpx.URL, headers: dict[str, str], login: str | None = None) -> httpx.Response:
        self.hosts.add(url.netloc.decode("ascii"))
        headers = headers if login is None else {**headers, "authorization": login}
        request = line.client.build_request("GET", url, headers=headers, extensions={"trace": line.trace})
        return line.client.send(request, stream=True, follow_redirects=False)

    def _find_login(self) -> str | None:
        with self._lock:
            if self._login is not None:
                self._known_login, self._login = self._login(), None
            return self._known_login

    def _check(self, response: httpx.Response, what: str) -> None:
        """Accepts 200 and 206, as ``check_status``, and says how to log in."""
        if response.status_code == httpx.codes.UNAUTHORIZED and _origin(response.url) == _origin(self._base):
            raise self._refused(response, what)
        check_status(response, what)

    def _refused(self, response: httpx.Response, what: str) -> ServerError:
        """The error for a server that wants to know who we are, or knows and says no."""
        known = self._known_login is not None or self._base.userinfo
        return ServerError(
            f"{what} doesn't accept the credentials that are kept for it."
            if known
            else f"{what} is for those only who log in.",
            status=response.status_code,
            hint=f"Type: bbj-desktop registry login {self.address}",
        )

    @contextmanager
    def _lent(self, cancel: Cancel) -> Iterator[Line]:
        with self._lock:
            line = self._idle.pop() if self._idle else None
        line = line or self._new_line()
        forget = cancel.on_cancel(line.wake)
        try:
            yield line
        finally:
            forget()
            self._take_back(line)

    def _take_back(self, line: Line) -> None:
        if line.woken:
            line.client.close()
            return
        with self._lock:
            self._idle.append(line)

    def _new_line(self) -> Line:
        with self._lock:
            self._context = self._context or tls_context(self._network)
            context = self._context
        return Line(make_client(self._network, context))


def _socket_of(response: httpx.Response) -> socket.socket | None:
    """The socket that an answer's bytes come from as they are; None when they are framed or wrapped once more.

    Its time limit is what httpx set for reading the head.
    """
    stream = response.extensions.get("network_stream")
    if stream is None or "transfer-encoding" in response.headers:
        return None
    found, encrypted = stream.get_extra_info("socket"), stream.get_extra_info("ssl_object")
    if isinstance(encrypted, ssl.SSLObject):  # TLS within the TLS of an https:// proxy; that one's is the socket's own
        return None
    return found if isinstance(found, socket.socket) else None


def drop(response: httpx.Response) -> None:
    """Ends an answer that isn't wanted, so that its connection can be used again where that is cheap."""
    if int(response.headers.get("content-length", _SMALL_BODY_BYTES + 1)) <= _SMALL_BODY_BYTES:
        response.read()
    response.close()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port  # httpx leaves the scheme's own port out


def _base(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address.rstrip("/") + "/")
    except httpx.InvalidURL as error:
        raise UserInputError(f"{address!r} isn't a web address: {error}.") from error
    if url.query or url.fragment or not _can_be_asked_for(url):
        raise UserInputError(
            f"{address!r} isn't the address of a registry.", hint="It looks like https://models.example.org/bbj-coder."
        )
    return url


def _can_be_asked_for(url: httpx.URL) -> bool:
    """Whether a connection can be tried: httpx takes any number for a port and labels of any length in a name."""
    try:
        url.raw_host.decode("ascii").encode("idna")  # as socket.getaddrinfo does
    except UnicodeError:
        return False
    return bool(url.host) and (url.port is None or 0 < url.port < 2**16)


def tls_context(network: Network) -> ssl.SSLContext:
    """Trusts what the operating system trusts, and ``network.ca_file``; shows ``network.client_certificate``.

    Raises:
        UserInputError: One of those files can't be used.
    """
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if network.ca_file is not None:
        try:
            context.load_verify_locations(cafile=str(network.ca_file))
        except OSError as error:  # ssl.SSLError is one
            raise UserInputError(
                f"{network.ca_file} can't be used as a file of certificates: {error.strerror or error}.",
                hint="It must be a readable PEM file.",
            ) from error
    if network.client_certificate is not None:
        _show_certificate(context, network.client_certificate, network.client_key)
    return context


def _show_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        # without a password given, OpenSSL would ask for one on the terminal
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        detail = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise UserInputError(
            f"{certificate} can't be used as a client certificate: {detail}.",
            hint="It must be a readable PEM file with its key, or client_key must name the key's; the key without a "
            "passphrase.",
        ) from error


def make_client(network: Network, context: ssl.SSLContext) -> httpx.Client:
    """A client that goes the way that ``network`` says, without following redirects."""
    timeout = httpx.Timeout(network.stall_timeout_s, connect=network.connect_timeout_s)
    explicit = network.proxy not in {None, DIRECT}
    passed_by = {pattern: httpx.HTTPTransport(verify=context) for pattern in _patterns(network) if explicit}
    return httpx.Client(
        verify=context,
        timeout=timeout,
        proxy=_proxy(network.proxy, context) if network.proxy is not None and explicit else None,
        mounts=passed_by,
        trust_env=network.proxy is None,
        headers={
            "user-agent": f"bbj-desktop/{bbj_desktop.__version__}",
            "accept": "*/*",
            "accept-encoding": "identity",
        },
    )


def _proxy(address: str, context: ssl.SSLContext) -> httpx.Proxy:
    """An encrypted proxy shows a certificate, too: it is judged as those of servers are."""
    return httpx.Proxy(address, ssl_context=context if address.lower().startswith("https:") else None)


def _patterns(network: Network) -> Iterator[str]:
    """httpx's patterns for the hosts without a proxy: ``all://*.example.org`` stands for subdomains only."""
    for host in network.no_proxy:
        bare = host.strip().lstrip("*").lstrip(".")
        yield f"all://[{bare}]" if ":" in bare else f"all://{bare}"
        if bare != host.strip():
            yield f"all://*.{bare}"


def _headers(offset: int, length: int | None, validator: str | None) -> dict[str, str]:
    if offset == 0 and length is None:
        return {}
    last = "" if length is None else str(offset + length - 1)
    headers = {"range": f"bytes={offset}-{last}"}
    if validator is not None:
        headers["if-range"] = validator
    return headers


def _redirected(url: httpx.URL, response: httpx.Response, what: str) -> httpx.URL:
    target = url.join(response.headers["location"])
    if target.scheme not in {"http", "https"} or not _can_be_asked_for(target):
        raise ServerError(f"{what} is redirected to an address that can't be used.", status=response.status_code)
    if url.scheme == "https" and target.scheme == "http":
        raise ConnectError(
            f"{what} is redirected from https to http, which isn't encrypted.", hint="Tell who runs the server."
        )
    return target


def _refuse_unusable(response: httpx.Response, what: str, validator: str | None) -> None:
    check_status(response, what)
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise ServerError(
            f"{what} comes compressed ({coding}) although that wasn't asked for.",
            status=response.status_code,
            hint="Turn compression off for these files on the server or the proxy.",
        )
    etag = response.headers.get("etag")
    if validator is not None and etag is not None and etag != validator:
        raise ChangedError(f"{what} has changed meanwhile.")


def _extent(response: httpx.Response, what: str, offset: int, length: int | None) -> tuple[int, int | None]:
    """Where the answer begins, and the length of the whole file."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        size = response.headers.get("content-length", "")
        return 0, int(size) if size.isascii() and size.isdigit() else None
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
    asked = f"bytes {offset} to {'the end' if length is None else offset + length - 1}"
    if found is None:
        raise RangeError(f"{what} doesn't say which part it sends (asked for {asked}).")
    first, last = int(found[1]), int(found[2])
    if first != offset or last < first or (length is not None and last >= offset + length):
        raise RangeError(f"{what} sends bytes {first} to {last}, asked for {asked}.")
    return first, None if found[3] == "*" else int(found[3])
