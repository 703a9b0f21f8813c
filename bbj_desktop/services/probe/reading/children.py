"""Runs readers and tools in processes of their own, with a time limit that holds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bbj_desktop.services.probe.raw import Failure
from bbj_desktop.services.processes import run_limited

CHILD_OPTION = "--probe-child"
_CHILD_MODULE = "bbj_desktop.services.probe.reading.child"
_IMPORT_ROOT = Path(__file__).resolve().parents[4]

_HIGHEST_STATUS = 0xFF  # above it, Windows reports an exception code such as 0xC0000005


def child_command(name: str) -> list[str]:
    """The command line that starts one reader; its JSON arguments are appended."""
    if getattr(sys, "frozen", False):
        return [sys.executable, CHILD_OPTION, name]
    return [sys.executable, "-m", _CHILD_MODULE, name]


def ask_child(command: Sequence[str], *, timeout_s: float) -> tuple[dict[str, Any], Failure | None]:
    """Runs a reader and collects its answers, also those that it gave before it failed."""
    try:
        ended = run_limited(command, timeout_s=timeout_s, environment=_environment())
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
        ended = run_limited(command, timeout_s=timeout_s, environment=_environment())
    except OSError as error:
        return "", Failure("missing", error.strerror or "")
    text = ended.output.decode(errors="replace")
    if ended.status is None:
        return text, Failure("garbage") if ended.endless else Failure("timeout", f"{timeout_s:g}")
    # A status other than 0 is usual where one of several questions is unknown to this version of the system.
    return text, _early_end(ended.status) if ended.status and not text else None


def _environment() -> dict[str, str]:
    """The child must import this very package, however this program was started."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "LC_ALL": "C"}
    paths = [str(_IMPORT_ROOT), environment.get("PYTHONPATH", "")]
    return environment | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


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
