"""How old an offline mirror's state is, and whether it was ever good, only its verified metadata says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from bbj_desktop.core.errors import ExpiredError, SignatureError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.offline import OfflineRegistry
from tests.fakes.registry import START, MemoryStream, RegistrySimulator

TIMESTAMP = "metadata/timestamp.json"


class Liar:
    """A bundle that shows a forged timestamp to whoever peeks into it before it is verified.

    Attributes:
        peeks: How often somebody did.
    """

    def __init__(self, registry: RegistrySimulator, forged: bytes) -> None:
        self.address = registry.address
        self.peeks = 0
        self._registry = registry
        self._forged = forged

    def read(self, path: str, *, limit_bytes: int, cancel: Cancel) -> bytes:
        if path == TIMESTAMP:
            self.peeks += 1
            return self._forged
        return self._registry.read(path, limit_bytes=limit_bytes, cancel=cancel)

    @contextmanager
    def stream(
        self, path: str, *, offset: int = 0, length: int | None = None, validator: str | None = None, cancel: Cancel
    ) -> Iterator[MemoryStream]:
        with self._registry.stream(path, offset=offset, length=length, validator=validator, cancel=cancel) as stream:
            yield stream

    def close(self) -> None:
        """Nothing is open."""


def opened(
    source: RegistrySimulator | Liar,
    state: Path,
    root: bytes,
    *,
    days: float,
    expiry: Literal["warn", "block"] = "warn",
) -> OfflineRegistry:
    def now() -> datetime:
        return START + timedelta(days=days)

    registry = OfflineRegistry.open(source, state, initial_root=root, now=now)
    registry.expiry = expiry
    return registry


def _dated(simulator: RegistrySimulator, days: float) -> bytes:
    """The timestamp as it is, but for the time at which it says that it was signed; its signature doesn't hold."""
    issued = START.isoformat().encode()
    return simulator.content(TIMESTAMP).replace(issued, (START + timedelta(days=days)).isoformat().encode())


def test_a_lying_bundle_is_not_younger_than_its_signed_time(simulator: RegistrySimulator, state: Path) -> None:
    liar = Liar(simulator, _dated(simulator, 90))
    registry = opened(liar, state, simulator.initial_root, days=90)
    registry.refresh(Cancel())
    (remark,) = registry.remarks
    assert "signed 90 days ago" in remark.text
    assert (remark.level, liar.peeks) == ("warning", 0)


def test_a_forged_signing_time_in_the_bundle_itself_is_refused(simulator: RegistrySimulator, state: Path) -> None:
    simulator.replaced[TIMESTAMP] = _dated(simulator, -30)
    registry = opened(simulator, state, simulator.initial_root, days=90)
    with pytest.raises(SignatureError):
        registry.refresh(Cancel())
    assert registry.remarks == ()


def test_what_had_expired_when_it_was_signed_was_never_good(simulator: RegistrySimulator, state: Path) -> None:
    simulator.targets.expires = START - timedelta(days=1)
    simulator.update()
    with pytest.raises(ExpiredError, match="targets"):
        opened(simulator, state, simulator.initial_root, days=90).refresh(Cancel())


def test_a_timestamp_that_names_no_time_is_judged_by_the_clock(simulator: RegistrySimulator, state: Path) -> None:
    del simulator.timestamp.unrecognized_fields["x-issued"]
    simulator.update()
    opened(simulator, state, simulator.initial_root, days=1).refresh(Cancel())
    with pytest.raises(ExpiredError, match="timestamp"):
        opened(simulator, state, simulator.initial_root, days=90).refresh(Cancel())


def test_a_channel_that_ends_before_the_timestamp_is_read_as_it_was_signed(
    simulator: RegistrySimulator, state: Path
) -> None:
    simulator.channels["stable"].expires = START + timedelta(days=5)
    simulator.update("stable")
    registry = opened(simulator, state, simulator.initial_root, days=7)
    assert registry.offering("stable", Cancel(), app_version="1.0.0").catalogue.channel == "stable"


def test_a_policy_that_blocks_judges_by_the_clock(simulator: RegistrySimulator, state: Path) -> None:
    blocking = opened(simulator, state, simulator.initial_root, days=15, expiry="block")
    with pytest.raises(ExpiredError, match="bundle_expiry"):
        blocking.refresh(Cancel())
