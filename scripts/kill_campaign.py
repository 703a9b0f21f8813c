"""Kills installs, updates, rollbacks, removals and publications with SIGKILL, and checks that nothing is lost.

    python scripts/kill_campaign.py [--kills 1000] [--seed 7] [--operation update] [--every 1]

Every operation is killed before each of its steps: each change of a file, each sync, each request (a write dies half
way). What of ``--kills`` is left after that goes to random times. After each kill the store opens, every version that
was there verifies and answers, whoever reads the registry gets a whole state, the next run reaches its end, and what
had arrived isn't fetched again but for a chunk a connection. Needs a system with ``fork``.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.campaign.campaign import AGAIN_BYTES, Campaign, Kill, campaign, execute

LEAST_KILLS = 200  # that must have been made before ``--seconds`` may end it


def main() -> int:
    """Prints the figures. Returns 1 when a promise was broken or a step not hit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0, help="how many; default and least: one for each step, plus 50")
    parser.add_argument("--seed", type=int, default=1, help="of the random times and of the order")
    parser.add_argument("--every", type=int, default=1, help="kill before every n-th step only, and 5 random times")
    parser.add_argument("--operation", action="append", help="only this one; may be given several times")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="kill no longer than this")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill campaign ü") as below, campaign(Path(below)) as ready:
        kills = _planned(ready, arguments.kills, arguments.every, arguments.seed, arguments.operation)
        seconds = execute(ready, kills, lambda text: print(text, flush=True), longest_s=arguments.seconds)
        return _report(ready, seconds, arguments)


def _planned(ready: Campaign, wanted: int, every: int, seed: int, only: list[str] | None) -> list[Kill]:
    steps = [kill for kill in ready.every_step() if kill.step % every == 0]
    kills = steps + ready.random_times(max(50 if every == 1 else 5, wanted - len(steps)), seed)
    random.Random(seed).shuffle(kills)  # noqa: S311 - to be repeated
    return [kill for kill in kills if only is None or kill.operation in only]


def _report(ready: Campaign, seconds: float, arguments: argparse.Namespace) -> int:
    every, seed, only, longest_s = arguments.every, arguments.seed, arguments.operation, arguments.seconds
    figures = {name: each for name, each in ready.figures.items() if only is None or name in only}
    print(f"\n{'operation':12} {'steps':>6} {'hit':>6} {'kills':>6} {'too late':>9} {'came again':>12} {'broken':>7}")
    for name, each in figures.items():
        print(
            f"{name:12} {each.steps:6} {len(each.hit):6} {each.kills:6} {each.survived:9} "
            f"{each.again_bytes:10} B {len(each.failures):7}"
        )
    kills = sum(each.kills for each in figures.values())
    print(f"{kills} kills in {seconds:.0f} s, seed {seed}; {AGAIN_BYTES} B may come again (a chunk a connection)")
    failures = [failure for each in figures.values() for failure in each.failures]
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    if kills >= LEAST_KILLS and seconds > longest_s:
        return 1 if failures else 0
    missed = [name for name, each in figures.items() if len(each.hit) < each.steps // every * 0.98]
    for name in missed:
        print(f"Not every step of {name} was hit.", file=sys.stderr)
    return 1 if failures or missed else 0


if __name__ == "__main__":
    sys.exit(main())
