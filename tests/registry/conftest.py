"""A customer's registry client on a simulated registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.services.registry.client import Registry
from tests.fakes.registry import Open, RegistrySimulator


@pytest.fixture
def simulator() -> RegistrySimulator:
    return RegistrySimulator()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "Überwachte Wurzeln" / "state"


@pytest.fixture
def open_registry(simulator: RegistrySimulator, state: Path) -> Open:
    """Opens the client anew, as each start of the program does; its clock is the makers'."""

    def open_it() -> Registry:
        return Registry.open(simulator, state, initial_root=simulator.initial_root, now=lambda: simulator.now)

    return open_it
