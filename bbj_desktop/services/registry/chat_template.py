"""What a model's own chat template makes of a conversation, rendered where it can do no harm."""

from __future__ import annotations

import functools
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ValidationError

from bbj_desktop.core.errors import PublishError
from bbj_desktop.core.gguf import GgufHeader
from bbj_desktop.services.processes import Ended, run_limited

TEMPLATE_ARGUMENT = "--template-child"
"""What a frozen program is started with to become the process that renders."""
TIME_LIMIT_S = 20.0
MAX_TEMPLATE_CHARACTERS = 200_000
Turn = tuple[str, str]
"""Role and content."""

_BEGIN_WITH_BOS = frozenset({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"})
"""Pre-tokenizers for which llama.cpp adds the token without being told (``llama-vocab.cpp``)."""


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """What a template may name.

    Attributes:
        bos: Text of the token that begins a text; empty for none.
        eos: Of the one that ends it.
        adds_bos: The engine puts ``bos`` in front of every prompt itself.
    """

    bos: str = ""
    eos: str = ""
    adds_bos: bool = False

    @classmethod
    def of(cls, header: GgufHeader) -> SpecialTokens:
        """Of a GGUF, as llama.cpp reads them."""
        said = header.metadata.get("tokenizer.ggml.add_bos_token")
        if not isinstance(said, bool):
            model, pre = (header.metadata.get(f"tokenizer.ggml.{name}") for name in ("model", "pre"))
            said = model == "llama" or pre in _BEGIN_WITH_BOS
        return cls(token_text(header, "bos"), token_text(header, "eos"), said)


def token_text(header: GgufHeader, name: str) -> str:
    """Of the token that a GGUF names for a purpose: ``bos``, ``fim_pre`` …; empty where it names none."""
    tokens, number = (header.metadata.get(f"tokenizer.ggml.{key}") for key in ("tokens", f"{name}_token_id"))
    if isinstance(tokens, list) and isinstance(number, int) and 0 <= number < len(tokens):
        return str(tokens[number])
    return ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt.

    Attributes:
        prompt: As a runtime is handed it: without the token that it puts in front itself.
        dated: It has the time in it.
    """

    prompt: str
    dated: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a template can't be rendered, or doesn't take a conversation."""

    why: str


@functools.lru_cache(maxsize=64)
def render_template(
    template: str, turns: tuple[Turn, ...], tokens: SpecialTokens, *, time_limit_s: float = TIME_LIMIT_S
) -> Rendered | Refused:
    """Renders a conversation up to where the answer begins, in a process of its own: so neither a loop without end nor
    a way out of the sandbox reaches this one.

    Args:
        template: Jinja, as the GGUF carries it.
        turns: Role and content.
        tokens: Of the model.
        time_limit_s: It is ended then.

    Raises:
        PublishError: The process can't be started.
    """
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        return Refused(f"it is longer than {MAX_TEMPLATE_CHARACTERS} characters")
    messages = [{"role": role, "content": content} for role, content in turns]
    question = {"template": template, "messages": messages, "bos": tokens.bos, "eos": tokens.eos}
    ended = _ask(json.dumps(question), time_limit_s)
    if ended.status is None:
        return Refused(f"it wasn't done after {time_limit_s:g} seconds")
    try:
        said = Answer.model_validate_json(ended.output)
    except ValidationError:  # the process was ended, e.g. for its memory
        return Refused(f"the process that rendered it ended with {ended.status}")
    if said.prompt is None:
        return Refused(said.refused[:300].rstrip("."))
    own = tokens.bos if tokens.adds_bos else ""
    return Rendered(said.prompt.removeprefix(own), said.dated)


class Answer(BaseModel):
    """What the process says."""

    prompt: str | None = None
    dated: bool = False
    refused: str = "it isn't said why"


def _ask(question: str, time_limit_s: float) -> Ended:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BBJ_")}
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "question.json"
            path.write_text(question, encoding="utf-8")
            command = [*_child_command(), str(path)]
            return run_limited(command, timeout_s=time_limit_s, environment=environment)
    except OSError as error:
        raise PublishError(f"The chat template can't be rendered: {error}.", hint="Check the disk.") from error


def _child_command() -> list[str]:
    """Without the question's path. ``-P`` keeps the child's folder, and whatever lies in the current one, out of its
    imports."""
    if getattr(sys, "frozen", False):
        return [sys.executable, TEMPLATE_ARGUMENT]
    return [sys.executable, "-P", str(Path(__file__).with_name("template_child.py"))]
