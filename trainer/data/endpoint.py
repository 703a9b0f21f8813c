"""Asks an OpenAI-compatible server, whoever runs it: slow, refusing or lying ones end in errors of ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from bbj_desktop.core.errors import ConnectError, ServerError, StalledError, UserInputError

MAX_ANSWER_BYTES = 2**20
TIMEOUT_S = 120.0  # of one answer, from the first byte sent to the last one received
MAX_WAIT_S = 60.0  # between two tries, however long the server asks for
TRIES = 3
_BUSY = frozenset({429, 502, 503, 504})


@dataclass
class Endpoint:
    """A server and a model on it.

    Attributes:
        address: ``http://host:port/v1``.
        model: As the server calls it.
        key: Sent as bearer token; empty sends none.
        timeout_s: Longest time for one answer, in seconds.
        interval_s: Least time between two questions, in seconds.
        sleep: Waits so many seconds.
        clock: Seconds that only grow.
    """

    address: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = TIMEOUT_S
    interval_s: float = 0.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _asked_at: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Looks at the address.

        Raises:
            UserInputError: It is none.
        """
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserInputError(f"{self.address!r} is no address.", hint="E.g. http://localhost:11434/v1.")

    def ask(self, system: str, question: str) -> str:
        """One answer, tried again where the server is busy or slow.

        Raises:
            TransportError: There is none: no connection, a refusal, a server that is too slow or answers nonsense.
        """
        for attempt in range(1, TRIES + 1):
            self._keep_distance()
            try:
                return self._ask_once(system, question)
            except (ServerError, StalledError) as error:
                status = error.status if isinstance(error, ServerError) else 503
                if status not in _BUSY or attempt == TRIES:
                    raise
                asked = error.retry_after_s if isinstance(error, ServerError) else None
                self.sleep(min(MAX_WAIT_S, 2.0**attempt if asked is None else max(0.0, asked)))
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _keep_distance(self) -> None:
        now = self.clock()
        if self._asked_at is not None and now - self._asked_at < self.interval_s:
            self.sleep(self.interval_s - (now - self._asked_at))
        self._asked_at = self.clock()

    def _ask_once(self, system: str, question: str) -> str:
        body = {
            "model": self.model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}],
            "temperature": 0.7,
            "stream": False,
        }
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        ends = self.clock() + self.timeout_s
        try:
            with (
                httpx.Client(timeout=self.timeout_s, trust_env=True) as client,
                client.stream(
                    "POST", f"{self.address.rstrip('/')}/chat/completions", json=body, headers=headers
                ) as response,
            ):
                raw = self._read(response, ends)
        except httpx.TimeoutException as error:
            raise self._stalled() from error
        except httpx.HTTPError as error:
            message = f"{self.address} can't be reached: {str(error) or type(error).__name__}."
            raise ConnectError(message, hint="Check that the server runs.") from error
        return _content(raw, self.address)

    def _read(self, response: httpx.Response, ends: float) -> bytes:
        raw = bytearray()
        for piece in response.iter_bytes():
            raw += piece
            if len(raw) > MAX_ANSWER_BYTES:
                message = f"{self.address} answered with more than {MAX_ANSWER_BYTES:,} bytes."
                raise ServerError(message, status=response.status_code)
            if self.clock() > ends:
                raise self._stalled()
        if response.status_code != httpx.codes.OK:
            raise ServerError(
                f"{self.address} refused: HTTP {response.status_code}, {_said(bytes(raw))}.",
                status=response.status_code,
                retry_after_s=_seconds(response.headers.get("Retry-After")),
                hint="Check the model's name and the key." if response.status_code < 429 else "Try again later.",  # noqa: PLR2004 - from there on it is load
            )
        return bytes(raw)

    def _stalled(self) -> StalledError:
        return StalledError(f"{self.address} didn't answer within {self.timeout_s:g} s.", hint="Give it more time.")


def _content(raw: bytes, address: str) -> str:
    try:
        content: Any = json.loads(raw)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        message = f"{address} answered without a message: {_said(raw)}."
        raise ServerError(message, status=httpx.codes.OK, hint="Is it a chat model?") from error
    if not isinstance(content, str):
        message = f"{address} answered without a text."
        raise ServerError(message, status=httpx.codes.OK, hint="Is it a chat model?")
    return content.encode("utf-8", errors="replace").decode()


def _said(raw: bytes) -> str:
    text = " ".join(raw[:300].decode("utf-8", errors="replace").split())
    return ascii(text[:120])


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:  # a date; our own pace does
        return None
