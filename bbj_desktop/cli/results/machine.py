"""Results about this machine and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bbj_desktop.actions.finding import Finding
from bbj_desktop.actions.reporting import ReportFile
from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.core.hardware import HardwareProfile


class DoctorResult(ResultModel):
    """Attributes:
    worst: The gravest state among the findings.
    log_file: Where the log is written.
    bundle: The archive that was written, or null.
    bundle_files: What is in it, each with ``name``, ``about``, ``size_bytes``.
    """

    worst: Literal["ok", "note", "warning", "error"]
    findings: tuple[Finding, ...]
    profile: HardwareProfile
    log_file: Path
    bundle: Path | None = None
    bundle_files: tuple[ReportFile, ...] = ()
