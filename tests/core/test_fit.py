from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbj_desktop.core.fit import Budget, Graph, compute_bytes, cpu_need, estimate, kv_bytes, ram_capacity
from bbj_desktop.core.recommendation import Placement
from bbj_desktop.core.release import Architecture, FitRow, Variant
from tests.fakes.catalogue import architecture, variant
from tests.fakes.machines import GIB, amd, integrated, mac, machine, nvidia

MIB = 2**20
ALL = frozenset({"nvidia", "amd", "apple"})
NONE = frozenset[str]()

SMOLLM2 = Architecture(
    name="llama",
    layers=30,
    hidden=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    feed_forward=1536,
    vocabulary=49_152,
    parameters=134_515_008,
    trained_context=8192,
    weights_bytes=96_576_768,
    repeating_weights_bytes=66_493_440,
)
GEMMA3 = Architecture(
    name="gemma3",
    layers=18,
    hidden=640,
    heads=4,
    kv_heads=1,
    head_dim=256,
    feed_forward=2048,
    vocabulary=262_144,
    parameters=268_098_176,
    trained_context=32_768,
    weights_bytes=246_583_296,
    repeating_weights_bytes=70_000_000,
    repackable_bytes=13_274_972,
    sliding_window=512,
    sliding_window_layers=15,
)


@pytest.mark.parametrize(
    ("size", "per_token"),
    [("0.5b", 12_288), ("1.5b", 28_672), ("3b", 36_864), ("7b", 57_344), ("14b", 196_608), ("32b", 262_144)],
)
def test_kv_cache_of_the_base_family(size: str, per_token: int) -> None:
    assert kv_bytes(architecture(size, "Q4_K_M"), 4096) == per_token * 4096


def test_kv_cache_is_rounded_up_to_whole_blocks_of_cells() -> None:
    assert kv_bytes(SMOLLM2, 2000) == kv_bytes(SMOLLM2, 2048)


@pytest.mark.parametrize(("context", "mib"), [(2048, 21), (8192, 39)])
def test_a_sliding_window_keeps_the_servers_cache_short(context: int, mib: int) -> None:
    assert kv_bytes(GEMMA3, context, Graph.SERVER) == mib * MIB


def test_the_librarys_default_keeps_the_whole_cache() -> None:
    assert kv_bytes(GEMMA3, 8192, Graph.LIBRARY) == 144 * MIB


# A Llama and a Qwen2 of two layers: next to nothing but their vocabularies.
TINY_LLAMA = SMOLLM2.model_copy(
    update={"layers": 2, "hidden": 256, "heads": 4, "kv_heads": 2, "feed_forward": 512, "vocabulary": 49_152}
)
TINY_QWEN2 = TINY_LLAMA.model_copy(update={"name": "qwen2", "vocabulary": 151_936})

# What llama.cpp printed for compute and output buffers, in MiB: the library's defaults (no flash attention, logits of
# the whole micro-batch) and the server's own.
PRINTED = [
    (SMOLLM2, Graph.LIBRARY, 2048, 99.6),
    (SMOLLM2, Graph.LIBRARY, 8192, 166.6),
    (TINY_LLAMA, Graph.LIBRARY, 2048, 97.7),
    (TINY_LLAMA, Graph.LIBRARY, 8192, 97.7),
    (TINY_QWEN2, Graph.LIBRARY, 2048, 298.9),
    (TINY_QWEN2, Graph.LIBRARY, 8192, 298.9),
    (GEMMA3, Graph.LIBRARY, 8192, 515.5),
    (architecture("7b", "Q4_0"), Graph.LIBRARY, 2048, 311.6),
    (architecture("7b", "Q4_0"), Graph.LIBRARY, 8192, 501.6),
    (SMOLLM2, Graph.SERVER, 2048, 16.8),
    (SMOLLM2, Graph.SERVER, 8192, 22.8),
    (GEMMA3, Graph.SERVER, 8192, 28.3),
    (architecture("1.5b", "Q4_0"), Graph.SERVER, 2048, 70.1),
    (architecture("7b", "Q4_0"), Graph.SERVER, 8192, 154.6),
    (architecture("14b", "Q4_0"), Graph.SERVER, 2048, 133.6),
    (architecture("32b", "Q4_0"), Graph.SERVER, 8192, 220.6),
]


