"""One line of a diagnosis."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

State = Literal["ok", "note", "warning", "error"]


class Finding(BaseModel):
    """One line of a diagnosis.

    Attributes:
        area: ``machine``, ``registry``, ``network``, ``store``, ``runtime``, ``models`` or
            ``compiler``.
        hint: What to do; empty when there is nothing to do.
    """

    model_config = ConfigDict(frozen=True)

    area: str
    state: State
    text: str
    hint: str = ""
