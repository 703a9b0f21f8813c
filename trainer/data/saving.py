"""Writing a document at once or not at all, never over something that is there."""

from __future__ import annotations

import os
from pathlib import Path

from bbj_desktop.core.errors import FormatError, NotFoundError, StoreAccessError, UserInputError
from trainer.data.files import said_by_system


def refuse_existing(path: Path) -> None:
    """Called before long work, too, so that it isn't done in vain.

    Raises:
        UserInputError: There is something of that name.
    """
    if os.path.lexists(path):
        raise UserInputError(f"{path} is there already.", hint="Name a new file: nothing is overwritten.")


def save_new(path: Path, text: str) -> None:
    """Writes a new file of UTF-8 text.

    Raises:
        UserInputError: There is something of that name.
        StoreAccessError: It can't be written.
    """
    refuse_existing(path)
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        hint = "Nothing was written. Check the folder and its free space."
        raise StoreAccessError(f"{path} can't be written: {said_by_system(error)}.", hint=hint) from error


def read_whole(path: Path, what: str) -> str:
    """The text of a document.

    Args:
        what: What it is, for messages, e.g. ``"split"``.

    Raises:
        NotFoundError: It isn't there.
        FormatError: It can't be read, or isn't UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no {what} {path}.") from error
    except OSError as error:
        raise FormatError(f"The {what} {path} can't be read: {said_by_system(error)}.") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"The {what} {path} isn't UTF-8.") from error
