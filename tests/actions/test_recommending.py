"""A choice of one's own, and a recommendation for a machine of which there is only a profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.actions import recommending
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.recommending import Recommended, choose, hardware_tables
from bbj_desktop.core.errors import NotFoundError
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.recommend import recommend
from bbj_desktop.core.recommendation import Candidate, Placement, Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.services.store.store import Store
from tests.fakes.catalogue import offer, offering
from tests.fakes.machines import EMBEDDED, NO_OLLAMA, mac, machine, nvidia
from tests.fakes.published import Publication, customer, trust
from tests.fakes.release_server import ReleaseServer

EVERYTHING = Wishes()
CHAT = Wishes(roles=(Role.CHAT,))
RTX_4060 = nvidia("NVIDIA GeForce RTX 4060", 8)


def recommended_for(profile: HardwareProfile, **here: int) -> Recommended:
    """What is recommended among everything that is offered. ``here``: bytes of a file in the store, by quantisation."""
    offered = offering()
    runtimes = (NO_OLLAMA, EMBEDDED)
    digests = {variant.quantisation: variant.file.digest for variant in offer("7b").release.variants}
    held = {digests[quantisation]: count for quantisation, count in here.items()}
    recommendation = recommend(profile, offered, runtimes, EVERYTHING, tables=hardware_tables(), here=held)
    return Recommended(profile=profile, runtimes=runtimes, offering=offered, recommendation=recommendation, here=held)


@pytest.mark.parametrize(("ram", "quantisation"), [(6, "Q2_K"), (8, "Q4_0")])
def test_of_a_chosen_size_the_best_quantisation_for_the_machine_is_taken(ram: float, quantisation: str) -> None:
    chosen = choose(recommended_for(machine(ram)), CHAT.model_copy(update={"size": "7b"}))
    assert (chosen.variant.quantisation, chosen.can_run) == (quantisation, True)


def test_of_a_chosen_model_the_size_that_is_recommended_is_taken() -> None:
    found = recommended_for(machine(16))
    assert choose(found, CHAT.model_copy(update={"model": "bbj-coder"})).release.size == "7b"


def test_a_chosen_quantisation_is_kept_though_another_would_be_better() -> None:
    chosen = choose(recommended_for(machine(4)), CHAT.model_copy(update={"size": "7b", "quantisation": "Q8_0"}))
    assert (chosen.variant.quantisation, chosen.can_run) == ("Q8_0", False)


def test_a_choice_that_cant_run_comes_with_one_that_does() -> None:
    chosen = choose(recommended_for(machine(8)), CHAT.model_copy(update={"size": "32b"}))
    assert not chosen.can_run
    assert "7B Q4_0 would fit." in [reason.text for reason in chosen.reasons]


def test_what_is_not_offered_is_told_with_what_is() -> None:
    with pytest.raises(NotFoundError, match="no such variant") as caught:
        choose(recommended_for(machine(16)), CHAT.model_copy(update={"size": "70b"}))
    assert "bbj-coder 7b Q4_K_M" in caught.value.hint


def test_a_choice_that_is_here_already_needs_no_disk() -> None:
    wishes = CHAT.model_copy(update={"size": "7b", "quantisation": "Q4_0"})
    profile, length = machine(16, disk_gb=0.1), offer("7b").release.variants[1].file.length_bytes
    assert not choose(recommended_for(profile), wishes).can_run
    assert choose(recommended_for(profile, Q4_0=length), wishes).can_run


def test_conversations_at_once_count_for_a_choice_too() -> None:
    wishes = CHAT.model_copy(update={"size": "7b", "quantisation": "Q4_0"})
    one, many = (
        choose(recommended_for(machine(16)), wishes.model_copy(update={"concurrency": count})) for count in (1, 4)
    )
    assert many.fit.ram.kv_bytes == 4 * one.fit.ram.kv_bytes


# What is here


def test_an_unfinished_download_counts_as_here(context: Context, publication: Publication) -> None:
    release = publication.publish("2026.2", hidden=256)
    file = release.variants[0].file
    store = Store(context.paths.store)
    part = store.blob_path(file.digest)
    part.parent.mkdir(parents=True, exist_ok=True)
    part.with_name(f"{part.name}.part").write_bytes(bytes(file.length_bytes // 2))
    found = recommending.recommend(context, CHAT, silent, Cancel())
    assert choose(found, CHAT).disk_bytes == file.length_bytes - file.length_bytes // 2


# Another machine's profile


def of_profile(context: Context, profile: HardwareProfile, wishes: Wishes = CHAT) -> tuple[Candidate, set[str]]:
    found = recommending.recommend(context, wishes, silent, Cancel(), profile=profile)
    return choose(found, wishes), {reason.code for reason in found.recommendation.remarks}


@pytest.mark.parametrize(
    ("profile", "runtime", "placement"),
    [
        (machine(16, RTX_4060), "ollama", Placement.GPU),
        (machine(16), "embedded", Placement.CPU),
        (mac(), "embedded", Placement.UNIFIED),
        (machine(16, nvidia("Tesla K40m", 12, capability="3.5")), "embedded", Placement.CPU),
    ],
)
def test_the_engines_of_another_machine_are_its_own(
    context: Context, profile: HardwareProfile, runtime: str, placement: Placement
) -> None:
    candidate, remarks = of_profile(context, profile)
    assert (candidate.runtime, candidate.fit.placement) == (runtime, placement)
    assert "engines_assumed" in remarks


def test_another_machine_is_judged_although_no_engine_is_here(
    context: Context, server: ReleaseServer, publication: Publication, tmp_path: Path
) -> None:
    nobody = customer(tmp_path / "staff", ollama_host="127.0.0.1:9")
    trust(nobody, server.address, publication)
    candidate, remarks = of_profile(nobody, machine(16, RTX_4060))
    assert candidate.can_run
    assert "engine_missing" not in remarks
    assert of_profile(context, machine(16, RTX_4060))[0].fit == candidate.fit


def test_another_machine_may_be_asked_about_without_ollama(context: Context) -> None:
    candidate, remarks = of_profile(context, machine(16, RTX_4060), CHAT.model_copy(update={"runtime": "embedded"}))
    assert candidate.fit.placement is Placement.CPU
    assert "gpu_not_chosen" in remarks


def test_nothing_of_this_machine_counts_for_another(context: Context) -> None:
    here = recommending.recommend(context, CHAT, silent, Cancel(), profile=machine(16)).here
    assert not here
