"""The files that a runtime is given."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.core.errors import NotFoundError, StoreAccessError, StoreError
from bbj_desktop.core.versions import InstalledVersion

_AGAIN = "Install the version again: what is still good of it isn't downloaded twice."


def weights_of(version: InstalledVersion) -> Path:
    """The GGUF of an installed version, looked at before an engine meets it, and its adapter too. Their bytes were
    verified when it was installed; here only what can be seen at once is checked.

    Raises:
        NotFoundError: It is gone.
        StoreError: It has another length than the signed one.
        StoreAccessError: It can't be looked at.
    """
    for part, path in version.files:
        _check(version.key, path, part.file.length_bytes)
    return version.path


def stamp_of(version: InstalledVersion) -> str:
    """Changes when a file of the version is replaced: an engine that holds the old one would go on with it."""
    found = [path.stat() for _, path in version.files]
    return " ".join(f"{each.st_dev:x}-{each.st_ino:x}-{each.st_mtime_ns:x}" for each in found)


def _check(key: str, path: Path, expected: int) -> None:
    try:
        found = path.stat().st_size
    except FileNotFoundError as error:
        raise NotFoundError(f"The model file of {key} is gone: {path}.", hint=_AGAIN) from error
    except OSError as error:
        raise StoreAccessError(f"The model file of {key} can't be read: {error}.", hint=_AGAIN) from error
    if found != expected:
        raise StoreError(f"The model file of {key} has {found} bytes instead of {expected}: {path}.", hint=_AGAIN)
