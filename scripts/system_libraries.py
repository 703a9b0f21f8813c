"""System libraries and programs that wheels don't carry: what is missing on this Linux, and how to get it.

Standard library only. On Windows and macOS the wheels bring everything.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

# Debian's and Ubuntu's package -> what of it is looked for: a shared library by its soname, a program, or a folder.
ENGINE = {"libgomp1": "libgomp.so.1", "libstdc++6": "libstdc++.so.6"}
WINDOW = {
    "libegl1": "libEGL.so.1",
    "libgl1": "libGL.so.1",
    "libglib2.0-0": "libglib-2.0.so.0",
    "libdbus-1-3": "libdbus-1.so.3",
    "libfontconfig1": "libfontconfig.so.1",
    "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu",
    "libx11-xcb1": "libX11-xcb.so.1",
    "libxkbcommon0": "libxkbcommon.so.0",
    "libxkbcommon-x11-0": "libxkbcommon-x11.so.0",
    "libxcb-cursor0": "libxcb-cursor.so.0",
    "libxcb-icccm4": "libxcb-icccm.so.4",
    "libxcb-image0": "libxcb-image.so.0",
    "libxcb-keysyms1": "libxcb-keysyms.so.1",
    "libxcb-randr0": "libxcb-randr.so.0",
    "libxcb-render-util0": "libxcb-render-util.so.0",
    "libxcb-shape0": "libxcb-shape.so.0",
    "libxcb-sync1": "libxcb-sync.so.1",
    "libxcb-xfixes0": "libxcb-xfixes.so.0",
    "libxcb-xkb1": "libxcb-xkb.so.1",
}
SCREEN = {"xvfb": "Xvfb", "xdotool": "xdotool"}

DEMO = ENGINE
# PyInstaller packs libpython, which Debian's own python3 does without, and reads libraries with objdump.
_PYTHON = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
FREEZE = {**ENGINE, **WINDOW, _PYTHON: f"{_PYTHON}.so.1.0", "binutils": "objdump"}
TESTS = {**ENGINE, **WINDOW, **SCREEN}


class SetUpError(Exception):
    """The set-up can't go on; the text says why, and what to type."""


def is_here(needed: str) -> bool:
    """Whether a shared library can be loaded, a program is on the PATH, or a folder exists."""
    if needed.startswith("/"):
        return Path(needed).exists()
    if ".so" not in needed:
        return shutil.which(needed) is not None
    try:
        ctypes.CDLL(needed)
    except OSError:
        return False
    return True


def missing(wanted: dict[str, str], here: Callable[[str], bool] = is_here) -> tuple[str, ...]:
    """Debian packages of ``wanted`` whose content isn't here; none on other systems than Linux."""
    if not sys.platform.startswith("linux"):
        return ()
    return tuple(package for package, needed in wanted.items() if not here(needed))


def line_to_type(packages: Iterable[str]) -> str:
    return f"sudo apt-get update && sudo apt-get install -y {' '.join(packages)}"


def may_install() -> bool:
    """Whether packages can be installed without asking anybody: as root, where apt-get is."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(packages: Iterable[str]) -> None:
    """Installs Debian packages.

    Raises:
        SetUpError: apt-get failed; its own message is on the terminal.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            raise SetUpError(f"apt-get failed (its message is above). Mend that, or type:\n  {line_to_type(packages)}")


def ensure(packages: tuple[str, ...], why: str, *, allowed: bool) -> None:
    """Installs what is missing where that can be done.

    Args:
        packages: Debian packages; empty: nothing to do.
        why: What needs them, for the message.
        allowed: Whether ``apt-get`` may be called.

    Raises:
        SetUpError: It can't be done here; the text holds the exact line to type.
    """
    if not packages:
        return
    if not allowed:
        raise SetUpError(f"{why} needs system packages that are missing here. Type this, then the same line again:\n"
                         f"  {line_to_type(packages)}\n"
                         "(names of Debian and Ubuntu; elsewhere, the packages with the same content)")  # fmt: skip
    print(f"Installing system packages: {' '.join(packages)}", flush=True)
    apt_install(packages)
