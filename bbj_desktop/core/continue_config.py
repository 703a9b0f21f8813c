"""Continue's ``config.yaml``: our models among the user's own, whose words, comments and order stay as they are."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.util import load_yaml_guess_indent

from bbj_desktop.core.errors import FormatError

_NEVER_FOLD = 2**16  # columns
_ITEM = re.compile(r"^\s*-\s", re.MULTILINE)
_INDENT, _OFFSET = 4, 2
"""Of lists in Continue's own examples: the dash two columns in, its text two more."""


@dataclass(frozen=True, slots=True)
class ContinueModel:
    """One entry of ``models``.

    Attributes:
        name: As the IDE lists it; what an entry of ours is known by.
        provider: ``ollama``, or ``openai`` for any OpenAI-compatible address.
        api_key: For servers that ask for one.
        context_length: Tokens. Continue sends its own otherwise, and Ollama loads the model again at each change.
        max_tokens: Of an answer; below ``context_length``, else Continue fails.
        autocomplete_template: The prompt of a completion model. Continue guesses it from the model's name otherwise,
            and takes another family's tokens for a name it doesn't know.
    """

    name: str
    provider: Literal["ollama", "openai"]
    model: str
    api_base: str
    roles: tuple[str, ...]
    context_length: int
    max_tokens: int
    api_key: str | None = None
    autocomplete_template: str | None = None

    def fields(self) -> dict[str, Any]:
        """As YAML has them, in Continue's usual order."""
        fields: dict[str, Any] = {"name": self.name, "provider": self.provider, "model": self.model}
        fields["apiBase"] = self.api_base
        if self.api_key:
            fields["apiKey"] = self.api_key
        fields["roles"] = list(self.roles)
        fields["defaultCompletionOptions"] = {"contextLength": self.context_length, "maxTokens": self.max_tokens}
        if self.autocomplete_template:
            fields["promptTemplates"] = {"autocomplete": self.autocomplete_template}
        return fields


def merge(text: str, models: Sequence[ContinueModel]) -> str:
    """Puts models into a configuration; entries of the same names are brought up to date where they stand.

    What else such an entry holds, and everything outside of it, stays.

    Args:
        text: The file's content; empty for a file that isn't there.

    Raises:
        FormatError: It isn't YAML, or not a configuration of Continue.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    document, indent, offset = _loaded(text)
    entries = _entries(document)
    for model in models:
        _put(entries, model.fields())
    return _dumped(document, indent, offset).replace("\n", newline)


def _loaded(text: str) -> tuple[CommentedMap, int, int]:
    """The document and how the user indents lists: by how much, and where the dash stands within it."""
    if not text.strip():
        return CommentedMap({"name": "Local models", "version": "1.0.0", "schema": "v1"}), _INDENT, _OFFSET
    try:
        document, indent, offset = load_yaml_guess_indent(text, yaml=_yaml())
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it can't be read"
        raise FormatError(
            f"The configuration isn't valid YAML{where}: {problem}.", hint="Correct it in an editor; it is unchanged."
        ) from error
    if not isinstance(document, CommentedMap):
        raise FormatError("The configuration isn't a mapping of names to values.", hint="It is unchanged.")
    if not _ITEM.search(text):
        return document, _INDENT, _OFFSET
    return document, indent or _INDENT, offset or 0


def _entries(document: CommentedMap) -> CommentedSeq:
    entries = document.get("models")
    if entries is None:
        document["models"] = entries = CommentedSeq()
    if not isinstance(entries, CommentedSeq):
        raise FormatError('In the configuration "models" isn\'t a list.', hint="It is unchanged.")
    return entries


def _put(entries: CommentedSeq, fields: dict[str, Any]) -> None:
    for entry in entries:
        if isinstance(entry, CommentedMap) and entry.get("name") == fields["name"]:
            _update(entry, fields)
            return
    entries.append(CommentedMap(fields))


def _update(entry: CommentedMap, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        inner = entry.get(name)
        if isinstance(inner, CommentedMap) and isinstance(value, dict):
            _update(inner, value)
        elif inner != value:
            entry[name] = value


def _dumped(document: CommentedMap, indent: int, offset: int) -> str:
    yaml = _yaml()
    yaml.indent(mapping=2, sequence=max(indent, offset + 2), offset=offset)
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _NEVER_FOLD
    return yaml
