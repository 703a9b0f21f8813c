"""An engine that runs, and how one is started as a child process.

``EmbeddedRuntime`` knows only ``Engine`` and ``Launch``: a host that several programs share takes this module's place
without touching it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import psutil

from bbj_desktop.core.errors import EngineCrashedError, EngineError, EngineMissingError, EngineRefusedError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.runtime.engine_host import HostConfig, engine_host_command
from bbj_desktop.services.runtime.starved import MemoryKills, Starved, memory_kills

START_TIMEOUT_S = 900.0
"""Longest start: a large model on a slow disk takes minutes."""
HEALTH_TIMEOUT_S = 20.0
"""For saying that it is well; a machine that swaps takes its time."""
INSTALL_COMMAND = 'pip install "bbj-desktop[embedded]"'

_END_TIMEOUT_S = 5.0
_SLOW = "Is the disk very slow, or does the memory not suffice? Try a smaller model."
_HUNG = "The embedded engine didn't answer any more (stopped, or hung), so it was ended."
_LOGS_STAY_S = 7 * 24 * 3600
_TAIL_BYTES = 16 * 1024
_TAIL_LINES = 8
_CAUSE_LINES = 40

log = logging.getLogger(__name__)


ProgramName = Literal["built-in", "llama-server", "llama-cpp-python"]


@dataclass(frozen=True, slots=True)
class EngineProgram:
    """Which program does the computing. All are llama.cpp, and all speak its server's protocol.

    Attributes:
        name: ``built-in`` is llama.cpp's server in the package xllamacpp; ``llama-server`` the same as an executable;
            ``llama-cpp-python`` the library in that package, behind a small server of ours.
        executable: For ``llama-server``; None takes the one on the search path.
    """

    name: ProgramName = "built-in"
    executable: Path | None = None


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What makes two engines the same one.

    Attributes:
        model: The GGUF.
        context_length: Tokens.
        chat_template: Jinja; empty takes the GGUF's own.
        threads: Of the processor.
        adapter: A LoRA adapter over the model; None for none.
        program: What computes.
        executable: Of ``llama-server``.
        stamp: Tells this content of the files from another one at the same place, e.g. after a repair.
    """

    model: Path
    context_length: int
    chat_template: str
    threads: int
    adapter: Path | None = None
    program: ProgramName = "built-in"
    executable: Path | None = None
    stamp: str = ""


class Engine(Protocol):
    """A loaded model behind llama.cpp's server.

    Attributes:
        config: What it was started with.
        address: ``http://127.0.0.1:PORT``.
        key: For ``Authorization: Bearer``.
    """

    @property
    def config(self) -> EngineConfig: ...
    @property
    def address(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def alive(self) -> bool: ...

    def obituary(self) -> EngineError | None:
        """Why it ended; None while it lives. Waits a moment for one that is just dying; ends one that hangs."""
        ...

    def close(self) -> None: ...


Launch = Callable[[EngineConfig, Cancel], Engine]


class ChildEngine:
    """An engine in a child process that ends with this one."""

    def __init__(
        self, config: EngineConfig, process: subprocess.Popen[str], address: str, key: str, log_file: Path
    ) -> None:
        self.config = config
        self.address = address
        self.key = key
        self.process = process
        self._log_file = log_file
        self._kills = memory_kills()
        self._hung = False

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def obituary(self) -> EngineError | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        if self.process.poll() is None and not self._answers() and self.process.poll() is None:
            self._hung = True
            kill(self.process)
        if self._hung:
            return EngineCrashedError(_HUNG, hint="Ask again: it is started anew.")
        status = self.process.poll()
        if status is None:
            return None
        return crash(status, log_tail(self._log_file), memory_kills().since(self._kills))

    def _answers(self) -> bool:
        """Whether it still says that it is well: it has threads for that which don't compute."""
        asked = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=HEALTH_TIMEOUT_S)
        try:
            asked.request("GET", "/health")
            return asked.getresponse().status == HTTPStatus.OK
        except TimeoutError:
            return False
        except (OSError, http.client.HTTPException):
            return True  # it is just dying, which the next question finds out
        finally:
            asked.close()

    def close(self) -> None:
        end(self.process)
        with contextlib.suppress(OSError):  # a log that stays does no harm
            self._log_file.unlink(missing_ok=True)


