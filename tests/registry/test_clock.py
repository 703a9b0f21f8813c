"""At which time expiry is judged: the later of this machine's clock and the newest time that the makers signed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bbj_desktop.core.errors import ExpiredError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.registry.client import Registry
from tests.fakes.registry import START, Open, RegistrySimulator, make_release

YEAR = timedelta(days=365)


def refresh_at(simulator: RegistrySimulator, state: Path, *, days: float) -> None:
    """As a machine whose clock is so many days off the start."""
    time = START + timedelta(days=days)
    Registry.open(simulator, state, initial_root=simulator.initial_root, now=lambda: time).refresh(Cancel())


def publish_at(simulator: RegistrySimulator, *, days: float, lifetime: float = 14) -> None:
    """Signs the next timestamp, at so many days after the start."""
    simulator.timestamp.unrecognized_fields["x-issued"] = (START + timedelta(days=days)).isoformat()
    simulator.timestamp.expires = START + timedelta(days=days + lifetime)
    simulator.update()


def test_a_clock_far_in_the_past_still_reads_the_registry(simulator: RegistrySimulator, state: Path) -> None:
    refresh_at(simulator, state, days=-9000)


def test_a_clock_in_the_past_does_not_prolong_what_expired_by_a_signed_time(
    simulator: RegistrySimulator, state: Path
) -> None:
    publish_at(simulator, days=10)
    refresh_at(simulator, state, days=10)
    simulator.timestamp.expires = START + timedelta(days=9)
    simulator.update()
    with pytest.raises(ExpiredError, match="timestamp"):
        refresh_at(simulator, state, days=-300)


def test_a_signed_time_counts_for_what_is_read_after_it(simulator: RegistrySimulator, state: Path) -> None:
    simulator.targets.expires = START + timedelta(days=5)
    publish_at(simulator, days=10)
    with pytest.raises(ExpiredError, match="targets"):
        refresh_at(simulator, state, days=-300)


def test_a_clock_that_was_once_far_in_the_future_leaves_no_trace(simulator: RegistrySimulator, state: Path) -> None:
    refresh_at(simulator, state, days=0)
    with pytest.raises(ExpiredError):
        refresh_at(simulator, state, days=9000)
    publish_at(simulator, days=1)
    refresh_at(simulator, state, days=1)


def test_a_clock_in_the_future_at_the_very_first_start_leaves_no_trace(
    simulator: RegistrySimulator, state: Path
) -> None:
    with pytest.raises(ExpiredError):
        refresh_at(simulator, state, days=9000)
    refresh_at(simulator, state, days=0)


def test_a_signed_time_after_the_timestamp_s_own_end_is_ignored(simulator: RegistrySimulator, state: Path) -> None:
    simulator.timestamp.unrecognized_fields["x-issued"] = (START + 50 * YEAR).isoformat()
    simulator.update()
    refresh_at(simulator, state, days=0)
    publish_at(simulator, days=1)
    refresh_at(simulator, state, days=1)


def test_a_timestamp_refreshed_with_the_makers_clock_far_ahead_does_not_lock_customers_out(
    simulator: RegistrySimulator, state: Path
) -> None:
    refresh_at(simulator, state, days=0)
    simulator.timestamp.unrecognized_fields["x-issued"] = (START + YEAR).isoformat()
    simulator.timestamp.expires = START + YEAR + timedelta(days=14)
    simulator.timestamp.version += 1  # of the same snapshot, which ends long before
    refresh_at(simulator, state, days=1)
    publish_at(simulator, days=2)
    refresh_at(simulator, state, days=2)


@pytest.mark.parametrize("also", ["timestamp", "snapshot"])
def test_after_a_change_of_keys_a_signed_time_in_the_future_counts_no_more(
    simulator: RegistrySimulator, state: Path, also: str
) -> None:
    simulator.snapshot.expires = simulator.targets.expires = START + 60 * YEAR
    for channel in simulator.channels.values():
        channel.expires = START + 60 * YEAR
    publish_at(simulator, days=50 * 365)
    refresh_at(simulator, state, days=0)
    publish_at(simulator, days=1)
    with pytest.raises(ExpiredError):
        refresh_at(simulator, state, days=1)
    simulator.rotate("timestamp")
    simulator.rotate(also)
    simulator.update()
    refresh_at(simulator, state, days=1)


@pytest.mark.parametrize("said", ["yesterday", "", 7, None, "9999-12-31T23:59:59-23:59", "2026-03-01"])
def test_a_signed_time_that_is_none_changes_nothing(simulator: RegistrySimulator, state: Path, said: object) -> None:
    simulator.timestamp.unrecognized_fields["x-issued"] = said
    simulator.update()
    refresh_at(simulator, state, days=0)
    refresh_at(simulator, state, days=1)


def test_without_a_signed_time_the_clock_alone_counts(simulator: RegistrySimulator, state: Path) -> None:
    simulator.timestamp.unrecognized_fields.clear()
    simulator.update()
    refresh_at(simulator, state, days=0)
    with pytest.raises(ExpiredError):
        refresh_at(simulator, state, days=20)


def test_the_cached_offering_judges_no_expiry_at_all(simulator: RegistrySimulator, open_registry: Open) -> None:
    simulator.offer(make_release())
    open_registry().offering("stable", Cancel(), app_version="1.0.0")
    simulator.now += 40 * YEAR
    assert open_registry().offering_cached("stable", Cancel(), app_version="1.0.0").offers
