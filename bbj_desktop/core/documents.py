"""Reading versioned JSON documents, whoever wrote them."""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bbj_desktop.core.errors import FormatError, TooNewError

Document = TypeVar("Document", bound=BaseModel)


def parse_document(model: type[Document], text: str | bytes, *, what: str, newest: int) -> Document:
    """Reads a JSON document whose top level carries ``format``, a whole number that grows.

    The format is looked at before anything else, so that an older program meeting a newer document says so instead of
    complaining about fields that it doesn't know.

    Args:
        model: Pydantic model of the newest format.
        text: The document.
        what: What it is, for messages, e.g. ``"release manifest"``.
        newest: The newest format that this program reads.

    Raises:
        TooNewError: ``format`` is above ``newest``.
        FormatError: Not JSON, not an object, no format, or fields that don't fit.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"This {what} isn't valid JSON: {error}.") from error
    if not isinstance(raw, dict):
        raise FormatError(f"This {what} isn't a JSON object.")
    version = raw.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FormatError(f"This {what} doesn't say its format.")
    needed_app = raw.get("min_app_version")
    if version > newest:
        named = isinstance(needed_app, str)
        needs = f"BBj Desktop {needed_app}" if named else f"format {version}"
        raise TooNewError(
            f"This {what} is of format {version}; this version of BBj Desktop reads up to {newest}.",
            needs=needs,
            hint=f"Update to {needs} or newer." if named else "Update BBj Desktop.",
        )
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise FormatError(f"This {what} can't be used: {explain(error)}.") from error


def explain(error: ValidationError) -> str:
    """The first few complaints of pydantic in one line: ``variants.0.digest: should match …``."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False)[:3]:
        where = ".".join(str(part) for part in problem["loc"]) or "document"
        lines.append(f"{where}: {problem['msg']}")
    more = error.error_count() - len(lines)
    return "; ".join(lines) + (f" (and {more} more)" if more > 0 else "")
