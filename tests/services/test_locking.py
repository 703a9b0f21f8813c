"""One writer across processes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bbj_desktop.core.errors import StoreAccessError, StoreBusyError
from bbj_desktop.services.locking import FileLock

HOLDER = """
import sys
from pathlib import Path
from bbj_desktop.services.locking import FileLock
FileLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Häuser und Höfe" / "lock"
    with FileLock(path), pytest.raises(StoreBusyError):
        FileLock(path).acquire()


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_a_lock_that_somebody_has_is_busy(tmp_path: Path, number: int) -> None:
    assert isinstance(FileLock(tmp_path / "lock").refusal(OSError(number, os.strerror(number))), StoreBusyError)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_volume_without_locks_is_refused_with_the_reason(tmp_path: Path, number: int) -> None:
    refusal = FileLock(tmp_path / "lock").refusal(OSError(number, os.strerror(number)))
    assert isinstance(refusal, StoreAccessError)
    assert os.strerror(number) in refusal.message
    assert "drive of this machine" in refusal.hint


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock(path):
        pass
    with FileLock(path) as lock:
        assert lock.held


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreBusyError):
            FileLock(path).acquire()
        holder.kill()
        holder.wait()
        with FileLock(path, timeout_s=5):
            pass


def test_an_unsuitable_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreAccessError, match="can't be opened"):
        FileLock(tmp_path / "file" / "lock").acquire()
