"""Paths that others wrote: whether one stays inside a folder, and means the same file on every system.

A name is refused when any system that we run on would take it for something else than a plain file of exactly that
name: Windows drops trailing dots, keeps ``CON`` for itself and reads ``a:b`` as a stream of ``a``; macOS writes ``é``
in another form; a right-to-left mark shows another name than the one that is opened.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from bbj_desktop.core.errors import FormatError

MAX_NAME_BYTES = 255  # bytes; NAME_MAX of Linux and macOS; NTFS and exFAT allow as many UTF-16 units
MAX_PATH_BYTES = 1024  # bytes of a whole relative path
MAX_DEPTH = 16  # names in one path

_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])", re.IGNORECASE
)
"""Device names of Windows, with any extension (Microsoft, "Naming Files, Paths, and Namespaces")."""
_FORBIDDEN = frozenset('<>:"/\\|?*')
_SHORT_NAME = re.compile(r"[^.]{1,7}~[0-9]{1,6}(?:\.[^.]{0,3})?")
"""A second, short name that FAT and NTFS give to a long one: ``PROGRA~1``."""


def safe_parts(path: str) -> tuple[str, ...]:
    """The names of a relative path, ``/`` between them.

    Args:
        path: As a document names it.

    Raises:
        FormatError: It is empty, absolute, leads out of its folder, or isn't the same file on every system.
    """
    if len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        raise FormatError(f"A path of {len(path)} characters is too long: {path[:60]!r}….")
    parts = tuple(path.split("/"))
    if len(parts) > MAX_DEPTH:
        raise FormatError(f"{path!r} has more than {MAX_DEPTH} parts.")
    for name in parts:
        why = why_unsafe(name)
        if why:
            raise FormatError(f"{path!r} isn't a safe path: {why}.")
    return parts


def why_unsafe(name: str) -> str:  # noqa: PLR0911 - a table: one line for each trick
    """Why a single name can't be used, in a few words; empty when it can."""
    if name in {"", ".", ".."}:
        return "it is absolute, or leads out of its folder" if name else "it is absolute, or has an empty part"
    if _FORBIDDEN & set(name):
        return "it has a sign that some system gives a meaning"
    if any(unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for sign in name):
        return "it has an invisible or undefined sign"
    if unicodedata.normalize("NFKC", name) != name:
        return "its letters can be written in another way"
    if name != name.strip() or name.endswith("."):
        return "it begins or ends with a space, or ends with a dot"
    if _RESERVED.fullmatch(name.partition(".")[0].rstrip()):
        return "Windows keeps that name for a device"
    if _SHORT_NAME.fullmatch(name):
        return "it looks like the short form of another name"
    if len(name.encode()) > MAX_NAME_BYTES:
        return "it is too long"
    return ""


def refuse_twins(paths: Iterable[str]) -> None:
    """Refuses paths that are one file where case doesn't count (Windows, macOS, FAT).

    Raises:
        FormatError: Two of them are.
    """
    seen: dict[str, str] = {}
    for path in paths:
        twin = seen.setdefault(unicodedata.normalize("NFKC", path.casefold()), path)
        if twin != path:
            raise FormatError(f"{path!r} and {twin!r} are one file on some systems.")
