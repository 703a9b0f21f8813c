"""Which models the gateway offers, and what it adds to a request for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bbj_desktop.core.budget import TokenCounter
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.fim import gap, longest_answer, required_template
from bbj_desktop.core.tokenizing import Tokenizer
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.embedded import engine_config
from bbj_desktop.services.runtime.engine import EngineConfig, EngineProgram
from bbj_desktop.services.runtime.vocabulary import tokenizer_of
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
    _tokenizers: dict[str, Tokenizer] = field(default_factory=dict, compare=False, repr=False)

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

    def counter(self, version: InstalledVersion) -> TokenCounter:
        """Counts its tokens. A vocabulary takes some hundred milliseconds to read, so it is read once."""
        digest = version.variant.file.digest
        tokenizer = self._tokenizers.get(digest) or tokenizer_of(version, self.store)
        if tokenizer is not None:
            self._tokenizers[digest] = tokenizer
        return TokenCounter(tokenizer, version.release.prompt, version.context_length)


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


def filled_in(body: Mapping[str, Any], wanted: Offered, counter: TokenCounter) -> dict[str, Any]:
    """A completion with ``suffix`` as the prompt that the release was trained with, which is what ``complete`` asks
    too; the engine itself ignores ``suffix`` there without a word. What doesn't fit is left out at the far ends.

    Args:
        body: Of ``/v1/completions``, completed.
        counter: Of that version's tokens.

    Raises:
        EngineRefusedError: This version can't fill in.
        UserInputError: Prompt or suffix is no text.
    """
    version = wanted.version
    template = required_template(version.release, wanted.name, counter.tokenizer)
    prefix, suffix = body.get("prompt"), body.get("suffix")
    if not isinstance(prefix, str) or not isinstance(suffix, str):
        raise UserInputError("prompt and suffix must be texts.", hint="Send one of each.")
    asked = body.get("max_tokens")
    wanted_tokens = asked if isinstance(asked, int) and asked > 0 else None
    longest = longest_answer(version.release, version.context_length, wanted_tokens)
    around = gap(template, prefix, suffix, room_tokens=version.context_length - longest, count=counter.count)
    stop = [*_texts(body.get("stop")), *template.tokens]
    rest = {name: value for name, value in body.items() if name != "suffix"}
    return rest | {
        "prompt": template.render(around.prefix, around.suffix),
        "max_tokens": longest,
        "stop": stop,
        "preserved_tokens": stop,  # else the engine doesn't see them: see embedded.py
    }


def _texts(value: object) -> list[str]:
    given = value if isinstance(value, list) else [value]
    return [each for each in given if isinstance(each, str)]
