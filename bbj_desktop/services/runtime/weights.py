"""The file that a runtime is given."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.core.errors import NotFoundError, StoreAccessError, StoreError
from bbj_desktop.core.versions import InstalledVersion

_AGAIN = "Install the version again: what is still good of it isn't downloaded twice."


def weights_of(version: InstalledVersion) -> Path:
    """The GGUF of an installed version, looked at before an engine meets it. Its bytes were verified when it was
    installed; here only what can be seen at once is checked.

    Raises:
        NotFoundError: It is gone.
        StoreError: It has another length than the signed one.
        StoreAccessError: It can't be looked at.
    """
    expected = version.variant.file.length_bytes
    try:
        found = version.path.stat().st_size
    except FileNotFoundError as error:
        raise NotFoundError(f"The model file of {version.key} is gone: {version.path}.", hint=_AGAIN) from error
    except OSError as error:
        raise StoreAccessError(f"The model file of {version.key} can't be read: {error}.", hint=_AGAIN) from error
    if found != expected:
        raise StoreError(
            f"The model file of {version.key} has {found} bytes instead of {expected}: {version.path}.", hint=_AGAIN
        )
    return version.path