def launch_child(state: Path, config: EngineConfig, cancel: Cancel) -> ChildEngine:
    """Starts an engine and waits until it answers.

    Args:
        state: Folder for its log, which is deleted at an orderly end.
        cancel: Ends it while it loads.

    Raises:
        EngineMissingError: The engine isn't installed.
        EngineRefusedError: It can't load this file.
        EngineCrashedError: Its process ended.
        Cancelled: By ``cancel``.
    """
    key = secrets.token_urlsafe(32)
    kills = memory_kills()
    process, log_file = _spawn(state)
    forget = cancel.on_cancel(process.kill)
    overdue = _Alarm(process)
    try:
        answer = _introduce(process, _host_config(config, key))
        cancel.check()
        if not answer.get("ready"):
            error = _start_error(process, answer, config, log_file, kills)
            raise overdue.error if overdue.rang else error  # noqa: TRY301 - the child is ended below, as for all others
    except BaseException:
        end(process)
        raise
    finally:
        overdue.cancel()
        forget()
    return ChildEngine(config, process, str(answer["address"]), key, log_file)


class _Alarm(threading.Timer):
    """Kills a process that doesn't come up."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(START_TIMEOUT_S, self._ring)
        self.daemon = True
        self.rang = False
        self._process = process
        self.start()

    @property
    def error(self) -> EngineCrashedError:
        return EngineCrashedError(f"The embedded engine wasn't ready after {START_TIMEOUT_S:.0f} s.", hint=_SLOW)

    def _ring(self) -> None:
        self.rang = True
        self._process.kill()


def _host_config(config: EngineConfig, key: str) -> HostConfig:
    adapter = "" if config.adapter is None else str(config.adapter)
    executable = "" if config.executable is None else str(config.executable)
    return HostConfig(
        model=str(config.model),
        context_length=config.context_length,
        chat_template=config.chat_template,
        threads=config.threads,
        key=key,
        adapter=adapter,
        program=config.program,
        executable=executable,
    )


def _spawn(state: Path) -> tuple[subprocess.Popen[str], Path]:
    """A new session keeps the terminal's Ctrl-C away from the engine. (Windows: never run.)"""
    log_file = state / f"engine-{secrets.token_hex(4)}.log"
    windows_flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    with log_for(log_file) as errors:
        try:
            process = subprocess.Popen(
                engine_host_command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                start_new_session=sys.platform != "win32",
                creationflags=windows_flags,
            )
        except OSError as error:
            raise EngineMissingError(f"The embedded engine can't be started: {error}.") from error
    log.debug("engine process %d, log %s", process.pid, log_file)
    return process, log_file


def log_for(log_file: Path) -> IO[bytes]:
    """Where a process's errors go. Without a place for them (a full disk, a folder that can't be written) nowhere: a
    program without a log is better than none."""
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        _forget_old_logs(log_file.parent)
        return log_file.open("wb")
    except OSError as error:
        log.warning("no log for the engine: %s", error)
        return Path(os.devnull).open("wb")


def _forget_old_logs(state: Path) -> None:
    """Logs of failed engines stay a while, for a report to the makers."""
    for log_file in state.glob("engine-*.log"):
        with contextlib.suppress(OSError):  # another program's engine may have just ended
            if time.time() - log_file.stat().st_mtime > _LOGS_STAY_S:
                log_file.unlink()


def _introduce(process: subprocess.Popen[str], config: HostConfig) -> dict[str, Any]:
    """Hands over the configuration and waits for the host's one line; empty when it ended without one."""
    stdin, stdout = _pipes(process)
    with contextlib.suppress(BrokenPipeError):
        stdin.write(config.to_line())
        stdin.flush()
    line = stdout.readline()
    answer = json.loads(line) if line.endswith("\n") else {}
    return answer if isinstance(answer, dict) else {}


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process has no pipes")
    return process.stdin, process.stdout


