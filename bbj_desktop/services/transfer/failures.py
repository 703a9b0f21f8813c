"""What httpx and the operating system raise, in this program's own errors."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from bbj_desktop.core.errors import ConnectError, NotFoundError, RangeError, ServerError, StalledError, TransportError

FOREIGN = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError, OSError)
"""Everything that httpx may raise; the roots of its tree and what passes through it."""

_PROXY_HINT = "Check the proxy's address and password in the settings or in HTTPS_PROXY."
_TLS_HINT = (
    "If a company proxy opens encrypted connections, name its certificate in the settings; also check this machine's "
    "clock."
)
_CLIENT_CERTIFICATE_HINT = "The server lets in only who shows a certificate: name yours with --client-certificate FILE."
_STATUS_HINTS = {
    401: "The server asks for a user name and password, or a token.",
    403: "The server refuses access: check the address, or log in: bbj-desktop registry login ADDRESS",
    407: _PROXY_HINT,
    429: "The server asks for patience: try again later.",
    503: "The server is busy or under maintenance: try again later.",
}


def translate(error: Exception, what: str) -> TransportError:
    """The error of this program that stands for one of ``FOREIGN``.

    Args:
        error: What was raised.
        what: Address that was asked for, without credentials.
    """
    detail = str(error).rstrip(".") or type(error).__name__
    if wants_certificate(error):
        return ConnectError(f"No connection to {what}: {detail}.", hint=_CLIENT_CERTIFICATE_HINT)
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return ConnectError(f"No connection to {what} within the time limit.", hint="Check the network.")
        case httpx.TimeoutException() | TimeoutError():
            return StalledError(f"{what} sends nothing any more.", hint="Check the network and try again.")
        case httpx.ProxyError():
            return ConnectError(f"The proxy on the way to {what} refuses: {detail}.", hint=_PROXY_HINT)
        case httpx.UnsupportedProtocol():
            return ConnectError(f"{what} can't be reached: {detail}.")
        case httpx.ConnectError() | ssl.SSLError():
            return ConnectError(f"No connection to {what}: {detail}.", hint=_connect_hint(detail))
        case httpx.HTTPStatusError():
            return ServerError(f"{what} answers {error.response.status_code}.", status=error.response.status_code)
        case _:
            return TransportError(f"The transfer from {what} broke off: {detail}.", hint="Try again.")


def wants_certificate(error: Exception) -> bool:
    """Whether a server hung up because it was shown no client certificate (TLS 1.3's alert 116, RFC 8446, 6.2)."""
    return "CERTIFICATE_REQUIRED" in str(error).upper().replace(" ", "_")


def _connect_hint(detail: str) -> str:
    if "CERTIFICATE" in detail.upper() or "SSL" in detail.upper():
        return _TLS_HINT
    if "Name or service" in detail or "getaddrinfo" in detail or "nodename" in detail or "resolution" in detail:
        return "The name isn't known: check its spelling, the DNS server and the proxy."
    return "Check the network, the address and the proxy."


def check_status(response: httpx.Response, what: str) -> None:
    """Accepts 200 and 206.

    Raises:
        NotFoundError: 404 or 410.
        RangeError: 416.
        ServerError: Any other status.
    """
    status = response.status_code
    if status in {200, 206}:
        return
    if status in {404, 410}:
        raise NotFoundError(f"There is no {what}.", hint="Check the address of the registry.")
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise RangeError(f"{what} is shorter than expected.")
    raise ServerError(
        f"{what} answers {status} {response.reason_phrase}".rstrip() + ".",
        status=status,
        retry_after_s=retry_after_s(response.headers),
        hint=_STATUS_HINTS.get(status, "Try again later." if status >= httpx.codes.INTERNAL_SERVER_ERROR else ""),
    )


def retry_after_s(headers: httpx.Headers) -> float | None:
    """Seconds that ``Retry-After`` (RFC 9110, 10.2.3: seconds or a date) asks to wait; None without a usable one.

    A date is measured against the server's own ``Date``, so that a wrong clock here doesn't matter.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    then = _date(value)
    if then is None:
        return None
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (then - now).total_seconds())


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
