"""What is known about the programs that run a model, as far as decisions need it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

EngineName = Literal["ollama", "embedded"]

OLLAMA_ACCELERATORS = frozenset({"nvidia", "amd", "apple"})
"""Vendors whose GPUs Ollama computes on (its documentation, ``docs/gpu.md``)."""


class RuntimeStatus(BaseModel):
    """What is known about a runtime, for the recommendation and for ``doctor``.

    Attributes:
        available: It can be used now.
        reason: Why not, or what is noteworthy; for a person, with what to do.
        version: The engine's version.
        address: Where it listens; empty for one that we would start.
        accelerators: Vendors whose GPUs this engine can use here: ``nvidia``, ``amd``, ``apple``. None when unknown
            (a remote server).
        models_folder: Where it keeps models, when known.
        local: It runs on this machine.
        copies: How many copies of a model's file lie in its folder while it takes one over.
    """

    model_config = ConfigDict(frozen=True)

    name: EngineName
    available: bool
    reason: str = ""
    version: str | None = None
    address: str = ""
    accelerators: frozenset[str] | None = frozenset()
    models_folder: Path | None = None
    local: bool = True
    copies: int = 1


def embedded_accelerators(*, macos: bool) -> frozenset[str]:
    """Vendors whose GPUs the embedded engine's wheels compute on: Metal on macOS, none elsewhere."""
    return frozenset({"apple"}) if macos else frozenset()