@pytest.mark.parametrize(("model", "graph", "context", "mib"), PRINTED)
def test_compute_buffers_are_what_llama_cpp_prints(model: Architecture, graph: Graph, context: int, mib: float) -> None:
    assert compute_bytes(model, context, graph) == pytest.approx(mib * MIB, rel=0.03)


def with_table(*rows: tuple[int, int, int, int]) -> Variant:
    table = [FitRow(context_length=c, weights_bytes=w, kv_bytes=k, compute_bytes=b) for c, w, k, b in rows]
    return variant("1.5b", "Q8_0", fit_table=table)


def test_a_recorded_row_is_taken_as_it_is() -> None:
    need, measured = cpu_need(with_table((2048, 900, 50, 7)), 2048, graph=Graph.SERVER)
    assert measured
    assert (need.weights_bytes, need.kv_bytes, need.compute_bytes) == (900, 50, 7)


@pytest.mark.parametrize(("context", "kv", "compute"), [(4096, 100, 20), (8192, 200, 40), (1024, 25, 5)])
def test_between_and_beyond_recorded_rows_the_line_goes_straight_on(context: int, kv: int, compute: int) -> None:
    need, measured = cpu_need(with_table((6144, 900, 150, 30), (2048, 900, 50, 10)), context, graph=Graph.SERVER)
    assert measured
    assert (need.kv_bytes, need.compute_bytes) == (kv, compute)


def test_one_row_says_nothing_about_other_contexts() -> None:
    _, measured = cpu_need(with_table((2048, 900, 50, 10)), 4096)
    assert not measured


def test_the_servers_compute_buffer_isnt_taken_for_the_librarys() -> None:
    table = with_table((2048, 900, 50, 10), (4096, 900, 100, 11))
    need, _ = cpu_need(table, 4096, graph=Graph.LIBRARY)
    assert need.compute_bytes == compute_bytes(table.architecture, 4096, Graph.LIBRARY)


def test_each_conversation_has_a_cache_of_its_own() -> None:
    one, _ = cpu_need(variant("7b", "Q4_K_M"), 4096)
    four, _ = cpu_need(variant("7b", "Q4_K_M"), 4096, concurrency=4)
    assert four.kv_bytes == 4 * one.kv_bytes


def test_copies_for_the_processor_are_reported_but_dont_decide() -> None:
    plain, _ = cpu_need(variant("7b", "Q4_0"), 4096, repacked=False)
    copied, _ = cpu_need(variant("7b", "Q4_0"), 4096)
    assert copied.total_bytes > plain.total_bytes + 3 * GIB
    assert copied.needed_bytes == plain.needed_bytes


def test_without_a_gpu_it_lies_in_main_memory() -> None:
    fit = estimate(variant("7b", "Q4_K_M"), machine(16), context_length=4096, accelerators=ALL)
    assert (fit.placement, fit.gpu_layers, fit.vram, fit.fits) == (Placement.CPU, 0, None, True)


def test_a_gpu_with_room_takes_it_whole() -> None:
    fit = estimate(variant("7b", "Q4_K_M"), machine(16, nvidia(gib=8)), context_length=4096, accelerators=ALL)
    assert (fit.placement, fit.gpu_layers, fit.gpu_index) == (Placement.GPU, 28, 0)
    assert fit.vram is not None
    assert fit.vram.total_bytes < 8 * GIB
    assert fit.ram.total_bytes < GIB


def test_a_gpu_with_too_little_room_takes_some_blocks() -> None:
    fit = estimate(variant("7b", "Q4_K_M"), machine(16, nvidia(gib=4)), context_length=4096, accelerators=ALL)
    assert fit.placement is Placement.SPLIT
    assert 0 < fit.gpu_layers < 28
    assert fit.vram is not None
    whole, _ = cpu_need(variant("7b", "Q4_K_M"), 4096)
    assert fit.vram.weights_bytes + fit.ram.weights_bytes == whole.weights_bytes - whole.reclaimable_bytes
    assert fit.vram.kv_bytes + fit.ram.kv_bytes == whole.kv_bytes


