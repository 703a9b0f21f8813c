"""Kills whatever changes files with SIGKILL, before each of its steps, and checks that nothing is lost.

    python scripts/kill_campaign.py [--kills 3000] [--seed 7] [--operation update] [--every 1] [--workers 2]

Customers install and update (whole models and adapters), fetch extras, activate, roll back, pin, remove, repair,
rebuild, purge, export and import (whole and in volumes); makers publish, withdraw, refresh, stage, sign, merge, publish
what was staged, and rotate a key. Each is killed before each of its steps: each change of a file, each sync, each
request (a write dies half way). What of
``--kills`` is left after that goes to random times. After each kill the store opens, every version that was there
verifies and answers, whoever reads the registry gets a whole state, the next run reaches its end, and what had arrived
isn't fetched again but for a chunk a connection, and what was read with it. Needs a system with ``fork``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.campaign.campaign import AGAIN_BYTES, Figures
from tests.campaign.sharing import Wish, share, workers_here


def main() -> int:
    """Prints the figures. Returns 1 when a promise was broken or a step not hit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0, help="how many; default and least: one for each step, plus 50")
    parser.add_argument("--seed", type=int, default=1, help="of the random times and of the order")
    parser.add_argument("--every", type=int, default=1, help="kill before every n-th step only, and 20 random times")
    parser.add_argument("--operation", action="append", help="only this one; may be given several times")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="kill no longer than this")
    parser.add_argument("--workers", type=int, default=workers_here(), help="processes that share the kills")
    arguments = parser.parse_args()
    wish = Wish(
        kills=arguments.kills,
        seed=arguments.seed,
        every=arguments.every,
        random=50 if arguments.every == 1 else 20,
        only=arguments.operation,
        longest_s=arguments.seconds,
    )
    begun = time.monotonic()
    figures = share(wish, arguments.workers)
    return _report(figures, wish, time.monotonic() - begun)


def _report(figures: Mapping[str, Figures], wish: Wish, seconds: float) -> int:
    print(f"\n{'operation':15} {'steps':>6} {'hit':>6} {'kills':>6} {'too late':>9} {'came again':>12} {'broken':>7}")
    for name, each in figures.items():
        print(
            f"{name:15} {each.steps:6} {len(each.hit):6} {each.kills:6} {each.survived:9} "
            f"{each.again_bytes:10} B {len(each.failures):7}"
        )
    kills = sum(each.kills for each in figures.values())
    print(
        f"{kills} kills in {seconds:.0f} s, seed {wish.seed}; "
        f"{AGAIN_BYTES} B may come again (a chunk and 64 KiB a connection)"
    )
    failures = [failure for each in figures.values() for failure in each.failures]
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    missed = {name: [step for step in each.missed if step % wish.every == 0] for name, each in figures.items()}
    for name, steps in missed.items():
        if steps:
            print(f"{len(steps)} steps of {name} weren't hit, e.g. {steps[0]}.", file=sys.stderr)
    return 1 if failures or any(missed.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
