"""JSON examples: ``id``, ``type``, ``generation``, ``difficulty``, ``instruction`` and ``input``/``output``, for
completions ``prefix``/``completion``. Read besides: ``before``/``after`` of migrations, and the other texts and labels
of an Example under their names. Written are the format's own keys only."""

from __future__ import annotations

from typing import Any

from trainer.data.example import Example
from trainer.data.formats.parsed import LABELS, Parsed, shown, texts_of

_GIVEN = ("input", "prefix", "before")
_ANSWER = ("output", "completion", "after")
_BY_PAIR = {"prefix": "completion", "completion": "completion", "before": "migration", "after": "migration"}
_TEXTS = ("title", "instruction", "explanation", "expected", "system", "requires_version")


def looks_like(record: dict[str, Any]) -> bool:
    """Whether an object is meant as an example of this format."""
    return bool(record.keys() & {"instruction", *_GIVEN, *_ANSWER})


def parse(record: dict[str, Any]) -> Parsed:
    """Reads one object."""
    parsed = Parsed()
    if not looks_like(record):
        keys = ", ".join(map(str, list(record)[:5])) or "none"
        parsed.say(
            "not-an-example",
            "error",
            f"An object without instruction, input or output (its keys: {keys}).",
            "Give it instruction, input and output, or messages.",
        )
        return parsed
    rest = dict(record)
    fields: dict[str, Any] = take_common(rest, parsed)
    for name in _TEXTS:
        fields[name] = _text(rest, name, parsed)
    named = (_pair(rest, _GIVEN, "input", fields, parsed), _pair(rest, _ANSWER, "output", fields, parsed))
    if "type" not in fields and (meant := next((_BY_PAIR[name] for name in named if name in _BY_PAIR), "")):
        fields["type"] = meant
    fields["extra"] = rest
    parsed.fields = fields if not any(each.code == "wrong-value" for each in parsed.problems) else None
    return parsed


def take_common(rest: dict[str, Any], parsed: Parsed) -> dict[str, Any]:
    """Takes id, labels and tags out of a record."""
    fields: dict[str, Any] = {}
    given_id = rest.pop("id", None)
    if isinstance(given_id, str | int) and not isinstance(given_id, bool) and str(given_id):
        fields["id"] = str(given_id)
    elif given_id is not None:
        rest["id"] = given_id
        parsed.say("wrong-id", "warning", f"{shown(given_id)} is no id; it gets one made from its content.")
    for name in LABELS:
        if (value := rest.pop(name, None)) is not None:
            fields[name] = value
    if (tags := texts_of(rest.get("tags"))) is not None:
        fields["tags"] = tags
        del rest["tags"]
    return fields


def dump(example: Example) -> dict[str, Any]:
    """The object for an example; what it has no key for is left out."""
    record: dict[str, Any] = {"id": example.id}
    if example.type != "unknown":
        record["type"] = example.type
    if example.generation != ("unknown",):
        record["generation"] = example.generation[0] if len(example.generation) == 1 else list(example.generation)
    if example.difficulty != "unknown":
        record["difficulty"] = example.difficulty
    given, answer = ("prefix", "completion") if example.type == "completion" else ("input", "output")
    return record | {"instruction": example.instruction, given: example.input, answer: example.output}


def _text(rest: dict[str, Any], name: str, parsed: Parsed) -> str:
    value = rest.pop(name, None)
    if value is None or isinstance(value, str):
        return value or ""
    parsed.say("wrong-value", "error", f"{name} is {shown(value)}, not a text. The example isn't used.", "Correct it.")
    return ""


def _pair(rest: dict[str, Any], names: tuple[str, ...], field: str, fields: dict[str, Any], parsed: Parsed) -> str:
    """Fills a field from the key that is there; returns that key's name."""
    given = [name for name in names if rest.get(name) is not None]
    if len(given) > 1:
        parsed.say(
            "two-values",
            "error",
            f"It has both {given[0]} and {given[1]}; {given[0]} is used.",
            "Keep the one that is meant.",
        )
    used = given[0] if given else ""
    fields[field] = _text(rest, used, parsed) if used else ""
    for name in names:
        if rest.get(name, "") is None:
            del rest[name]
    return used
