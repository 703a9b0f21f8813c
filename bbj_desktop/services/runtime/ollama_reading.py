"""Reads what can be seen of Ollama on this machine. Decides nothing; ``ollama_finding`` makes sense of it.

Of a process's environment only Ollama's own variables and the home folder are kept, never a key.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from bbj_desktop.core.errors import UserInputError
from bbj_desktop.services.probe.raw import RawInputs
from bbj_desktop.services.probe.reading.children import ask_tool
from bbj_desktop.services.runtime.ollama_address import is_local, parse_ollama_host
from bbj_desktop.services.runtime.ollama_finding import (
    LAUNCH_VARIABLES,
    UNIT_TOOL,
    OllamaFinding,
    candidate_folders,
    interpret,
)

_LISTEN_TIMEOUT_S = 0.5
_MAX_PROCESSES = 20


def find_ollama(
    address: str, *, environment: Mapping[str, str] = os.environ, timeout_s: float = 2.0, root: Path = Path("/")
) -> OllamaFinding:
    """Looks for Ollama on this machine. Never raises; what can't be read is guessed, which the finding says.

    Args:
        address: Its address, as ``parse_ollama_host`` returns it.
        environment: Of this program.
        timeout_s: How long a tool of the system may take, in seconds.
        root: Where the machine's file system begins.
    """
    try:
        address = parse_ollama_host(address)
    except UserInputError:  # said by whoever wanted to use it
        return OllamaFinding(address=address, local=False)
    if not is_local(address):
        return interpret(RawInputs(platform=sys.platform), address)
    return interpret(read_ollama(address, environment=environment, timeout_s=timeout_s, root=root), address)


def read_ollama(
    address: str, *, environment: Mapping[str, str] = os.environ, timeout_s: float = 2.0, root: Path = Path("/")
) -> RawInputs:
    """The raw inputs, for ``interpret`` or for a recording (``probe.raw.dump_recording``)."""
    tools = _tools()
    with ThreadPoolExecutor(max_workers=max(1, len(tools)), thread_name_prefix="ollama") as pool:
        ran = {line: pool.submit(ask_tool, line.split(), timeout_s=timeout_s) for line in tools}
        processes = dict(_processes())
    raw = RawInputs(
        platform=sys.platform,
        tools={line: future.result()[0] for line, future in ran.items()},
        answers={
            "me": {"user": _user(), "home": str(Path.home())},
            "environment": _ours(environment),
            "processes": processes,
            "homes": dict(_homes(processes)),
            "executables": {"found": [str(path) for path in _executables(environment, root)]},
            "listening": {address: _listens(address)},
            "windows": _windows(),
        },
        failures={line: failure for line, future in ran.items() if (failure := future.result()[1])},
    )
    folders = {path: _folder(Path(path)) for path in candidate_folders(raw, address)}
    return replace(raw, answers={**raw.answers, "folders": folders})


def _tools() -> tuple[str, ...]:
    if sys.platform == "darwin":  # never run on macOS so far
        return tuple(f"launchctl getenv {name}" for name in LAUNCH_VARIABLES)
    return (UNIT_TOOL,) if sys.platform == "linux" and shutil.which("systemctl") else ()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this number; KeyError before Python 3.13
        return str(os.getuid()) if sys.platform != "win32" else ""


def _ours(environment: Mapping[str, str]) -> dict[str, str]:
    """Ollama's own variables; the key to its makers' servers isn't anybody's business."""
    wanted = {"HOME", "USERPROFILE"}
    return {
        name: value
        for name, value in environment.items()
        if (name.startswith("OLLAMA_") and "KEY" not in name) or name in wanted
    }


# -- processes


def _processes() -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything called Ollama; another user's process tells less."""
    found = 0
    for process in psutil.process_iter(["pid", "name", "exe", "cmdline", "username"]):
        facts = process.info
        if not _is_ollama(facts) or found >= _MAX_PROCESSES:
            continue
        found += 1
        yield (
            str(facts["pid"]),
            {
                "name": facts["name"],
                "exe": facts["exe"],
                "command": facts["cmdline"] or [],
                "user": facts["username"],
                "environment": _environment_of(process),
                "listens": _listening_of(process),
                "cgroup": _cgroup_of(facts["pid"]),
            },
        )


def _is_ollama(facts: Mapping[str, Any]) -> bool:
    names = [str(facts["name"] or ""), *(Path(word).name for word in (facts["cmdline"] or [])[:2])]
    return any(name.lower().removesuffix(".exe") in ("ollama", "ollama app") for name in names)


def _environment_of(process: psutil.Process) -> dict[str, str] | None:
    try:
        return _ours(process.environ())
    except (psutil.Error, OSError):
        return None


def _listening_of(process: psutil.Process) -> list[str]:
    try:
        connections = process.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return []
    return [f"{each.laddr.ip}:{each.laddr.port}" for each in connections if each.status == psutil.CONN_LISTEN]


def _cgroup_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _homes(processes: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The home folders of those who run it, and of the service's user."""
    if sys.platform == "win32":
        return
    import pwd

    users = {str(facts["user"]) for facts in processes.values() if facts["user"]} | {"ollama", "root"}
    for user in users:
        with contextlib.suppress(KeyError):
            yield user, pwd.getpwnam(user).pw_dir


def _listens(address: str) -> bool:
    parts = urlsplit(address)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_LISTEN_TIMEOUT_S):
            return True
    except OSError:
        return False


# -- files


def _executables(environment: Mapping[str, str], root: Path) -> Iterator[Path]:
    on_path = shutil.which("ollama", path=environment.get("PATH"))
    places = [Path(on_path)] if on_path else []
    places += list(_known_places(environment, root))
    yield from dict.fromkeys(place for place in places if place.is_file())


def _known_places(environment: Mapping[str, str], root: Path) -> Iterator[Path]:
    """Where the installers of ollama.com and the usual packages put it (Windows, macOS: never run so far)."""
    if sys.platform == "win32":
        for variable, below in (("LOCALAPPDATA", "Programs/Ollama"), ("PROGRAMFILES", "Ollama")):
            if environment.get(variable):
                yield Path(environment[variable]) / below / "ollama.exe"
        return
    if sys.platform == "darwin":
        for folder in (root / "Applications", Path.home() / "Applications"):
            yield folder / "Ollama.app/Contents/Resources/ollama"
    for folder in ("usr/local/bin", "usr/bin", "opt/homebrew/bin", "snap/bin"):
        yield root / folder / "ollama"
    yield Path.home() / ".local/bin/ollama"


def _folder(path: Path) -> dict[str, Any]:
    """Owner and rights; the blobs' folder decides, because it is what is read and written."""
    blobs = path / "blobs"
    try:
        place = blobs if blobs.is_dir() else path
        if not place.is_dir():
            return {"exists": False}
        owner = _owner(place)
    except OSError:  # e.g. below another user's closed home folder
        return {"exists": True, "readable": False, "writable": False}
    return {
        "exists": True,
        "owner": owner,
        "readable": os.access(place, os.R_OK | os.X_OK),
        "writable": os.access(place, os.W_OK | os.X_OK),
    }


def _owner(place: Path) -> str | None:
    """A container's or another machine's user may have a number only. Raises OSError."""
    if sys.platform == "win32":
        return None
    try:
        return place.owner()
    except KeyError:
        return f"user {place.stat().st_uid}"


def _windows() -> dict[str, Any]:
    """Never run on Windows so far."""
    answers: dict[str, Any] = {}
    if sys.platform == "win32":
        from bbj_desktop.services.runtime.ollama_windows import read_windows

        answers = read_windows()
    return answers
