"""The keys that a registry is signed with: Ed25519, each in an encrypted file of its own.

Files: ``<role>-<n>.pem``, PKCS #8 encrypted with the passphrase, readable by their owner only. Whoever keeps keys
elsewhere (another machine, a token) gives another ``Signers``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, Signer  # type: ignore[attr-defined]  # its __all__ is computed

from bbj_desktop.core.errors import PublishError


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """How many keys a role gets, and how many of them must sign."""

    keys: int
    threshold: int


KEY_PLANS: Mapping[str, KeyPlan] = MappingProxyType(
    {
        "root": KeyPlan(keys=3, threshold=2),  # one may be lost
        "targets": KeyPlan(keys=2, threshold=2),  # it may replace a channel's keys, so it is no weaker than a channel
        "snapshot": KeyPlan(keys=1, threshold=1),
        "timestamp": KeyPlan(keys=1, threshold=1),
    }
)
"""The top-level roles. The decision on trust says why."""

CHANNEL_PLANS: Mapping[str, KeyPlan] = MappingProxyType(
    {"beta": KeyPlan(keys=1, threshold=1), "stable": KeyPlan(keys=2, threshold=2)}
)


class Signers(Protocol):
    """Where signatures come from."""

    def signers(self, role: str) -> Sequence[Signer]:
        """Everyone here who can sign for ``role``; may be empty.

        Raises:
            PublishError: A key is here and can't be used.
        """
        ...


class KeyFolder:
    """Keys in files.

    Args:
        folder: Where they are.
        passphrase: The one that encrypts them all.
    """

    def __init__(self, folder: Path, passphrase: str) -> None:
        self.folder = folder
        self._passphrase = passphrase.encode()
        self._loaded: dict[str, tuple[CryptoSigner, ...]] = {}

    def generate(self, role: str, count: int) -> tuple[CryptoSigner, ...]:
        """Makes the keys of a role.

        Raises:
            PublishError: It has some already, the passphrase is empty, or the folder can't be written.
        """
        if not self._passphrase:
            raise PublishError("Keys aren't kept without a passphrase.", hint="Give one; a sentence is best.")
        signers = tuple(CryptoSigner(Ed25519PrivateKey.generate()) for _ in range(count))
        for number, signer in enumerate(signers, start=1):
            self._write(self.folder / f"{role}-{number}.pem", signer)
        self._loaded[role] = signers
        return signers

    def signers(self, role: str) -> tuple[CryptoSigner, ...]:
        if role not in self._loaded:
            self._loaded[role] = tuple(self._read(path) for path in sorted(self.folder.glob(f"{role}-*.pem")))
        return self._loaded[role]

    def _write(self, path: Path, signer: CryptoSigner) -> None:
        private = load_pem_private_key(signer.private_bytes, password=None)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(self._passphrase))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError as error:
            raise PublishError(f"There is a key {path} already.", hint="Choose another folder for the keys.") from error
        except OSError as error:
            raise PublishError(f"The key {path} can't be written: {error.strerror}.") from error

    def _read(self, path: Path) -> CryptoSigner:
        try:
            return CryptoSigner(load_pem_private_key(path.read_bytes(), self._passphrase))
        except OSError as error:
            raise PublishError(f"The key {path} can't be read: {error.strerror}.") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise PublishError(f"The key {path} can't be opened.", hint="Is the passphrase right?") from error
