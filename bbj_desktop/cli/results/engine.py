"""Results about the embedded engine and its gateway."""

from __future__ import annotations

from bbj_desktop.actions.engine import EngineLog, EngineStatus
from bbj_desktop.actions.gateway import GatewayStatus
from bbj_desktop.cli.results.base import ResultModel


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
