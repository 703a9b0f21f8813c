"""What of a release Ollama is told, and whether what it then says it serves is that. Values only."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from bbj_desktop.core.chat import ChatRequest, CompletionRequest, Message
from bbj_desktop.core.release import Release, Rendering
from bbj_desktop.core.versions import InstalledVersion

Parameter = float | str
"""Ollama knows numbers and strings; whole numbers come back as floats."""

_DIGEST = re.compile(r"^FROM\s.*sha256-([0-9a-f]{64})\s*$", re.MULTILINE)
_ADAPTER = re.compile(r"^ADAPTER\s.*sha256-([0-9a-f]{64})\s*$", re.MULTILINE)


def parameters_of(version: InstalledVersion) -> dict[str, Any]:
    """A release's parameters in Ollama's words.

    ``num_ctx`` is always set: Ollama's own default depends on the version and on the graphics memory (2048 to
    262,144). ``repeat_penalty`` too: Ollama's default would penalise what code repeats, llama.cpp's doesn't, and both
    runtimes shall answer alike.
    """
    parameters = version.release.prompt.parameters
    values: dict[str, Any] = {
        "num_ctx": version.context_length,
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "repeat_penalty": 1.0 if parameters.repeat_penalty is None else parameters.repeat_penalty,
    }
    if parameters.stop:
        values["stop"] = list(parameters.stop)
    if parameters.max_tokens is not None:
        values["num_predict"] = parameters.max_tokens
    return values


def creation_of(version: InstalledVersion) -> dict[str, Any]:
    """The body of ``POST /api/create`` for an uploaded blob."""
    prompt = version.release.prompt
    body: dict[str, Any] = {
        "model": version.key,
        "files": {"model.gguf": version.variant.file.digest},  # without .gguf: 400 "unknown type"
        "template": prompt.go_template,
        "parameters": parameters_of(version),
        "license": licences_of(version.release),
    }
    if prompt.system:
        body["system"] = prompt.system
    adapter = version.variant.adapter
    if adapter is not None:  # left out otherwise: to an empty one Ollama says 400 "unknown type"
        body["adapters"] = {"adapter.gguf": adapter.file.digest}
    return body


def licences_of(release: Release) -> list[str]:
    """The release's own licence and the base model's, each once."""
    return list(dict.fromkeys(text for text in (release.licence_text, release.base_model.licence_text) if text))


def chat_of(version: InstalledVersion, request: ChatRequest, extra_options: Mapping[str, Any]) -> dict[str, Any]:
    """The body of ``POST /api/chat``.

    A system message replaces the model's own. With ``truncate: false`` a conversation that is too long is refused
    instead of being cut silently to about half the context.
    """
    messages = [message.model_dump() for message in request.messages]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": request.system})
    wishes = {"temperature": request.temperature, "num_predict": request.max_tokens, "seed": request.seed}
    options = {"num_ctx": version.context_length, **extra_options}
    options |= {name: value for name, value in wishes.items() if value is not None}
    return {"model": version.key, "messages": messages, "stream": True, "truncate": False, "options": options}


def completion_of(
    version: InstalledVersion, request: CompletionRequest, extra_options: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of ``POST /api/generate`` for a prompt that needs no template (``raw``): that works whatever template
    the model has in Ollama, ``suffix`` only where one with ``.Suffix`` won (see the decision on templates)."""
    wishes = {"temperature": request.temperature, "seed": request.seed}
    stop = list(dict.fromkeys((*version.release.prompt.parameters.stop, *request.stop)))
    options = {"num_ctx": version.context_length, **extra_options, "num_predict": request.max_tokens, "stop": stop}
    options |= {name: value for name, value in wishes.items() if value is not None}
    body = {"model": version.key, "prompt": request.prompt, "raw": True, "stream": True, "truncate": False}
    return body | {"options": options}


def rendering_of(version: InstalledVersion, rendering: Rendering) -> dict[str, Any]:
    """The body of a ``POST /api/chat`` that shows the prompt of a conversation."""
    messages = tuple(Message(role=each.role, content=each.content) for each in rendering.messages)
    return chat_of(version, ChatRequest(messages=messages), {})


def read_parameters(text: str) -> dict[str, tuple[Parameter, ...]]:
    """Reads the parameters as ``/api/show`` prints them: a name and a Go literal a line, lists as repeated names.

    Returns:
        The values by name, sorted: Ollama keeps parameters in a map and prints them in any order.
    """
    values: dict[str, list[Parameter]] = {}
    for line in text.splitlines():
        name, _, literal = line.strip().partition(" ")
        if name:
            values.setdefault(name, []).append(_read_literal(literal.strip()))
    return {name: _sorted(found) for name, found in values.items()}


def _read_literal(text: str) -> Parameter:
    """A Go literal: a number, or a quoted string, whose escapes Python knows too."""
    try:
        return ast.literal_eval(text) if text.startswith('"') else float(text)
    except (ValueError, SyntaxError):
        return text


def _sorted(values: list[Parameter]) -> tuple[Parameter, ...]:
    return tuple(sorted(values, key=str))


def differences_from(version: InstalledVersion, shown: Mapping[str, Any]) -> tuple[str, ...]:
    """What Ollama serves otherwise than the release says, in words; empty when nothing.

    Args:
        shown: The answer of ``/api/show``.
    """
    prompt = version.release.prompt
    found = []
    if shown.get("template", "") != prompt.go_template:
        found.append("the template")
    if shown.get("system", "") != prompt.system:
        found.append("the system prompt")
    adapter = version.variant.adapter
    if served_adapters(shown.get("modelfile", "")) != (() if adapter is None else (adapter.file.digest,)):
        found.append("the adapter")
    wanted = {
        name: _sorted([_normal(item) for item in (value if isinstance(value, list) else [value])])
        for name, value in parameters_of(version).items()
    }
    served = read_parameters(shown.get("parameters", ""))
    found += [f"the parameter {name}" for name in sorted({*wanted, *served}) if wanted.get(name) != served.get(name)]
    return tuple(found)


def _normal(value: object) -> Parameter:
    return value if isinstance(value, str) else float(str(value))


def served_digest(modelfile: str) -> str | None:
    """Digest of the weights that a model's Modelfile names (``FROM …/blobs/sha256-…``); None when it names none."""
    match = _DIGEST.search(modelfile)
    return f"sha256:{match.group(1)}" if match else None


def served_adapters(modelfile: str) -> tuple[str, ...]:
    """Digests of the adapters that a model's Modelfile names (``ADAPTER …/blobs/sha256-…``)."""
    return tuple(f"sha256:{match}" for match in _ADAPTER.findall(modelfile))
