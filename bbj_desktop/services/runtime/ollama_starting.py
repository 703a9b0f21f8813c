"""Starts an Ollama that is installed and doesn't run, and ends it again: that one, and no other.

A server started here gets a mark into its environment, which is written down before it starts: whatever happens to this
program, the next one knows the server as ours, and never takes another process with the same number for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import psutil
from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import (
    EngineCrashedError,
    EngineError,
    EngineMissingError,
    EngineRefusedError,
    FormatError,
    StoreAccessError,
)
from bbj_desktop.core.progress import Cancel, Report, Step
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.runtime.engine import log_tail
from bbj_desktop.services.runtime.ollama_address import is_local
from bbj_desktop.services.runtime.ollama_api import OllamaApi

STARTED_FORMAT = 1
LOG_FILE = "ollama.log"
MARK = "BBJ_DESKTOP_STARTED"
"""Variable in the environment of a server that we started; its value is the record's ``mark``."""

READY_TIMEOUT_S = 60.0
"""Longest start: on a cold disk the discovery of GPUs takes a while."""
_POLL_S = 0.1
_END_TIMEOUT_S = 10.0
_SAME_MOMENT_S = 2.0  # seconds; systems round a process's start differently
_LOCK_TIMEOUT_S = 90.0  # seconds; longer than a start

log = logging.getLogger(__name__)


class StartedOllama(BaseModel):
    """A server that this program started. The record of it.

    Attributes:
        mark: In its environment, too.
        pid: None between the record and the start.
        created: When the process began, in seconds since 1970 as the system says it.
        log: Where it writes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = STARTED_FORMAT
    mark: str
    executable: Path
    address: str
    log: Path
    started_at: datetime
    pid: int | None = None
    created: float | None = None


class OllamaStarter:
    """Starts and ends the one server of ours.

    Args:
        state: Folder of the record.
        logs: Folder of the server's log; the one before is kept as ``ollama.log.1``.
    """

    def __init__(self, state: Path, logs: Path) -> None:
        self._record = state / "ollama-started.json"
        self._lock = FileLock(state / "ollama.lock", timeout_s=_LOCK_TIMEOUT_S, what="Ollama's start")
        self._log = logs / LOG_FILE

    def running(self) -> StartedOllama | None:
        """The server that we started, if it still runs."""
        record = self._read()
        return record if record is not None and _process_of(record) is not None else None

    def start(
        self,
        executable: Path,
        address: str,
        report: Report,
        cancel: Cancel,
        *,
        environment: Mapping[str, str] = os.environ,
        timeout_s: float = READY_TIMEOUT_S,
    ) -> StartedOllama:
        """Starts ``ollama serve`` and waits until it answers. It goes on when this program ends.

        Args:
            executable: The program.
            address: Where it shall listen; on this machine.
            environment: What it gets, beside our own variables.
            timeout_s: How long to wait for its first answer, in seconds.

        Raises:
            EngineRefusedError: Something answers there already, the address isn't this machine's, or the one that we
                started runs elsewhere or doesn't answer.
            EngineMissingError: It can't be started.
            EngineCrashedError: It ended, or didn't answer in time; then it runs no more.
            StoreBusyError, StoreAccessError: Another process starts one; the record can't be written.
            Cancelled: By ``cancel``; then it runs no more.
        """
        with self._lock:
            if (running := self.running()) is not None:
                if running.address == address and _is_ready(address):
                    return running
                raise _second(running, address)
            _refuse(address)
            report(Step("start-ollama", f"Starting Ollama at {address}"))
            record = StartedOllama(
                mark=secrets.token_hex(16),
                executable=executable,
                address=address,
                log=self._log,
                started_at=datetime.now(UTC),
            )
            self._write(record)
            process = self._spawn(record, environment)
            try:
                record = record.model_copy(update={"pid": process.pid, "created": _created(process.pid)})
                self._write(record)
                _wait_until_ready(process, record, cancel, timeout_s)
            except BaseException:
                if process.poll() is None:  # until it was waited for the number is its own
                    _end(psutil.Process(process.pid))
                process.wait()
                self._record.unlink(missing_ok=True)
                raise
        threading.Thread(target=process.wait, name="ollama-reaper", daemon=True).start()
        log.info("started Ollama, process %d", process.pid)
        return record

    def stop(self) -> StartedOllama | None:
        """Ends the server that we started, with what it started; returns it. None when there is none: a server that
        somebody else started is never touched."""
        with self._lock:
            record = self._read()
            process = None if record is None else _process_of(record)
            if process is not None:
                _end(process)
            self._record.unlink(missing_ok=True)
            return record if process is not None else None

    def _spawn(self, record: StartedOllama, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        try:
            with _new_log(self._log) as output:
                return subprocess.Popen(
                    [str(record.executable), "serve"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=server_environment(record, environment),
                    start_new_session=sys.platform != "win32",
                    creationflags=_windows_flags(),
                )
        except OSError as error:
            self._record.unlink(missing_ok=True)
            raise EngineMissingError(
                f"{record.executable} can't be started: {error.strerror or error}.", hint="Install Ollama again."
            ) from error

    def _read(self) -> StartedOllama | None:
        try:
            return parse_document(StartedOllama, self._record.read_bytes(), what="record", newest=STARTED_FORMAT)
        except (FileNotFoundError, FormatError):
            return None
        except OSError as error:
            raise StoreAccessError(f"{self._record} can't be read: {error.strerror or error}.") from error

    def _write(self, record: StartedOllama) -> None:
        new = self._record.with_suffix(".new")
        try:
            new.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(record.model_dump_json(indent=1))
            new.replace(self._record)
        except OSError as error:
            raise StoreAccessError(f"{self._record} can't be written: {error.strerror or error}.") from error


def server_environment(record: StartedOllama, environment: Mapping[str, str]) -> dict[str, str]:
    """What a server of ours gets: its address, no way to its makers' machines (``OLLAMA_NO_CLOUD``), and nothing that
    is meant for this program alone: its settings, and the libraries of a packaged one."""
    theirs = {name: value for name, value in environment.items() if not name.startswith("BBJ_DESKTOP_")}
    if getattr(sys, "frozen", False):  # PyInstaller's start puts its folder first, and keeps what was there
        theirs.pop("LD_LIBRARY_PATH", None)
        if before := theirs.pop("LD_LIBRARY_PATH_ORIG", ""):
            theirs["LD_LIBRARY_PATH"] = before
    host = record.address.partition("://")[2]
    return {**theirs, "OLLAMA_HOST": host, "OLLAMA_NO_CLOUD": "1", MARK: record.mark}


def _second(running: StartedOllama, address: str) -> EngineRefusedError:
    where = "doesn't answer" if running.address == address else f"runs at {running.address}"
    return EngineRefusedError(
        f"The Ollama that this program started (process {running.pid}) {where}.",
        hint="End it first: bbj-desktop ollama stop",
    )


def _refuse(address: str) -> None:
    if not is_local(address) or not address.startswith("http://"):
        raise EngineRefusedError(
            f"An Ollama at {address} can't be started from here.", hint="Start it on the machine that it is to run on."
        )
    if _answers(address):
        raise EngineRefusedError(f"Something answers at {address} already.", hint="See bbj-desktop ollama status.")


def _answers(address: str) -> bool:
    """Whether something listens there, whatever it says."""
    try:
        _ask(address)
    except EngineMissingError:
        return False
    except EngineError:
        return True
    return True


def _is_ready(address: str) -> bool:
    """Whether an Ollama answers there."""
    try:
        _ask(address)
    except EngineError:
        return False
    return True


def _ask(address: str) -> None:
    api = OllamaApi(address)
    try:
        api.version()
    finally:
        api.close()


def _wait_until_ready(
    process: subprocess.Popen[bytes], record: StartedOllama, cancel: Cancel, timeout_s: float
) -> None:
    deadline = time.monotonic() + timeout_s
    while process.poll() is None:
        if _is_ready(record.address) and _listens(process, record.address):
            return
        if time.monotonic() >= deadline:
            raise EngineCrashedError(
                f"Ollama didn't answer within {timeout_s:g} s after its start, and was ended.{_last_words(record)}",
                hint=f"Its log is {record.log}.",
            )
        cancel.wait(_POLL_S)
    raise EngineCrashedError(
        f"Ollama ended at once (status {process.returncode}).{_last_words(record)}", hint=f"Its log is {record.log}."
    )


def _listens(process: subprocess.Popen[bytes], address: str) -> bool:
    """Whether it is the one that answers, and not another one that took the address meanwhile; where that can't be
    seen, whether it still runs."""
    port = urlsplit(address).port
    try:
        started = psutil.Process(process.pid)
        family = [started, *started.children(recursive=True)]  # a wrapper may have started the server
        sockets = [each for one in family for each in one.net_connections("tcp")]
    except psutil.Error:
        return process.poll() is None
    return port in {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}


def _last_words(record: StartedOllama) -> str:
    tail = log_tail(record.log)
    return f" Its last lines:\n{tail}\n" if tail else ""


def _new_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("wb")


def _windows_flags() -> int:
    """Never run on Windows so far: without a console window, and not ended with this program's console."""
    return int(getattr(subprocess, "CREATE_NO_WINDOW", 0)) | int(getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0))


