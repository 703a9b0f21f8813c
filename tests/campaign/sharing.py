"""One campaign shared by several processes, each with a world of its own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.campaign.campaign import Campaign, Figures, Kill, campaign, execute
from tests.campaign.operations import OPERATIONS

_MEMORY = Path("/dev/shm")  # noqa: S108 - what a process has written outlives it there as well as on a disk


@dataclass(frozen=True)
class Wish:
    """What shall be killed.

    Attributes:
        kills: How many; at least one for each step and ``random`` ones.
        seed: Of the order and of the random times.
        every: Before every n-th step only.
        random: At random times, at least.
        only: These operations; None for all.
        longest_s: After so many seconds no more are begun.
    """

    kills: int = 0
    seed: int = 1
    every: int = 1
    random: int = 50
    only: Sequence[str] | None = None
    longest_s: float = float("inf")


def workers_here() -> int:
    """As many as this process may use processors: a campaign waits for its children, they for it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(wish: Wish, workers: int) -> dict[str, Figures]:
    """Carries it out; returns the figures by operation.

    Forks before anything has threads.
    """
    fork = multiprocessing.get_context("fork")
    given = []
    for number in range(workers):
        receiving, sending = fork.Pipe(duplex=False)
        worker = fork.Process(target=_work, args=(wish, number, workers, sending))
        worker.start()
        sending.close()
        given.append((worker, receiving))
    figures: dict[str, Figures] = {}
    for worker, receiving in given:
        try:
            mine: dict[str, Figures] = receiving.recv()
        except EOFError:
            raise RuntimeError("A worker of the campaign died.") from None
        worker.join()
        for name, each in mine.items():
            figures.setdefault(name, Figures(0, 0.0)).add(each)
    return figures


def _work(wish: Wish, number: int, of: int, sending: Connection) -> None:
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="kill campaign ü", dir=where) as below, campaign(Path(below)) as ready:
        kills = planned(ready, wish, number, of)
        execute(ready, kills, lambda text: print(f"worker {number + 1}: {text}", flush=True), longest_s=wish.longest_s)
    sending.send({name: each for name, each in ready.figures.items() if wish.only is None or name in wish.only})


def planned(ready: Campaign, wish: Wish, number: int, of: int) -> list[Kill]:
    """The share of one worker: steps first, so that only random times are left out when the time is over."""
    steps = [kill for kill in ready.every_step(wish.seed) if kill.step % wish.every == 0]
    times = ready.random_times(max(wish.random, wish.kills - len(steps)), wish.seed)
    every = {name: wish.every * operation.every for name, operation in OPERATIONS.items()}
    kills = [*(kill for kill in steps if kill.step // every[kill.operation] % of == number), *times[number::of]]
    return [kill for kill in kills if wish.only is None or kill.operation in wish.only]
