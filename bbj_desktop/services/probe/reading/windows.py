"""Reads the Windows registry and a few functions of kernel32. Never run on Windows so far. Runs in a child."""

from __future__ import annotations

import sys

assert sys.platform == "win32"  # noqa: S101 - tells the type checker

import ctypes  # noqa: E402
import winreg  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from typing import Any  # noqa: E402

_VERSION_KEY = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_PROCESSOR_KEY = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
_DISPLAY_KEY = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"

_DISPLAY_VALUES = (
    "DriverDesc",
    "DriverVersion",
    "ProviderName",
    "MatchingDeviceId",
    "HardwareInformation.qwMemorySize",
    "HardwareInformation.MemorySize",
)
# PF_… of winnt.h, as documented for IsProcessorFeaturePresent.
_PROCESSOR_FEATURES = (19, 39, 40, 41)


def read_windows() -> Iterator[tuple[str, Any]]:
    """Yields ``version``, ``processor``, ``processor_features``, ``native_machine`` and ``display_adapters``.

    Never run on Windows so far.
    """
    yield "version", _values(_VERSION_KEY, ("ProductName", "DisplayVersion", "CurrentBuildNumber", "UBR"))
    yield "processor", _values(_PROCESSOR_KEY, ("ProcessorNameString",))
    yield "processor_features", _processor_features()
    yield "native_machine", _native_machine()
    yield "display_adapters", _display_adapters()


def _values(key: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Named values of a key in HKLM; bytes become numbers (little endian, as drivers write sizes)."""
    values: dict[str, Any] = {}
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key, access=winreg.KEY_READ | winreg.KEY_WOW64_64KEY) as handle:
            for name in names:
                try:
                    value, _ = winreg.QueryValueEx(handle, name)
                except FileNotFoundError:
                    continue
                values[name] = int.from_bytes(value, "little") if isinstance(value, bytes) else value
    except OSError as error:
        return {"error": error.strerror or str(error)}
    return values


def _display_adapters() -> dict[str, dict[str, Any]]:
    """Values of each numbered key under the display class."""
    adapters = {}
    for number in range(32):
        name = f"{number:04d}"
        values = _values(rf"{_DISPLAY_KEY}\{name}", _DISPLAY_VALUES)
        if "DriverDesc" in values:
            adapters[name] = values
    return adapters


def _processor_features() -> dict[str, bool]:
    present = ctypes.windll.kernel32.IsProcessorFeaturePresent
    return {str(feature): bool(present(feature)) for feature in _PROCESSOR_FEATURES}


def _native_machine() -> int | None:
    """IMAGE_FILE_MACHINE_… of the real processor, whatever this program is emulated as (IsWow64Process2)."""
    process_machine, native_machine = ctypes.c_ushort(), ctypes.c_ushort()
    kernel = ctypes.windll.kernel32
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    asked = kernel.IsWow64Process2(
        ctypes.c_void_p(kernel.GetCurrentProcess()), ctypes.byref(process_machine), ctypes.byref(native_machine)
    )
    return native_machine.value if asked else None
