"""Asks file systems about folders. Runs in a child: a dead network drive answers never."""

from __future__ import annotations

import os
import queue
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_volumes(paths: list[str]) -> Iterator[tuple[str, Any]]:
    """Yields one answer a path as soon as it is there; a path that hangs doesn't keep the others waiting.

    Off Linux (whose /proc/self/mountinfo tells the same) also ``partitions``: mount point, device and file system.
    """
    answers: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    for path in paths:
        threading.Thread(target=lambda path=path: answers.put((path, _look_at(path))), daemon=True).start()
    for _ in paths:
        yield answers.get()
    if not sys.platform.startswith("linux"):
        yield "partitions", _partitions()


def _look_at(path: str) -> dict[str, Any]:
    try:
        folder, reachable = nearest_existing(Path(path))
        usage = shutil.disk_usage(folder)
        return {
            "existing": os.path.realpath(folder),
            "device": folder.stat().st_dev,
            "total": usage.total,
            "free": usage.free,
            "writable": reachable and _writable(folder),
        }
    except OSError as error:
        return {"error": error.strerror or str(error)}


def nearest_existing(path: Path) -> tuple[Path, bool]:
    """The folder itself or its nearest parent that exists and may be looked at, and whether nothing bars the way.

    The way is barred when a file stands in the folder's place or a parent may not be entered.
    """
    reachable = True
    for folder in (path, *path.parents):
        try:
            mode = os.stat(f"{folder}{os.sep}.").st_mode  # noqa: PTH116 - pathlib drops the dot, which asks for entry
        except FileNotFoundError:
            continue
        except (NotADirectoryError, PermissionError):
            reachable = False
            continue
        if stat.S_ISDIR(mode):
            return folder, reachable
        reachable = False
    return Path(path.anchor), reachable


def _writable(folder: Path) -> bool:
    return _writable_on_windows(folder) if os.name == "nt" else os.access(folder, os.W_OK | os.X_OK)


def _writable_on_windows(folder: Path) -> bool:
    """Never run on Windows so far. os.access knows the read-only flag only, not the access list: trying tells."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _partitions() -> list[dict[str, str]]:
    """Never run on Windows/macOS so far."""
    try:
        import psutil
    except ImportError:
        return []
    return [
        {"mountpoint": it.mountpoint, "device": it.device, "filesystem": it.fstype}
        for it in psutil.disk_partitions(all=True)
    ]
