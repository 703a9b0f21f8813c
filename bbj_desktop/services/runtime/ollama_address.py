"""Where Ollama listens, as its users write it."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from bbj_desktop.core.errors import UserInputError

DEFAULT_ADDRESS = "http://127.0.0.1:11434"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_OLLAMA_PORT = 11434
_MAX_PORT = 65535
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - mapped away, not bound
"""What a server binds to and a client can't connect to, with what the client takes instead."""


def parse_ollama_host(text: str) -> str:
    """Reads a value of ``OLLAMA_HOST`` as Ollama itself does (``envconfig.Host``): host, host:port, with or without a
    scheme; port 11434 without a scheme, 80 or 443 with one; an impossible port becomes the default one.

    Args:
        text: The value; empty for the default.

    Returns:
        An address that can be connected to, with scheme and port: ``http://127.0.0.1:11434``. A path is kept.

    Raises:
        UserInputError: A scheme other than http and https.
    """
    text = text.strip().strip("\"'").strip()
    scheme, separator, rest = text.partition("://")
    default_port = _OLLAMA_PORT
    if not separator:
        scheme, rest = ("https", "ollama.com:443") if text == "ollama.com" else ("http", text)
    elif scheme in _DEFAULT_PORTS:
        default_port = _DEFAULT_PORTS[scheme]
    else:
        raise UserInputError(
            f"Ollama's address {text!r} begins with {scheme}://.",
            hint=f"Write it like {DEFAULT_ADDRESS} (setting or environment variable OLLAMA_HOST).",
        )
    place, _, path = rest.partition("/")
    host, port = _split(place, default_port)
    host = _EVERYWHERE.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    path = path.rstrip("/")
    return f"{scheme}://{shown}:{port}" + (f"/{path}" if path else "")


def _split(place: str, default_port: int) -> tuple[str, int]:
    """Host and port, as Go's ``net.SplitHostPort`` with Ollama's fallbacks."""
    bare = place.strip("[]")
    if _is_ip(bare) and (":" in bare or ":" not in place):  # a port after an unbracketed IPv6 address can't be told
        return str(ipaddress.ip_address(bare)), default_port
    host, colon, port = place.rpartition(":")
    if not colon:
        return place, default_port
    number = int(port) if port.isascii() and port.isdigit() and int(port) <= _MAX_PORT else default_port
    return host.strip("[]"), number


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_local(address: str) -> bool:
    """Whether an address is on this machine: loopback, or the machine's own name."""
    host = urlsplit(address).hostname or ""
    if _is_ip(host):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() in {"localhost", socket.gethostname().lower()}
