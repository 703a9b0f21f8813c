"""The embedded engine's host, which all programs of a user share: see it, end it, read its logs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.runtime.embedded_host.client import find, stop
from bbj_desktop.services.runtime.engine import log_tail

TAIL_LINES = 40


class EngineClient(BaseModel):
    """A program that uses the host.

    Attributes:
        pid: Of its process.
        since: When it came.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    since: datetime


class EngineStatus(BaseModel):
    """The host and its engine.

    Attributes:
        running: There is a host.
        pid: Of the host.
        app_version: Of the program that started it.
        since: When it began.
        clients: Programs that use it now.
        model: The version in memory; null when there is none.
        context_length: Its tokens of context.
        engine_pid: Of the process that holds the model.
        answering: Answers being given now.
        starts: How often an engine was started.
        crashes: How often one ended by itself.
        last_crash: Why, the last time.
        gateway: The address for IDEs; empty when it isn't open.
        gateway_trouble: Why it isn't, though it should be.
        memory_bytes: What the engine takes; null when nothing is loaded, or it can't be seen.
        unload_s: The model's memory is freed after so many seconds without a question.
        logs: Folder of the logs.
    """

    model_config = ConfigDict(frozen=True)

    running: bool
    pid: int | None = None
    app_version: str | None = None
    since: datetime | None = None
    clients: tuple[EngineClient, ...] = ()
    model: str | None = None
    context_length: int | None = None
    engine_pid: int | None = None
    answering: int = 0
    starts: int = 0
    crashes: int = 0
    last_crash: str | None = None
    gateway: str = ""
    gateway_trouble: str = ""
    memory_bytes: int | None = None
    unload_s: float | None = None
    logs: Path


class EngineLog(BaseModel):
    """The end of a log.

    Attributes:
        path: The file.
        lines: Its last lines.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    lines: tuple[str, ...]


def engine_status(context: Context) -> EngineStatus:
    """Asks the host, without starting one.

    Raises:
        EngineError: It is there and doesn't answer.
    """
    shared = context.shared_engine()
    logs = Path(shared.options.state)
    lease = find(shared.place, "status")
    if lease is None:
        return EngineStatus(running=False, logs=logs)
    with lease:
        said = lease.ask("status")
    crash, loaded = said.get("last_crash"), said.get("loaded")
    clients = [each for each in said["clients"] if each["what"] != "status"]
    return EngineStatus(
        running=True,
        pid=said["pid"],
        app_version=said["app_version"],
        since=datetime.fromtimestamp(said["started"], UTC),
        clients=tuple(EngineClient(pid=c["pid"], since=datetime.fromtimestamp(c["since"], UTC)) for c in clients),
        model=None if loaded is None else loaded["name"],
        context_length=said["context_length"],
        engine_pid=said["engine_pid"],
        answering=said["answering"],
        starts=said["starts"],
        crashes=said["crashes"],
        last_crash=None if crash is None else crash["message"].strip(),
        gateway=said.get("gateway", ""),
        gateway_trouble=said.get("gateway_trouble", ""),
        memory_bytes=None if loaded is None else loaded.get("size_bytes"),
        unload_s=said.get("unload_s"),
        logs=logs,
    )


def stop_engine(context: Context, cancel: Cancel) -> int | None:
    """Ends the host, its engine and the gateway, whoever uses them.

    Returns:
        The host's process number; None when none ran.

    Raises:
        Cancelled: By ``cancel``.
    """
    return stop(context.shared_engine().place, cancel).pid


def engine_logs(context: Context) -> tuple[EngineLog, ...]:
    """The ends of the host's and the engine's logs, the oldest first."""
    folder = Path(context.shared_engine().options.state)
    found = sorted(folder.glob("*.log"), key=_changed) if folder.is_dir() else []
    return tuple(EngineLog(path=each, lines=tuple(log_tail(each, TAIL_LINES).splitlines())) for each in found)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # an engine that ended just now took its log along
        return 0.0
