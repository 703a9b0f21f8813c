"""The keys that a registry is signed with: Ed25519, each sealed with a passphrase in a file of its own; or kept in a
hardware token or a key service, which a file names.

Files: ``<role>-<n>.key``, JSON, readable by their owner only: the public key in plain (and in ``<role>-<n>.pub``, which
may be handed out), the private one sealed with AES-256-GCM under scrypt of the passphrase. (PKCS #8 as cryptography
writes it stretches a passphrase by 2,048 rounds of PBKDF2 only: too few for keys that everything hangs on.)
``<role>-<n>.signer`` names a key that is kept elsewhere.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field
from securesystemslib.exceptions import Error as SecuresystemslibError
from securesystemslib.signer import CryptoSigner, Key, Signer

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, PublishError

KEY_FORMAT = 1
PIN_VARIABLE = "BBJ_DESKTOP_PIN"
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**16, 8, 1  # 64 MiB and about 0.2 seconds
SALT_BYTES, NONCE_BYTES, SEALING_KEY_BYTES = 16, 12, 32


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


class PublicKey(BaseModel):
    """``<role>-<n>.pub``: what the holder of a key hands out. Its fields but the role are TUF's.

    Attributes:
        role: What it is meant to sign.
        keyid: 64 hex digits.
        key: ``keytype``, ``scheme`` and ``keyval``; of any kind that securesystemslib verifies.
    """

    model_config = ConfigDict(frozen=True)

    format: int = KEY_FORMAT
    role: str
    keyid: str
    key: dict[str, Any]

    @classmethod
    def of(cls, role: str, key: Key) -> PublicKey:
        return cls(role=role, keyid=key.keyid, key=key.to_dict())

    def usable(self) -> Key:
        """The key itself. Raises FormatError."""
        try:
            return Key.from_dict(self.keyid, dict(self.key))
        except (KeyError, ValueError, TypeError) as error:
            raise FormatError(f"The public key {self.keyid[:16]} of {self.role} can't be used: {error}.") from error


def read_public_key(path: Path) -> PublicKey:
    """Reads a public key's file. Raises PublishError or FormatError."""
    try:
        return parse_document(PublicKey, path.read_bytes(), what=f"public key ({path})", newest=KEY_FORMAT)
    except OSError as error:
        raise PublishError(f"The public key {path} can't be read: {error.strerror}.") from error


class Signers(Protocol):
    """Where signatures come from."""

    def signers(self, role: str) -> Sequence[Signer]:
        """Everyone here who can sign for ``role``; may be empty.

        Raises:
            PublishError: A key is here and can't be used.
        """
        ...


