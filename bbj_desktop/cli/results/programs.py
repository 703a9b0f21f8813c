"""Results about this program and the ones around it: runtimes, editors, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bbj_desktop.actions.engine import EngineLog, EngineStatus
from bbj_desktop.actions.finding import Finding
from bbj_desktop.actions.gateway import GatewayStatus
from bbj_desktop.actions.ide import IdeModel, TriedModel
from bbj_desktop.actions.ollama import OllamaState
from bbj_desktop.actions.purging import Ours
from bbj_desktop.actions.reporting import ReportFile
from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.cli.results.models import VersionView
from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.compiling import Verdict
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.settings import OriginKind
from bbj_desktop.services.runtime.ollama_starting import StartedOllama


class OllamaStatusResult(OllamaState):
    """What is known about the Ollama of the settings."""


class ConnectResult(ResultModel):
    """Attributes:
    address: The Ollama's.
    versions: What it has and this machine uses from now on; their ``path`` leads to no file.
    """

    address: str
    versions: tuple[VersionView, ...]


class OllamaStartResult(ResultModel):
    started: StartedOllama


class OllamaStopResult(ResultModel):
    """Attributes:
    stopped: Null when none ran that this program had started.
    """

    stopped: StartedOllama | None


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


class ValidatedCode(ResultModel):
    """Attributes:
    lines: What the compiler refuses, or why it didn't judge.
    """

    verdict: Verdict
    lines: tuple[str, ...]


class FieldReportResult(ResultModel):
    """A failed answer that was written down.

    Attributes:
        verdict: What the compiler says of the answer.
    """

    file: str
    verdict: Verdict


class McpResult(ResultModel):
    """The end of a server.

    Attributes:
        address: Where it was; none for stdio.
    """

    transport: Literal["stdio", "http"]
    address: str | None = None


class IdeShowResult(ResultModel):
    """Attributes:
    path: Continue's file.
    config: What it would hold, or holds, with these models.
    """

    models: tuple[IdeModel, ...]
    path: Path
    config: str


class IdeApplyResult(ResultModel):
    """Attributes:
    difference: Unified diff; empty when there is nothing to change.
    backup: What the file was before.
    """

    path: Path
    difference: str
    written: bool
    backup: Path | None = None


class IdeUndoResult(ResultModel):
    """Attributes:
    removed: The file wasn't there before, and isn't any more.
    """

    path: Path
    removed: bool


class IdeTestResult(ResultModel):
    models: tuple[TriedModel, ...]


class SettingView(ResultModel):
    """Attributes:
    value: In force; credentials are blotted out.
    origin: The layer that gave it.
    place: File, variable or flag; empty for the default.
    locked: A policy gave it: nothing else can change it.
    environment: The variables that set it.
    """

    name: str
    value: str | int | float | bool | None
    default: str | int | float | bool | None
    unit: str
    origin: OriginKind
    place: str
    locked: bool
    environment: tuple[str, ...]
    flag: str
    help: str


class SettingsResult(ResultModel):
    """Attributes:
    file: The settings file; need not exist.
    policy: The policy file; need not exist.
    """

    settings: tuple[SettingView, ...]
    file: Path
    policy: Path


class PurgeResult(ResultModel):
    removed: tuple[Ours, ...]
    kept: tuple[Ours, ...] = ()


class DemoView(ResultModel):
    key: str
    runtime: str
    fetched_bytes: int
    install_s: float
    question: str
    answer: str
    statistics: Statistics


class EngineStatusResult(ResultModel):
    engine: EngineStatus


class EngineStopResult(ResultModel):
    """Attributes:
    pid: Of the host that was ended; null when none ran.
    """

    pid: int | None


class EngineLogsResult(ResultModel):
    logs: tuple[EngineLog, ...]


class GatewayResult(ResultModel):
    """Of ``start`` and ``status``.

    Attributes:
        key: With ``--show-key``.
    """

    gateway: GatewayStatus
    key: str | None = None


class GatewayStopResult(ResultModel):
    """Attributes:
    closed: It was open.
    """

    closed: bool
