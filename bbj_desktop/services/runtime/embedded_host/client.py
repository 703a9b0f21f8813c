"""A program's side of the conversation with the host: finds it, or starts it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import psutil

from bbj_desktop.core.errors import (
    EngineCrashedError,
    EngineError,
    EngineMissingError,
    EngineRefusedError,
    StoreBusyError,
)
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.runtime.embedded_host.channel import (
    HANDSHAKE_TIMEOUT_S,
    MAX_LINE_BYTES,
    error_from_json,
    from_line,
    new_nonce,
    proof,
    proves,
    to_line,
)
from bbj_desktop.services.runtime.embedded_host.host import HostOptions
from bbj_desktop.services.runtime.embedded_host.login import own_anchor
from bbj_desktop.services.runtime.embedded_host.process import host_command
from bbj_desktop.services.runtime.embedded_host.record import PROTOCOL, HostPlace, HostRecord, read_record
from bbj_desktop.services.runtime.engine import log_for, log_tail

_NOT_THE_HOST = "Something that isn't the engine's host listens at its port."
_START_TIMEOUT_S = 60.0
_TRY_S = 0.2
_END_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 30.0


class Lease:
    """A connection to the host, which knows by it that this program is there. Used by one thread at a time.

    Attributes:
        app_version: Of the program that started the host.
        protocol: The host's.
        gone: The host broke the connection.
    """

    def __init__(self, connection: socket.socket, record: HostRecord, what: str) -> None:
        self.gone = False
        self._connection = connection
        self._file: BinaryIO = connection.makefile("rb")
        try:
            nonce, theirs = str(self._line().get("nonce")), new_nonce()
            self._send({"nonce": theirs, "proof": proof(record.key, "client", nonce, theirs), "hello": _hello(what)})
            answer = self._line()
            if not proves(answer.get("proof"), record.key, "host", theirs, nonce):
                raise EngineRefusedError(_NOT_THE_HOST)  # noqa: TRY301 - closed below, as for all others
        except BaseException:
            self.close()
            raise
        self.app_version = str(answer.get("app_version"))
        self.protocol = answer.get("protocol")
        connection.settimeout(_ANSWER_TIMEOUT_S)

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """One question to the host.

        Raises:
            EngineCrashedError: The host has gone.
            BBjDesktopError: What it answered.
        """
        try:
            self._send({"do": do, **details})
            line = self._file.readline(MAX_LINE_BYTES)
            self.gone = not line
        except OSError as error:
            self.gone = True
            raise EngineCrashedError(
                f"The engine's host broke off: {error}.", hint="Try again: a new one is started."
            ) from error
        answer = from_line(line)
        if "error" in answer:
            raise error_from_json(answer["error"])
        ok = answer.get("ok")
        return ok if isinstance(ok, dict) else {}

    def wait_for(self, do: str, cancel: Cancel, **details: Any) -> dict[str, Any]:
        """The same for what may take long: loading a model. ``cancel`` ends this lease. Raises Cancelled by it."""
        self._connection.settimeout(None)
        forget = cancel.on_cancel(self._cut)
        try:
            return self.ask(do, **details)
        except EngineError:
            cancel.check()
            raise
        finally:
            forget()
            self._connection.settimeout(_ANSWER_TIMEOUT_S)

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _send(self, value: dict[str, Any]) -> None:
        self._connection.sendall(to_line(value))

    def _line(self) -> dict[str, Any]:
        return from_line(self._file.readline(MAX_LINE_BYTES))

    def close(self) -> None:
        """Gives back what was borrowed."""
        self._file.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _hello(what: str) -> dict[str, Any]:
    said: dict[str, Any] = {"pid": os.getpid(), "what": what}
    anchor = own_anchor()
    if anchor is None:
        return said
    return said | {"anchor": [anchor.pid, anchor.created], "anchor_mark": anchor.mark}


def find(place: HostPlace, what: str = "") -> Lease | None:
    """A lease from the host that runs; None when none does."""
    record = read_record(place.record)
    return None if record is None else _knock(record, what)


def _knock(record: HostRecord, what: str) -> Lease | None:
    try:
        connection = socket.create_connection(("127.0.0.1", record.port), HANDSHAKE_TIMEOUT_S)
    except OSError:
        return None
    try:
        return Lease(connection, record, what)
    except (OSError, EngineError):
        return None


def find_or_start(place: HostPlace, options: HostOptions, cancel: Cancel, what: str = "") -> Lease:
    """A lease from the user's one host. Of several programs that start at once one starts it, the others wait.

    A host of another program version is replaced when nobody else uses it; when somebody does it is shared as long as
    both speak the same protocol.

    Raises:
        EngineRefusedError: A host of an incompatible version is in use.
        EngineCrashedError: It ended while it started, or doesn't come up.
        EngineMissingError: It can't be started.
        StoreAccessError: Its folder can't be used.
        Cancelled: By ``cancel``.
    """
    lease = find(place, what)
    if lease is not None and _same(lease, options):
        return lease
    if lease is not None:
        lease.close()
    place.make()
    with _starting(place, cancel):
        lease = find(place, what)
        if lease is not None and not _same(lease, options):
            lease = _replaced(lease, place, options, cancel)
        return lease if lease is not None else _fresh(place, options, cancel, what)


def _same(lease: Lease, options: HostOptions) -> bool:
    return (lease.app_version, lease.protocol) == (options.app_version, PROTOCOL)


@contextlib.contextmanager
def _starting(place: HostPlace, cancel: Cancel) -> Iterator[None]:
    lock = FileLock(place.starting, timeout_s=_TRY_S, what="the engine's host")
    left_s = _START_TIMEOUT_S
    while True:
        cancel.check()
        try:
            lock.acquire()
            break
        except StoreBusyError as error:
            left_s -= _TRY_S
            if left_s <= 0:
                raise EngineCrashedError(
                    "Another program has been starting the engine for a minute.", hint="End it, then try again."
                ) from error
    try:
        yield
    finally:
        lock.release()


def _replaced(lease: Lease, place: HostPlace, options: HostOptions, cancel: Cancel) -> Lease | None:
    """None after a host of another version has ended; the lease when it goes on because others use it."""
    record = read_record(place.record)
    if lease.ask("stop", only_if_unused=True).get("stops"):
        lease.close()
        if record is not None:
            wait_for_end(record, cancel)
        return None
    if lease.protocol != PROTOCOL:
        version = lease.app_version
        lease.close()
        raise EngineRefusedError(
            f"BBj Desktop {version} is using the engine, and this is {options.app_version}.",
            hint="Close the other one, or type there: bbj-desktop engine stop",
        )
    return lease


def _fresh(place: HostPlace, options: HostOptions, cancel: Cancel, what: str) -> Lease:
    """Starts a host. What an earlier one left is put right first: its file, or itself when it hangs."""
    record = read_record(place.record)
    if record is not None and record.alive:
        end_process(record)
    place.record.unlink(missing_ok=True)
    _start(options, cancel)
    lease = find(place, what)
    if lease is None:
        raise EngineCrashedError("The engine's host ended right after its start.", hint=_see_log(options))
    return lease


def _see_log(options: HostOptions) -> str:
    return f"Its log says more: {options.state}"


def _start(options: HostOptions, cancel: Cancel) -> None:
    """(Windows: never run.)"""
    state = Path(options.state)
    errors_file = state / "host-errors.log"
    flags = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    with log_for(errors_file) as errors:
        try:
            process = subprocess.Popen(
                host_command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=sys.platform != "win32",
                creationflags=flags,
            )
        except OSError as error:
            raise EngineMissingError(f"The engine's host can't be started: {error}.") from error
    line = _first_line(process, options, cancel)
    if not line.endswith(b"\n"):
        cancel.check()
        told = log_tail(errors_file).strip()
        tail = f" It said: {told.splitlines()[-1]}" if told else ""
        raise EngineCrashedError(f"The engine's host ended while it started.{tail}", hint=_see_log(options))
    answer = json.loads(line)
    if not answer.get("ready"):
        raise error_from_json(answer.get("error"))


def _first_line(process: subprocess.Popen[bytes], options: HostOptions, cancel: Cancel) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process has no pipes")
    forget = cancel.on_cancel(process.kill)
    try:
        with process.stdin, process.stdout:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(to_line(asdict(options)))
                process.stdin.flush()
            return process.stdout.readline()
    finally:
        forget()
        if sys.platform == "win32":
            process.returncode = 0  # it goes on without us; without this, Popen would warn of a process left behind
        else:
            process.wait()


def wait_for_end(record: HostRecord, cancel: Cancel) -> None:
    """Waits until a host that was told to stop has gone; ends it when it doesn't obey."""
    for _ in range(int(_END_TIMEOUT_S / 0.02)):
        if not record.alive:
            return
        cancel.wait(0.02)
    end_process(record)


def end_process(record: HostRecord) -> None:
    """Ends a host that doesn't answer; only if it is still the process of the record."""
    if not record.alive:
        return
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(record.pid)
        process.terminate()
        try:
            process.wait(_END_TIMEOUT_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_END_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Stopped:
    """Attributes:
    pid: Of the host that was ended; None when none ran.
    """

    pid: int | None


def stop(place: HostPlace, cancel: Cancel) -> Stopped:
    """Ends the user's host, whoever uses it."""
    record = read_record(place.record)
    if record is None:
        return Stopped(None)
    lease = _knock(record, "stop")
    if lease is not None:
        with lease:
            lease.ask("stop")
        wait_for_end(record, cancel)
    elif not record.alive:
        place.record.unlink(missing_ok=True)
        return Stopped(None)
    else:
        end_process(record)
        place.record.unlink(missing_ok=True)
    return Stopped(record.pid)
