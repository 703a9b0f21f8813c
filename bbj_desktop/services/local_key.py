"""Keys that programs of this user show to our servers on loopback addresses."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from bbj_desktop.core.errors import StoreAccessError

_KEY_BYTES = 32
_LEAST_LENGTH = 32
_KEY = re.compile(r"(?<![\w-])bbj-[\w-]{43}(?![\w-])")  # as _made writes them


def local_key(path: Path, *, renew: bool = False) -> str:
    """Reads a key, or makes one that only this user can read. It stays the same for the programs that have it.

    Args:
        renew: Makes another one.

    Raises:
        StoreAccessError: It can't be read or made, or others can read it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if renew:
            path.unlink(missing_ok=True)
        return _made(path) or _read(path)
    except (OSError, ValueError) as error:
        raise StoreAccessError(
            f"The key {path} for local programs can't be used: {error}.",
            hint="Remove that file: a new key is made, and programs that have the old one must be told.",
        ) from error


def without_keys(text: str) -> str:
    """The text with our keys, renewed ones too, cut down to what tells that they are ours."""
    return _KEY.sub("bbj-…", text)


def _made(path: Path) -> str:
    """A new key in a file that wasn't there; empty if it was. It appears whole or not at all."""
    if path.exists():
        return ""
    key = f"bbj-{secrets.token_urlsafe(_KEY_BYTES)}"
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{key}\n")
        os.link(draft, path)  # unlike a rename it doesn't replace what another process made meanwhile
    except FileExistsError:
        return ""
    finally:
        draft.unlink()
    return key


def _read(path: Path) -> str:
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PermissionError("other users can read it")
    key = path.read_text(encoding="ascii").strip()
    if len(key) < _LEAST_LENGTH:
        raise ValueError("it is too short")
    return key
