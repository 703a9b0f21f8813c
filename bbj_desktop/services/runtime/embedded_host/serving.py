"""Which models the gateway offers, and what it adds to a request for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.embedded import engine_config
from bbj_desktop.services.runtime.engine import EngineConfig, EngineProgram
from bbj_desktop.services.store.store import Store


@dataclass(frozen=True, slots=True)
class Offered:
    """A model under one of its names.

    Attributes:
        name: Its own tag, or an alias such as ``bbj-coder:7b``.
        version: The installed version.
    """

    name: str
    version: InstalledVersion


@dataclass(frozen=True, slots=True)
class Shelf:
    """The installed versions that the embedded engine knows. Read anew for each request, so that an update or a
    rollback counts at once.

    Args:
        store: Folder of the store.
        shared: Of the shared one, if there is any.
        program: What computes.
    """

    store: Path
    shared: Path | None
    program: EngineProgram

    def offered(self) -> tuple[Offered, ...]:
        """Every name, the active versions' aliases first. Raises StoreError."""
        store = Store(self.store, shared=self.shared, writable=False)
        known = [(each, each.registration("embedded")) for each in store.versions()]
        active = [
            Offered(alias, version)
            for version, registration in known
            if registration is not None and version.active
            for alias in registration.aliases
        ]
        return (*active, *(Offered(version.key, version) for version, registration in known if registration))

    def config(self, version: InstalledVersion) -> EngineConfig:
        """Raises StoreError when its file isn't whole."""
        return engine_config(version, self.program)


def completed(path: str, body: Mapping[str, Any], wanted: Offered) -> dict[str, Any]:
    """The request with what the release says where the client says nothing: its system prompt and its sampling. The
    engine holds one model and is not told its name."""
    prompt = wanted.version.release.prompt
    parameters = prompt.parameters
    repeat_penalty = 1.0 if parameters.repeat_penalty is None else parameters.repeat_penalty
    defaults: dict[str, Any] = {
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "top_k": 40,
        "min_p": 0.0,
        "repeat_penalty": repeat_penalty,
    }
    if path == "/v1/messages":
        defaults |= {"stop_sequences": list(parameters.stop)} | ({"system": prompt.system} if prompt.system else {})
    else:
        defaults["stop"] = list(parameters.stop)
        if parameters.max_tokens is not None and "max_completion_tokens" not in body:
            defaults["max_tokens"] = parameters.max_tokens
    full = defaults | {name: value for name, value in body.items() if name != "model"}
    if path == "/v1/chat/completions" and prompt.system:
        full["messages"] = _with_system(full.get("messages"), prompt.system)
    return full


def _with_system(messages: object, system: str) -> object:
    """Anything but a list of messages is the engine's to refuse."""
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        return messages
    if any(each.get("role") in ("system", "developer") for each in messages):
        return messages
    return [{"role": "system", "content": system}, *messages]


def as_infill(body: Mapping[str, Any]) -> dict[str, Any]:
    """The engine ignores ``suffix`` in a completion without a word; it fills in at another address and in other words.

    Args:
        body: Of ``/v1/completions``, with ``prompt`` and ``suffix``.
    """
    rest = {name: value for name, value in body.items() if name not in ("prompt", "suffix", "max_tokens")}
    asked = {"input_prefix": body.get("prompt", ""), "input_suffix": body["suffix"], "prompt": ""}
    if body.get("max_tokens") is not None:
        asked["n_predict"] = body["max_tokens"]
    return rest | asked


def from_infill(said: Mapping[str, Any], model: str) -> dict[str, Any]:
    """What ``/infill`` answers, as a completion (or a chunk of one)."""
    ended = bool(said.get("stop", True))
    reason = "length" if said.get("stop_type") == "limit" else "stop"
    choice = {"index": 0, "text": said.get("content", ""), "finish_reason": reason if ended else None, "logprobs": None}
    answer: dict[str, Any] = {"object": "text_completion", "model": model, "choices": [choice]}
    if ended and isinstance(said.get("tokens_predicted"), int):
        read, wrote = said.get("tokens_evaluated", 0), said["tokens_predicted"]
        answer["usage"] = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
    return answer
