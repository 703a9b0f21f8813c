"""How a model gets into Ollama: chosen before the first byte, from what is known, with reasons.

The routes are measured in ``docs/ollama.md``, its first table; ``docs/decisions`` tells why they are in this order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_NO_ADAPTERS_FROM = (0, 34, 1)
"""From this version on ``/api/create`` is reported to refuse adapters (``docs/ollama.md``)."""
_REWRITES_FROM = (0, 30, 0)
"""From this version on ``/api/create`` writes the file anew."""
SMALL_PARTS = 0.02
"""Share of the file that templates, texts and notes are allowed beside it."""


class Route(StrEnum):
    """A way into Ollama."""

    LINK = "link"
    """Our verified file gets a second name in Ollama's folder, and a manifest is put beside it."""

    STREAM = "stream"
    """Ollama pulls from us while we fetch: every chunk is verified before it is handed on; we keep no copy."""

    PULL = "pull"
    """Ollama pulls our verified file from an address on this machine that we serve for those seconds."""

    CREATE = "create"
    """Our verified file is uploaded, and Ollama makes a model of it."""


class ModelsPlace(BaseModel):
    """What is known of the folder in which Ollama keeps its models.

    Attributes:
        exists: It is there.
        writable: By this user.
        readable: By this user.
        owner: Whose it is, when known.
        ours: It belongs to this user; None when that can't be told.
        same_volume: A file of our store can have a second name there.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    exists: bool
    writable: bool = False
    readable: bool = False
    owner: str | None = None
    ours: bool | None = None
    same_volume: bool = False


class RouteFacts(BaseModel):
    """What the choice is made from.

    Attributes:
        version: Ollama's.
        local: It runs on this machine.
        contained: It runs in a container, whose own 127.0.0.1 isn't this machine's.
        platform: As ``sys.platform``.
        server_is_ours: This user runs it; None when that can't be told.
        place: Its models folder; None when unknown.
        adapter: The model is a base with an adapter over it.
        file_here: The whole verified file is in our store already.
        streams: The file could be handed on while it is fetched.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    local: bool
    contained: bool = False
    platform: str = "linux"
    server_is_ours: bool | None = None
    place: ModelsPlace | None = None
    adapter: bool = False
    file_here: bool = False
    streams: bool = True


class Declined(BaseModel):
    """A route that isn't taken, and why."""

    model_config = ConfigDict(frozen=True)

    route: Route
    reason: str


class RouteDecision(BaseModel):
    """The choice.

    Attributes:
        routes: What to try, the best first; the next one when one turns out not to work.
        reason: Why the first of them.
        declined: The better or other ones, and why not.
        here: Whether Ollama writes on this machine.
        rewritten: Lengths of the file that ``create`` writes at the peak.
    """

    model_config = ConfigDict(frozen=True)

    routes: tuple[Route, ...]
    reason: str
    declined: tuple[Declined, ...] = ()
    here: bool = True
    rewritten: int = 1

    @property
    def best(self) -> Route | None:
        """None when no route works."""
        return self.routes[0] if self.routes else None

    @property
    def keeps_our_file(self) -> bool:
        return self.best is not Route.STREAM

    def their_share(self) -> float:
        """Lengths of the file that Ollama writes into its folder with the best route, at the peak."""
        if self.best is Route.LINK:
            return SMALL_PARTS
        if self.best is Route.CREATE:
            return float(self.rewritten)
        return 1.0 + SMALL_PARTS

    def explained(self) -> tuple[str, ...]:
        """The choice for a person, a sentence each."""
        first = f"{self.best}: {self.reason}" if self.best else self.reason
        return (first, *(f"not {each.route}: {each.reason}" for each in self.declined))


