"""Reads what Linux says about itself in files."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bbj_desktop.services.probe.interpreting.cgroups import GROUPS, MOUNTS, group_folders

_FILES = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/kernel/osrelease",
    "/proc/device-tree/model",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpu/smt/active",
    "/etc/os-release",
    "/usr/lib/os-release",
    "/.dockerenv",
    "/run/.containerenv",
    "/run/systemd/container",
    "/proc/1/cgroup",
    "/proc/driver/nvidia/version",
    GROUPS,
    MOUNTS,
)
_CARD_FILES = (
    "device/device",
    "device/revision",
    "device/uevent",
    "device/product_name",
    "device/mem_info_vram_total",
    "device/mem_info_vram_used",
    "device/mem_info_gtt_total",
    "device/mem_info_vram_vendor",
    "device/hwmon/hwmon*/in1_label",
    "lmem_total_bytes",
    "lmem_avail_bytes",
    "device/tile*/physical_vram_size_bytes",
)
_NVIDIA_SIGNS = (
    "/proc/driver/nvidia",
    "/dev/nvidiactl",
    "/dev/dxg",  # WSL 2
    "/dev/nvmap",  # Jetson
)
_ID_LISTS = ("/usr/share/libdrm/amdgpu.ids", "/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids")
_VENDORS_IN_SYSFS = ("0x1002", "0x8086")  # AMD, Intel: what NVML doesn't know
_MAX_FILE_BYTES = 2**20


def read_files(root: Path = Path("/")) -> dict[str, str]:
    """The files that say what the machine is: none of them waits for a device.

    Args:
        root: Where the machine's file system begins.
    """
    files = _read(root, _FILES)
    folders = group_folders(files.get(GROUPS, ""), files.get(MOUNTS, ""))
    files |= _read(root, (path for folder in folders for path in folder.files))
    files |= _read(root, _found(root, "/sys/class/drm/card*/device/vendor"))
    return files | _display_controllers(root)


def _display_controllers(root: Path) -> dict[str, str]:
    """GPUs on the bus, driver or not. PCI class 0x03…: https://pcisig.com, "PCI Code and ID Assignment"."""
    classes = _read(root, _found(root, "/sys/bus/pci/devices/*/class"))
    display = {path: text for path, text in classes.items() if text.startswith("0x03")}
    return display | _read(root, (f"{path.removesuffix('class')}vendor" for path in display))


def has_nvidia_driver(root: Path = Path("/")) -> bool:
    """Whether asking NVML can give anything: its kernel side (Linux, WSL2, Jetson) shows itself."""
    return any((root / sign.lstrip("/")).exists() for sign in _NVIDIA_SIGNS)


def has_cards(files: dict[str, str]) -> bool:
    """Whether there is a graphics card whose driver is worth asking."""
    return any("/sys/class/drm/" in path and text.strip() in _VENDORS_IN_SYSFS for path, text in files.items())


def read_cards(root: str = "/") -> Iterator[tuple[str, Any]]:
    """Yields text by path for each graphics card. Runs in a child: a driver in trouble blocks the read.

    Of the lists of names only the lines about these cards are given.
    """
    base = Path(root)
    files: dict[str, str] = {}
    for vendor_path, vendor in _read(base, _found(base, "/sys/class/drm/card*/device/vendor")).items():
        if vendor.strip() not in _VENDORS_IN_SYSFS:
            continue
        card = vendor_path.removesuffix("/device/vendor")
        found = _read(base, (path for name in _CARD_FILES for path in _found(base, f"{card}/{name}")))
        yield from found.items()
        files |= {vendor_path: vendor} | found
    numbers = (text.strip() for path, text in files.items() if path.endswith("device/device"))
    devices = {number.removeprefix("0x").lower() for number in numbers}
    for id_list in _ID_LISTS:
        lines = _lines_about(base / id_list.lstrip("/"), devices)
        if lines:
            yield id_list, lines


def _lines_about(path: Path, devices: set[str]) -> str:
    """The lines of an id list for these PCI device numbers, with the vendor lines that they stand under."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return "".join(line for line in file if _is_about(line, devices))
    except OSError:
        return ""


def _is_about(line: str, devices: set[str]) -> bool:
    if line.startswith("\t\t"):
        return False
    number = line.strip()[:4].lower()
    return number in devices or (not line.startswith("\t") and f"0x{number}" in _VENDORS_IN_SYSFS)


def environment_of_container() -> dict[str, str]:
    """Environment variables by which container engines make themselves known."""
    return {name: os.environ[name] for name in ("container", "KUBERNETES_SERVICE_HOST") if name in os.environ}


def _found(root: Path, pattern: str) -> list[str]:
    base = str(root).rstrip("/")
    return sorted(path.removeprefix(base) for path in glob.glob(glob.escape(base) + pattern))  # noqa: PTH207 - through links


def _read(root: Path, paths: Iterable[str]) -> dict[str, str]:
    files = {}
    for path in paths:
        with contextlib.suppress(OSError), (root / path.lstrip("/")).open("rb") as file:
            files[path] = file.read(_MAX_FILE_BYTES).decode(errors="replace").replace("\0", "")
    return files
