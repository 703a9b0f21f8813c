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
_COMMENTS_ONLY = re.compile(r"(?:[ \t]*+(?:#[^\n]*)?(?:\n|$))*+")
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
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    newline = "\r\n" if "\r\n" in text else "\n"
    text = text.removeprefix(bom).replace("\r\n", "\n")
    if _COMMENTS_ONLY.fullmatch(text) and text.strip():
        _loaded(f"{text}\nname: x")  # refuses what no YAML may hold
        return bom + (text.rstrip("\n") + "\n\n" + merge("", models)).replace("\n", newline)
    document, indent, offset = _loaded(text)
    entries = _entries(document)
    before = len(entries)
    kept = [_put(entries, model.fields()) for model in models]
    added = entries[before:]
    after = _with_appended(text, document, added, (indent, offset)) if text and all(kept) else None
    return bom + (after or _dumped(document, indent, offset)).replace("\n", newline)


def _with_appended(text: str, document: CommentedMap, added: Sequence[Any], style: tuple[int, int]) -> str | None:
    """The text with more entries and not another letter changed; None where that can't be done.

    Writing the whole document anew keeps its comments and its order, but lists that are indented in two ways, ``~`` and
    ``---`` would become what the writer is used to.
    """
    if not added:
        return text
    lines = text.rstrip("\n").split("\n")
    written = _dumped(CommentedMap({"models": list(added)}), *style).rstrip("\n").split("\n")
    entries = document["models"]
    if len(entries) == len(added):
        result = [*lines, *written] if "models:" not in text else None
    else:
        result = _after_last(lines, entries.lc.item(len(entries) - len(added) - 1), written[1:], style[1])
    joined = "\n".join(result) + "\n" if result else ""
    try:
        return joined if _yaml().load(joined) == document else None
    except YAMLError:
        return None


def _after_last(lines: list[str], place: tuple[int, int], written: list[str], offset: int) -> list[str] | None:
    """Puts lines below the last entry of a list, and below what is indented with it.

    Args:
        place: Line and column of that entry's text, behind its dash.
        written: Entries whose dashes stand in the column ``offset``.
    """
    row, column = place
    dash = lines[row].rfind("-", 0, column)
    if dash < 0 or lines[row][:dash].strip():
        return None
    end = row
    for number in range(row + 1, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip(" ")) <= dash:
            break
        end = number if line.strip() else end
    shifted = [" " * dash + line[offset:] for line in written]
    return [*lines[: end + 1], *shifted, *lines[end + 1 :]]


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


def _put(entries: CommentedSeq, fields: dict[str, Any]) -> bool:
    """Adds an entry or brings it up to date; tells whether what was there is as it was."""
    for entry in entries:
        if isinstance(entry, CommentedMap) and entry.get("name") == fields["name"]:
            return _update(entry, fields)
    entries.append(CommentedMap(fields))
    return True


def _update(entry: CommentedMap, fields: dict[str, Any]) -> bool:
    same = True
    for name, value in fields.items():
        inner = entry.get(name)
        if isinstance(inner, CommentedMap) and isinstance(value, dict):
            same = _update(inner, value) and same
        elif inner != value:
            entry[name] = value
            same = False
    return same


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
