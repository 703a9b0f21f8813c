"""The whole way to a recommendation, and what each step of it rests on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bbj_desktop.core.engines import EngineName, RuntimeStatus
from bbj_desktop.core.explaining import Basis, Explained, explain
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.measuring import Learned, Measurement
from bbj_desktop.core.ownership import decide_ownership
from bbj_desktop.core.recommend import recommend
from bbj_desktop.core.recommendation import Candidate, Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.core.routes import RouteFacts, choose_route
from tests.fakes.catalogue import offering, standard_tiers
from tests.fakes.machines import EMBEDDED, NO_OLLAMA, OLLAMA, machine, nvidia


def _chosen(learned: Learned, profile: HardwareProfile, *runtimes: RuntimeStatus, **wishes: Any) -> Candidate:
    asked = Wishes(roles=(Role.CHAT,), size="7b", quantisation="Q4_K_M", **wishes)
    found = recommend(profile, offering(), runtimes, asked, tiers=standard_tiers(), learned=learned)
    role = found.for_role(Role.CHAT)
    assert role is not None
    assert role.choice is not None
    return role.choice


def _steps(found: tuple[Explained, ...], about: str) -> list[Explained]:
    return [each for each in found if each.about == about]


def _explained(
    *runtimes: RuntimeStatus, learned: Learned | None = None, engine: EngineName | None = None, **more: Any
) -> tuple[Explained, ...]:
    known = learned or Learned()
    candidate = _chosen(known, machine(32), *runtimes, runtime=engine, context_length=more.get("wanted_context"))
    status = next(each for each in runtimes if each.name == candidate.runtime)
    return explain(candidate, runtimes, decide_ownership(status), known, wanted_engine=engine, **more)


def _learned(count: int, **changes: Any) -> Learned:
    digest = _chosen(Learned(), machine(32), EMBEDDED).variant.own_file.digest
    fields: dict[str, Any] = {
        "at": datetime(2026, 11, 22, tzinfo=UTC),
        "machine": "here",
        "key": "bbj-coder:2026.1-7b-q4_k_m",
        "digest": digest,
        "engine": "embedded",
        "context_length": 4096,
        "ttft_s": 0.5,
        "prefill_tokens": 100,
        "prefill_tokens_per_s": 80.0,
        "answer_tokens": 100,
        "decode_tokens_per_s": 9.0,
        "stop_reason": "stop",
    }
    return Learned((Measurement(**{**fields, **changes}),) * count, {"embedded": "here"})


def test_it_goes_from_the_engine_to_the_speed() -> None:
    steps = [each.about for each in _explained(EMBEDDED)]
    assert list(dict.fromkeys(steps)) == ["engine", "route", "context", "memory", "speed"]


@pytest.mark.parametrize(
    ("runtimes", "engine", "text", "basis"),
    [
        ((OLLAMA, EMBEDDED), None, "Ollama 0.12.3: it answers at http://127.0.0.1:11434", Basis.FOUND),
        ((NO_OLLAMA, EMBEDDED), None, "because Ollama can't be used now: nothing answers at", Basis.FOUND),
        ((EMBEDDED,), None, "no Ollama is to be had", Basis.FOUND),
        ((OLLAMA, EMBEDDED), "embedded", "The built-in engine 2026.10, as asked for.", Basis.SET),
    ],
    ids=["answers", "stopped", "none", "asked for"],
)
def test_why_this_engine(
    runtimes: tuple[RuntimeStatus, ...], engine: EngineName | None, text: str, basis: Basis
) -> None:
    (step,) = _steps(_explained(*runtimes, engine=engine), "engine")
    assert text in step.text
    assert step.basis is basis


def test_the_route_into_ollama_with_those_that_arent_taken() -> None:
    decision = choose_route(RouteFacts(version="0.33.0", local=True, platform="linux"))
    candidate = _chosen(Learned(), machine(32), OLLAMA)
    found = explain(candidate, (OLLAMA,), decide_ownership(OLLAMA, decision), Learned())
    said = [each.text for each in _steps(found, "route")]
    assert said[0].startswith(f"{str(decision.best).capitalize()}: ")
    assert any(text.startswith("Not link: ") for text in said)


def test_of_another_machine_the_route_isnt_claimed() -> None:
    (step,) = _steps(explain(_chosen(Learned(), machine(32), OLLAMA), (OLLAMA,), None, Learned()), "route")
    assert step.basis is Basis.UNKNOWN


def test_a_context_by_the_release_by_wish_and_for_want_of_memory() -> None:
    (released,) = _steps(_explained(EMBEDDED), "context")
    (wished,) = _steps(_explained(EMBEDDED, wanted_context=2048), "context")
    small = _chosen(Learned(), machine(8), EMBEDDED, context_length=65_536)
    (short,) = _steps(explain(small, (EMBEDDED,), None, Learned(), wanted_context=65_536), "context")
    assert (released.basis, wished.basis, short.basis) == (Basis.RELEASE, Basis.SET, Basis.COMPUTED)
    assert "2,048 tokens, as asked for" in wished.text
    assert "instead of 65,536" in short.text
    assert "112 MB of KV cache" in wished.text


def test_memory_that_was_measured_says_how_it_compared() -> None:
    def said(used: int) -> Explained:
        (step,) = _steps(_explained(EMBEDDED, learned=_learned(1, predicted_bytes=1000, used_bytes=used)), "memory")
        return step

    assert "took 3 % less than that, n=1, so nothing is added" in said(970).text
    assert "took 20 % more than that, n=1, so 20 % are added" in said(1200).text
    assert said(1000).text.endswith("it took just that, n=1, so nothing is added.")
    assert said(970).basis is Basis.MEASURED
    (unmeasured,) = _steps(_explained(EMBEDDED), "memory")
    assert "not yet measured here" in unmeasured.text
    assert unmeasured.basis in (Basis.COMPUTED, Basis.RELEASE)


def test_a_measured_speed_and_an_estimated_one_are_told_apart() -> None:
    (estimated,) = _steps(_explained(EMBEDDED), "speed")
    assert estimated.basis is Basis.ESTIMATED
    assert "not yet measured here" in estimated.text
    decode, prefill = _steps(_explained(EMBEDDED, learned=_learned(4)), "speed")
    assert decode.text == "9 tokens a second: the middle half of 4 answers up to 2026-11-22."
    assert prefill.text == "It read prompts at 80 tokens a second, n=4."
    assert decode.basis is prefill.basis is Basis.MEASURED


def test_two_very_slow_answers_arent_believed_yet_and_three_are() -> None:
    (doubted,) = _steps(_explained(EMBEDDED, learned=_learned(2, decode_tokens_per_s=0.5)), "speed")
    assert doubted.basis is Basis.ESTIMATED
    assert "measured here: 0.5 tokens/s on 2026-11-22, n=2: so few and so slow" in doubted.text
    believed = _steps(_explained(EMBEDDED, learned=_learned(3, decode_tokens_per_s=0.5)), "speed")
    assert believed[0].basis is Basis.MEASURED


def test_one_slow_reading_of_a_prompt_isnt_believed_yet() -> None:
    learned = Learned(
        (
            *_learned(1, prefill_tokens_per_s=0.1).measurements,
            *_learned(3, prefill_tokens=None).measurements,
        ),
        {"embedded": "here"},
    )
    decode, prefill = _steps(_explained(EMBEDDED, learned=learned), "speed")
    assert (decode.basis, prefill.basis) == (Basis.MEASURED, Basis.ESTIMATED)
    assert "0.1 tokens a second, n=1: so few and so slow" in prefill.text
    slow = _learned(3, prefill_tokens_per_s=0.1)
    assert _steps(_explained(EMBEDDED, learned=slow), "speed")[1].basis is Basis.MEASURED


def test_answers_that_were_set_aside_are_evidence_too() -> None:
    busy = _learned(2, decode_tokens_per_s=0.1).measurements
    learned = Learned((*_learned(2, decode_tokens_per_s=0.5, load_s=3.0).measurements, *busy), {"embedded": "here"})
    speed = _steps(_explained(EMBEDDED, learned=learned), "speed")[0]
    assert speed.text == "0.1 tokens a second: the middle half of 2 answers up to 2026-11-22, 2 set aside."


def test_graphics_memory_and_main_memory_are_told_apart() -> None:
    card = machine(32, nvidia("NVIDIA GeForce RTX 4060", 8))
    (step,) = _steps(explain(_chosen(Learned(), card, OLLAMA), (OLLAMA,), None, Learned()), "memory")
    assert "of graphics memory (weights " in step.text
    assert " of memory (" in step.text
