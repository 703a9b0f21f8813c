from __future__ import annotations

import json

import pytest

from bbj_desktop.core.errors import FormatError, TooNewError
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.tiers import load_tiers, tier_of
from tests.fakes.catalogue import standard_tiers
from tests.fakes.machines import integrated, mac, machine, nvidia


def test_the_four_tiers_rise() -> None:
    tiers = standard_tiers().tiers
    assert [(tier.name, tier.size, tier.quantisation) for tier in tiers] == [
        ("minimum", "7b", "Q4_0"),
        ("recommended", "7b", "Q4_K_M"),
        ("team", "14b", "Q4_K_M"),
        ("enterprise", "32b", "Q4_K_M"),
    ]


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        (machine(4), None),
        (machine(7.7), "minimum"),
        (machine(64), "minimum"),
        (machine(16, integrated()), "minimum"),
        (machine(15.8, nvidia(gib=6)), "recommended"),
        (machine(8, nvidia(gib=24)), "minimum"),
        (machine(31.9, nvidia(gib=24)), "team"),
        (machine(64, nvidia("NVIDIA A100-SXM4-40GB", 39.6)), "enterprise"),
        (machine(64, nvidia(gib=24), nvidia(gib=24, index=1)), "enterprise"),
        (mac(gib=16), "recommended"),
    ],
)
def test_names_the_highest_tier_whose_memory_is_there(profile: HardwareProfile, name: str | None) -> None:
    tier = tier_of(profile, standard_tiers())
    assert (tier.name if tier else None) == name


def test_a_newer_table_says_so() -> None:
    with pytest.raises(TooNewError):
        load_tiers(json.dumps({"format": 2}))


def test_something_else_is_refused() -> None:
    with pytest.raises(FormatError):
        load_tiers('{"format": 1}')
