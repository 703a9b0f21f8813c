"""How the stand-in for Ollama makes a prompt of a conversation: by which template, and what that makes of it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.gguf import read_header
from bbj_desktop.core.go_template import render_chat
from bbj_desktop.services.registry.chat_template import SpecialTokens
from bbj_desktop.services.registry.template_child import Clock, render
from tests.fakes.ollama_models import Model


def render_prompt(model: Model, gguf: bytes, messages: Sequence[Mapping[str, str]]) -> str:
    """The prompt of a chat.

    Args:
        gguf: The model's file, as far as its header.
        messages: With ``role`` and ``content``; the model's own system prompt stands in for one that is missing.

    Raises:
        NotCheckableError: The Go template isn't one that can be rendered here.
        jinja2.TemplateError: The GGUF's own template doesn't take the conversation.
    """
    turns = [(each["role"], each["content"]) for each in messages]
    if model.system and turns[0][0] != "system":
        turns.insert(0, ("system", model.system))
    jinja, tokens = _own_template(gguf)
    if not wins(jinja, model.template):
        return render_chat(model.template or "{{ .Prompt }}", turns)
    said = [{"role": role, "content": content} for role, content in turns]
    prompt = render(jinja, said, tokens.bos, tokens.eos, Clock())
    return prompt.removeprefix(tokens.bos) if tokens.adds_bos else prompt


def wins(jinja: str, go: str) -> bool:
    """Whether the GGUF's own template is used, and not Ollama's."""
    if not go:  # ollama.md:43 `| plain | none | jinja`
        return bool(jinja)
    if "tools" not in jinja:  # ollama.md:41 `| none / plain | chat | Go`
        return False
    if "enable_thinking" in jinja:  # ollama.md:46 `| tools + thinking | chat +`
        return True
    return ".Suffix" not in go  # ollama.md:45 `| with tools | chat +`


def _own_template(gguf: bytes) -> tuple[str, SpecialTokens]:
    try:
        header = read_header(io.BytesIO(gguf))
    except FormatError:  # many a test takes a few bytes for a model
        return "", SpecialTokens()
    return str(header.metadata.get("tokenizer.chat_template", "")), SpecialTokens.of(header)
