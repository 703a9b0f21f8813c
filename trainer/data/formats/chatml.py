"""ChatML rows: ``{"messages": [{"role": …, "content": …}, …]}``. An ``id`` and labels beside the messages are
read, too; written are the messages alone."""

from __future__ import annotations

from typing import Any

from trainer.data.example import Example, Message
from trainer.data.formats.parsed import Parsed, shown
from trainer.data.formats.seed import take_common

_RAW = "messages"
"""Key in ``extra``: the messages as they were, where an Example can't say all of it."""


def looks_like(record: dict[str, Any]) -> bool:
    """Whether an object is meant as a row of this format."""
    return "messages" in record


def parse(record: dict[str, Any]) -> Parsed:
    """Reads one row."""
    parsed = Parsed()
    rest = dict(record)
    raw = rest.pop("messages")
    why = _unreadable(raw)
    if why:
        parsed.say("wrong-value", "error", f"{why} The example isn't used.", "Each message has a role and a content.")
        return parsed
    fields = take_common(rest, parsed)
    messages = tuple(Message(role=each["role"], content=each["content"]) for each in raw)
    fields |= _split(messages) | {"form": "chat"}
    roles = [each.role for each in messages]
    if not _regular(roles):
        parsed.say(
            "wrong-roles",
            "error",
            f"The roles are {', '.join(roles[:6])}{', …' if len(roles) > 6 else ''}.",  # noqa: PLR2004 - fits a line
            "A chat is: system (or none), then user and assistant in turn, the assistant at the end.",
        )
    if raw != [each.model_dump() for each in _joined(fields)]:
        rest[_RAW] = raw
    fields["extra"] = rest
    parsed.fields = fields
    return parsed


def dump(example: Example) -> dict[str, Any]:
    """The row for an example."""
    raw = example.extra.get(_RAW)
    if isinstance(raw, list) and not _unreadable(raw) and _still_true(raw, example):
        return {"messages": raw}
    return {"messages": [each.model_dump() for each in example.to_messages()]}


def _unreadable(raw: object) -> str:
    if not isinstance(raw, list) or not raw:
        return f"messages is {shown(raw)}, not a list of messages."
    for number, each in enumerate(raw, start=1):
        if not isinstance(each, dict):
            return f"Message {number} is {shown(each)}, not an object."
        for key in ("role", "content"):
            if not isinstance(each.get(key), str):
                return f"The {key} of message {number} is {shown(each.get(key))}, not a text."
            if not _encodable(each[key]):
                return f"The {key} of message {number} has half a character (a lone surrogate)."
    return ""


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _regular(roles: list[str]) -> bool:
    turns = roles[1:] if roles[0] == "system" else roles
    return bool(turns) and len(turns) % 2 == 0 and turns == ["user", "assistant"] * (len(turns) // 2)


def _split(messages: tuple[Message, ...]) -> dict[str, Any]:
    rest = list(messages)
    fields: dict[str, Any] = {}
    if rest[0].role == "system":
        fields["system"] = rest.pop(0).content
    if rest and rest[-1].role == "assistant":
        fields["output"] = rest.pop().content
    if rest and rest[-1].role == "user":
        fields["instruction"] = rest.pop().content
    return fields | {"turns": tuple(rest)}


def _joined(fields: dict[str, Any]) -> tuple[Message, ...]:
    texts = {name: fields.get(name, "") for name in ("system", "instruction", "output")}
    return Example(id="x", form="chat", turns=fields["turns"], **texts).to_messages()


def _still_true(raw: list[Any], example: Example) -> bool:
    """Whether nobody changed the example since: its texts are those of the kept messages."""
    split = _split(tuple(Message(role=each["role"], content=each["content"]) for each in raw))
    return example.form == "chat" and all(
        getattr(example, name) == split.get(name, "") for name in ("system", "instruction", "output", "turns")
    )
