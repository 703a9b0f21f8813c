"""One writer at a time across processes, by a lock that the operating system frees when its holder dies."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from bbj_desktop.core.errors import StoreAccessError, StoreBusyError, StoreError

_POLL_S = 0.05  # seconds between two tries
_BUSY = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})  # the last two are Windows' words

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _give_back(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _give_back(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class FileLock:
    """An exclusive lock on a file, held between ``acquire`` and ``release`` or as a context manager.

    The file stays where it is: only the operating system's lock on it counts, so a process that was killed leaves no
    lock behind. Two locks of one process on the same file exclude each other too; one lock isn't re-entrant.

    Args:
        path: The lock file; made, with its folder, when it isn't there.
        timeout_s: How long to wait for another holder, in seconds; 0 means one try.
        what: What is locked, for the message, e.g. ``"the store"``.
    """

    def __init__(self, path: Path, *, timeout_s: float = 0.0, what: str = "") -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._what = what or str(path)
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        """Takes the lock.

        Raises:
            StoreBusyError: Somebody else still holds it after ``timeout_s``.
            StoreAccessError: The lock file can't be opened, or its volume knows no locks.
        """
        descriptor = self._open()
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                _take(descriptor)
            except OSError as error:
                if error.errno not in _BUSY or time.monotonic() >= deadline:
                    os.close(descriptor)
                    raise self.refusal(error) from error
                time.sleep(_POLL_S)
            else:
                self._descriptor = descriptor
                return

    def refusal(self, error: OSError) -> StoreError:
        """What a lock that wasn't given means: somebody has it, or the volume (a network drive, say) has no locks."""
        if error.errno in _BUSY:
            return StoreBusyError(
                f"Another process is writing to {self._what}.", hint="Wait until it is done and try again."
            )
        return StoreAccessError(
            f"{self.path} can't be locked: {error.strerror}. Without locks two programs could write at once.",
            hint="Choose a folder on a drive of this machine.",
        )

    def release(self) -> None:
        """Gives the lock back; nothing happens when it isn't held."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            _give_back(descriptor)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise StoreAccessError(
                f"The lock file {self.path} can't be opened: {error.strerror}.",
                hint="Check the permissions of its folder.",
            ) from error

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
