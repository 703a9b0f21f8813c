"""What goes into a model and what comes out, whatever runs it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LOADED_S = 0.2
"""Seconds. An engine that needed longer to get ready loaded the model for that answer; one that has it takes some
hundredths."""


class Message(BaseModel):
    model_config = ConfigDict(frozen=True)

    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(BaseModel):
    """A conversation to be continued.

    Attributes:
        messages: The conversation so far, without the release's system prompt: the runtime adds that.
        system: Replaces the release's system prompt; None keeps it.
        temperature: Replaces the release's; None keeps it.
        max_tokens: Upper bound of the answer; None leaves it to the release.
        seed: For a repeatable answer.
    """

    model_config = ConfigDict(frozen=True)

    messages: tuple[Message, ...]
    system: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: int | None = None


class CompletionRequest(BaseModel):
    """A gap to be filled by a completion model.

    Attributes:
        prompt: Prefix and suffix with the release's own tokens around them, as ``FimTemplate.render`` makes it.
        stop: Texts that end the answer, besides the release's own.
        temperature: Replaces the release's; None keeps it.
        max_tokens: Upper bound of the answer.
        seed: For a repeatable answer.
    """

    model_config = ConfigDict(frozen=True)

    prompt: str
    stop: tuple[str, ...] = ()
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)]
    seed: int | None = None


class Delta(BaseModel):
    """A piece of the answer."""

    model_config = ConfigDict(frozen=True)

    text: str


class Statistics(BaseModel):
    """How an answer went.

    Attributes:
        load_s: Seconds to load the model; 0 when it was loaded.
        ttft_s: Seconds from sending the request to the first token, loading included.
        prompt_tokens: Tokens of the prompt.
        prefill_tokens: Tokens of the prompt that were read for this answer; the others the engine remembered from an
            earlier one. None when it doesn't tell (Ollama, unless it loaded the model for this answer).
        prefill_tokens_per_s: Speed of reading the prompt, as the engine says; None when it doesn't. Ollama counts what
            it remembered, too.
        answer_tokens: Tokens of the answer.
        decode_tokens_per_s: Speed of writing the answer; None when the engine doesn't tell.
        total_s: Seconds from the request to the end.
        stop_reason: ``stop`` (the model ended), ``length`` (a limit), ``cancelled``.
    """

    model_config = ConfigDict(frozen=True)

    load_s: float = 0.0
    ttft_s: float
    prompt_tokens: int | None = None
    prefill_tokens: int | None = None
    prefill_tokens_per_s: float | None = None
    answer_tokens: int
    decode_tokens_per_s: float | None = None
    total_s: float
    stop_reason: Literal["stop", "length", "cancelled"]


class Finished(BaseModel):
    """The end of an answer; nothing comes after it."""

    model_config = ConfigDict(frozen=True)

    statistics: Statistics


ChatEvent = Delta | Finished
