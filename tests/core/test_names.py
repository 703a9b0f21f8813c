"""Names and order: tags, aliases, versions, sizes, numbers for people."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bbj_desktop.core.release import parameters_of, version_key
from bbj_desktop.core.units import format_bytes, format_memory, format_seconds


def test_versions_are_ordered_as_people_count() -> None:
    ordered = ["2025.12", "2026.1-beta", "2026.1-rc1", "2026.1", "2026.2", "2026.10"]
    assert all(version_key(older) < version_key(newer) for older, newer in pairwise(ordered))


def test_sizes_are_ordered_by_parameters() -> None:
    ordered = ["135m", "0.5b", "1.5b", "7b", "14b", "32b"]
    assert all(parameters_of(smaller) < parameters_of(larger) for smaller, larger in pairwise(ordered))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (98_362_432, "98 MB"),
        (999_700_000, "1.0 GB"),
        (4_683_000_000, "4.7 GB"),
        (212_000_000_000, "212 GB"),
    ],
)
def test_files_are_counted_in_decimal_units(value: int, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(8 << 30, "8 GB"), (int(10.1 * 2**30), "10.1 GB"), (99 << 20, "99 MB"), (250 << 30, "250 GB")]
)
def test_memory_is_counted_as_it_is_sold(value: int, text: str) -> None:
    assert format_memory(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.314, "0.31 s"), (4.04, "4.0 s"), (12, "12 s"), (360, "6 min"), (3900, "1 h 5 min")],
)
def test_durations_have_two_figures(value: float, text: str) -> None:
    assert format_seconds(value) == text
