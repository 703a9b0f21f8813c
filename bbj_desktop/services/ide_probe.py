"""Asking a model's address as IDEs do, to see what works there.

Each question is as short as it can be. What "works" is read from the answer's form, never from how good it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.progress import Cancel

Ability = Literal[
    "chat", "streamed chat", "completion with suffix", "structured JSON", "tool calling", "Anthropic's format"
]
TIMEOUT_S = 300.0
"""For one answer: the first one loads the model."""

_SCHEMA = {
    "type": "object",
    "properties": {"language": {"type": "string"}},
    "required": ["language"],
    "additionalProperties": False,
}
_TOOL = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Reads a file of the workspace",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}
_REASON_CHARACTERS = 200


class Tried(BaseModel):
    """One ability and whether it is there.

    Attributes:
        works: The answer has the form that an IDE expects.
        reason: Why not.
    """

    model_config = ConfigDict(frozen=True)

    ability: Ability
    works: bool
    reason: str = ""


class _OtherFormError(Exception):
    """The answer hasn't the form that it should have."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where and as what a model is asked.

    Attributes:
        openai_base: OpenAI-compatible address, e.g. ``http://127.0.0.1:11434/v1``.
        ollama_base: Ollama's own address, where it is one.
        key: For servers that ask for one.
    """

    model: str
    openai_base: str
    ollama_base: str | None = None
    key: str | None = None


def try_out(address: Address, *, completes: bool, cancel: Cancel) -> Iterator[Tried]:
    """Tries one ability after the other.

    Args:
        completes: It is a completion model; else the same questions, of which a suffix isn't expected to work.

    Raises:
        Cancelled: Between two questions, on request.
    """
    headers = {"Authorization": f"Bearer {address.key}"} if address.key else {}
    # trust_env: no proxy of the environment may come between two programs of this machine
    with httpx.Client(headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        for ability, ask in _questions(completes=completes).items():
            cancel.check()
            yield _tried(ability, ask, client, address)


def nothing_works(reason: str, *, completes: bool) -> Iterator[Tried]:
    """The same abilities where nobody can be asked."""
    return (Tried(ability=ability, works=False, reason=reason) for ability in _questions(completes=completes))


def _questions(*, completes: bool) -> Mapping[Ability, Callable[[httpx.Client, Address], None]]:
    return _COMPLETION if completes else _QUESTIONS


def _tried(ability: Ability, ask: Callable[[httpx.Client, Address], None], client: httpx.Client, at: Address) -> Tried:
    try:
        ask(client, at)
    except httpx.HTTPError as error:
        return Tried(ability=ability, works=False, reason=f"No answer: {str(error) or type(error).__name__}")
    except _OtherFormError as error:
        return Tried(ability=ability, works=False, reason=str(error)[:_REASON_CHARACTERS])
    return Tried(ability=ability, works=True)


def _chat(client: httpx.Client, at: Address) -> None:
    _has_text(_asked_openai(client, at, _conversation(at)))


def _streamed_chat(client: httpx.Client, at: Address) -> None:
    body = _conversation(at) | {"stream": True}
    with client.stream("POST", f"{at.openai_base}/chat/completions", json=body) as response:
        if response.status_code != httpx.codes.OK:
            response.read()
            raise _OtherFormError(_refusal(response))
        lines = [line for line in response.iter_lines() if line.startswith("data:")]
    if len(lines) < 2 or lines[-1].removeprefix("data:").strip() != "[DONE]":  # noqa: PLR2004 - a piece and the end
        raise _OtherFormError("The stream doesn't end with [DONE].")


def _completion(client: httpx.Client, at: Address) -> None:
    options: Mapping[str, Any]
    if at.ollama_base is not None:
        options = {"num_predict": 16, "temperature": 0}
        body = {"model": at.model, "prompt": 'print "', "suffix": '"\n', "stream": False, "options": options}
        said = _answer(client, f"{at.ollama_base}/api/generate", body)
        if not isinstance(said.get("response"), str):
            raise _OtherFormError("The answer has no text.")
        return
    body = {"model": at.model, "prompt": 'print "', "suffix": '"\n', "max_tokens": 16, "temperature": 0}
    choices = _answer(client, f"{at.openai_base}/completions", body).get("choices")
    if not _first(choices, "text", str):
        raise _OtherFormError("The answer has no choice with a text.")


def _structured(client: httpx.Client, at: Address) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": _SCHEMA}}
    text = _has_text(_asked_openai(client, at, _conversation(at) | {"response_format": schema, "max_tokens": 64}))
    try:
        given = json.loads(text)
    except ValueError:
        raise _OtherFormError("The answer isn't JSON.") from None
    if not isinstance(given, dict) or not isinstance(given.get("language"), str):
        raise _OtherFormError("The answer isn't of the schema that was asked for.")


def _tools(client: httpx.Client, at: Address) -> None:
    asked = [{"role": "user", "content": "Read the file main.bbj with the tool read_file."}]
    body = {"model": at.model, "messages": asked, "tools": [_TOOL], "temperature": 0, "max_tokens": 96}
    calls = _message(_asked_openai(client, at, body)).get("tool_calls")
    if not (isinstance(calls, list) and calls and isinstance(calls[0], dict) and calls[0].get("function")):
        raise _OtherFormError("The model called no tool.")


def _anthropic(client: httpx.Client, at: Address) -> None:
    body = {"model": at.model, "max_tokens": 16, "messages": [{"role": "user", "content": "Say yes."}]}
    content = _answer(client, f"{at.openai_base}/messages", body).get("content")
    if not _first(content, "text", str):
        raise _OtherFormError("The answer has no content with a text.")


_QUESTIONS: Mapping[Ability, Callable[[httpx.Client, Address], None]] = {
    "chat": _chat,
    "streamed chat": _streamed_chat,
    "completion with suffix": _completion,
    "structured JSON": _structured,
    "tool calling": _tools,
    "Anthropic's format": _anthropic,
}
_COMPLETION: Mapping[Ability, Callable[[httpx.Client, Address], None]] = {"completion with suffix": _completion}


def _conversation(at: Address) -> dict[str, Any]:
    asked = [{"role": "user", "content": "Which language is PRINT from? Answer in one word."}]
    return {"model": at.model, "messages": asked, "temperature": 0, "max_tokens": 16}


def _asked_openai(client: httpx.Client, at: Address, body: Mapping[str, Any]) -> Mapping[str, Any]:
    return _answer(client, f"{at.openai_base}/chat/completions", body)


def _answer(client: httpx.Client, url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    response = client.post(url, json=body)
    if response.status_code != httpx.codes.OK:
        raise _OtherFormError(_refusal(response))
    return _object(response)


def _object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        said = response.json()
    except ValueError:
        raise _OtherFormError("The answer isn't JSON.") from None
    if not isinstance(said, dict):
        raise _OtherFormError("The answer isn't an object.")
    return said


def _refusal(response: httpx.Response) -> str:
    """The server's own words where it has some."""
    try:
        error = _object(response).get("error", "")
    except _OtherFormError:
        error = ""
    text = error.get("message", "") if isinstance(error, dict) else error
    return f"HTTP {response.status_code}: {text or response.reason_phrase}"


def _first(items: object, name: str, kind: type) -> Mapping[str, Any] | None:
    """The first of a list of objects if it has a field of that type."""
    first = items[0] if isinstance(items, list) and items else None
    return first if isinstance(first, dict) and isinstance(first.get(name), kind) else None


def _message(said: Mapping[str, Any]) -> Mapping[str, Any]:
    first = _first(said.get("choices"), "message", dict)
    if first is None:
        raise _OtherFormError("The answer has no choice with a message.")
    message: Mapping[str, Any] = first["message"]
    return message


def _has_text(said: Mapping[str, Any]) -> str:
    text = _message(said).get("content")
    if not isinstance(text, str) or not text.strip():
        raise _OtherFormError("The answer is empty.")
    return text
