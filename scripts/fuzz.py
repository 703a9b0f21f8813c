"""Feeds every parser of foreign bytes with broken inputs, each in a process of its own with bounded memory.

    python scripts/fuzz.py [--seconds 60] [--seed 7] [--target gguf] [--keep]

An input that ends in anything but an error of ours, hangs, or takes too much memory is a finding; ``--keep`` puts it
into ``tests/fuzz/corpus``, where the tests read it for ever. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fuzz.fuzzing import fuzz, limit_memory
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Prints what was fed and found. Returns 1 when there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each parser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one; several times")
    parser.add_argument("--keep", action="store_true", help="put findings into the corpus")
    arguments = parser.parse_args()
    print(f"{'parser':16} {'inputs':>8} {'findings':>9} {'peak memory':>12}", flush=True)
    failed = [
        name for name in arguments.target or TARGETS if _child(name, arguments.seconds, arguments.seed, arguments.keep)
    ]
    return 1 if failed else 0


def _child(name: str, seconds: float, seed: int, keep: bool) -> int:
    """Forks: what one parser leaves behind doesn't reach the next."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    code = 2
    try:
        code = _fuzz(name, seconds, seed, keep=keep)
    except BaseException:  # noqa: BLE001 - this process is about to end without a word
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _fuzz(name: str, seconds: float, seed: int, *, keep: bool) -> int:
    limit_memory()
    count, findings = fuzz(name, seconds, seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name:16} {count:8} {len(findings):9} {peak:8} MiB")
    for finding in findings:
        print(f"\n{finding.data[:300]!r}\n{finding.said}", file=sys.stderr)
        if keep:
            finding.path.parent.mkdir(parents=True, exist_ok=True)
            finding.path.write_bytes(finding.data)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