def _start_error(
    process: subprocess.Popen[str],
    answer: dict[str, Any],
    config: EngineConfig,
    log_file: Path,
    kills: MemoryKills,
) -> EngineError:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_TIMEOUT_S)  # only its end brings the last lines of its log
    tail = log_tail(log_file)
    if answer.get("missing"):
        hint = INSTALL_COMMAND if config.program == "built-in" else "Set engine to built-in, or install it."
        return EngineMissingError(f"The embedded engine isn't installed: {answer.get('error')}.", hint=hint)
    if answer:
        cause = _cause(log_tail(log_file, _CAUSE_LINES)) or str(answer.get("error")).rstrip(".")
        return EngineRefusedError(
            f"The embedded engine can't load {config.model.name}: {cause}.",
            hint=f"Install the version again; if that doesn't help, send the makers this log: {log_file}",
        )
    status = process.poll()
    return crash(0 if status is None else status, tail, memory_kills().since(kills))


def end(process: subprocess.Popen[str]) -> None:
    """Closes the child's stdin, which ends it; kills it if it doesn't obey."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what couldn't be written before it died
                pipe.close()
    try:
        process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        kill(process)
        process.wait()


def kill(process: subprocess.Popen[str]) -> None:
    """With what it started (``llama-server``): by itself that ends with it on Linux only."""
    started: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        started = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in started:
        with contextlib.suppress(psutil.Error):
            child.kill()


_ILLEGAL_INSTRUCTION = 0xC000001D  # Windows' STATUS_ILLEGAL_INSTRUCTION; never run
_MORE_MEMORY = "Close other programs, or choose a smaller model or a shorter context."
_REPORT = "Try again; if it happens again, send the makers the log."
_WHY = {
    "SIGKILL": ("Something killed it; mostly that is the system, out of memory.", _MORE_MEMORY),
    "SIGABRT": ("It gave up by itself, often out of memory.", _MORE_MEMORY),
    "SIGILL": ("This processor lacks instructions that it uses (AVX2).", "Use Ollama, or another machine."),
    "SIGBUS": ("The model file changed or its disk failed.", "Check the disk, then install the version again."),
    "SIGSEGV": ("An error in its native code.", _REPORT),
}


_WHY_KILLED: dict[Starved, tuple[str, str]] = {
    "group": ("The system killed it: the memory limit of its container or service is used up.", _MORE_MEMORY),
    "machine": ("The system killed it: the machine ran out of memory.", _MORE_MEMORY),
    "no": ("Something killed it; the system counted no lack of memory.", "Ask again: it is started anew."),
}


def crash(status: int, tail: str, starved: Starved = "unknown") -> EngineCrashedError:
    """The error for an engine that ended.

    Args:
        status: As ``Popen.returncode``: negative for a signal.
        tail: The end of its log.
        starved: Whether the system killed for lack of memory while it ran.
    """
    name = _signal_name(status)
    how = f"by {name}" if name else f"with status {status}"
    why, hint = _WHY.get(name, ("", _REPORT))
    if name == "SIGKILL":
        why, hint = _WHY_KILLED.get(starved, (why, hint))
    text = " ".join(part for part in (f"The embedded engine ended {how}.", why) if part)
    tail = "\n".join(line for line in tail.splitlines() if not _EVERYDAY.search(line))
    return EngineCrashedError(text + (f" Its last lines:\n{tail}\n" if tail else ""), hint=hint)


def _signal_name(status: int) -> str:
    if status & 0xFFFFFFFF == _ILLEGAL_INSTRUCTION:
        return "SIGILL"
    try:
        return signal.Signals(-status).name if status < 0 else ""
    except ValueError:
        return f"signal {-status}"


def log_tail(log_file: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of an engine's log; empty when there is none."""
    try:
        with log_file.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


_EVERYDAY = re.compile(r"^[\d.]+ [ID] ")
"""llama.cpp's lines about what goes well (``0.00.413.319 I srv …``): they say nothing about a death."""
_CAUSES = tuple(
    map(
        re.compile,
        (
            r"gguf_init\w*: (.+)",  # about the file's header, before the loader's own words
            r"error loading model: (?!llama_model_loader: failed to load)(.+)",
            r"error loading model: (.+)",
            r"^[\d.]+ E (.+)",
        ),
    )
)


def _cause(tail: str) -> str:
    """What llama.cpp says about a file: of what says most the first, because the others follow from it."""
    lines = tail.splitlines()
    found = (match[1] for pattern in _CAUSES for line in lines if (match := pattern.search(line)))
    return next(found, "").rstrip(".")
