"""The key that programs of this user show to our servers on loopback addresses."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from bbj_desktop.core.errors import StoreAccessError

FILE = "local-key"
_KEY_BYTES = 32


def local_key(folder: Path) -> str:
    """Reads the key, or makes one that only this user can read.

    Args:
        folder: Where it is kept; made if it isn't there.

    Raises:
        StoreAccessError: It can't be read or written, or others can read it.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _made(path) or _read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreAccessError(
            f"The key for local programs can't be kept in {path}: {error}.", hint="Check who owns that folder."
        ) from error


def _made(path: Path) -> str:
    """A new key in a file that wasn't there; empty if it was. It appears whole or not at all."""
    if path.exists():
        return ""
    key = secrets.token_urlsafe(_KEY_BYTES)
    draft = path.with_name(f"{FILE}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key)
        os.link(draft, path)  # unlike a rename it doesn't replace what another process made meanwhile
    except FileExistsError:
        return ""
    finally:
        draft.unlink()
    return key


def _read(path: Path) -> str:
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreAccessError(
            f"Others may read {path}, which holds the key for local programs.",
            hint=f"Type: rm {path} (a new one is made; programs that use it have to be told).",
        )
    key = path.read_text(encoding="ascii").strip()
    if not key:
        raise StoreAccessError(f"{path} is empty.", hint="Remove it: a new key is made.")
    return key
