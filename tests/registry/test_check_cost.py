"""What asking an unchanged registry costs, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.registry import RegistrySimulator, make_release
from tests.fakes.release_server import ReleaseServer

MOST_BYTES = 4096


def many(count: int) -> Iterator[str]:
    """Version numbers of that many releases."""
    return (f"20{10 + number // 1000}.{number % 1000}" for number in range(count))


@pytest.mark.parametrize("count", [1, 100, 10_000])
def test_an_unchanged_registry_costs_two_small_requests_whatever_the_number_of_releases(
    simulator: RegistrySimulator, state: Path, count: int
) -> None:
    simulator.offer_many(make_release(version) for version in many(count))
    with ReleaseServer(simulator.served()) as server:
        source = open_source(server.address, Network(proxy=DIRECT))
        registry = Registry.open(source, state, initial_root=simulator.initial_root, now=lambda: simulator.now)
        first = registry.offering("stable", Cancel(), app_version="1.0.0")
        server.requests.clear()
        again = registry.offering("stable", Cancel(), app_version="1.0.0")
        registry.close()
    assert len(again.catalogue.entries) == count
    assert again == first
    assert [(request.path, request.status) for request in server.requests] == [
        ("metadata/2.root.json", 404),
        ("metadata/timestamp.json", 200),
    ]
    assert sum(request.sent_bytes for request in server.requests) <= MOST_BYTES


def test_a_new_release_costs_no_more_manifests_than_itself(simulator: RegistrySimulator, state: Path) -> None:
    simulator.offer_many(make_release(version) for version in many(100))
    registry = Registry.open(simulator, state, initial_root=simulator.initial_root, now=lambda: simulator.now)
    registry.offering("stable", Cancel(), app_version="1.0.0")
    simulator.requests.clear()
    simulator.offer(make_release("2099.1"))
    registry.offering("stable", Cancel(), app_version="1.0.0")
    assert sum("/releases/" in path for path, _ in simulator.requests) == 1
