"""What a machine gets, and why: a specification by example, then properties."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.hardware import Gpu, HardwareProfile
from bbj_desktop.core.judging import COARSE
from bbj_desktop.core.recommend import judge, recommend
from bbj_desktop.core.recommendation import (
    Candidate,
    Placement,
    Reason,
    ReasonKind,
    Recommendation,
    RoleChoice,
    Wishes,
)
from bbj_desktop.core.release import Offer, Offering, Role, parameters_of
from bbj_desktop.core.speed import load_tables
from bbj_desktop.resources import resource
from tests.fakes.catalogue import offer, offering, standard_tiers
from tests.fakes.machines import EMBEDDED, EMBEDDED_METAL, NO_OLLAMA, OLLAMA, integrated, mac, machine, nvidia

TABLES = load_tables(resource("hardware/bandwidth.json").read_text(encoding="utf-8"))
WITH_OLLAMA = (OLLAMA, EMBEDDED)
WITHOUT = (NO_OLLAMA, EMBEDDED)
RTX_4060 = nvidia("NVIDIA GeForce RTX 4060", 8)
RTX_3090 = nvidia("NVIDIA GeForce RTX 3090", 24)
RTX_4090 = nvidia("NVIDIA GeForce RTX 4090", 24)
A100 = nvidia("NVIDIA A100-SXM4-40GB", 40)
H100 = nvidia("NVIDIA H100 80GB HBM3", 80)
CHAT = Wishes(roles=(Role.CHAT,))


def for_machine(
    profile: HardwareProfile,
    runtimes: tuple[RuntimeStatus, ...] = WITH_OLLAMA,
    wishes: Wishes | None = None,
    offered: Offering | None = None,
) -> Recommendation:
    return recommend(profile, offered or offering(), runtimes, wishes or Wishes(), tables=TABLES)


def of_role(recommendation: Recommendation, role: Role) -> RoleChoice:
    choice = recommendation.for_role(role)
    assert choice is not None
    return choice


def chat(recommendation: Recommendation) -> Candidate:
    choice = of_role(recommendation, Role.CHAT).choice
    assert choice is not None
    return choice


def codes(reasons: tuple[Reason, ...]) -> set[str]:
    return {reason.code for reason in reasons}


def overlaps(found: tuple[float, float], expected: tuple[float, float]) -> bool:
    return found[0] <= expected[1] and found[1] >= expected[0]


# Without a network: what can't be had now

Q4_K_M_7B, Q4_0_7B = (
    next(each for each in offer("7b").release.variants if each.quantisation == name).file.digest
    for name in ("Q4_K_M", "Q4_0")
)


def of_those_here(
    *away: str, wishes: Wishes | None = None, runtimes: tuple[RuntimeStatus, ...] = WITH_OLLAMA
) -> RoleChoice:
    found = recommend(machine(16, RTX_4060), offering(), runtimes, wishes or CHAT, tables=TABLES, away=frozenset(away))
    return of_role(found, (wishes or CHAT).roles[0])


def test_of_what_is_here_the_best_is_recommended_and_the_better_one_is_named() -> None:
    role = of_those_here(Q4_K_M_7B)
    assert role.choice is not None
    assert (role.choice.release.size, role.choice.variant.quantisation) == ("7b", "Q4_0")
    (awaited,) = (reason for reason in role.choice.reasons if reason.code == "awaited")
    assert awaited.text == (
        "7B Q4_K_M would suit this machine best and isn't here, so 7B Q4_0, which is, is recommended; for the other "
        "ask for a bundle with bbj-coder:2026.1-7b-q4_k_m."
    )


def test_where_the_best_is_here_nothing_is_said_of_bundles() -> None:
    role = of_those_here(Q4_0_7B)
    assert role.choice is not None
    assert role.choice.variant.quantisation == "Q4_K_M"
    assert "awaited" not in codes(role.reasons)


@pytest.mark.parametrize("role", [Role.CHAT, Role.FIM])
def test_where_nothing_is_here_the_best_is_named_to_ask_for(role: Role) -> None:
    everything = {part.file.digest for each in offering().offers for v in each.release.variants for part in v.parts}
    found = of_those_here(*everything, wishes=Wishes(roles=(role,)))
    assert found.choice is None
    assert found.reasons[0].code == "awaited"
    assert "and no network leads to it: ask for a bundle with bbj-coder" in found.reasons[0].text


def test_a_choice_that_isnt_here_says_which_bundle_to_ask_for() -> None:
    chosen = offer("7b")
    variant = next(each for each in chosen.release.variants if each.quantisation == "Q4_K_M")
    found = judge(
        machine(16, RTX_4060), chosen, variant, WITH_OLLAMA, context_length=None, runtime=None,
        tiers=standard_tiers(), tables=TABLES, away=frozenset({Q4_K_M_7B}),
    )  # fmt: skip
    assert not found.can_run
    assert "ask for a bundle with bbj-coder:2026.1-7b-q4_k_m" in found.reasons[0].text


# The tiers


@pytest.mark.parametrize(
    ("profile", "runtimes", "size", "quantisation", "placement", "tokens_per_s"),
    [
        (machine(8, cores=4), WITHOUT, "7b", "Q4_0", Placement.CPU, (5, 10)),
        (machine(16, nvidia(gib=6)), WITH_OLLAMA, "7b", "Q4_K_M", Placement.GPU, (30, 50)),
        (machine(16, RTX_4060), WITH_OLLAMA, "7b", "Q4_K_M", Placement.GPU, (30, 50)),
        (machine(16, nvidia()), WITH_OLLAMA, "7b", "Q4_K_M", Placement.GPU, (30, 50)),
        (machine(32, RTX_3090), WITH_OLLAMA, "14b", "Q4_K_M", Placement.GPU, (20, 40)),
        (machine(32, RTX_4090), WITH_OLLAMA, "14b", "Q4_K_M", Placement.GPU, (20, 50)),
        (machine(64, A100), WITH_OLLAMA, "32b", "Q4_K_M", Placement.GPU, (30, 50)),
        (machine(128, H100), WITH_OLLAMA, "32b", "Q4_K_M", Placement.GPU, (30, 50)),
        (mac(gib=16), (NO_OLLAMA, EMBEDDED_METAL), "7b", "Q4_K_M", Placement.UNIFIED, (10, 20)),
        (mac("Apple M4 Max", 64), WITH_OLLAMA, "32b", "Q4_K_M", Placement.UNIFIED, (10, 20)),
    ],
)
def test_each_class_of_machine_gets_what_its_tier_expects(
    profile: HardwareProfile,
    runtimes: tuple[RuntimeStatus, ...],
    size: str,
    quantisation: str,
    placement: Placement,
    tokens_per_s: tuple[float, float],
) -> None:
    found = chat(for_machine(profile, runtimes))
    assert (found.release.size, found.variant.quantisation, found.fit.placement) == (size, quantisation, placement)
    assert overlaps(found.expectation.tokens_per_s, tokens_per_s)


def test_fit_and_speed_decide_not_the_tiers_name() -> None:
    recommendation = for_machine(machine(16, nvidia("NVIDIA GeForce RTX 4080", 16)))
    assert recommendation.tier is not None
    assert recommendation.tier.name == "recommended"
    assert chat(recommendation).release.size == "14b"


def test_two_gpus_together_hold_what_one_holds_too_tightly() -> None:
    pair = machine(64, RTX_3090, RTX_3090.model_copy(update={"index": 1}))
    assert chat(for_machine(pair)).release.size == "32b"


def test_what_no_gpu_holds_alone_is_said_to_be_spread_over_all() -> None:
    card = nvidia("NVIDIA GeForce RTX 4060 Ti", 16)
    found = chat(for_machine(machine(64, card, card.model_copy(update={"index": 1}))))
    assert found.release.size == "32b"
    both = "Ollama runs it spread over NVIDIA GeForce RTX 4060 Ti and NVIDIA GeForce RTX 4060 Ti."
    assert both in [reason.text for reason in found.reasons]


def test_a_signed_tier_table_replaces_the_programs() -> None:
    patient = standard_tiers().model_copy(update={"min_chat_tokens_per_s": 2.0})
    assert chat(for_machine(machine(32), WITHOUT)).release.size == "7b"
    assert chat(for_machine(machine(32), WITHOUT, offered=offering(tiers=patient))).release.size == "14b"


# The engine


def test_ollama_is_preferred_where_it_answers() -> None:
    assert chat(for_machine(machine(16), WITH_OLLAMA)).runtime == "ollama"
    assert chat(for_machine(machine(16), WITHOUT)).runtime == "embedded"


def test_a_gpu_without_ollama_is_told_and_the_processor_judged() -> None:
    recommendation = for_machine(machine(16, nvidia()), WITHOUT)
    assert "gpu_needs_ollama" in codes(recommendation.remarks)
    assert chat(recommendation).fit.placement is Placement.CPU


def test_a_gpu_that_ollama_uses_needs_no_remark() -> None:
    assert not for_machine(machine(16, nvidia())).remarks


def test_choosing_the_built_in_engine_beside_a_gpu_is_told() -> None:
    recommendation = for_machine(machine(16, nvidia()), wishes=Wishes(runtime="embedded"))
    assert "gpu_not_chosen" in codes(recommendation.remarks)
    assert chat(recommendation).runtime == "embedded"


def test_an_integrated_gpu_is_not_worth_a_remark() -> None:
    assert not for_machine(machine(16, integrated()), WITHOUT).remarks


@pytest.mark.parametrize("vendor", ["nvidia", "intel"])
def test_a_graphics_card_that_isnt_counted_is_told(vendor: str) -> None:
    unknown = {"vendor": vendor, "vram_total_bytes": None, "vram_free_bytes": None}
    remarks = for_machine(machine(16, RTX_3090.model_copy(update=unknown))).remarks
    assert codes(remarks) == {"gpu_not_counted"}


def test_a_gpu_too_old_for_any_engine_is_told() -> None:
    recommendation = for_machine(machine(16, nvidia("Tesla K40m", 12, capability="3.5")))
    assert "gpu_too_old" in codes(recommendation.remarks)
    assert chat(recommendation).fit.placement is Placement.CPU


def test_without_avx2_the_built_in_engine_cant_run_anything() -> None:
    choice = of_role(for_machine(machine(16, features=frozenset({"avx"})), WITHOUT), Role.CHAT)
    assert choice.choice is None
    assert "no_avx2" in codes(choice.reasons)


def test_without_avx2_ollama_still_runs() -> None:
    assert chat(for_machine(machine(16, nvidia(), features=frozenset({"avx"})))).runtime == "ollama"


def test_an_arm_processor_needs_no_avx2() -> None:
    arm = machine(16, features=frozenset({"neon"}), architecture="arm64", system="linux")
    assert chat(for_machine(arm, WITHOUT)).can_run


def test_unreadable_processor_features_are_a_warning_only() -> None:
    assert "avx2_unknown" in codes(chat(for_machine(machine(16, features=None), WITHOUT)).reasons)


@pytest.mark.parametrize("runtimes", [(), (NO_OLLAMA,), (NO_OLLAMA, EMBEDDED.model_copy(update={"available": False}))])
def test_without_any_engine_nothing_can_run_and_it_says_so(runtimes: tuple[RuntimeStatus, ...]) -> None:
    recommendation = for_machine(machine(16), runtimes)
    assert "engine_missing" in codes(recommendation.remarks)
    assert of_role(recommendation, Role.CHAT).choice is None


def test_a_remote_ollamas_hardware_is_unknown() -> None:
    remote = OLLAMA.model_copy(update={"local": False, "accelerators": None})
    assert "remote_hardware_unknown" in codes(for_machine(machine(16), (remote, EMBEDDED)).remarks)


# Reasons


@pytest.mark.parametrize(
    ("profile", "runtimes", "code"),
    [
        (machine(8, cores=4), WITHOUT, "ram_decides"),
        (machine(16, RTX_4060), WITH_OLLAMA, "vram_decides"),
        (mac(gib=8), (EMBEDDED_METAL,), "unified_decides"),
        (machine(64, cores=16), WITHOUT, "speed_decides"),
        (machine(32, RTX_3090), WITH_OLLAMA, "too_tight"),
        (machine(16, disk_gb=3), WITHOUT, "disk_decides"),
        (machine(128, H100), WITH_OLLAMA, "largest_offered"),
    ],
)
def test_says_which_limit_decided(profile: HardwareProfile, runtimes: tuple[RuntimeStatus, ...], code: str) -> None:
    reasons = chat(for_machine(profile, runtimes)).reasons
    assert [reason.code for reason in reasons if reason.kind is ReasonKind.DECIDED] == [code]


def test_the_sentence_names_the_owners_numbers() -> None:
    reasons = chat(for_machine(machine(16, RTX_4060))).reasons
    assert "Your 8 GB of graphics memory decide: 14B Q4_K_M would need 10 GB." in [reason.text for reason in reasons]


@pytest.mark.parametrize(
    ("profile", "runtimes", "text"),
    [
        (machine(8, cores=4), WITHOUT, "14B Q4_K_M asks for 16 GB of memory."),
        (machine(16, RTX_4060), WITH_OLLAMA, "14B Q4_K_M asks for 16 GB of graphics memory."),
        (machine(32, RTX_3090), WITH_OLLAMA, "32B Q4_K_M asks for 32 GB of graphics memory."),
    ],
)
def test_says_what_more_would_need(profile: HardwareProfile, runtimes: tuple[RuntimeStatus, ...], text: str) -> None:
    more = [reason.text for reason in chat(for_machine(profile, runtimes)).reasons if reason.kind is ReasonKind.MORE]
    assert more == [text]


@pytest.mark.parametrize(
    ("profile", "code"),
    [
        (machine(8, available_gib=2), "close_ram"),
        (machine(32, nvidia("NVIDIA GeForce RTX 3090", 24, free_gib=4)), "close_gpu"),
    ],
)
def test_says_what_to_close_on_a_busy_machine(profile: HardwareProfile, code: str) -> None:
    assert code in codes(chat(for_machine(profile)).reasons)


def test_chat_and_completion_need_their_room_together() -> None:
    choice = of_role(for_machine(machine(32, nvidia("NVIDIA GeForce RTX 3090", 24, free_gib=10.5))), Role.FIM)
    assert choice.choice is not None
    (close,) = [reason for reason in choice.reasons if reason.kind is ReasonKind.CLOSE]
    assert close.code == "close_gpu"
    assert "needed with the chat model" in close.text


def test_an_idle_machine_has_nothing_to_close() -> None:
    assert not [each for each in chat(for_machine(machine(16))).reasons if each.kind is ReasonKind.CLOSE]


def test_says_what_to_expect_and_where_it_will_run() -> None:
    assert {"expect", "runs_on_gpu"} <= codes(chat(for_machine(machine(16, nvidia()))).reasons)


def test_every_reason_is_one_plain_sentence_with_a_code() -> None:
    profiles = [machine(2), machine(8), machine(16, nvidia(gib=4)), machine(64, A100), machine(16, disk_gb=1)]
    for profile in profiles:
        recommendation = for_machine(profile, WITH_OLLAMA)
        reasons = [*recommendation.remarks, *(each for role in recommendation.choices for each in role.reasons)]
        assert all(reason.text[0].isupper() or reason.text[0].isdigit() for reason in reasons)
        assert all(reason.text.endswith(".") and reason.code.islower() for reason in reasons)


# Completion


def test_completion_comes_beside_chat_where_both_fit() -> None:
    choice = of_role(for_machine(machine(16, RTX_4060)), Role.FIM)
    assert choice.choice is not None
    assert choice.choice.fit.placement is Placement.GPU


def test_a_slow_machine_gets_no_completion_model() -> None:
    choice = of_role(for_machine(machine(16), WITHOUT), Role.FIM)
    assert choice.choice is None
    assert "fim_too_slow" in codes(choice.reasons)


def test_chat_comes_first_where_graphics_memory_holds_one_only() -> None:
    choice = of_role(for_machine(machine(16, nvidia(gib=6))), Role.FIM)
    assert choice.choice is None
    assert "the chat model leaves it no graphics memory" in choice.reasons[0].text


def test_without_room_beside_chat_it_says_how_much_is_missing() -> None:
    choice = of_role(for_machine(machine(2, cores=4), WITHOUT), Role.FIM)
    assert "fim_no_room" in codes(choice.reasons)


def test_says_when_a_smaller_chat_quantisation_would_make_room() -> None:
    choice = of_role(for_machine(machine(16, nvidia(gib=6.8))), Role.FIM)
    assert choice.choice is None
    assert "1.5B Q4_K_M would fit beside 7B Q4_0." in [reason.text for reason in choice.reasons]


def test_completion_alone_gets_the_whole_machine() -> None:
    choice = of_role(for_machine(machine(16, nvidia(gib=3)), wishes=Wishes(roles=(Role.FIM,))), Role.FIM)
    assert choice.choice is not None


def test_a_role_that_isnt_offered_says_so() -> None:
    choice = of_role(for_machine(machine(16, RTX_4060), offered=offering([offer("7b")])), Role.FIM)
    assert codes(choice.reasons) == {"nothing_offered"}


# Quantisations


def test_q8_comes_on_request_only() -> None:
    assert chat(for_machine(machine(128, H100))).variant.quantisation == "Q4_K_M"
    assert chat(for_machine(machine(128, H100), wishes=Wishes(quantisation="Q8_0"))).variant.quantisation == "Q8_0"


def test_q2_is_a_last_resort() -> None:
    found = chat(for_machine(machine(8, cores=4), WITHOUT, offered=offering([offer("14b"), offer("32b")])))
    assert found.variant.quantisation == "Q2_K"
    assert "coarse_quantisation" in codes(found.reasons)


def test_a_smaller_size_is_better_than_q2() -> None:
    found = chat(for_machine(machine(4), WITHOUT))
    assert found.release.size == "3b"
    assert found.variant.quantisation not in COARSE


def test_what_is_offered_in_one_quantisation_alone_is_taken() -> None:
    assert chat(for_machine(machine(16), offered=offering([offer("1.5b", quantisations=("Q8_0",))]))).can_run


# Below Minimum, too little disk, short context


def test_below_minimum_says_so_and_offers_what_fits() -> None:
    recommendation = for_machine(machine(4), WITHOUT)
    assert "below_minimum" in codes(recommendation.remarks)
    assert recommendation.tier is None
    assert chat(recommendation).can_run


def test_a_shorter_context_is_taken_before_a_model_is_given_up() -> None:
    long = offering([offer("7b", context_length=32_768)])
    found = chat(for_machine(machine(8, cores=4), WITHOUT, offered=long))
    assert found.selection.context_length == found.fit.context_length < 32_768
    assert "context_shortened" in codes(found.reasons)


def test_no_context_below_2048_is_offered() -> None:
    choice = of_role(for_machine(machine(1), WITHOUT, offered=offering([offer("32b")])), Role.CHAT)
    assert choice.choice is None
    assert all(other.fit.context_length >= 2048 for other in choice.others)


def test_where_nothing_runs_the_nearest_is_named() -> None:
    choice = of_role(for_machine(machine(4), WITHOUT, offered=offering([offer("32b")])), Role.CHAT)
    assert codes(choice.reasons) == {"nothing_runs", "memory_missing"}


def test_too_little_disk_is_told() -> None:
    choice = of_role(for_machine(machine(16, disk_gb=0.2), WITHOUT), Role.CHAT)
    assert choice.choice is None
    assert "disk_short" in codes(choice.reasons)


def test_a_file_that_is_here_already_takes_no_disk() -> None:
    model = offer("7b", quantisations=("Q4_K_M",))
    file = model.release.variants[0].file
    here = {file.digest: file.length_bytes}
    recommendation = recommend(machine(16, disk_gb=0.2), offering([model]), WITHOUT, CHAT, tables=TABLES, here=here)
    assert chat(recommendation).disk_bytes == 0


def test_an_interrupted_download_needs_disk_for_its_rest_only() -> None:
    model = offer("7b", quantisations=("Q4_K_M",))
    file = model.release.variants[0].file
    here = {file.digest: file.length_bytes - 10**8}
    recommendation = recommend(machine(16, disk_gb=0.2), offering([model]), WITHOUT, CHAT, tables=TABLES, here=here)
    assert chat(recommendation).disk_bytes == 10**8


def test_ollamas_copy_needs_disk_too() -> None:
    profile = machine(16, disk_gb=7)
    assert chat(for_machine(profile, WITHOUT)).release.size == "7b"
    assert chat(for_machine(profile, WITH_OLLAMA)).release.size == "3b"


def test_every_copy_that_an_ollama_makes_meanwhile_needs_disk() -> None:
    profile = machine(16, disk_gb=7)
    rewriting = tuple(each.model_copy(update={"copies": 3 if each.name == "ollama" else 1}) for each in WITH_OLLAMA)
    assert chat(for_machine(profile, rewriting)).release.size == "1.5b"


def test_a_release_that_needs_a_newer_program_is_told() -> None:
    newer = "bbj-coder 7B 2026.2 needs BBj Desktop 9.0 or newer; this is 0.1.0."
    recommendation = for_machine(machine(16), offered=offering().model_copy(update={"skipped": (newer,)}))
    assert newer in [reason.text for reason in recommendation.remarks]


# Wishes


def test_a_wished_size_is_recommended_though_it_is_slow_and_says_so() -> None:
    found = chat(for_machine(machine(32), WITHOUT, Wishes(size="14b")))
    assert found.release.size == "14b"
    assert "slow" in codes(found.reasons)


def test_where_a_wished_size_cant_run_what_would_is_named() -> None:
    choice = of_role(for_machine(machine(8, cores=4), WITHOUT, Wishes(size="32b")), Role.CHAT)
    assert choice.choice is None
    assert "7B Q4_0 would fit." in [reason.text for reason in choice.reasons]


def test_a_wished_context_is_kept_where_it_fits() -> None:
    assert chat(for_machine(machine(32, RTX_4090), wishes=Wishes(context_length=8192))).fit.context_length == 8192


def test_conversations_at_once_need_more_memory() -> None:
    one, many = (chat(for_machine(machine(32, RTX_4090), wishes=Wishes(concurrency=n))) for n in (1, 16))
    assert parameters_of(many.release.size) < parameters_of(one.release.size)


def test_only_roles_that_are_asked_for_are_answered() -> None:
    assert [choice.role for choice in for_machine(machine(16), wishes=CHAT).choices] == [Role.CHAT]


def test_every_other_variant_is_judged_too() -> None:
    choice = of_role(for_machine(machine(16), wishes=CHAT), Role.CHAT)
    assert len(choice.others) == 5 * 4 - 1
    assert all(other.reasons for other in choice.others)


# A choice of the user's own


def own(size: str, quantisation: str, profile: HardwareProfile, context_length: int | None = None) -> Candidate:
    model: Offer = offer(size)
    variant = model.release.variant(quantisation)
    assert variant is not None
    return judge(
        profile,
        model,
        variant,
        WITHOUT,
        context_length=context_length,
        runtime=None,
        tiers=standard_tiers(),
        tables=TABLES,
    )


def test_a_choice_that_fits_can_run() -> None:
    assert own("7b", "Q8_0", machine(16)).can_run


def test_a_choice_that_cant_fit_is_explained() -> None:
    candidate = own("14b", "Q8_0", machine(12))
    assert not candidate.can_run
    assert candidate.reasons[0].kind is ReasonKind.WARNING
    assert {"does_not_fit", "would_fit"} <= codes(candidate.reasons)


def test_a_choice_without_disk_is_explained_with_one_for_which_there_is_enough() -> None:
    candidate = own("7b", "Q8_0", machine(32, disk_gb=4.5))
    assert not candidate.can_run
    assert {"disk_short", "would_fit"} <= codes(candidate.reasons)
    assert own("7b", "Q2_K", machine(32, disk_gb=4.5)).can_run


def test_a_context_that_cant_fit_is_explained_with_one_that_does() -> None:
    candidate = own("7b", "Q4_K_M", machine(8), context_length=32_768)
    assert not candidate.can_run
    assert candidate.selection.context_length == 32_768
    assert "shorter_context_fits" in codes(candidate.reasons)


def test_a_context_beyond_training_is_a_warning() -> None:
    candidate = own("1.5b", "Q4_K_M", machine(32), context_length=65_536)
    assert candidate.can_run
    assert "context_untrained" in codes(candidate.reasons)


# Properties

SIZES = st.lists(st.sampled_from(["1.5b", "3b", "7b", "14b", "32b"]), min_size=1, max_size=3, unique=True)
GPUS = st.lists(st.builds(nvidia, gib=st.floats(1, 80)), max_size=2)


@settings(max_examples=60, deadline=None)
@given(ram=st.floats(1, 200), gpus=GPUS, concurrency=st.integers(1, 4), ollama=st.booleans())
def test_the_set_never_exceeds_the_memory(ram: float, gpus: list[Gpu], concurrency: int, ollama: bool) -> None:
    profile = machine(ram, *gpus)
    runtimes = WITH_OLLAMA if ollama else WITHOUT
    found = for_machine(profile, runtimes, Wishes(concurrency=concurrency))
    chosen = [role.choice for role in found.choices if role.choice is not None]
    assert sum(each.fit.ram.needed_bytes for each in chosen) <= profile.memory.total_bytes
    graphics = sum(gpu.vram_total_bytes or 0 for gpu in gpus)
    assert sum(each.fit.vram.needed_bytes for each in chosen if each.fit.vram is not None) <= graphics


@settings(max_examples=60, deadline=None)
@given(ram=st.floats(1, 100), more=st.floats(0, 100), sizes=SIZES)
def test_more_memory_never_makes_the_model_smaller(ram: float, more: float, sizes: list[str]) -> None:
    offered = offering([offer(size) for size in sizes])
    before = of_role(for_machine(machine(ram), WITHOUT, CHAT, offered), Role.CHAT).choice
    after = of_role(for_machine(machine(ram + more), WITHOUT, CHAT, offered), Role.CHAT).choice
    if before is not None and before.variant.quantisation not in COARSE:
        assert after is not None
        assert parameters_of(after.release.size) >= parameters_of(before.release.size)


@settings(max_examples=30, deadline=None)
@given(ram=st.floats(1, 100), gpus=GPUS, order=st.randoms(use_true_random=False))
def test_the_order_of_offers_and_engines_changes_nothing(ram: float, gpus: list[Gpu], order: random.Random) -> None:
    offers = list(offering().offers)
    order.shuffle(offers)
    first = for_machine(machine(ram, *gpus))
    assert first == for_machine(machine(ram, *gpus), WITH_OLLAMA[::-1], offered=offering(offers))
