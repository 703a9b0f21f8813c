"""The whole way to a recommendation, in the order in which it is gone: engine, route, context, memory, speed.

``core.reasons`` says what decided; this says where each number comes from: whether it was measured here, recorded by
the publisher, computed, or set by somebody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.fit import Graph, kv_bytes
from bbj_desktop.core.judging import release_context
from bbj_desktop.core.measuring import Learned
from bbj_desktop.core.ownership import Ownership
from bbj_desktop.core.reasons import ENGINE_NAMES, range_text
from bbj_desktop.core.recommendation import Candidate, MemoryNeed
from bbj_desktop.core.units import format_memory

Step = Literal["engine", "route", "context", "memory", "speed"]


class Basis(StrEnum):
    """What a step rests on."""

    SET = "set"  # a flag or a setting
    FOUND = "found"  # seen on this machine now
    RELEASE = "release"  # signed with the release, or recorded by its publisher
    COMPUTED = "computed"  # by formulas
    ESTIMATED = "estimated"  # from data sheets and assumptions
    MEASURED = "measured"  # here, by earlier answers
    UNKNOWN = "unknown"


class Explained(BaseModel):
    """One step.

    Attributes:
        about: What was chosen or counted.
        text: A sentence or two for a person.
        basis: What it rests on.
    """

    model_config = ConfigDict(frozen=True)

    about: Step
    text: str
    basis: Basis


def explain(
    candidate: Candidate,
    runtimes: Sequence[RuntimeStatus],
    ownership: Ownership | None,
    learned: Learned,
    *,
    wanted_engine: str | None = None,
    wanted_context: int | None = None,
    concurrency: int = 1,
) -> tuple[Explained, ...]:
    """Explains a choice.

    Args:
        runtimes: What is known of each engine.
        ownership: How the model would get there; None where that can't be known.
        learned: What was measured on the machine.
        wanted_engine: By a flag or a setting.
        wanted_context: Tokens, likewise.
        concurrency: Conversations at once.
    """
    return (
        _engine(candidate, runtimes, wanted_engine),
        *_route(ownership),
        _context(candidate, wanted_context, concurrency),
        _memory(candidate, learned),
        *_speed(candidate, learned),
    )


def _engine(candidate: Candidate, runtimes: Sequence[RuntimeStatus], wanted: str | None) -> Explained:
    name = ENGINE_NAMES[candidate.runtime]
    known = {status.name: status for status in runtimes}
    chosen, ollama = known.get(candidate.runtime), known.get("ollama")
    version = f" {chosen.version}" if chosen is not None and chosen.version else ""
    title = f"{name[:1].upper()}{name[1:]}{version}"
    if wanted is not None:
        return Explained(about="engine", text=f"{title}, as asked for.", basis=Basis.SET)
    if candidate.runtime == "ollama":
        place = f" at {chosen.address}" if chosen is not None and chosen.address else ""
        text = f"{title}: it answers{place}; where Ollama does, it is taken, because it knows this machine's GPUs."
    elif ollama is not None and not ollama.available and ollama.reason:
        why = ollama.reason.partition(". ")[0].rstrip(".")
        text = f"{title}, because Ollama can't be used now: {why[:1].lower()}{why[1:]}."
    else:
        text = f"{title}: no Ollama is to be had."
    return Explained(about="engine", text=text, basis=Basis.FOUND)


def _route(ownership: Ownership | None) -> Iterator[Explained]:
    if ownership is None:
        text = "How it gets into its engine is decided on the machine itself."
        yield Explained(about="route", text=text, basis=Basis.UNKNOWN)
        return
    for sentence in ownership.routes or (ownership.reason,):
        yield Explained(about="route", text=f"{sentence[:1].upper()}{sentence[1:]}", basis=Basis.FOUND)


def _context(candidate: Candidate, wanted: int | None, concurrency: int) -> Explained:
    length, architecture = candidate.selection.context_length, candidate.variant.architecture
    released = release_context(candidate.release)
    graph = Graph.SERVER if candidate.runtime == "embedded" else Graph.LIBRARY
    cache = kv_bytes(architecture, length, graph) * concurrency
    times = f", for {concurrency} conversations at once" if concurrency > 1 else ""
    trained = f"the model was trained for {architecture.trained_context:,}"
    cost = f"They take {format_memory(cache)} of KV cache{times}; {trained}."
    if length < (wanted or released):
        why, basis = f"{length:,} tokens instead of {wanted or released:,}, because more wouldn't fit.", Basis.COMPUTED
    elif wanted is not None:
        why, basis = f"{length:,} tokens, as asked for (the release says {released:,}).", Basis.SET
    else:
        why, basis = f"{length:,} tokens, as the release says.", Basis.RELEASE
    return Explained(about="context", text=f"{why} {cost}", basis=basis)


def _memory(candidate: Candidate, learned: Learned) -> Explained:
    fit = candidate.fit
    parts = " and ".join(
        f"{format_memory(need.needed_bytes)} of {place} ({_parts(need)})"
        for place, need in (("graphics memory", fit.vram), ("memory", fit.ram))
        if need is not None
    )
    recorded = Basis.RELEASE if fit.measured else Basis.COMPUTED
    source = "recorded by its publisher" if fit.measured else "computed from its architecture"
    taken = learned.taken(candidate.runtime, candidate.variant)
    if taken is None:
        return Explained(about="memory", text=f"{parts}: {source}; not yet measured here.", basis=recorded)
    correction = learned.correction(candidate.runtime, candidate.variant)
    percent = round((taken.share - 1) * 100)
    compared = f"{percent} % more" if percent > 0 else f"{-percent} % less" if percent < 0 else "just as much"
    added = 0 if correction is None else round((correction.factor - 1) * 100)
    outcome = f"so {added} % are added" if added else "so nothing is added"
    text = f"{parts}: {source}. Measured here it took {compared} than that, n={taken.count}, {outcome}."
    return Explained(about="memory", text=text.replace("just as much than that", "just that"), basis=Basis.MEASURED)


def _parts(need: MemoryNeed) -> str:
    named = (
        ("weights", need.weights_bytes - need.reclaimable_bytes),
        ("KV cache", need.kv_bytes),
        ("compute buffers", need.compute_bytes),
        ("the engine itself", need.overhead_bytes),
    )
    return ", ".join(f"{name} {format_memory(count)}" for name, count in named if count)


def _speed(candidate: Candidate, learned: Learned) -> Iterator[Explained]:
    expected = candidate.expectation
    speed = learned.speed(candidate.runtime, candidate.variant, candidate.fit)
    rate = f"{range_text(*expected.tokens_per_s)} tokens a second"
    if speed is None or not expected.measured:
        unknown = "" if speed is not None else ", not yet measured here"
        yield Explained(about="speed", text=f"{rate}{unknown} ({expected.basis}).", basis=Basis.ESTIMATED)
        return
    answers = "one answer of" if speed.count == 1 else f"the middle half of {speed.count} answers up to"
    aside = f", {speed.set_aside} set aside" if speed.set_aside else ""
    yield Explained(about="speed", text=f"{rate}: {answers} {speed.last}{aside}.", basis=Basis.MEASURED)
    if speed.prefill_tokens_per_s is None:
        text = "How fast it reads a prompt no answer here has told yet."
        yield Explained(about="speed", text=text, basis=Basis.ESTIMATED)
        return
    text = f"It read prompts at {speed.prefill_tokens_per_s:.3g} tokens a second, n={speed.prefill_count}"
    if expected.prefill_measured:
        yield Explained(about="speed", text=f"{text}.", basis=Basis.MEASURED)
    else:
        text += ": so few and so slow that the machine may have been busy; the first word is estimated."
        yield Explained(about="speed", text=text, basis=Basis.ESTIMATED)
