"""Runs operations in children of a process that has imported everything once: a kill costs a fork, not a start.

The forking process has no threads, so what it forks is whole. It begins before the servers do.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from tests.campaign.steps import Counters, Steps

HANGS_AFTER_S = 60.0
_POLL_S = 0.001

Run = Callable[["Place"], None]


@dataclass(frozen=True)
class Place:
    """Where an operation runs.

    Attributes:
        folder: Everything that it may change lies below.
        server: Address of the registry.
        ollama: Address of Ollama.
    """

    folder: Path
    server: str
    ollama: str


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes:
        killed: By SIGKILL, ours.
        steps: That it began.
        received_bytes: Of model files, over the network.
        seconds: That it ran.
        said: Its traceback; empty when it ended well or was killed.
        names: Of its steps, when it lived to tell.
    """

    killed: bool
    steps: int
    received_bytes: int
    seconds: float
    said: str = ""
    names: tuple[str, ...] = ()

    def distinct_steps(self, first: int = 1) -> list[int]:
        """From one on, without those whose kill leaves the same as the step before: what a process has written outlives
        it without a sync, and between the end of a request and the beginning of the next nothing changes."""
        before = ("", *self.names)
        return [
            number
            for number, name in enumerate(self.names, 1)
            if number >= first
            and name != "fsync"
            and not (name.startswith("before ") and before[number - 1].startswith("after "))
        ]


class Forker:
    """The process that forks. A context manager.

    Args:
        operations: What can be run, by name.
    """

    def __init__(self, operations: Mapping[str, Run]) -> None:
        self._operations = operations
        self._counters = Counters()
        self._asked, asking = os.pipe()
        answered, self._answering = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(asking)
            os.close(answered)
            self._serve()
        os.close(self._asked)
        os.close(self._answering)
        self._asking, self._answered = os.fdopen(asking, "w"), os.fdopen(answered)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._asking.close()
        self._answered.close()
        os.waitpid(self._pid, 0)

    def run(self, operation: str, place: Place, *, kill_at: int = 0, kill_after_s: float = 0.0) -> Outcome:
        """Runs an operation in a child, killed before a step, after some time, or not at all (0)."""
        order = [operation, str(place.folder), place.server, place.ollama, kill_at, kill_after_s]
        print(json.dumps(order), file=self._asking, flush=True)
        answer: dict[str, Any] = json.loads(self._answered.readline())
        counters = self._counters
        return Outcome(
            **{**answer, "names": tuple(answer["names"])},
            steps=counters.steps,
            received_bytes=counters.received_bytes,
        )

    # in the forking process

    def _serve(self) -> NoReturn:
        code = 0
        try:
            sys.dont_write_bytecode = True
            with os.fdopen(self._asked) as orders, os.fdopen(self._answering, "w") as answers:
                for line in orders:
                    operation, folder, server, ollama, kill_at, kill_after_s = json.loads(line)
                    answer = self._fork(operation, Place(Path(folder), server, ollama), kill_at, kill_after_s)
                    print(json.dumps(answer), file=answers, flush=True)
        except BaseException:  # noqa: BLE001 - a fork of somebody's process may only end here
            traceback.print_exc()
            code = 1
        finally:
            os._exit(code)

    def _fork(self, operation: str, place: Place, kill_at: int, kill_after_s: float) -> dict[str, Any]:
        reading, writing = os.pipe()
        self._counters.set(0, 0)
        begun = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._be_child(operation, place, kill_at, writing)
        os.close(writing)
        with os.fdopen(reading) as said:
            status = _wait(pid, begun + (kill_after_s or HANGS_AFTER_S))
            seconds = time.monotonic() - begun
            told = json.loads(said.read() or "{}")
        for module in told.pop("modules", ()):
            importlib.import_module(module)
        killed = os.WIFSIGNALED(status) and seconds < HANGS_AFTER_S
        said_last = told.pop("said", "") or ("" if killed else _explained(status))
        return {"killed": killed, "seconds": seconds, "said": said_last, "names": told.pop("names", ())}

    def _be_child(self, operation: str, place: Place, kill_at: int, writing: int) -> NoReturn:
        code, said, steps = 0, "", None
        try:
            steps = Steps(self._counters, place.folder, kill_at)
            self._operations[operation](place)
        except BaseException:  # noqa: BLE001 - told to whoever asked
            code, said = 1, traceback.format_exc()
        finally:
            names = steps.names if steps else []
            told = {"said": said, "names": names if kill_at == 0 else [], "modules": _worth_keeping()}
            with os.fdopen(writing, "w") as file:
                file.write(json.dumps(told))
            os._exit(code)


def _wait(pid: int, deadline: float) -> int:
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1]
        time.sleep(_POLL_S)


def _explained(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"It hung for {HANGS_AFTER_S:.0f} s."
    return "" if os.waitstatus_to_exitcode(status) == 0 else f"It ended with {os.waitstatus_to_exitcode(status)}."


def _worth_keeping() -> list[str]:
    """What a child had to import, the next ones find."""
    slow = ("bbj_desktop", "tuf", "securesystemslib", "httpx", "ollama", "truststore")
    return sorted(module for module in sys.modules if module.startswith(slow))
