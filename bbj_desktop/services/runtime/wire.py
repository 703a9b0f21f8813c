"""HTTP to an engine: long answers that can be cut at any moment, from any thread."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx

from bbj_desktop.core.errors import EngineCrashedError, EngineMissingError, EngineRefusedError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.runtime.patience import Patience, Watchman

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = Patience().first_s


class _Connection:
    """The socket of one request, so that another thread can wake whoever waits on it.

    Closing a socket doesn't wake a thread that reads from it; shutting it down does. httpx shows the socket only with
    the answer, which is too late while a model loads, hence httpcore's trace.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._cut = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                self._shut()

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            self._shut()

    def _shut(self) -> None:
        if self._cut and self._socket is not None:
            with contextlib.suppress(OSError):  # already closed: nothing left to wake
                self._socket.shutdown(socket.SHUT_RDWR)


class Wire:
    """HTTP requests to one engine.

    The environment's proxies aren't used: engines are on this machine or on the local network. Connections aren't
    kept: llama.cpp's server closes them after a streamed answer without saying so.

    Args:
        address: ``http://127.0.0.1:11434``.
        engine: The engine's name, for messages.
        headers: Sent with every request.
        verify: TLS context for an https address.
    """

    def __init__(
        self,
        address: str,
        engine: str,
        *,
        headers: Mapping[str, str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._address = address
        self._engine = engine
        self._client = httpx.Client(
            base_url=address,
            headers=dict(headers or {}),
            trust_env=False,
            verify=verify,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s: float = ANSWER_TIMEOUT_S,
        cancel: Cancel | None = None,
        watchman: Watchman | None = None,
    ) -> Iterator[httpx.Response]:
        """Sends a request and gives the answer while it arrives, whatever its status. Leaving the block closes the
        connection.

        Args:
            body: Sent as JSON.
            content: Sent as it is (with a Content-Length in ``headers``); ``body`` or this.
            silence_s: Longest wait for the next bytes.
            cancel: Cuts the connection at once.
            watchman: Watches over the lines of the answer; its patience takes the place of ``silence_s``.

        Raises:
            EngineMissingError: Nothing listens there.
            EngineCrashedError: The connection broke, before or during the answer.
            Cancelled: By ``cancel``.
        """
        cancel = cancel or Cancel()
        cancel.check()
        connection = _Connection()
        forget = cancel.on_cancel(connection.cut)
        if watchman is not None:
            watchman.cut, silence_s = connection.cut, watchman.patience.first_s
        try:
            with (
                self._wrapped(cancel, watchman),
                self._client.stream(
                    method,
                    path.lstrip("/"),
                    json=body,
                    content=content,
                    headers=dict(headers or {}),
                    timeout=httpx.Timeout(silence_s, connect=min(CONNECT_TIMEOUT_S, silence_s)),
                    extensions={"trace": connection.trace},
                ) as response,
            ):
                yield response
                cancel.check()  # a connection cut from here may look like one that ended
                self._check_late(watchman)
        finally:
            forget()

    @contextlib.contextmanager
    def _wrapped(self, cancel: Cancel, watchman: Watchman | None) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            cancel.check()
            raise self._unreachable(error) from error
        except httpx.TimeoutException as error:
            cancel.check()
            raise EngineCrashedError(
                f"{self._engine} at {self._address} fell silent.", hint="Restart it, then try again."
            ) from error
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            cancel.check()
            self._check_late(watchman, error)
            raise EngineCrashedError(
                f"{self._engine} broke off in the middle: {error}.", hint="Try again; if it happens again, see its log."
            ) from error

    def _unreachable(self, error: httpx.TransportError) -> EngineMissingError | EngineRefusedError:
        if "SSL" in str(error):
            return EngineRefusedError(
                f"{self._engine} at {self._address} isn't trusted: {str(error).rstrip('.')}.",
                hint="Name its certificate's authority in the setting ca_file; or write http:// if it speaks that.",
            )
        return EngineMissingError(
            f"{self._engine} doesn't answer at {self._address}.", hint="Start it, or check the address."
        )

    def _check_late(self, watchman: Watchman | None, error: Exception | None = None) -> None:
        if watchman is None or not watchman.late:
            return
        first_s, between_s = watchman.patience.first_s, watchman.patience.between_s
        raise EngineCrashedError(
            f"{self._engine} at {self._address} fell silent in its answer: the next token didn't come in time "
            f"({first_s:g} s for the first one, {between_s:g} s for each other).",
            hint="Is the machine very busy? Ask again; if that doesn't help, restart it.",
        ) from error

    def close(self) -> None:
        self._client.close()


def json_lines(response: httpx.Response, engine: str) -> Iterator[dict[str, Any]]:
    """The objects of a stream of JSON lines. Raises EngineRefusedError when it is something else."""
    for line in response.iter_lines():
        if line.strip():
            yield as_object(line, engine)


def as_object(text: str, engine: str) -> dict[str, Any]:
    """A JSON object that an engine sent. Raises EngineRefusedError when it is something else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EngineRefusedError(
            f"{engine} answered something that isn't JSON: {text[:80]!r}.", hint="Is it really at this address?"
        ) from error
    if not isinstance(value, dict):
        raise EngineRefusedError(f"{engine} answered something unexpected: {text[:80]!r}.")
    return value
