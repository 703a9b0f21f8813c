"""Measures an answer from outside the engine."""

from __future__ import annotations

import time
from typing import Literal

from bbj_desktop.core.chat import Delta, Statistics


class Stopwatch:
    """Starts when the request is made and counts the pieces that come."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first: float | None = None
        self._last = self._started
        self.pieces = 0

    def piece(self, text: str) -> Delta:
        self._last = time.monotonic()
        if self._first is None:
            self._first = self._last
        self.pieces += 1
        return Delta(text=text)

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    @property
    def ttft_s(self) -> float:
        """Until the first piece; until now when there was none."""
        return self.elapsed_s if self._first is None else self._first - self._started

    @property
    def pieces_per_s(self) -> float | None:
        """Both engines send a piece a token, so this stands in for the decode speed of an answer that was cut."""
        if self._first is None or self._last <= self._first:
            return None
        return (self.pieces - 1) / (self._last - self._first)

    def statistics(
        self,
        stop_reason: Literal["stop", "length", "cancelled"],
        *,
        load_s: float = 0.0,
        prompt_tokens: int | None = None,
        prefill_tokens: int | None = None,
        prefill_tokens_per_s: float | None = None,
        answer_tokens: int | None = None,
        decode_tokens_per_s: float | None = None,
    ) -> Statistics:
        """What is known at the end: the engine's numbers where it gave them, else our own."""
        return Statistics(
            load_s=load_s,
            ttft_s=self.ttft_s,
            prompt_tokens=prompt_tokens,
            prefill_tokens=prefill_tokens,
            prefill_tokens_per_s=prefill_tokens_per_s,
            answer_tokens=self.pieces if answer_tokens is None else answer_tokens,
            decode_tokens_per_s=self.pieces_per_s if decode_tokens_per_s is None else decode_tokens_per_s,
            total_s=self.elapsed_s,
            stop_reason=stop_reason,
        )
