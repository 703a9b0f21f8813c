"""Asks everything at the same time and collects the raw inputs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bbj_desktop.core.hardware import VolumePurpose
from bbj_desktop.services.probe.raw import RawInputs
from bbj_desktop.services.probe.reading import linux
from bbj_desktop.services.probe.reading.children import ask_child, ask_tool, child_command

SYSCTL = "sysctl -i hw machdep.cpu kern.osproductversion kern.osrelease sysctl.proc_translated iogpu"
PROFILER = "system_profiler -json SPDisplaysDataType"

ChildCommand = Callable[[str], list[str]]


def gather(
    places: Mapping[VolumePurpose, Path],
    *,
    timeout_s: float,
    command_for: ChildCommand = child_command,
    root: Path = Path("/"),
) -> RawInputs:
    """Reads this machine.

    Args:
        places: Folders that will be used.
        timeout_s: For each child and tool, all of which run at the same time.
        command_for: Command line of a reader's process.
        root: Linux: where the machine's file system begins.
    """
    files = linux.read_files(root) if _on_linux() else {}
    children = {"volumes": [json.dumps([str(path.absolute()) for path in places.values()])], **_children(files, root)}
    tools = _tools()
    with ThreadPoolExecutor(max_workers=len(children) + len(tools), thread_name_prefix="probe") as pool:
        asked = {
            name: pool.submit(ask_child, [*command_for(name), *arguments], timeout_s=timeout_s)
            for name, arguments in children.items()
        }
        ran = {line: pool.submit(ask_tool, line.split(), timeout_s=timeout_s) for line in tools}
        process = _process_answers()
    answers = {name: future.result()[0] for name, future in asked.items()}
    files |= {str(path): text for path, text in answers.pop("drm", {}).items()}
    failures = {name: future.result()[1] for name, future in (asked | ran).items()}
    return RawInputs(
        platform=sys.platform,
        files=files,
        tools={line: future.result()[0] for line, future in ran.items()},
        answers={"process": process, **answers},
        failures={name: failure for name, failure in failures.items() if failure},
    )


def _on_linux() -> bool:
    return sys.platform.startswith("linux")


def _children(files: dict[str, str], root: Path) -> dict[str, list[str]]:
    """The readers worth starting here, with their arguments."""
    children: dict[str, list[str]] = {}
    if _on_linux():
        if linux.has_nvidia_driver(root):
            children["nvml"] = []
        if linux.has_cards(files):
            children["drm"] = [json.dumps(str(root))]
    if os.name == "nt":
        children["windows"] = []
        if _has_nvml_dll():
            children["nvml"] = []
    return children


def _has_nvml_dll() -> bool:
    """Never run on Windows so far. Where pynvml looks for it: System32, before driver 340 NVIDIA's own folder."""
    system = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvml.dll")
    programs = Path(os.environ.get("PROGRAMFILES", r"C:\Program Files"), "NVIDIA Corporation", "NVSMI", "nvml.dll")
    return system.exists() or programs.exists()


def _tools() -> list[str]:
    """Never run on macOS so far."""
    tools: list[str] = []
    if sys.platform == "darwin":
        tools = [SYSCTL] if _machine() == "arm64" else [SYSCTL, PROFILER]
    return tools


def _process_answers() -> dict[str, Any]:
    """What the standard library and psutil know without waiting for anything."""
    answers: dict[str, Any] = {"machine": _machine(), "release": _release(), "logical_cores": os.cpu_count()}
    if hasattr(os, "sched_getaffinity"):
        answers["affinity"] = len(os.sched_getaffinity(0))
    if _on_linux():
        return answers | {"environment": linux.environment_of_container()}
    return answers | _psutil_answers()


def _psutil_answers() -> dict[str, Any]:
    """Never run on Windows/macOS so far."""
    try:
        import psutil
    except ImportError as error:
        return {"psutil": str(error)}
    memory = psutil.virtual_memory()
    return {
        "physical_cores": psutil.cpu_count(logical=False),
        "memory": {"total": memory.total, "available": memory.available},
    }


def _machine() -> str:
    # Not platform.machine(): on Windows it asks WMI from Python 3.12 on, which may hang.
    if sys.platform == "win32":
        machine = os.environ.get("PROCESSOR_ARCHITEW6432") or os.environ.get("PROCESSOR_ARCHITECTURE", "")
    else:
        machine = os.uname().machine
    return machine


def _release() -> str:
    if sys.platform == "win32":
        version = sys.getwindowsversion()
        release = f"{version.major}.{version.minor}.{version.build}"
    else:
        release = os.uname().release
    return release
