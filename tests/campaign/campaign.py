"""Kills every operation before each of its steps, and at random times; checks what is left; lets the next run end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bbj_desktop.services.registry.keys import KeyFolder
from bbj_desktop.services.transfer.patience import Limits
from tests.campaign.forking import Forker, Outcome, Place
from tests.campaign.makers import NEW_KEYS
from tests.campaign.operations import OPERATIONS, STATES, runs
from tests.campaign.world import CHUNK_BYTES, World
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import PASSPHRASE, Publication
from tests.fakes.release_server import ReleaseServer

READ_AHEAD_BYTES = 64 * 1024  # that httpx takes from a connection at once
AGAIN_BYTES = Limits().streams * (CHUNK_BYTES + READ_AHEAD_BYTES)
"""What may come twice: for each connection a chunk, and what was read with its end."""
FETCHING = frozenset({"install", "install adapter", "fetch extras", "update", "export", "export volumes"})
ATTEMPTS = 5


@dataclass
class Figures:
    """What the kills of one operation gave.

    Attributes:
        steps: Of an undisturbed run.
        first: Killed at from this one on.
        every: And before every n-th only.
        seconds: That it took.
        hit: Steps before which it was killed.
        kills: All, the random times included.
        survived: Runs that had ended before their kill.
        again_bytes: The most that came twice.
        failures: A paragraph for each broken promise.
    """

    steps: int
    seconds: float
    first: int = 1
    every: int = 1
    hit: set[int] = field(default_factory=set)
    kills: int = 0
    survived: int = 0
    again_bytes: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def missed(self) -> list[int]:
        """Steps that weren't hit."""
        return [step for step in self.planned if step not in self.hit]

    @property
    def planned(self) -> list[int]:
        """Steps that are to be hit."""
        return [step for step in range(self.first, self.steps + 1) if step % self.every == 0]

    def add(self, other: Figures) -> None:
        """Those of another worker."""
        self.first, self.every = max(self.first, other.first), max(self.every, other.every)
        self.steps, self.seconds = max(self.steps, other.steps), max(self.seconds, other.seconds)
        self.hit |= other.hit
        self.kills += other.kills
        self.survived += other.survived
        self.again_bytes = max(self.again_bytes, other.again_bytes)
        self.failures += other.failures


@dataclass(frozen=True)
class Kill:
    """One attempt: before a step, or after a time in seconds."""

    operation: str
    step: int = 0
    after_s: float = 0.0

    def __str__(self) -> str:
        when = f"before step {self.step}" if self.step else f"after {self.after_s * 1000:.1f} ms"
        return f"{self.operation}, killed {when}"


class Campaign:
    """Made by ``campaign``.

    Attributes:
        figures: By operation.
    """

    def __init__(self, forker: Forker, world: World) -> None:
        self._forker = forker
        self._world = world
        self._received: dict[str, int] = {}
        self.figures: dict[str, Figures] = {}

    def prepare(self) -> None:
        """Makes the states, and measures each operation undisturbed."""
        for name, (base, making) in STATES.items():
            if base:
                self._world.restore(base)
            for run in making:
                self._undisturbed(run.__name__)
            self._world.keep(name)
        for name, operation in OPERATIONS.items():
            self._world.restore(operation.begins)
            self._undisturbed(name)  # the first run imports
            self._world.restore(operation.begins)
            outcome = self._undisturbed(name)
            operation.kept(self._world)
            operation.done(self._world)
            assert name not in FETCHING or outcome.received_bytes > AGAIN_BYTES, f"{name} fetches too little"
            first = next((number for number, step in enumerate(outcome.names, 1) if operation.since in step), 1)
            self.figures[name] = Figures(outcome.steps, outcome.seconds, first, operation.every)
            self._received[name] = outcome.received_bytes

    def every_step(self, seed: int = 1) -> list[Kill]:
        """In an order of chance."""
        kills = [Kill(name, step=step) for name, figures in self.figures.items() for step in figures.planned]
        random.Random(seed).shuffle(kills)  # noqa: S311 - to be repeated
        return kills

    def random_times(self, count: int, seed: int) -> list[Kill]:
        chance = random.Random(seed)  # noqa: S311 - to be repeated
        names = sorted(self.figures)
        return [
            Kill(name, after_s=chance.uniform(0.0, self.figures[name].seconds))
            for name in (names[number % len(names)] for number in range(count))
        ]

    def kill(self, kill: Kill) -> bool:
        """Kills, and checks what is left and what the next run makes of it. False when the run had ended before."""
        operation, figures = OPERATIONS[kill.operation], self.figures[kill.operation]
        self._world.restore(operation.begins)
        outcome = self._run(kill.operation, kill)
        figures.kills += outcome.killed
        figures.survived += not outcome.killed
        if outcome.killed and kill.step:
            figures.hit.add(kill.step)
        try:
            assert not outcome.said, outcome.said
            operation.kept(self._world)
            following = self._undisturbed(kill.operation)
            operation.kept(self._world)
            operation.done(self._world)
        except Exception as error:  # noqa: BLE001 - all is told at the end
            figures.failures.append(f"{kill}: {type(error).__name__}: {error}")
            return outcome.killed
        again = outcome.received_bytes + following.received_bytes - self._received[kill.operation]
        figures.again_bytes = max(figures.again_bytes, again)
        if again > AGAIN_BYTES:
            figures.failures.append(f"{kill}: {again} bytes came again, {AGAIN_BYTES} may.")
        return outcome.killed

    def _undisturbed(self, name: str) -> Outcome:
        outcome = self._forker.run(name, self._world.place)
        assert not outcome.said, f"{name} failed: {outcome.said}"
        return outcome

    def _run(self, name: str, kill: Kill) -> Outcome:
        return self._forker.run(name, self._world.place, kill_at=kill.step, kill_after_s=kill.after_s)


@contextmanager
def campaign(below: Path) -> Iterator[Campaign]:
    """A campaign ready to kill; ``below`` is an empty folder."""
    live, copies = below / "live", below / "copies"
    live.mkdir(parents=True)
    copies.mkdir()
    made = Publication.create(live)  # unseals the keys in this process, once for all that are forked from it
    KeyFolder(live / NEW_KEYS, PASSPHRASE).generate("timestamp", 1)
    with Forker(runs()) as forker, ReleaseServer(made.folder) as server, FakeOllama() as ollama:
        prepared = Campaign(forker, World(Place(live, server.address, ollama.address), ollama, copies))
        prepared.prepare()
        yield prepared


def execute(
    ready: Campaign, kills: Sequence[Kill], told: Callable[[str], None], *, longest_s: float = float("inf")
) -> float:
    """Carries out kills, until all are done or ``longest_s`` are over; returns the seconds that they took.

    A run that ends before its step (threads took turns in another way) is begun again a few times.
    """
    begun = time.monotonic()
    for number, each in enumerate(kills, start=1):
        if time.monotonic() - begun > longest_s:
            told(f"The time is over: {number - 1} of {len(kills)} kills.")
            break
        for _ in range(ATTEMPTS):
            if ready.kill(each) or not each.step:
                break
        if number % 200 == 0:
            told(f"{number} of {len(kills)} kills")
    return time.monotonic() - begun