class _KeyFile(BaseModel):
    """What stands in a key file; bytes as hexadecimal digits."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="hex", val_json_bytes="hex")

    format: int = KEY_FORMAT
    role: str
    public: bytes
    n: Annotated[int, Field(ge=2**14, le=2**20)] = SCRYPT_N
    r: Annotated[int, Field(ge=8, le=16)] = SCRYPT_R
    p: Annotated[int, Field(ge=1, le=4)] = SCRYPT_P
    salt: bytes
    nonce: bytes
    sealed: bytes


class KeyFolder:
    """Keys in files: sealed ones (``<role>-<n>.key``), and ones that files name (``<role>-<n>.signer``).

    Args:
        folder: Where they are.
        passphrase: The one that seals them all.
    """

    def __init__(self, folder: Path, passphrase: str) -> None:
        self.folder = folder
        self._passphrase = passphrase.encode()
        self._salt = secrets.token_bytes(SALT_BYTES)
        self._loaded: dict[str, tuple[Signer, ...]] = {}

    def generate(self, role: str, count: int) -> tuple[CryptoSigner, ...]:
        """Makes the keys of a role.

        Raises:
            PublishError: It has some already, the passphrase is empty, or the folder can't be written.
        """
        if not self._passphrase:
            raise _no_passphrase()
        privates = [Ed25519PrivateKey.generate() for _ in range(count)]
        made = tuple(CryptoSigner(private) for private in privates)
        for number, private in enumerate(privates, start=1):
            self._keep(self.folder / f"{role}-{number}.key", role, private)
        self._loaded[role] = made
        return made

    def add(self, role: str) -> tuple[Path, CryptoSigner]:
        """Makes one more key of a role.

        Returns:
            Its sealed file, beside which the public one lies, and what signs with it.

        Raises:
            PublishError: The passphrase is empty, or the folder can't be written.
        """
        if not self._passphrase:
            raise _no_passphrase()
        number = 1 + max((_number(path) for path in self.folder.glob(f"{role}-*")), default=0)
        private, path = Ed25519PrivateKey.generate(), self.folder / f"{role}-{number}.key"
        self._keep(path, role, private)
        self._loaded.pop(role, None)
        return path, CryptoSigner(private)

    def signers(self, role: str) -> tuple[Signer, ...]:
        if role not in self._loaded:
            sealed = [self._open(path) for path in sorted(self.folder.glob(f"{role}-*.key"))]
            elsewhere = [_open_elsewhere(path) for path in sorted(self.folder.glob(f"{role}-*.signer"))]
            self._loaded[role] = (*sealed, *elsewhere)
        return self._loaded[role]

    def _keep(self, path: Path, role: str, private: Ed25519PrivateKey) -> None:
        _write(path, self._seal(role, private))
        _write(path.with_suffix(".pub"), PublicKey.of(role, CryptoSigner(private).public_key))

    def _seal(self, role: str, private: Ed25519PrivateKey) -> _KeyFile:
        nonce, public = secrets.token_bytes(NONCE_BYTES), private.public_key().public_bytes_raw()
        sealing = AESGCM(_stretched(self._passphrase, self._salt, SCRYPT_N, SCRYPT_R, SCRYPT_P))
        sealed = sealing.encrypt(nonce, private.private_bytes_raw(), public)
        return _KeyFile(role=role, public=public, salt=self._salt, nonce=nonce, sealed=sealed)

    def _open(self, path: Path) -> CryptoSigner:
        try:
            file = parse_document(_KeyFile, path.read_bytes(), what=f"key ({path})", newest=KEY_FORMAT)
            sealing = AESGCM(_stretched(self._passphrase, file.salt, file.n, file.r, file.p))
            raw = sealing.decrypt(file.nonce, file.sealed, file.public)
            return CryptoSigner(Ed25519PrivateKey.from_private_bytes(raw))
        except OSError as error:
            raise PublishError(f"The key {path} can't be read: {error.strerror}.") from error
        except InvalidTag as error:
            raise PublishError(f"The key {path} can't be opened.", hint="Is the passphrase right?") from error
        except (FormatError, ValueError) as error:
            raise PublishError(f"{path} isn't a usable key: {error}") from error


class _SignerFile(BaseModel):
    """``<role>-<n>.signer``: a key that is kept elsewhere.

    Attributes:
        uri: How securesystemslib reaches it: ``hsm:…``, ``awskms:…``, ``gcpkms:…``, ``azurekms:…``, ``hv:…``, ….
        keyid: 64 hex digits.
        key: The public key, as in TUF: ``keytype``, ``scheme``, ``keyval``.
    """

    model_config = ConfigDict(frozen=True)

    format: int = KEY_FORMAT
    role: str
    uri: str
    keyid: str
    key: dict[str, Any]


def _open_elsewhere(path: Path) -> Signer:
    try:
        file = parse_document(_SignerFile, path.read_bytes(), what=f"signer ({path})", newest=KEY_FORMAT)
        return Signer.from_priv_key_uri(file.uri, Key.from_dict(file.keyid, dict(file.key)), _secret)
    except OSError as error:
        raise PublishError(f"The signer {path} can't be read or reached: {error}.") from error
    except (FormatError, ValueError, KeyError, TypeError, SecuresystemslibError) as error:
        raise PublishError(f"{path} isn't a usable signer: {error}") from error


def _secret(what: str) -> str:
    """A token's PIN, which securesystemslib asks for when it signs."""
    pin = os.environ.get(PIN_VARIABLE)
    if pin is None:
        raise PublishError(f"The key asks for its {what}.", hint=f"Set {PIN_VARIABLE} for this one command.")
    return pin


def _number(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _no_passphrase() -> PublishError:
    return PublishError("Keys aren't kept without a passphrase.", hint="Give one; a sentence is best.")


@lru_cache(maxsize=8)
def _stretched(passphrase: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    """The key that seals keys: once for each salt, so that ten keys don't take ten times as long."""
    return Scrypt(salt=salt, length=SEALING_KEY_BYTES, n=n, r=r, p=p).derive(passphrase)


def _write(path: Path, key: _KeyFile | PublicKey) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.model_dump_json(indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise PublishError(f"There is a key {path} already.", hint="Choose another folder for the keys.") from error
    except OSError as error:
        raise PublishError(f"The key {path} can't be written: {error.strerror}.") from error
