"""Feeds a parser with broken inputs and watches it: errors of our tree only, no hang, no memory beyond a bound."""

from __future__ import annotations

import hashlib
import random
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from bbj_desktop.core.errors import BBjDesktopError
from tests.fuzz.mutating import Mutator
from tests.fuzz.targets import TARGETS, Target

CORPUS = Path(__file__).parent / "corpus"
LONGEST_S = 5.0  # for one input; the machine may be busy
MEMORY_BYTES = 512 * 2**20  # beyond what the process has when it begins


class Hang(BaseException):
    """An input took too long. Not an Exception: no handler may stop it."""


@dataclass(frozen=True)
class Finding:
    """An input that breaks a parser.

    Attributes:
        target: Which parser.
        data: The input.
        said: The traceback.
    """

    target: str
    data: bytes
    said: str

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return CORPUS / self.target / hashlib.sha256(self.data).hexdigest()[:16]


def limit_memory() -> None:
    """Bounds what this process may take from now on. Linux only."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def try_input(name: str, data: bytes) -> Finding | None:
    """Feeds one input."""
    try:
        with _time_limit():
            TARGETS[name].parse(data)
    except BBjDesktopError:
        return None
    except (Exception, Hang):  # noqa: BLE001 - that is what is looked for
        return Finding(name, data, traceback.format_exc(limit=-6))
    return None


def fuzz(name: str, seconds: float, seed: int) -> tuple[int, list[Finding]]:
    """Feeds mutated inputs for some time, to the first finding of each kind.

    Args:
        name: The parser, a key of ``TARGETS``.
        seconds: How long.
        seed: The same one feeds the same inputs.

    Returns:
        How many inputs were fed, and what they found.
    """
    target = TARGETS[name]
    mutator = Mutator([*target.seeds(), *kept(name)], random.Random(f"{seed} {name}"))  # noqa: S311 - to be repeated
    findings: dict[str, Finding] = {}
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        count += 1
        finding = try_input(name, mutator.next())
        if finding is not None:
            findings.setdefault(_kind(finding), finding)
    return count, list(findings.values())


def kept(name: str) -> list[bytes]:
    """Inputs of the corpus: they broke the parser once."""
    folder = CORPUS / name
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def valid(target: Target) -> None:
    """Its seeds are what it reads: a fuzzer that begins with nonsense ends there."""
    for seed in target.seeds():
        target.parse(seed)


def _kind(finding: Finding) -> str:
    """Where it broke, and with what kind of exception."""
    lines = finding.said.strip().splitlines()
    places = [line for line in lines if line.lstrip().startswith("File ") and "bbj_desktop" in line]
    return f"{places[-1:]} {lines[-1].partition(':')[0]}"


@contextmanager
def _time_limit() -> Iterator[None]:
    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise Hang
