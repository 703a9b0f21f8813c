"""What Ollama says when it says no, and what that means."""

from __future__ import annotations

import json
import re
from typing import Any

from bbj_desktop.core.errors import ContextFullError, EngineCrashedError, EngineError, EngineRefusedError

_TOO_LONG = re.compile(r"exceeds? .*context|context .*exceed", re.IGNORECASE)
_RUNNER_DIED = re.compile(
    r"(runner|llama-server|model).*(terminated|crashed|exited|no longer running|unexpectedly stopped)|signal: ",
    re.IGNORECASE,
)
_FULL = re.compile(r"no space left|not enough space|disk full|disk quota exceeded", re.IGNORECASE)


def too_long(prompt_tokens: int | None, context_length: int) -> ContextFullError:
    """A conversation that doesn't fit the context; one text for all runtimes."""
    has = f"{prompt_tokens} tokens" if prompt_tokens else "more tokens than fit"
    return ContextFullError(
        f"The conversation is too long: it has {has}, and the model is set up for {context_length}.",
        hint="Begin a new conversation or shorten the question; or install the model with a longer context "
        "(install --context TOKENS).",
    )


def refusal(said: object, *, status: int | None, doing: str, context_length: int = 0) -> EngineError:
    """The error for an answer of Ollama's.

    Args:
        said: Its ``error``: a text, in new versions also JSON inside the text, or an object (``/v1``).
        status: The HTTP status; None for an error inside a stream.
        doing: What was asked of it, for the message: ``"create bbj-coder:…"``.
        context_length: What the model is set up for, in tokens; for the message about too long a conversation.
    """
    text, details = _unpack(said)
    if _TOO_LONG.search(text):
        return too_long(details.get("n_prompt_tokens"), details.get("n_ctx") or context_length)
    if _RUNNER_DIED.search(text):
        return EngineCrashedError(
            f"Ollama's engine ended while it was to {doing}: {text}.",
            hint="Often there is too little memory: close other programs, or choose a smaller model or context.",
        )
    if status == 404:  # noqa: PLR2004 - HTTP's "not found"
        return EngineRefusedError(
            f"Ollama doesn't know what it was asked for ({doing}): {text}.",
            hint="Activate or install the version again.",
        )
    if _FULL.search(text):
        return EngineRefusedError(
            f"Ollama has no room to {doing}: {text}.",
            hint="Make room on the volume of its models folder (bbj-desktop ollama status tells which), then do it "
            "again: what has arrived is kept.",
        )
    return EngineRefusedError(f"Ollama refused to {doing}: {text}.", hint="Its log says more.")


def _unpack(said: object) -> tuple[str, dict[str, Any]]:
    """The text of an error, and its fields when it is an object, possibly wrapped in strings and ``error`` keys."""
    value = said
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(said).strip().rstrip("."), {}
    if isinstance(value, dict):
        inner = value.get("error", value)
        if inner is not value:
            return _unpack(inner)
        return str(value.get("message", value)).rstrip("."), value
    return str(said), {}
