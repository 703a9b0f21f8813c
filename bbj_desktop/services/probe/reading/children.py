"""Runs readers and tools in processes of their own, with a time limit that holds.

A driver may hang in the kernel, where even SIGKILL waits: such a process is left to a background thread, and what it
had said until then is used.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bbj_desktop.services.probe.raw import Failure

CHILD_OPTION = "--probe-child"
_CHILD_MODULE = "bbj_desktop.services.probe.reading.child"
_IMPORT_ROOT = Path(__file__).resolve().parents[4]

_MAX_OUTPUT_BYTES = 4 * 2**20
_KILL_GRACE_S = 0.3
_HIGHEST_STATUS = 0xFF  # above it, Windows reports an exception code such as 0xC0000005


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it wrote to stdout until then.

    Attributes:
        status: Exit status, negative for a signal (POSIX); None when it was killed because of its time limit or its
            endless output.
    """

    output: bytes
    status: int | None
    endless: bool = False


def child_command(name: str) -> list[str]:
    """The command line that starts one reader; its JSON arguments are appended."""
    if getattr(sys, "frozen", False):
        return [sys.executable, CHILD_OPTION, name]
    return [sys.executable, "-m", _CHILD_MODULE, name]


def ask_child(command: Sequence[str], *, timeout_s: float) -> tuple[dict[str, Any], Failure | None]:
    """Runs a reader and collects its answers, also those that it gave before it failed."""
    try:
        ended = run_limited(command, timeout_s=timeout_s)
    except OSError as error:
        return {}, Failure("missing", error.strerror or "")
    answers, clean = _parse(ended.output)
    finished = answers.pop("end", False)
    if ended.status is None and not ended.endless:
        return answers, Failure("timeout", f"{timeout_s:g}")
    if ended.status:
        return answers, _early_end(ended.status)
    return answers, None if finished and clean else Failure("garbage")


def ask_tool(command: Sequence[str], *, timeout_s: float) -> tuple[str, Failure | None]:
    """Runs a tool of the system and returns its stdout as text."""
    try:
        ended = run_limited(command, timeout_s=timeout_s)
    except OSError as error:
        return "", Failure("missing", error.strerror or "")
    text = ended.output.decode(errors="replace")
    if ended.status is None:
        return text, Failure("garbage") if ended.endless else Failure("timeout", f"{timeout_s:g}")
    # A status other than 0 is usual where one of several questions is unknown to this version of the system.
    return text, _early_end(ended.status) if ended.status and not text else None


def run_limited(command: Sequence[str], *, timeout_s: float) -> Ended:
    """Runs a command to its end or to its time limit, then kills it with all that it started.

    Raises:
        OSError: It could not be started.
    """
    deadline = time.monotonic() + timeout_s
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env=_environment(),
        start_new_session=True,
        creationflags=_creation_flags(),
    )
    output = bytearray()
    reader = threading.Thread(target=_collect, args=(process, output), name="probe-output", daemon=True)
    reader.start()
    reader.join(timeout_s)
    endless = len(output) > _MAX_OUTPUT_BYTES
    status = None if endless else _wait(process, deadline - time.monotonic())
    if status is None or reader.is_alive():
        _kill_group(process)
        reader.join(_KILL_GRACE_S)
        if _wait(process, _KILL_GRACE_S) is None:
            threading.Thread(target=process.wait, name="probe-abandoned", daemon=True).start()
        return Ended(bytes(output), None, endless)
    return Ended(bytes(output), status)


def _collect(process: subprocess.Popen[bytes], output: bytearray) -> None:
    if process.stdout is None:
        return
    with process.stdout as pipe:
        while (block := pipe.read(65536)) and len(output) <= _MAX_OUTPUT_BYTES:
            output += block


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(max(seconds, 0.0))
    except subprocess.TimeoutExpired:
        return None


def _environment() -> dict[str, str]:
    """The child must import this very package, however this program was started."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "LC_ALL": "C"}
    paths = [str(_IMPORT_ROOT), environment.get("PYTHONPATH", "")]
    return environment | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


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


def _parse(output: bytes) -> tuple[dict[str, Any], bool]:
    """Each line is ``["question", answer]``; drivers that write to stdout themselves spoil only their own lines."""
    answers: dict[str, Any] = {}
    lines = output.decode(errors="replace").splitlines()
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            pair = json.loads(line)
            if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str):  # noqa: PLR2004 - a pair
                answers[pair[0]] = pair[1]
    return answers, bool(answers)


def _early_end(status: int) -> Failure:
    if status < 0:
        with contextlib.suppress(ValueError):
            return Failure("crash", signal.Signals(-status).name)
    if status < 0 or status > _HIGHEST_STATUS:
        return Failure("crash", f"{status:#x}")
    return Failure("exit", str(status))
