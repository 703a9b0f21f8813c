"""A keyring in memory, in the place of the system's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class Vault(KeyringBackend):
    """Attributes:
    kept: Secrets by service and user.
    locked: It refuses everything, as one does whose password nobody typed.
    asked: How often something was looked up.
    """

    priority: ClassVar[float] = -1  # never chosen by itself

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("not found")

    def _check(self) -> None:
        if self.locked:
            raise KeyringLocked("the collection is locked")


@contextmanager
def vault() -> Iterator[Vault]:
    """Puts one in place, and the former one back."""
    before = keyring.get_keyring()
    made = Vault()
    keyring.set_keyring(made)
    try:
        yield made
    finally:
        keyring.set_keyring(before)
