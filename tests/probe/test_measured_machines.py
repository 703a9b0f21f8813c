"""What the first load on a recorded machine showed decides what it is recommended the next time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bbj_desktop.core.fit import GPU_CONTEXT_BYTES, usable
from bbj_desktop.core.hardware import GpuKind, HardwareProfile, VolumePurpose
from bbj_desktop.core.measuring import Learned, Measurement
from bbj_desktop.core.recommend import recommend
from bbj_desktop.core.recommendation import Candidate, Placement, Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.services.probe.interpreting.profile import interpret
from bbj_desktop.services.probe.raw import load_recording
from tests.fakes.catalogue import offering, standard_tiers
from tests.fakes.machines import OLLAMA

WISHES = Wishes(roles=(Role.CHAT,), size="7b", quantisation="Q4_K_M", context_length=16_384)


def _profile(path: Path) -> HardwareProfile:
    """Of a recording, on a disk with room for everything."""
    raw = load_recording(path.read_text(encoding="utf-8"))
    paths = [Path(each) for each, answer in raw.answer("volumes").items() if isinstance(answer, dict)]
    profile = interpret(raw, dict(zip(VolumePurpose, paths, strict=False)))
    roomy = tuple(volume.model_copy(update={"free_bytes": 10**12}) for volume in profile.volumes)
    return profile.model_copy(update={"volumes": roomy})


def _choice(profile: HardwareProfile, learned: Learned) -> Candidate | None:
    found = recommend(profile, offering(), (OLLAMA,), WISHES, tiers=standard_tiers(), learned=learned)
    role = found.for_role(Role.CHAT)
    return None if role is None else role.choice


def _all() -> dict[str, HardwareProfile]:
    found = {path.stem: _profile(path) for path in sorted((Path(__file__).parent / "recordings").glob("*.txt"))}
    return {name: profile for name, profile in found.items() if _discrete(profile)}


def _discrete(profile: HardwareProfile) -> bool:
    return any(gpu.kind is GpuKind.DISCRETE and usable(gpu, OLLAMA.accelerators) for gpu in profile.gpus)


WHOLE = {
    name: (profile, choice)
    for name, profile in _all().items()
    if (choice := _choice(profile, Learned())) is not None and choice.fit.placement is Placement.GPU
}
"""Machines on whose GPUs the model is expected to lie as a whole."""


def _loaded(choice: Candidate, *, more: float, share: float) -> Learned:
    """After a first load, as ``/api/ps`` told it.

    Args:
        more: What it took, as a share of what was predicted.
        share: Of it in graphics memory.
    """
    assert choice.fit.vram is not None
    predicted = choice.fit.vram.needed_bytes - GPU_CONTEXT_BYTES
    load = Measurement(
        at=datetime(2026, 11, 22, tzinfo=UTC),
        machine="here",
        key="bbj-coder:2026.1-7b-q4_k_m",
        digest=choice.variant.own_file.digest,
        engine="ollama",
        context_length=choice.fit.context_length,
        ttft_s=9.0,
        answer_tokens=1,
        stop_reason="stop",
        predicted_bytes=predicted,
        used_bytes=int(predicted * more),
        vram_bytes=int(predicted * more * share),
        gpu_share=share,
    )
    return Learned((load,), {"ollama": "here"})


def test_there_are_machines_with_nvidia_and_with_amd() -> None:
    vendors = {profile.gpus[choice.fit.gpu_index or 0].vendor for profile, choice in WHOLE.values()}
    assert vendors >= {"nvidia", "amd"}
    assert len(WHOLE) >= 8


@pytest.mark.parametrize("name", WHOLE)
def test_a_load_as_predicted_changes_nothing(name: str) -> None:
    profile, before = WHOLE[name]
    after = _choice(profile, _loaded(before, more=1.0, share=1.0))
    assert after is not None
    assert after.fit == before.fit


@pytest.mark.parametrize("name", WHOLE)
def test_a_load_of_which_a_tenth_found_no_room_is_set_up_smaller_the_next_time(name: str) -> None:
    profile, before = WHOLE[name]
    after = _choice(profile, _loaded(before, more=1.0, share=0.9))
    assert before.fit.vram is not None
    assert after is not None
    assert after.fit.vram is not None
    assert after.fit.vram.needed_bytes < before.fit.vram.needed_bytes
    assert after.fit.placement is Placement.GPU
    assert after.fit.context_length < before.fit.context_length
    assert {"graphics_limited", "context_shortened"} <= {reason.code for reason in after.reasons}


@pytest.mark.parametrize("name", WHOLE)
def test_a_load_of_which_half_found_no_room_is_known_to_be_split(name: str) -> None:
    profile, before = WHOLE[name]
    after = _choice(profile, _loaded(before, more=1.0, share=0.5))
    assert after is not None
    assert after.fit.placement is Placement.SPLIT
    assert "split" in {reason.code for reason in after.reasons}


@pytest.mark.parametrize("name", WHOLE)
def test_a_load_that_took_a_fifth_more_is_counted_with_that(name: str) -> None:
    profile, before = WHOLE[name]
    after = _choice(profile, _loaded(before, more=1.2, share=1.0))
    assert after is not None
    assert before.fit.vram is not None
    assert "memory_corrected" in {reason.code for reason in after.reasons}
    if after.fit.placement is Placement.GPU and after.fit.context_length == before.fit.context_length:
        assert after.fit.vram is not None
        assert after.fit.vram.needed_bytes > 1.1 * before.fit.vram.needed_bytes
