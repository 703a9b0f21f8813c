"""Runs a foreign program with limits that hold: on its time, on what it says, and on what it leaves behind.

A program may hang in the kernel, where even SIGKILL waits: such a process is left to a background thread, and what it
had said until then is used.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bbj_desktop.core.progress import Cancel

_MAX_OUTPUT_BYTES = 4 * 2**20
_KILL_GRACE_S = 0.3


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it said until then.

    Attributes:
        output: What it wrote to the one stream that was listened to.
        status: Exit status, negative for a signal (POSIX); None when it was killed because of its time limit or its
            endless output.
        endless: It was killed because it didn't stop talking.
    """

    output: bytes
    status: int | None
    endless: bool = False


def run_limited(
    command: Sequence[str],
    *,
    timeout_s: float,
    listen: Literal["stdout", "stderr"] = "stdout",
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    cancel: Cancel | None = None,
) -> Ended:
    """Runs a command to its end or to its time limit, then kills it with all that it started.

    Args:
        timeout_s: Seconds that it may take.
        listen: The stream that is kept; the other one goes nowhere.
        environment: Its variables; None gives it ours.
        folder: Where it runs; None: where we do.
        cancel: Ends it early.

    Raises:
        OSError: It could not be started.
        Cancelled: On request; nothing of it is left.
    """
    cancel = cancel or Cancel()
    cancel.check()
    deadline = time.monotonic() + timeout_s
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if listen == "stdout" else subprocess.DEVNULL,
        stderr=subprocess.PIPE if listen == "stderr" else subprocess.DEVNULL,
        bufsize=0,
        env=environment,
        cwd=folder,
        start_new_session=True,
        creationflags=_creation_flags(),
    )
    forget = cancel.on_cancel(lambda: _kill_group(process) if process.returncode is None else None)
    try:
        ended = _ended(process, deadline)
    finally:
        forget()
    cancel.check()
    return ended


def _ended(process: subprocess.Popen[bytes], deadline: float) -> Ended:
    output = bytearray()
    reader = threading.Thread(target=_collect, args=(process, output), name="child-output", daemon=True)
    reader.start()
    reader.join(max(deadline - time.monotonic(), 0.0))
    endless = len(output) > _MAX_OUTPUT_BYTES
    status = None if endless else _wait(process, deadline - time.monotonic())
    if status is None or reader.is_alive():
        _kill_group(process)
        reader.join(_KILL_GRACE_S)
        if _wait(process, _KILL_GRACE_S) is None:
            threading.Thread(target=process.wait, name="child-abandoned", daemon=True).start()
        return Ended(bytes(output), None, endless)
    return Ended(bytes(output), status)


def _collect(process: subprocess.Popen[bytes], output: bytearray) -> None:
    listened = process.stdout or process.stderr
    if listened is None:
        return
    with listened as pipe:
        while (block := pipe.read(65536)) and len(output) <= _MAX_OUTPUT_BYTES:
            output += block


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(max(seconds, 0.0))
    except subprocess.TimeoutExpired:
        return None


def _creation_flags() -> int:
    """Never run on Windows so far: no console window flashes up for a child."""
    return int(getattr(subprocess, "CREATE_NO_WINDOW", 0))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Either the process is unreaped or one that it started is left: the group's number can't be another one's yet.

    Windows: never run so far.
    """
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
