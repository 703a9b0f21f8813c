"""What a check for updates costs: requests, bytes and time, by the number of releases in the registry.

    python benchmarks/check_cost.py [--releases 1,100,10000]

A signed registry with that many releases is served on loopback. The first check reads everything; the second one finds
it unchanged; the third one finds one new release.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.registry import RegistrySimulator, make_release
from tests.fakes.release_server import ReleaseServer

CHECKS = ("first", "unchanged", "one new release")


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--releases", default="1,100,10000", metavar="N,…", help="how many releases the registry has")
    counts = [int(count) for count in parser.parse_args().releases.split(",")]
    print(f"{'Releases':>8}  {'Check':<16}{'Requests':>8}{'Bytes':>12}{'Time':>10}")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            measure(count, Path(folder))
    return 0


def measure(count: int, state: Path) -> None:
    """Checks a registry of ``count`` releases three times."""
    simulator = RegistrySimulator()
    versions = [f"{2000 + number // 1000}.{number % 1000}" for number in range(count)]
    simulator.offer_many(make_release(version) for version in versions)
    with ReleaseServer(simulator.served()) as server:
        source = open_source(server.address, Network(proxy=DIRECT))
        registry = Registry.open(source, state, initial_root=simulator.initial_root, now=lambda: simulator.now)
        for check in CHECKS:
            if check == CHECKS[-1]:
                simulator.offer(make_release("2099.1"))
                server.files = simulator.served()
            server.requests.clear()
            begun = time.perf_counter()
            registry.offering("stable", Cancel(), app_version="1.0.0")
            seconds = time.perf_counter() - begun
            sent = sum(request.sent_bytes for request in server.requests)
            print(f"{count:>8}  {check:<16}{len(server.requests):>8}{sent:>12,}{seconds:>9.2f}s")
        registry.close()


if __name__ == "__main__":
    sys.exit(main())
