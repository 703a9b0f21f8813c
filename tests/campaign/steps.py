"""Counts everything by which a process changes files or talks to a server, and ends it without mercy at the n-th.

The program has no hook for this and needs none: file operations are told by Python's own audit events, what lies
between them (writes, syncs, requests, what Ollama is handed) passes through a few functions that are wrapped in the
child alone.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from bbj_desktop.services.runtime.ollama_loopback import LoopbackRegistry
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.web import WebStream

PAYLOAD_BYTES = 100_000  # longer files are model files
_EVENTS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"})
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LAYOUT = struct.Struct("<QQ")


class Counters:
    """Two numbers that outlive the process that counts: they lie in memory shared with whoever forked it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _LAYOUT.size)

    @property
    def steps(self) -> int:
        return int(_LAYOUT.unpack_from(self._memory)[0])

    @property
    def received_bytes(self) -> int:
        """Bytes of model files that came over the network."""
        return int(_LAYOUT.unpack_from(self._memory)[1])

    def set(self, steps: int, received_bytes: int) -> None:
        _LAYOUT.pack_into(self._memory, 0, steps, received_bytes)


class Steps:
    """Arms this process.

    Args:
        counters: Where it counts.
        below: Only files below this folder count.
        kill_at: The step before which the process dies, from 1; a write dies half way. 0 for never.

    Attributes:
        names: What the steps were.
    """

    def __init__(self, counters: Counters, below: Path, kill_at: int) -> None:
        self.names: list[str] = []
        self._counters = counters
        self._below = str(below)
        self._kill_at = kill_at
        self._lock = threading.Lock()
        counters.set(0, 0)
        sys.addaudithook(self._audit)
        self._wrap_disk()
        self._wrap_sync()
        self._wrap_requests()
        self._wrap_handing()

    def _step(self, name: str) -> bool:
        """Counts; True when this is where to die."""
        with self._lock:
            self.names.append(name)
            self._counters.set(self._counters.steps + 1, self._counters.received_bytes)
            return self._counters.steps == self._kill_at

    def _pass(self, name: str) -> None:
        if self._step(name):
            die()

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _CHANGING and self._is_ours(path):
                self._pass(f"open {Path(str(path)).name}")
        elif event in _EVENTS and any(self._is_ours(argument) for argument in arguments[:2]):
            self._pass(f"{event} {Path(str(arguments[0])).name}")

    def _is_ours(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and str(path).startswith(self._below)

    def _wrap_disk(self) -> None:
        write = Disk.write

        def torn(disk: Disk, path: Path, file: BinaryIO, offset: int, content: bytes | memoryview) -> None:
            if self._step(f"write {path.name}"):
                write(disk, path, file, offset, memoryview(content)[: len(content) // 2])
                die()
            write(disk, path, file, offset, content)

        Disk.write = torn  # type: ignore[assignment, method-assign]  # this process ends soon

    def _wrap_sync(self) -> None:
        fsync = os.fsync

        def counted(descriptor: int) -> None:
            self._pass("fsync")
            fsync(descriptor)

        os.fsync = counted  # type: ignore[assignment]  # as above

    def _wrap_requests(self) -> None:
        send, pieces, read_into = httpx.HTTPTransport.handle_request, WebStream.__iter__, WebStream.read_into

        def sent(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            self._pass(f"before {request.method} {request.url.path}")
            response = send(transport, request)
            self._pass(f"after {request.method} {request.url.path}")
            return response

        def iterated(web_stream: WebStream) -> Iterator[bytes]:
            for piece in pieces(web_stream):
                self._receive(web_stream, len(piece))
                yield piece

        def filled(web_stream: WebStream, buffer: memoryview) -> int:
            count = read_into(web_stream, buffer)
            self._receive(web_stream, count)
            return count

        httpx.HTTPTransport.handle_request = sent  # type: ignore[assignment, method-assign]  # as above
        WebStream.__iter__ = iterated  # type: ignore[method-assign]
        WebStream.read_into = filled  # type: ignore[assignment, method-assign]

    def _wrap_handing(self) -> None:
        count = LoopbackRegistry.count

        def counted(registry: LoopbackRegistry, sent: int) -> None:
            self._pass("handed on to Ollama")
            count(registry, sent)

        LoopbackRegistry.count = counted  # type: ignore[assignment, method-assign]  # as above

    def _receive(self, web_stream: WebStream, count: int) -> None:
        if (web_stream.total_bytes or 0) >= PAYLOAD_BYTES:
            with self._lock:
                self._counters.set(self._counters.steps, self._counters.received_bytes + count)


def die() -> None:
    """As ``kill -9`` does it."""
    os.kill(os.getpid(), signal.SIGKILL)
