"""What every format's ``parse`` gives: fields of an Example and what is wrong with the record."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from trainer.data.example import DIFFICULTIES, GENERATIONS, TYPES, Example, Source
from trainer.data.finding import Finding, Severity

LABELS = {
    "type": ", ".join(TYPES),
    "generation": f"all, {', '.join(GENERATIONS)}, or a list of the last four",
    "from_generation": ", ".join(GENERATIONS),
    "to_generation": ", ".join(GENERATIONS),
    "difficulty": ", ".join(DIFFICULTIES),
    "origin": "curated, synthetic, field",
    "review": "unreviewed, accepted, rejected",
    "compiler": "not-judged, compiles, fails",
}
"""Fields whose value may be wrong without spoiling the example, with what they may hold."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A Finding without its file.

    Attributes:
        line: Line within the record, its first line being 1.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""
    line: int = 1

    def finding(self, source: Source, example_id: str = "") -> Finding:
        """The same with its place; ``source.line`` is the record's first line."""
        return Finding(
            code=self.code,
            severity=self.severity,
            message=self.message,
            hint=self.hint,
            file=source.file,
            line=source.line + self.line - 1,
            example_id=example_id,
        )


@dataclass(slots=True)
class Parsed:
    """A record that was read.

    Attributes:
        fields: For ``Example.of``; None when nothing can be made of it.
        problems: What is wrong with it.
    """

    fields: dict[str, Any] | None = None
    problems: list[Problem] = field(default_factory=list)

    def say(self, code: str, severity: Severity, message: str, hint: str = "", line: int = 1) -> None:
        self.problems.append(Problem(code, severity, message, hint, line))

    def example(self, source: Source) -> Example | None:
        """The example; a label that doesn't exist becomes ``unknown``, and ``extra`` keeps it."""
        if self.fields is None:
            return None
        self._mind_spelling(self.fields)
        try:
            return Example.of(**self.fields, source=source)
        except ValidationError as error:
            wrong = {str(each["loc"][0]): each["msg"] for each in error.errors(include_url=False, include_input=False)}
        if not wrong.keys() <= LABELS.keys():
            name, why = next((name, why) for name, why in wrong.items() if name not in LABELS)
            self.say("wrong-value", "error", f"{name}: {why}. The example isn't used.", "Correct it in the source.")
            return None
        for name in wrong:
            value = self.fields.pop(name)
            self.fields["extra"] = {**self.fields.get("extra", {}), name: _keepable(value)}
            self.say(
                "wrong-label", "error", f"{shown(value)} is no {name.replace('_', ' ')}.", f"Use one of {LABELS[name]}."
            )
        return Example.of(**self.fields, source=source)

    def _mind_spelling(self, fields: dict[str, Any]) -> None:
        for name in ("generation", "from_generation", "to_generation"):
            value = fields.get(name)
            if isinstance(value, str | list) and "bbj_gui" in value:
                message = f"The {name.replace('_', ' ')} bbj_gui is spelled bbj-gui here."
                self.say("old-spelling", "info", message, "bbj-trainer data fix corrects it.")


def _keepable(value: Any) -> Any:
    """The value, or its description where no file can hold it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return ascii(value)
    return value


def shown(value: object, limit: int = 60) -> str:
    """A foreign value for a message: short, and on one line."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def texts_of(value: object) -> tuple[str, ...] | None:
    """A list of texts, e.g. tags; None if it is something else."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return None
