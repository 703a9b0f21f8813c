"""What a version of Ollama can do for us, with reasons. Values only.

Sources: Ollama's release notes for the least versions, ``docs/ollama.md`` for what was measured.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict

MEASURED = ("0.24.0", "0.33.0")
"""The versions on which the facts of ``docs/ollama.md`` were measured."""


class VersionNote(BaseModel):
    """One thing about a version.

    Attributes:
        state: ``error`` it can't be used; ``warning`` something doesn't work; ``note`` something is otherwise.
    """

    model_config = ConfigDict(frozen=True)

    state: Literal["note", "warning", "error"]
    text: str


_LIMITS: tuple[tuple[str, Literal["note", "warning", "error"], str], ...] = (
    ("0.5.5", "error", "it can't create a model from an uploaded file (`files` in /api/create)"),
    ("0.6.4", "error", "it doesn't say what a model can do (`capabilities` in /api/show)"),
    ("0.9.0", "error", "the releases are made for 0.9.0 and newer"),
    (
        "0.30.0",
        "note",
        "models run in its own engine instead of llama.cpp's server, with other memory and speed than newer ones",
    ),
)
"""Below which version what doesn't hold."""

_NEWER = "0.34.1"


def version_numbers(version: str) -> tuple[int, int, int]:
    """``0.33.0-rc2`` is (0, 33, 0); what names no number is (0, 0, 0)."""
    found = [int(part) for part in re.findall(r"\d+", version.partition("-")[0])[:3]]
    first, second, third = (*found, 0, 0, 0)[:3]
    return first, second, third


def version_notes(version: str) -> tuple[VersionNote, ...]:
    """What is to be known about a version; empty for one as measured."""
    numbers = version_numbers(version)
    if numbers == (0, 0, 0):
        text = f"Ollama says it is {version or 'nothing'}: a build without a version. It is taken for a new one."
        return (VersionNote(state="warning", text=text),)
    notes = [
        VersionNote(state=state, text=f"Ollama {version} is older than {limit}: {lacks}.")
        for limit, state, lacks in _LIMITS
        if numbers < version_numbers(limit)
    ]
    if numbers >= version_numbers(_NEWER):
        text = (
            f"Ollama {version} is newer than what was measured ({MEASURED[-1]}). From {_NEWER} on it is reported not "
            "to create models with an adapter."
        )
        notes.append(VersionNote(state="note", text=text))
    return tuple(notes)
