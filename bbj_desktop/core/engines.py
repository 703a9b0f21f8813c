"""What is known about the programs that run a model, as far as decisions need it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


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
    """

    model_config = ConfigDict(frozen=True)

    name: Literal["ollama", "embedded"]
    available: bool
    reason: str = ""
    version: str | None = None
    address: str = ""
    accelerators: frozenset[str] | None = frozenset()
    models_folder: Path | None = None
    local: bool = True
