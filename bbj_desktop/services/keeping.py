"""Changing a file of the user's: with a backup, all or nothing, and a way back."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bbj_desktop.core.errors import FormatError, InUseError, NotFoundError, StoreAccessError


class Change(BaseModel):
    """What was done to a file last, as it is remembered.

    Attributes:
        path: The file itself, links followed.
        backup: What it was before; None when it wasn't there.
        digest: SHA-256 of what was written, in hexadecimal.
    """

    model_config = ConfigDict(frozen=True)

    format: int = 1
    path: Path
    backup: Path | None
    digest: str


def read(path: Path) -> str:
    """The file's text; empty for one that isn't there.

    Raises:
        FormatError: It isn't UTF-8.
        StoreAccessError: It can't be read.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} isn't UTF-8 text.", hint="Save it as UTF-8; it is unchanged.") from error
    except OSError as error:
        raise StoreAccessError(f"{path} can't be read: {error.strerror or error}.") from error


def change(path: Path, before: str, after: str, memory: Path, now: datetime) -> Change:
    """Writes a file anew and remembers how to go back.

    Args:
        before: What the change was made from.
        memory: File that remembers the change.
        now: Names the backup.

    Raises:
        InUseError: Somebody changed the file meanwhile.
        StoreAccessError: It can't be written, or its owner made it read-only; it is as it was.
    """
    path = path.resolve()
    if _read_only(path):  # renaming another file over it would work all the same
        raise StoreAccessError(f"{path} is read-only.", hint="Make it writable if it may be changed; it is as it was.")
    if read(path) != before:
        raise InUseError(f"{path} was changed by somebody else just now.", hint="Look at it and try again.")
    backup = path.with_name(f"{path.name}.{now:%Y%m%d-%H%M%S-%f}.bak") if path.exists() else None
    done = Change(path=path, backup=backup, digest=_digest(after))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if backup is not None:
            _write(backup, before, like=path)
        memory.parent.mkdir(parents=True, exist_ok=True)
        _write(memory, done.model_dump_json(indent=1))
        _write(path, after, like=path)
    except OSError as error:
        raise StoreAccessError(
            f"{path} can't be written: {error.strerror or error}.",
            hint="It is as it was. Check its folder's permissions.",
        ) from error
    return done


def undo(memory: Path) -> Change:
    """Puts the file back as it was before the last change.

    Raises:
        NotFoundError: No change is remembered, or its backup is gone.
        InUseError: The file was changed since; nothing is touched.
        StoreAccessError: It can't be written.
    """
    done = _remembered(memory)
    if _digest(read(done.path)) != done.digest:
        raise InUseError(
            f"{done.path} was changed since, so it isn't put back.",
            hint=f"What it was lies in {done.backup}." if done.backup else "Remove our entries by hand.",
        )
    if done.backup is not None and not done.backup.is_file():
        raise NotFoundError(f"The backup {done.backup} is gone.", hint="Remove our entries by hand.")
    try:
        if done.backup is None:
            done.path.unlink()
        else:
            _write(done.path, read(done.backup), like=done.path)
            done.backup.unlink()
        memory.unlink()
    except OSError as error:
        raise StoreAccessError(f"{done.path} can't be put back: {error.strerror or error}.") from error
    return done


def _remembered(memory: Path) -> Change:
    try:
        return Change.model_validate_json(memory.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise NotFoundError("There is no change of ours to undo.") from error
    except OSError as error:
        raise StoreAccessError(f"{memory} can't be read: {error.strerror or error}.") from error


def _read_only(path: Path) -> bool:
    try:
        return not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    except OSError:  # it isn't there, or can't be looked at: writing will tell
        return False


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, text: str, like: Path | None = None) -> None:
    """Writes beside and renames, so that a full disk or a killed process leaves the old file whole."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            with contextlib.suppress(OSError):  # a file system without permissions
                # a new one is its user's alone: it may hold a key
                draft.chmod(like.stat().st_mode & 0o777 if like is not None and like.exists() else 0o600)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
