"""Seeing what this machine is, or what a saved profile says of another one."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import NotFoundError, StoreAccessError
from bbj_desktop.core.hardware import HardwareProfile, load_profile

MAX_PROFILE_BYTES = 1024 * 1024  # bytes


def detect(context: Context) -> HardwareProfile:
    """Looks at this machine; what can't be seen becomes a note."""
    return context.profile()


def read_profile(path: Path) -> HardwareProfile:
    """Reads a saved profile.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It isn't a profile (TooNewError: of a newer program).
        StoreAccessError: It can't be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROFILE_BYTES)
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no profile {path}.") from error
    except OSError as error:
        raise StoreAccessError(f"The profile {path} can't be read: {error.strerror or error}.") from error
    return load_profile(data)


def save_profile(profile: HardwareProfile, path: Path) -> None:
    """Writes a profile for somebody else to load. Raises StoreAccessError."""
    try:
        path.write_text(profile.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreAccessError(f"The profile can't be written to {path}: {error.strerror or error}.") from error
