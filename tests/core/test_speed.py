from __future__ import annotations

import pytest

from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.fit import estimate
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.speed import HardwareTables, Speed, load_tables, speed_of, usable_cores
from bbj_desktop.resources import resource
from tests.fakes.catalogue import variant
from tests.fakes.machines import machine, nvidia

TABLES = load_tables(resource("hardware/bandwidth.json").read_text(encoding="utf-8"))


def speed(profile: HardwareProfile, tables: HardwareTables = TABLES, size: str = "7b") -> Speed:
    model = variant(size, "Q4_K_M")
    return speed_of(model, estimate(model, profile, context_length=4096, accelerators=None), profile, tables)


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("NVIDIA GeForce RTX 4060 Laptop GPU", "RTX 4060 Laptop"),
        ("NVIDIA GeForce RTX 4060 Ti", "RTX 4060 Ti"),
        ("NVIDIA GeForce RTX 4060", "RTX 4060"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM4-80GB"),
        ("NVIDIA A100-PCIE-40GB", "A100"),
        ("Apple M1 Max", "M1 Max"),
        ("Apple M1", "M1"),
        ("AMD Radeon RX 7900 XTX", "RX 7900 XTX"),
    ],
)
def test_a_gpu_is_found_by_its_own_name(name: str, entry: str) -> None:
    found = TABLES.gpu(name)
    assert found is not None
    assert found.name == entry


def test_an_unknown_gpu_isnt_taken_for_another() -> None:
    assert TABLES.gpu("NVIDIA GeForce GT 1030") is None


def test_what_a_driver_says_counts_more_than_the_table() -> None:
    told = nvidia().model_copy(update={"bandwidth_bytes_per_s": 720e9})
    assert speed(machine(16, told)).tokens_per_s[0] > speed(machine(16, nvidia())).tokens_per_s[0]


def test_an_unknown_gpu_is_assumed_slow_and_said_so() -> None:
    found = speed(machine(16, nvidia("NVIDIA Something New", 12)), HardwareTables())
    assert "assumed" in found.basis


def test_a_gpu_is_faster_than_a_split_and_a_split_than_the_processor() -> None:
    whole, split, cpu = (speed(machine(16, *gpus)) for gpus in ([nvidia(gib=8)], [nvidia(gib=4)], []))
    assert whole.typical_tokens_per_s > split.typical_tokens_per_s > cpu.typical_tokens_per_s
    assert whole.ttft_s(2000)[1] < split.ttft_s(2000)[1] < cpu.ttft_s(2000)[1]


def test_a_larger_model_is_slower() -> None:
    assert speed(machine(32), size="14b").tokens_per_s[1] < speed(machine(32), size="7b").tokens_per_s[1]


def test_more_cores_read_prompts_faster() -> None:
    assert speed(machine(32, cores=16)).ttft_s(2000)[1] < speed(machine(32, cores=4)).ttft_s(2000)[1] / 2


def test_without_avx2_the_processor_is_slower() -> None:
    old = machine(16, cores=4, features=frozenset({"avx"}))
    assert speed(old).tokens_per_s[1] < speed(machine(16, cores=4)).tokens_per_s[0]


def test_a_containers_share_of_the_cores_counts() -> None:
    profile = machine(16, cores=16)
    limited = profile.model_copy(update={"cpu": profile.cpu.model_copy(update={"usable_cores": 2.5})})
    assert usable_cores(limited) == 2.5


def test_ranges_go_from_low_to_high() -> None:
    expectation = speed(machine(16, nvidia(gib=4))).expectation()
    assert expectation.tokens_per_s[0] < expectation.tokens_per_s[1]
    assert expectation.ttft_2000_s[0] < expectation.ttft_2000_s[1]


def test_a_table_that_isnt_one_is_refused() -> None:
    with pytest.raises(FormatError):
        load_tables("[]")
