"""Who we are to a server: a token, or a user name and a password, kept in the operating system's keyring.

A credential belongs to one origin (``https://models.example.org``) and is sent there only: never to the host that a
redirect names, never unencrypted over a network. It is looked up when a server asks for it, not before. Where there is
no keyring, an environment variable holds it.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bbj_desktop.core.errors import UserInputError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

log = logging.getLogger(__name__)

SERVICE = "bbj-desktop"
"""Under this name the keyring keeps our entries; the user of an entry is the origin."""

TOKEN_VARIABLE = "BBJ_DESKTOP_TOKEN"  # noqa: S105 - the variable's name, not a token
HUB_TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105 - the same
HUB_ENDPOINT_VARIABLE = "HF_ENDPOINT"
HUB_ENDPOINT = "https://huggingface.co"
HUB_SCHEME = "hf://"
_MAX_SECRET = 2000  # characters; Windows' credential store takes 2560 bytes, as UTF-16 and in Base64

Finder = Callable[[], str | None]
"""Gives the value of the ``Authorization`` header for one origin; None when there is none."""


def hub_endpoint() -> str:
    """Where ``hf://`` leads: ``HF_ENDPOINT``, as the hub's own client has it, or the public hub."""
    return (os.environ.get(HUB_ENDPOINT_VARIABLE, "").strip() or HUB_ENDPOINT).rstrip("/")


def origin_of(address: str) -> str:
    """The origin that a registry's address belongs to, e.g. ``https://models.example.org:8443``.

    Raises:
        UserInputError: It is a folder, or no web address.
    """
    url = hub_endpoint() if address.lower().startswith(HUB_SCHEME) else address
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UserInputError(f"{address!r} isn't a web address: {error}.") from error
    scheme = parts.scheme.lower()
    if scheme not in {"http", "https"} or not parts.hostname:
        raise UserInputError(
            f"{address!r} isn't on a server: there is nothing to log in to.",
            hint="Credentials belong to addresses that begin with https:// or hf://.",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" + (f":{port}" if port not in {None, default} else "")


def is_safe(origin: str) -> bool:
    """Whether a credential may go there: encrypted, or not leaving this machine."""
    parts = urlsplit(origin)
    return parts.scheme == "https" or is_local(parts.hostname or "")


def is_local(host: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def authorization(secret: str) -> str:
    """The header's value for what a person typed.

    Args:
        secret: A token; or ``user:password``; or either as the header has it (``Bearer …``, ``Basic …``).

    Raises:
        UserInputError: It is empty, too long, or holds what no token holds.
    """
    secret = secret.strip()
    if not secret or len(secret) > _MAX_SECRET or not secret.isprintable():
        raise UserInputError(
            "That isn't a token, and no user name and password either.",
            hint="Type the token that the registry's makers gave you, or user:password.",
        )
    kind, _, token = secret.partition(" ")
    if kind.lower() not in {"bearer", "basic"}:
        if ":" in secret:
            return "Basic " + base64.b64encode(secret.encode()).decode()
        kind, token = "Bearer", secret
    if not token.isascii() or " " in token:
        raise UserInputError("A token has only ASCII letters, digits and signs, and no spaces.")
    return f"{kind} {token}"


def remember(origin: str, value: str) -> None:
    """Keeps an ``Authorization`` value in the keyring, instead of an earlier one.

    Raises:
        UserInputError: There is no keyring that can be used, or the origin isn't safe.
    """
    if not is_safe(origin):
        raise UserInputError(
            f"{origin} isn't encrypted: a password sent there could be read on the way.",
            hint="Use the registry's https:// address.",
        )
    with _keyring() as keyring:
        keyring.set_password(SERVICE, origin, value)


def forget(origin: str) -> bool:
    """Removes an origin's credential; False when there was none.

    Raises:
        UserInputError: The keyring can't be used.
    """
    with _keyring() as keyring:
        if keyring.get_password(SERVICE, origin) is None:
            return False
        keyring.delete_password(SERVICE, origin)
    return True


def finder(address: str, variable: str = TOKEN_VARIABLE) -> Finder:
    """Looks up the credential of an address's origin: in an environment variable, then in the keyring.

    A keyring that can't be read counts as one without an entry: the server's refusal then says what to do.
    """

    def find() -> str | None:
        origin = origin_of(address)
        if not is_safe(origin):
            return None
        given = os.environ.get(variable, "")
        return authorization(given) if given else _kept(origin)

    return find


def _kept(origin: str) -> str | None:
    try:
        with _keyring() as keyring:
            return keyring.get_password(SERVICE, origin)
    except UserInputError as error:
        log.warning("no credential for %s: %s", origin, error.message)
        return None


@contextmanager
def _keyring() -> Iterator[KeyringBackend]:
    """The system's keyring, imported late: it looks for its backends then."""
    import keyring
    from keyring.errors import KeyringError

    try:
        yield keyring.get_keyring()
    except (KeyringError, OSError) as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> UserInputError:
    missing = type(error).__name__ == "NoKeyringError"  # its text recommends packages
    detail = "there is none" if missing else str(error).rstrip(".") or type(error).__name__
    return UserInputError(
        f"This system's keyring can't be used: {detail}.",
        hint=f"Put the token into the environment variable {TOKEN_VARIABLE} instead ({HUB_TOKEN_VARIABLE} for hf://).",
    )
