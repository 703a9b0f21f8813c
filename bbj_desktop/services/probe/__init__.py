"""Finds out what this machine is.

Two halves that meet in one value: ``reading`` collects raw inputs (files, API answers, tool output) and decides
nothing; ``interpreting`` turns these into a profile and touches nothing. A recording of the raw inputs can stand in for
a machine.

Everything that a driver, a tool or a file system can hang or crash runs in a child process with a time limit.
Imports are kept inside the functions: the command line's help and the children must start quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbj_desktop.core.hardware import HardwareProfile, VolumePurpose

__all__ = ["child_command", "probe_hardware", "record_hardware", "run_child"]


def probe_hardware(places: Mapping[VolumePurpose, Path], *, timeout_s: float = 3.0) -> HardwareProfile:
    """Looks at this machine. Never raises and never hangs: what can't be found out becomes a note.

    Args:
        places: The folders that will be used; they need not exist yet.
        timeout_s: How long drivers, tools and file systems may take, in seconds. All are asked at the same time.
    """
    from bbj_desktop.services.probe.interpreting.profile import interpret
    from bbj_desktop.services.probe.reading.gather import gather

    return interpret(gather(places, timeout_s=timeout_s), places)


def record_hardware(places: Mapping[VolumePurpose, Path], *, timeout_s: float = 3.0) -> str:
    """The raw inputs as text, for a report that shows what this machine answered (``raw.load_recording`` reads it)."""
    from bbj_desktop.services.probe.raw import dump_recording
    from bbj_desktop.services.probe.reading.gather import gather

    return dump_recording(gather(places, timeout_s=timeout_s), source="recorded on the machine itself")


def child_command(name: str) -> list[str]:
    """The command line that starts one reader in a process of its own; in a packaged app that is the app itself."""
    from bbj_desktop.services.probe.reading.children import child_command

    return child_command(name)


def run_child(name: str, *arguments: str) -> None:
    """What the packaged app does when it is started as ``--probe-child NAME …``: answers on stdout, then returns."""
    from bbj_desktop.services.probe.reading.child import run_child

    run_child(name, *arguments)
