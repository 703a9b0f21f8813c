"""Who will own the bytes of a model: decided before the download, so that its cost can be told.

It follows from the engine and, for Ollama, from the route by which the model gets there (``core.routes``).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.routes import Route, RouteDecision


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
        route: How the model gets into Ollama; empty for the embedded engine.
        routes: Why that way and not the others, a sentence each.
    """

    model_config = ConfigDict(frozen=True)

    kind: OwnershipKind
    copies: int = 0
    here: bool = True
    reason: str
    route: str = ""
    routes: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether "verified" may be said of the bytes that the engine reads: only of those that we hashed."""
        return self.kind is OwnershipKind.OURS


def decide_ownership(runtime: RuntimeStatus, route: RouteDecision | None = None) -> Ownership:
    """Who will own the bytes of a model that ``runtime`` is to run.

    Args:
        runtime: The engine.
        route: How the model gets there, for an Ollama that answers; ``create`` is assumed without.
    """
    if runtime.name == "embedded":
        reason = "One verified file, which the embedded engine reads as it is."
        return Ownership(kind=OwnershipKind.OURS, reason=reason)
    if route is not None and route.best not in (None, Route.CREATE):
        return _by_route(route)
    times = "one copy" if runtime.copies == 1 else f"up to {runtime.copies} copies"
    place = "" if runtime.local else f" at {runtime.address}"
    reason = (
        f"The verified file stays with us; Ollama{place} writes {times} of it while taking it over: these are as named "
        "by Ollama."
    )
    return Ownership(
        kind=OwnershipKind.OLLAMAS,
        copies=runtime.copies,
        here=runtime.local,
        reason=reason,
        route=Route.CREATE.value,
        routes=route.explained() if route is not None else (),
    )


def _by_route(route: RouteDecision) -> Ownership:
    """A link is our file under a second name; otherwise Ollama has one copy of its own, "as named by Ollama"."""
    linked = route.best is Route.LINK
    return Ownership(
        kind=OwnershipKind.OURS if linked else OwnershipKind.OLLAMAS,
        copies=0 if linked else 1,
        here=route.here,
        reason=route.reason if linked else f"{route.reason} These bytes are as named by Ollama until they are hashed.",
        route=route.best.value if route.best else "",
        routes=route.explained(),
    )
