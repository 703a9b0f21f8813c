"""Folders that may not be written, or not even looked into, or that are somebody else's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SOMEBODY = 61234


def give_away(folder: Path) -> Path:
    """Makes a folder another user's, and returns it. Skips the test where only an administrator may do that."""
    if sys.platform == "win32" or os.getuid() != 0:
        pytest.skip("needs root: only root can give a folder away")
    os.chown(folder, SOMEBODY, SOMEBODY)
    return folder


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Takes the right to write in ``folder`` and below. Skips the test where nothing keeps this user from writing."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for each in folders:
        each.chmod(0o500)
    try:
        if _can_write(folder):
            pytest.skip("needs a user whom permissions bind (not root, not Windows)")
        yield
    finally:
        for each in folders:
            each.chmod(0o700)


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Takes every right on ``folder``, as another user's home folder has it. Skips the test as ``read_only`` does."""
    folder.chmod(0o000)
    try:
        if os.access(folder, os.R_OK):
            pytest.skip("needs a user whom permissions bind (not root, not Windows)")
        yield
    finally:
        folder.chmod(0o700)


def _can_write(folder: Path) -> bool:
    probe = folder / "probe"
    try:
        probe.touch()
    except OSError:
        return False
    probe.unlink()
    return True