_REASONS = {
    Route.LINK: (
        "Ollama's folder is this user's and on the store's volume: the verified file gets a second name there, so "
        "Ollama reads the very bytes that were hashed, and no copy is written."
    ),
    Route.STREAM: (
        "Ollama keeps the only copy, in its own folder: each chunk is verified, then handed on into Ollama's own pull. "
        "Earlier versions are kept by Ollama's tags."
    ),
    Route.PULL: (
        "The verified file stays with us, and Ollama pulls it once from an address on this machine: it checks the "
        "digest itself and keeps one copy, unchanged."
    ),
    Route.CREATE: "The verified file stays with us; it is uploaded, and Ollama makes a model of it.",
}


def choose_route(facts: RouteFacts) -> RouteDecision:
    """The routes that can work, the best first: the fewest bytes written, the signed digest kept, the surest.

    Args:
        facts: What is known. Whatever isn't known speaks against a route that needs it.
    """
    against = {route: reason for route in Route if (reason := _against(route, facts))}
    routes = tuple(route for route in Route if route not in against)
    declined = [Declined(route=route, reason=reason) for route, reason in against.items()]
    if routes:
        declined += [Declined(route=each, reason=f"{routes[0]} is better.") for each in routes[1:]]
    return RouteDecision(
        routes=routes,
        reason=_reason(routes, facts),
        declined=tuple(declined),
        here=facts.local,
        rewritten=3 if rewrites(facts.version) else 1,
    )


def _reason(routes: tuple[Route, ...], facts: RouteFacts) -> str:
    if not routes:
        return "No way into this Ollama is left: use the embedded engine, or the release's whole variant."
    if routes[0] is not Route.CREATE:
        return _REASONS[routes[0]]
    times = "up to three copies, and the digest may change" if rewrites(facts.version) else "one copy"
    return f"{_REASONS[Route.CREATE]} That writes {times}."


def _against(route: Route, facts: RouteFacts) -> str:
    """Why a route can't be taken; empty when it can."""
    if route is Route.CREATE:
        return _against_create(facts)
    if not facts.local:
        return "Ollama is on another machine, which reaches neither our files nor our own address."
    if facts.contained:
        return "Ollama runs in a container, which reaches neither our files nor our own address."
    if route is Route.LINK:
        return next(_against_link(facts), "")
    if facts.platform == "win32":
        return "On Windows names with a host and a port are reported to fail."
    return next(_against_stream(facts), "") if route is Route.STREAM else ""


def _against_link(facts: RouteFacts) -> Iterator[str]:
    place = facts.place
    if place is None or not place.exists:
        yield "Where Ollama keeps its models can't be seen."
        return
    if place.ours is False:
        yield f"{place.path} belongs to {place.owner or 'another user'}."
    if facts.server_is_ours is False:
        yield "Ollama is run by another user, who couldn't change files of ours."
    if not place.writable:
        yield f"{place.path} can't be written."
    if not place.same_volume:
        yield f"{place.path} is on another volume than the store, or on one without hard links."


def _against_stream(facts: RouteFacts) -> Iterator[str]:
    if not facts.streams:
        yield "The file isn't fetched now."
    if facts.file_here:
        yield "The verified file is here already."
    if facts.place is None or not facts.place.exists or not facts.place.readable:
        yield "What Ollama stores can't be read here, so that nobody could verify it later: our copy is kept."
    owned = facts.place is not None and facts.place.exists and facts.place.ours is False
    if facts.server_is_ours is not False and not owned:
        yield "Only where Ollama is known to be another user's or a service is no copy kept here."


def _against_create(facts: RouteFacts) -> str:
    if facts.adapter and _numbers(facts.version) >= _NO_ADAPTERS_FROM:
        return f"From Ollama 0.34.1 on (this one is {facts.version}) create is reported to refuse adapters."
    return ""


def rewrites(version: str) -> bool:
    """Whether ``/api/create`` writes a model's file anew; a build without a number counts as new."""
    numbers = _numbers(version)
    return numbers == (0, 0, 0) or numbers >= _REWRITES_FROM


def _numbers(version: str) -> tuple[int, ...]:
    found = [int(part) for part in re.findall(r"\d+", version.partition("-")[0])[:3]]
    return tuple(found + [0] * (3 - len(found)))
