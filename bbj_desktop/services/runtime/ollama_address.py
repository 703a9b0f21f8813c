"""Where Ollama listens, as its users write it."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

import psutil

from bbj_desktop.core.errors import UserInputError

DEFAULT_ADDRESS = "http://127.0.0.1:11434"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_OLLAMA_PORT = 11434
_PORT = re.compile(r"0*([1-9]\d{0,4})", re.ASCII)
_MAX_PORT = 65535
_NAME = re.compile(r"(?!.{254})\w[\w-]{0,62}(\.\w[\w-]{0,62})*\.?")
_SHOWN = 80  # characters of a wrong address
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - mapped away, not bound
"""What a server binds to and a client can't connect to, with what the client takes instead."""


def parse_ollama_host(text: str) -> str:
    """Reads a value of ``OLLAMA_HOST`` as Ollama itself does (``envconfig.Host``): host, host:port, with or without a
    scheme; port 11434 without a scheme, 80 or 443 with one; an impossible port becomes the default one. What can be no
    host at all, which Ollama finds out when it connects, is refused here.

    Args:
        text: The value; empty for the default.

    Returns:
        An address that can be connected to, with scheme and port: ``http://127.0.0.1:11434``. A path is kept.

    Raises:
        UserInputError: A scheme other than http and https; no host's name.
    """
    text = text.strip().strip("\"'").strip()
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    default_port = _OLLAMA_PORT
    if not separator:
        scheme, rest = ("https", "ollama.com:443") if text == "ollama.com" else ("http", text)
    elif scheme in _DEFAULT_PORTS:
        default_port = _DEFAULT_PORTS[scheme]
    else:
        raise _unreadable(text, f"begins with {scheme}://.")
    place, _, path = rest.partition("/")
    host, port = _split(place.strip(), default_port)
    host = _EVERYWHERE.get(host, host)
    if _is_ip(host):
        host = str(ipaddress.ip_address(host))
    elif "@" in place or not _NAME.fullmatch(host):
        raise _unreadable(text, "names no host that could be connected to.")
    shown = f"[{host}]" if ":" in host else host
    path = path.rstrip("/")
    address = f"{scheme}://{shown}:{port}" + (f"/{path}" if path else "")
    if not _can_be_asked(address):
        raise _unreadable(text, "can't be asked.")
    return address


def _can_be_asked(address: str) -> bool:
    """Whether the network takes it for an address: its host may have letters that no name has."""
    import httpx

    try:
        httpx.URL(address).host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        return False
    return True


def _unreadable(text: str, why: str) -> UserInputError:
    shown = f"…@{text.rpartition('@')[2]}" if "@" in text else text  # what is before it may be a password
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return UserInputError(
        f"Ollama's address {shown!r} {why}",
        hint=f"Write it like {DEFAULT_ADDRESS} (setting or environment variable OLLAMA_HOST).",
    )


def _split(place: str, default_port: int) -> tuple[str, int]:
    """Host and port, as Go's ``net.SplitHostPort`` with Ollama's fallbacks."""
    bare = place.strip("[]")
    if _is_ip(bare) and (":" in bare or ":" not in place):  # a port after an unbracketed IPv6 address can't be told
        return bare, default_port
    host, colon, port = place.rpartition(":")
    if not colon:
        return place, default_port
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        return place, default_port
    found = _PORT.fullmatch(port)
    number = int(found[1]) if found else default_port
    return host.strip("[]"), number if number <= _MAX_PORT else default_port


def _is_ip(text: str) -> bool:
    if "[" in text or "]" in text:  # which Python takes for a part of an interface's name
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_local(address: str) -> bool:
    """Whether an address is on this machine: loopback, the machine's own name, or an address of its own."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    if _is_ip(host):
        address_there = ipaddress.ip_address(host)
        mapped = address_there.ipv4_mapped if isinstance(address_there, ipaddress.IPv6Address) else None
        return (mapped or address_there).is_loopback or str(mapped or address_there) in own_addresses()
    own_names = {"localhost", "localhost.localdomain", "ip6-localhost", socket.gethostname().lower()}
    return host in own_names or host.endswith(".localhost")


def own_addresses() -> frozenset[str]:
    """The addresses of this machine's network interfaces; those of IPv6 with their zone, where they have one."""
    try:
        interfaces = psutil.net_if_addrs()
    except OSError:
        return frozenset()
    ours = {each.address for addresses in interfaces.values() for each in addresses}
    return frozenset(str(ipaddress.ip_address(each)) for each in ours if _is_ip(each))  # the others are MAC addresses
