"""Operating system and container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from bbj_desktop.core.hardware import OperatingSystem
from bbj_desktop.services.probe.interpreting.texts import sysctl
from bbj_desktop.services.probe.raw import RawInputs

_ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
# IMAGE_FILE_MACHINE_… of winnt.h
_WINDOWS_MACHINES = {0x8664: "x86_64", 0xAA64: "arm64", 0x014C: "x86"}
_FIRST_BUILD_OF_WINDOWS_11 = 22000


def operating_system(raw: RawInputs) -> OperatingSystem:
    """What runs here, and in what it is packed."""
    family = _family(raw.platform)
    release = str(raw.answer("process").get("release", ""))
    match family:
        case "linux":
            name, version = _linux_name(raw), raw.text("/proc/sys/kernel/osrelease") or release
        case "macos":
            name, version = _macos_name(raw), sysctl(raw).get("kern.osrelease", release)
        case "windows":
            name, version = _windows_name(raw, release)
        case _:
            name, version = raw.platform, release
    return OperatingSystem(
        family=family,
        name=name,
        version=version,
        architecture=architecture(raw),
        container=_container(raw) if family == "linux" else None,
    )


def _family(platform: str) -> Literal["linux", "windows", "macos", "other"]:
    if platform.startswith("linux"):
        return "linux"
    if platform == "win32":
        return "windows"
    return "macos" if platform == "darwin" else "other"


def architecture(raw: RawInputs) -> str:
    """The processor's, whatever this program is emulated as (Rosetta, Windows on ARM)."""
    native = raw.answer("windows").get("native_machine")
    if native in _WINDOWS_MACHINES:
        return _WINDOWS_MACHINES[native]
    if raw.platform == "darwin" and sysctl(raw).get("hw.optional.arm64") == "1":
        return "arm64"
    machine = str(raw.answer("process").get("machine", ""))
    return _ARCHITECTURES.get(machine.lower(), machine or "unknown")


def _linux_name(raw: RawInputs) -> str:
    """Source: os-release(5)."""
    text = raw.files.get("/etc/os-release") or raw.files.get("/usr/lib/os-release") or ""
    pretty = re.search(r"^PRETTY_NAME=(['\"]?)(.*)\1$", text, re.MULTILINE)
    return pretty[2] if pretty and pretty[2] else "Linux"


def _macos_name(raw: RawInputs) -> str:
    return f"macOS {sysctl(raw).get('kern.osproductversion', '')}".strip()


def _windows_name(raw: RawInputs, release: str) -> tuple[str, str]:
    """Windows 11 still calls itself 10 in the registry; builds tell them apart (Microsoft's release information)."""
    values: Mapping[str, Any] = raw.answer("windows").get("version", {})
    name = str(values.get("ProductName") or "Windows")
    build = str(values.get("CurrentBuildNumber") or "")
    if build.isdecimal() and int(build) >= _FIRST_BUILD_OF_WINDOWS_11:
        name = name.replace("Windows 10", "Windows 11")
    version = f"10.0.{build}.{values['UBR']}" if build and "UBR" in values else release
    return f"{name} {values.get('DisplayVersion', '')}".strip(), version


def _container(raw: RawInputs) -> str | None:
    """The innermost layer that can be named.

    Source: systemd's container interface (``container=``, ``/run/systemd/container``), Docker's ``/.dockerenv``,
    Podman's ``/run/.containerenv``, the service variables of Kubernetes, and the kernel name that WSL 2 builds carry.
    """
    environment = raw.answer("process").get("environment", {})
    said = raw.text("/run/systemd/container") or environment.get("container", "")
    groups = raw.files.get("/proc/1/cgroup", "") + raw.files.get("/proc/self/cgroup", "")
    kernel = (raw.text("/proc/sys/kernel/osrelease") or "").lower()
    signs = {
        "kubernetes": "KUBERNETES_SERVICE_HOST" in environment or "/kubepods" in groups,
        "podman": "/run/.containerenv" in raw.files or said == "podman",
        "docker": "/.dockerenv" in raw.files or said == "docker" or "/docker/" in groups,
        "lxc": said.startswith("lxc") or ":/lxc" in groups,
        "wsl2": "microsoft" in kernel,
    }
    return next((name for name, seen in signs.items() if seen), said or None)
