"""Whole or as an adapter: which one is recommended, with which words, and what it takes of a machine."""

from __future__ import annotations

from collections.abc import Mapping

from bbj_desktop.core.fit import Budget, cpu_need, estimate
from bbj_desktop.core.recommend import judge, recommend
from bbj_desktop.core.recommendation import Candidate, Placement, Wishes
from bbj_desktop.core.release import Offer, Role, Variant
from bbj_desktop.core.speed import load_tables, speed_of
from bbj_desktop.resources import resource
from tests.fakes.catalogue import offer, offering, standard_tiers, with_adapter
from tests.fakes.machines import EMBEDDED, OLLAMA, machine, nvidia

TABLES = load_tables(resource("hardware/bandwidth.json").read_text(encoding="utf-8"))
CHAT = Wishes(roles=(Role.CHAT,))
OFFER = with_adapter(offer("7b", quantisations=("Q2_K", "Q4_K_M", "Q8_0")))
RUNTIMES = (OLLAMA, EMBEDDED)


def _variant(quantisation: str, given: Offer = OFFER) -> Variant:
    found = given.release.variant(quantisation)
    assert found is not None
    return found


def _choice(here: Mapping[str, int], wishes: Wishes = CHAT, given: Offer = OFFER) -> Candidate:
    found = recommend(machine(32), offering([given]), RUNTIMES, wishes, tables=TABLES, here=here)
    (role,) = found.choices
    assert role.choice is not None
    return role.choice


def _here(*variants: Variant) -> dict[str, int]:
    return {part.file.digest: part.file.length_bytes for each in variants for part in each.parts}


def _base_here() -> dict[str, int]:
    file = _variant("Q4_K_M_LORA").file
    return {file.digest: file.length_bytes}


def test_on_a_new_machine_the_whole_model_is_recommended() -> None:
    choice = _choice({})
    assert choice.variant.quantisation == "Q4_K_M"
    (reason,) = (each for each in choice.reasons if each.code == "whole_over_adapter")
    assert reason.text == "4.7 GB to fetch for 7B Q4_K_M, one whole file; 7B Q4_K_M_LORA with its base would be 4.7 GB."


def test_where_the_base_is_here_the_adapter_is_recommended() -> None:
    choice = _choice(_base_here())
    assert choice.variant.quantisation == "Q4_K_M_LORA"
    assert choice.disk_bytes == 40_000_000
    (reason,) = (each for each in choice.reasons if each.code == "adapter_over_base")
    assert reason.text == ("40 MB to fetch for 7B Q4_K_M_LORA, whose base is here already; 7B Q4_K_M would be 4.7 GB.")


def test_who_has_one_of_the_two_stays_with_it() -> None:
    assert _choice(_here(_variant("Q4_K_M"))).variant.quantisation == "Q4_K_M"
    assert _choice(_here(_variant("Q4_K_M_LORA"))).variant.quantisation == "Q4_K_M_LORA"
    assert _choice(_here(_variant("Q4_K_M"), _variant("Q4_K_M_LORA"))).variant.quantisation == "Q4_K_M"


def test_of_what_is_here_nothing_is_said_about_fetching() -> None:
    codes = {reason.code for reason in _choice(_here(_variant("Q4_K_M_LORA"))).reasons}
    assert not codes & {"adapter_over_base", "whole_over_adapter"}


def test_an_adapter_alone_is_recommended_as_any_other_variant() -> None:
    release = OFFER.release.model_copy(update={"variants": (_variant("Q4_K_M_LORA"),)})
    assert _choice({}, given=OFFER.model_copy(update={"release": release})).variant.quantisation == "Q4_K_M_LORA"


def test_a_wish_for_the_quantisation_means_the_whole_model() -> None:
    wished = CHAT.model_copy(update={"quantisation": "Q4_K_M"})
    assert _choice(_base_here(), wished).variant.quantisation == "Q4_K_M"


def test_who_asks_for_the_whole_hears_of_the_shorter_way() -> None:
    candidate = judge(
        machine(32), OFFER, _variant("Q4_K_M"), RUNTIMES, context_length=None, runtime=None, tiers=standard_tiers(),
        tables=TABLES, here=_base_here(),
    )  # fmt: skip
    (reason,) = (each for each in candidate.reasons if each.code == "adapter_fetches_less")
    assert reason.text == "40 MB would do: 7B Q4_K_M_LORA is the same model over a base that is here already."


# -- memory


def test_memory_is_that_of_the_base_and_the_adapter() -> None:
    whole, adapted = _variant("Q4_K_M"), _variant("Q4_K_M_LORA")
    assert adapted.adapter is not None
    less, _ = cpu_need(whole, 4096)
    more, _ = cpu_need(adapted, 4096)
    assert more.needed_bytes - less.needed_bytes == adapted.adapter.weights_bytes


def test_a_recorded_table_is_of_the_base_alone() -> None:
    adapted = _variant("Q4_K_M_LORA")
    assert adapted.adapter is not None
    row = {"context_length": 4096, "weights_bytes": 5_000_000_000, "kv_bytes": 1, "compute_bytes": 1}
    measured = Variant.model_validate(adapted.model_dump() | {"fit_table": [row]})
    need, used = cpu_need(measured, 4096, repacked=False)
    assert used
    assert need.weights_bytes == 5_000_000_000 + adapted.adapter.weights_bytes


def test_what_just_fits_doesnt_with_an_adapter() -> None:
    card = machine(32, nvidia("NVIDIA GeForce RTX 4060", 8))
    whole, adapted = _variant("Q4_K_M"), _variant("Q4_K_M_LORA")
    need = estimate(whole, card, context_length=4096, accelerators=None).vram
    assert need is not None
    tight = Budget(ram_bytes=2**35, vram_bytes=(need.needed_bytes,))
    placements = [
        estimate(each, card, context_length=4096, accelerators=None, budget=tight).placement
        for each in (whole, adapted)
    ]
    assert placements == [Placement.GPU, Placement.SPLIT]


def test_an_adapter_is_read_for_every_token() -> None:
    profile = machine(32)
    speeds = [
        speed_of(each, estimate(each, profile, context_length=4096, accelerators=None), profile, TABLES)
        for each in (_variant("Q4_K_M"), _variant("Q4_K_M_LORA"))
    ]
    assert speeds[1].typical_tokens_per_s < speeds[0].typical_tokens_per_s
