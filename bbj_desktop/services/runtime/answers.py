"""What engines say while they answer, as far as it is used here. Whatever else they send is ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bbj_desktop.core.documents import explain
from bbj_desktop.core.errors import EngineRefusedError

Answer = TypeVar("Answer", bound=BaseModel)


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Text(_Said):
    """A piece of the answer; None and nothing are the same."""

    content: str | None = None


class ChatLine(_Said):
    """A line of Ollama's ``/api/chat`` or ``/api/generate``; the counts come with the last one, durations in
    nanoseconds."""

    message: Text | None = None
    response: str | None = None
    done: bool = False
    done_reason: str | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None

    @property
    def piece(self) -> str:
        """Of the answer; empty for none."""
        said = self.message.content if self.message is not None else self.response
        return said or ""


class Shown(_Said):
    """Ollama's ``/api/show``."""

    template: str | None = None
    system: str | None = None
    parameters: str | None = None
    modelfile: str | None = None


class PullLine(_Said):
    """A line of Ollama's ``/api/pull``."""

    status: str | None = None
    digest: str = ""
    total: int = 0
    completed: int = 0


class DebugInfo(_Said):
    rendered_template: str | None = None


class Rendered(_Said):
    """Ollama's answer to a chat with ``_debug_render_only``; older versions ignore the wish and answer."""

    debug: DebugInfo | None = Field(default=None, alias="_debug_info")


class Choice(_Said):
    delta: Text | None = None
    text: str | None = None
    finish_reason: str | None = None

    @property
    def piece(self) -> str:
        """Of the answer; empty for none."""
        said = self.delta.content if self.delta is not None else self.text
        return said or ""


class Usage(_Said):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Timings(_Said):
    prompt_n: int | None = None
    prompt_per_second: float | None = None
    predicted_per_second: float | None = None


class Chunk(_Said):
    """An event of llama.cpp's ``/v1/chat/completions`` or ``/v1/completions``."""

    choices: tuple[Choice, ...] | None = None
    usage: Usage | None = None
    timings: Timings | None = None


def read_answer(model: type[Answer], said: Mapping[str, Any], engine: str) -> Answer:
    """Reads what an engine said. Raises EngineRefusedError when it makes no sense."""
    try:
        return model.model_validate(said)
    except ValidationError as error:
        raise EngineRefusedError(
            f"{engine} answered something unexpected: {explain(error)}.", hint="Is it really at this address?"
        ) from error
