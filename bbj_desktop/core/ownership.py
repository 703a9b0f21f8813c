"""Who will own the bytes of a model: decided before the download, so that its cost can be told.

Only what this program really does is decided here. Today that is: our file alone (the embedded engine maps it), or our
file and what Ollama makes of it through ``create`` (``docs/ollama.md``, its first table).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.engines import RuntimeStatus


class OwnershipKind(StrEnum):
    """Whose the bytes are that the engine reads."""

    OURS = "ours"
    """Our file, every byte of it hashed by us."""

    OLLAMAS = "ollamas"
    """Ollama's own, made from our file, which stays: for these there is only the digest that Ollama names."""


class Ownership(BaseModel):
    """The decision.

    Attributes:
        copies: Lengths of the file that other programs write in their own folders, at the peak.
        here: Whether they do so on this machine.
        reason: For a person: whose the bytes are and what that costs.
    """

    model_config = ConfigDict(frozen=True)

    kind: OwnershipKind
    copies: int = 0
    here: bool = True
    reason: str

    @property
    def verified(self) -> bool:
        """Whether "verified" may be said of the bytes that the engine reads: only of those that we hashed."""
        return self.kind is OwnershipKind.OURS


def decide_ownership(runtime: RuntimeStatus) -> Ownership:
    """Who will own the bytes of a model that ``runtime`` is to run."""
    if runtime.name == "embedded":
        reason = "One verified file, which the embedded engine reads as it is."
        return Ownership(kind=OwnershipKind.OURS, reason=reason)
    times = "one copy" if runtime.copies == 1 else f"up to {runtime.copies} copies"
    place = "" if runtime.local else f" at {runtime.address}"
    reason = (
        f"The verified file stays with us; Ollama{place} writes {times} of it while taking it over: these are as named "
        "by Ollama."
    )
    return Ownership(kind=OwnershipKind.OLLAMAS, copies=runtime.copies, here=runtime.local, reason=reason)
