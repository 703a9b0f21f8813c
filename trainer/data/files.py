"""Finding the files below what the user names. Every file and folder is visited once, however links lead there."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bbj_desktop.core.errors import NotFoundError
from trainer.data.finding import Finding, Severity

Found = Callable[[Finding], None]

SIDECAR_SUFFIX = ".sidecar.jsonl"
FOLDER_SIDECAR = "sidecar.jsonl"
VERSION_FILE = "dataset-version.json"
VERSION_CHANGES = "dataset-changes.jsonl"
_BESIDE_DATA = frozenset({VERSION_FILE, VERSION_CHANGES})


def is_sidecar(path: Path) -> bool:
    """Whether a file's name is that of a sidecar."""
    return path.name == FOLDER_SIDECAR or path.name.endswith(SIDECAR_SUFFIX)


def walk(paths: Iterable[Path], found: Found) -> Iterator[Path]:
    """Plain files among the paths and below the folders among them, in the order of their names.

    Hidden files and folders, sidecars and what versions say of themselves are left out; what can't be visited becomes
    a finding.

    Raises:
        NotFoundError: A path that was named isn't there.
    """
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if not os.path.lexists(path):
            raise NotFoundError(f"There is no file or folder {path}.")
        yield from _visit(path, seen, found)


def say(found: Found, path: Path, code: str, message: str, hint: str = "", severity: Severity = "error") -> None:
    """Reports a finding about a whole file or folder."""
    found(Finding(code=code, severity=severity, message=message, hint=hint, file=str(path)))


def said_by_system(error: OSError) -> str:
    """The system's own words, e.g. ``Permission denied``."""
    return error.strerror or type(error).__name__


def _visit(path: Path, seen: set[tuple[int, int]], found: Found) -> Iterator[Path]:
    try:
        status = path.stat()
    except OSError as error:
        _say_unreachable(path, error, found)
        return
    key = (status.st_dev, status.st_ino)
    if key in seen:
        what = "folder, perhaps a loop of links" if stat.S_ISDIR(status.st_mode) else "file"
        say(found, path, "seen-before", f"A link to a {what} that was read already; not read again.", severity="info")
    elif stat.S_ISDIR(status.st_mode):
        seen.add(key)
        yield from _visit_folder(path, seen, found)
    elif stat.S_ISREG(status.st_mode):
        seen.add(key)
        yield path
    else:
        say(found, path, "not-a-file", "A device, pipe or socket; not read.", severity="warning")


def _visit_folder(folder: Path, seen: set[tuple[int, int]], found: Found) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        say(
            found, folder, "unreadable", f"The folder can't be read: {said_by_system(error)}.", "Check its permissions."
        )
        return
    visible = [folder / name for name in names if not name.startswith(".")]
    wanted = [path for path in visible if not is_sidecar(path) and path.name not in _BESIDE_DATA]
    if not wanted:
        say(found, folder, "empty-folder", "The folder holds no files.", "Name the folder of the examples.", "warning")
    for path in wanted:
        yield from _visit(path, seen, found)


def _say_unreachable(path: Path, error: OSError, found: Found) -> None:
    if error.errno == errno.ELOOP:
        say(found, path, "link-loop", "A link that leads back to itself; not read.", "Remove the link.")
    elif isinstance(error, FileNotFoundError):
        say(found, path, "dangling-link", "A link to a file that isn't there.", "Remove the link.", "warning")
    else:
        say(found, path, "unreadable", f"Can't be read: {said_by_system(error)}.", "Check its permissions.")
