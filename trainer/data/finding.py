"""What readers, checks and gates say about data: where, how bad, and what to do."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The worst first. An error: the example can't be used as it is. A warning: it does harm. An info: have a look."""


class Finding(BaseModel):
    """One problem.

    Attributes:
        code: Stable name for scripts, e.g. ``"broken-json"``.
        severity: ``error``, ``warning`` or ``info``.
        message: What is wrong, with what. One sentence.
        hint: What to do; may be empty.
        file: Where; empty when it concerns the data as a whole.
        line: Line in that file, from 1; 0 when it concerns the whole file.
        example_id: The example it is about; empty when there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    severity: Severity
    message: str
    hint: str = ""
    file: str = ""
    line: int = 0
    example_id: str = ""

    @property
    def where(self) -> str:
        """``file:line`` as editors understand it."""
        return f"{self.file}:{self.line}" if self.line else self.file
