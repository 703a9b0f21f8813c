"""What Windows keeps about Ollama: variables of user and machine, and a service. Never run on Windows so far."""

from __future__ import annotations

import sys

assert sys.platform == "win32"  # noqa: S101 - tells the type checker

import contextlib  # noqa: E402
import winreg  # noqa: E402
from typing import Any  # noqa: E402

import psutil  # noqa: E402

from bbj_desktop.services.runtime.ollama_finding import LAUNCH_VARIABLES  # noqa: E402

_PLACES = {
    "user": (winreg.HKEY_CURRENT_USER, "Environment"),
    "machine": (winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"),
}


def read_windows() -> dict[str, Any]:
    """``user`` and ``machine``: their variables; ``service``: state, process, user, command; missing when there is
    none. Never run on Windows so far."""
    answers: dict[str, Any] = {name: _values(*place) for name, place in _PLACES.items()}
    with contextlib.suppress(psutil.Error, OSError):
        service = psutil.win_service_get("ollama").as_dict()
        answers["service"] = {name: service.get(name) for name in ("status", "pid", "username", "binpath")}
    return answers


def _values(hive: int, key: str) -> dict[str, str]:
    values: dict[str, str] = {}
    with contextlib.suppress(OSError), winreg.OpenKey(hive, key) as handle:
        for name in LAUNCH_VARIABLES:
            with contextlib.suppress(OSError):
                values[name] = str(winreg.QueryValueEx(handle, name)[0])
    return values
