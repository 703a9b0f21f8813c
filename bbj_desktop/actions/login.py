"""Who this machine is to a registry's server: keep a credential for it, or remove it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.services.transfer import credentials


class Login(BaseModel):
    """A credential that is kept, without itself.

    Attributes:
        origin: The only server that it is sent to, e.g. ``https://models.example.org``.
        kind: A token, or a user name and a password.
    """

    model_config = ConfigDict(frozen=True)

    origin: str
    kind: Literal["token", "password"]


def origin_of(context: Context, address: str | None) -> str:
    """The server of an address; of the registry in use for None.

    Raises:
        UserInputError: The address is a folder, or none at all.
        NoTrustedRootError: No registry is in use.
    """
    return credentials.origin_of(address or context.known_registry().address)


def log_in(origin: str, secret: str) -> Login:
    """Keeps a credential in the system's keyring. Nothing is sent now; the server is asked when it is next needed.

    Args:
        origin: From ``origin_of``.
        secret: A token, or ``user:password``.

    Raises:
        UserInputError: It can't be one, the way there isn't encrypted, or there is no keyring.
    """
    value = credentials.authorization(secret)
    credentials.remember(origin, value)
    return Login(origin=origin, kind="password" if value.lower().startswith("basic ") else "token")


def log_out(origin: str) -> bool:
    """Removes a server's credential; False when there was none. Raises UserInputError without a keyring."""
    return credentials.forget(origin)