def test_two_gpus_of_one_maker_share_what_neither_holds() -> None:
    pair = machine(64, nvidia(gib=16), nvidia(gib=16, index=1))
    fit = estimate(variant("32b", "Q4_K_M"), pair, context_length=4096, accelerators=ALL)
    assert (fit.placement, fit.gpu_index) == (Placement.GPU, 0)


def test_gpus_of_two_makers_dont_share() -> None:
    pair = machine(64, nvidia(gib=16), amd(gib=16))
    fit = estimate(variant("32b", "Q4_K_M"), pair, context_length=4096, accelerators=ALL)
    assert fit.placement is Placement.SPLIT


@pytest.mark.parametrize(
    ("gpu", "accelerators"),
    [
        (nvidia(), NONE),
        (amd(), frozenset({"nvidia"})),
        (integrated(), ALL),
        (nvidia("Tesla K40m", 12, capability="3.5"), ALL),
    ],
)
def test_gpus_that_the_engine_cant_use_dont_count(gpu: object, accelerators: frozenset[str]) -> None:
    profile = machine(16).model_copy(update={"gpus": (gpu,)})
    fit = estimate(variant("7b", "Q4_K_M"), profile, context_length=4096, accelerators=accelerators)
    assert fit.placement is Placement.CPU


def test_apples_memory_is_counted_once() -> None:
    fit = estimate(variant("7b", "Q4_K_M"), mac(gib=16), context_length=4096, accelerators=ALL)
    assert (fit.placement, fit.vram) == (Placement.UNIFIED, None)


def test_what_the_gpu_may_not_take_of_unified_memory_runs_on_the_processor() -> None:
    fit = estimate(variant("14b", "Q4_K_M"), mac(gib=16), context_length=8192, accelerators=ALL)
    assert (fit.placement, fit.fits) == (Placement.CPU, True)


def test_says_how_much_is_missing() -> None:
    fit = estimate(variant("14b", "Q4_K_M"), machine(8), context_length=4096, accelerators=NONE)
    assert not fit.fits
    assert fit.short_bytes == fit.ram.needed_bytes - ram_capacity(machine(8))


def test_a_container_keeps_little_for_the_system() -> None:
    free = ram_capacity(machine(8, system="linux", limited_by="cgroup v2 memory.max"))
    assert free > ram_capacity(machine(8, system="linux")) > ram_capacity(machine(8, system="windows"))


def test_a_second_model_gets_what_the_first_leaves() -> None:
    profile = machine(16, nvidia(gib=8))
    first = estimate(variant("7b", "Q4_K_M"), profile, context_length=4096, accelerators=ALL)
    left = Budget.of(profile, ALL).less(first)
    second = estimate(variant("7b", "Q4_K_M"), profile, context_length=4096, accelerators=ALL, budget=left)
    assert second.placement is not Placement.GPU


@given(
    size=st.sampled_from(["1.5b", "7b", "14b", "32b"]),
    ram=st.floats(1, 256),
    vram=st.lists(st.floats(1, 80), max_size=3),
    context=st.integers(256, 32_768),
    concurrency=st.integers(1, 8),
)
def test_what_fits_never_exceeds_the_memory(
    size: str, ram: float, vram: list[float], context: int, concurrency: int
) -> None:
    profile = machine(ram, *(nvidia(gib=gib, index=i) for i, gib in enumerate(vram)))
    fit = estimate(variant(size, "Q4_K_M"), profile, context_length=context, accelerators=ALL, concurrency=concurrency)
    if fit.fits:
        assert fit.ram.needed_bytes <= profile.memory.total_bytes
        if fit.vram is not None:
            assert fit.vram.needed_bytes <= sum(gpu.vram_total_bytes or 0 for gpu in profile.gpus)


@given(ram=st.floats(1, 64), more=st.floats(0, 64))
def test_more_memory_never_makes_it_fit_worse(ram: float, more: float) -> None:
    before = estimate(variant("7b", "Q4_0"), machine(ram), context_length=4096, accelerators=NONE)
    after = estimate(variant("7b", "Q4_0"), machine(ram + more), context_length=4096, accelerators=NONE)
    assert after.fits or not before.fits
