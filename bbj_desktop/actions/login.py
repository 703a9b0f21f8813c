"""Who this machine is to a registry's server: keep a credential for it, or remove it.

A keyring can't be asked what of it is ours, so the servers (without their secrets) are written down beside the
registries: ``purge`` removes what is listed there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, StoreAccessError
from bbj_desktop.services.transfer import credentials

LOGINS_FILE = "logins.json"
LOGINS_FORMAT = 1


class Login(BaseModel):
    """A credential that is kept, without itself.

    Attributes:
        origin: The only server that it is sent to, e.g. ``https://models.example.org``.
        kind: A token, or a user name and a password.
    """

    model_config = ConfigDict(frozen=True)

    origin: str
    kind: Literal["token", "password"]


class _Logins(BaseModel):
    format: int = LOGINS_FORMAT
    origins: tuple[str, ...] = ()


def origin_of(context: Context, address: str | None) -> str:
    """The server of an address; of the registry in use for None.

    Raises:
        UserInputError: The address is a folder, or none at all.
        NoTrustedRootError: No registry is in use.
    """
    return credentials.origin_of(address or context.known_registry().address)


def logged_in(context: Context) -> tuple[str, ...]:
    """The servers for which a credential was kept. A damaged list is an empty one: ``log_in`` writes it anew."""
    with suppress(OSError, FormatError):
        return parse_document(_Logins, _file(context).read_bytes(), what="list of logins", newest=LOGINS_FORMAT).origins
    return ()


def log_in(context: Context, origin: str, secret: str) -> Login:
    """Keeps a credential in the system's keyring. Nothing is sent now; the server is told when it next asks.

    Args:
        context: Whose list of servers.
        origin: From ``origin_of``.
        secret: A token, or ``user:password``.

    Raises:
        UserInputError: It can't be one, the way there isn't encrypted, or there is no keyring.
        StoreAccessError: The server can't be written down; nothing is kept then.
    """
    value = credentials.authorization(secret)
    _write(context, (*(known for known in logged_in(context) if known != origin), origin))
    credentials.remember(origin, value)
    return Login(origin=origin, kind="password" if value.lower().startswith("basic ") else "token")


def log_out(context: Context, origin: str) -> bool:
    """Removes a server's credential; False when there was none.

    Raises:
        UserInputError: There is no keyring.
        StoreAccessError: The list of servers can't be written.
    """
    removed = credentials.forget(origin)
    if origin in logged_in(context):
        _write(context, tuple(known for known in logged_in(context) if known != origin))
    return removed


def _file(context: Context) -> Path:
    return context.paths.registries / LOGINS_FILE


def _write(context: Context, origins: tuple[str, ...]) -> None:
    file = _file(context)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f"{LOGINS_FILE}.new")
        temporary.write_text(_Logins(origins=origins).model_dump_json(indent=1), encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise StoreAccessError(f"{file} can't be written: {error.strerror or error}.") from error
