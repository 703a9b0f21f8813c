"""The other end of ``children``: one reader in a process that may hang or crash.

Each answer is one line of JSON, ``["question", answer]``, written as soon as it is there, so that a reader that hangs
later has not spoken in vain. The last line is ``["end", true]``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

Answers = Iterator[tuple[str, Any]]


def run_child(name: str, *arguments: str) -> None:
    """Runs one reader and writes its answers to stdout.

    Args:
        name: ``nvml``, ``drm``, ``volumes`` or ``windows``.
        arguments: JSON texts, the reader's arguments.
    """
    _crash_quietly()
    for question, answer in _reader(name)(*(json.loads(argument) for argument in arguments)):
        _write(question, answer)
    _write("end", True)


def _reader(name: str) -> Callable[..., Answers]:
    if name == "nvml":
        from bbj_desktop.services.probe.reading.nvml import read_nvml

        return read_nvml
    if name == "drm":
        from bbj_desktop.services.probe.reading.linux import read_cards

        return read_cards
    if name == "windows" and sys.platform == "win32":
        from bbj_desktop.services.probe.reading.windows import read_windows

        return read_windows
    if name == "volumes":
        from bbj_desktop.services.probe.reading.volumes import read_volumes

        return read_volumes
    raise SystemExit(f"There is no reader {name!r}.")


def _write(question: str, answer: object) -> None:
    # Not print: a packaged window program has no sys.stdout, but its file descriptor 1 is the parent's pipe.
    os.write(1, (json.dumps([question, answer]) + "\n").encode("ascii"))


def _crash_quietly() -> None:
    """No core file and no error dialog when a driver takes this process down. Windows: never run so far."""
    if sys.platform == "win32":
        import ctypes

        fail_critical_errors, no_fault_error_box = 0x1, 0x2
        ctypes.windll.kernel32.SetErrorMode(fail_critical_errors | no_fault_error_box)
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    run_child(*sys.argv[1:])
