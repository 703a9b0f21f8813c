"""How long a command takes that has nothing to do: beside Python itself, and beside commands that people have anyway.

    python benchmarks/startup.py [--rounds 15]

Commands are started in turns, so that whatever else the machine does meets all of them alike. The first round, which
fills the system's cache, doesn't count. The best time tells what a command costs, the median what one waits here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("--version", "settings show", "versions", "registry show", "engine status", "ollama status")


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="starts of each command (default 15)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        times_s = measure(commands(), rounds, Path(folder))
    bare_s = min(next(iter(times_s.values())))
    print(f"{'Command':<28}{'Best':>9}{'Median':>9}  {'Best, in times of the first':>27}")
    for name, measured_s in times_s.items():
        best_s = min(measured_s)
        print(
            f"{name:<28}{best_s * 1000:>6.0f} ms{statistics.median(measured_s) * 1000:>6.0f} ms{best_s / bare_s:>29.1f}"
        )
    return 0


def commands() -> dict[str, list[str]]:
    """Python alone first, then what of the others is installed here, then ours."""
    python = [sys.executable]
    found = {"python -c pass": [*python, "-c", "pass"]}
    if subprocess.run([*python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        found["pip --version"] = [*python, "-m", "pip", "--version"]
    for name in ("hf version", "ollama --version"):
        program, *arguments = name.split()
        if place := shutil.which(program, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])):
            found[name] = [place, *arguments]
    return found | {f"bbj-desktop {each}": [*python, "-m", "bbj_desktop", *each.split()] for each in OURS}


def measure(runs: dict[str, list[str]], rounds: int, folder: Path) -> dict[str, list[float]]:
    """Seconds of each start, with a home and a data folder that are empty."""
    clean = {"HOME": str(folder), "BBJ_DESKTOP_DATA": str(folder / "data"), "PYTHONPATH": str(ROOT)}
    times_s: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, command in runs.items():
            begun = time.perf_counter()
            subprocess.run(command, env=os.environ | clean, capture_output=True, check=False, cwd=folder)
            if number:
                times_s[name].append(time.perf_counter() - begun)
    return times_s


if __name__ == "__main__":
    sys.exit(main())