# -- whose process is it


def _created(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _process_of(record: StartedOllama) -> psutil.Process | None:
    """The process of a record: known by its mark; where no environment can be read, by number and start. A record
    without a number was written by a program that died at the start: then the mark is looked for."""
    if record.pid is not None:
        return _if_ours(record.pid, record)
    marked = [process for process in psutil.process_iter() if _mark_of(process) == record.mark]
    runners = {process.pid for process in marked if process.ppid() in {each.pid for each in marked}}
    return next((process for process in marked if process.pid not in runners), None)  # runners inherit the mark


def _if_ours(pid: int, record: StartedOllama) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        created = process.create_time()
    except psutil.Error:
        return None
    mark = _mark_of(process)
    if mark is not None:
        return process if mark == record.mark else None
    same = record.created is not None and abs(created - record.created) < _SAME_MOMENT_S
    return process if same else None


def _mark_of(process: psutil.Process) -> str | None:
    """The mark in its environment; empty without one; None when the environment can't be read."""
    try:
        return process.environ().get(MARK, "")
    except (psutil.Error, OSError):
        return None


def _end(process: psutil.Process) -> None:
    """Asks it to end, and waits until it has ended its runners; then kills what is left. (psutil looks before each
    signal whether the number still means that process.)"""
    try:
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.Error:
        return
    psutil.wait_procs([process], timeout=_END_TIMEOUT_S)
    for left in family:
        with contextlib.suppress(psutil.Error):
            left.kill()
    psutil.wait_procs(family, timeout=_END_TIMEOUT_S)
