"""Judges one variant for one machine: where it lies, how fast it is, what speaks for and against it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bbj_desktop.core import reasons as say
from bbj_desktop.core.engines import EngineName, RuntimeStatus
from bbj_desktop.core.fit import Budget, Graph, estimate, shorter_contexts
from bbj_desktop.core.hardware import HardwareProfile, VolumePurpose
from bbj_desktop.core.measuring import Learned
from bbj_desktop.core.recommendation import Candidate, Fit, Placement, Reason, ReasonKind
from bbj_desktop.core.release import Offer, Release, TierTable, Variant, parameters_of
from bbj_desktop.core.speed import COMPLETION_PROMPT_TOKENS, HardwareTables, Speed, measured_speed, speed_of
from bbj_desktop.core.versions import Selection, version_key_of

WELL_FILLED = 0.8
"""A model larger than the smallest tier's is preferred only where it leaves a fifth of the memory free: for the
completion model, for longer contexts and for other programs."""

REGULAR_SIZE = 7e9
"""The smallest size that tiers name, for a table without tiers."""

COARSE = ("Q2_K", "Q2_K_S", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "TQ1_0", "TQ2_0")
LARGE = ("Q8_0", "F16", "BF16", "F32")
"""On request only: twice the size and half the speed of 4-bit weights for a difference that few notice."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with what the comparison with others needs.

    Attributes:
        room_bytes: Memory that models may take where it lies.
        need_bytes: What it takes there.
        place: Which memory that is: ``vram``, ``ram`` or ``unified``.
    """

    candidate: Candidate
    speed: Speed
    room_bytes: int
    need_bytes: int
    place: Literal["vram", "ram", "unified"]

    @property
    def parameters(self) -> float:
        return parameters_of(self.candidate.release.size)

    @property
    def name(self) -> str:
        return say.name_of(self.candidate.release, self.candidate.variant)

    @property
    def fim_ttft_s(self) -> float:
        """Typical time to the first token of a completion, in seconds."""
        return sum(self.speed.ttft_s(COMPLETION_PROMPT_TOKENS)) / 2

    @property
    def fills_well(self) -> bool:
        return self.candidate.fit.placement is not Placement.SPLIT and self.need_bytes <= WELL_FILLED * self.room_bytes


@dataclass(frozen=True, slots=True)
class Judge:
    """One machine with one engine.

    Attributes:
        runtime: The engine; None when there is none at all.
        wanted: The engine asked for by name; None when any will do.
        concurrency: Conversations at once.
        here: Bytes of model files that are in the store already, whole or in part, by digest.
        learned: What was measured on this machine.
        away: Digests of model files that can't be had now: not here, and nothing that can be reached holds them.
    """

    profile: HardwareProfile
    runtime: RuntimeStatus | None
    tiers: TierTable
    tables: HardwareTables
    wanted: Literal["ollama", "embedded"] | None = None
    concurrency: int = 1
    here: Mapping[str, int] = field(default_factory=dict)
    learned: Learned = field(default_factory=Learned)
    away: frozenset[str] = frozenset()

    @property
    def engine(self) -> Literal["ollama", "embedded"]:
        if self.runtime is not None:
            return self.runtime.name
        return self.wanted or "embedded"

    @property
    def accelerators(self) -> frozenset[str] | None:
        return self.runtime.accelerators if self.runtime is not None else frozenset()

    @property
    def graph(self) -> Graph:
        return Graph.SERVER if self.engine == "embedded" else Graph.LIBRARY

    def budget(self) -> Budget:
        """What models may take; of graphics memory not more than the engine was seen to get."""
        budget, seen = Budget.of(self.profile, self.accelerators), self.learned.graphics_room(self.engine)
        return budget if seen is None else budget.with_graphics(seen.most_bytes)

    def judge(
        self,
        offer: Offer,
        variant: Variant,
        *,
        context_length: int,
        may_shorten: bool = True,
        budget: Budget | None = None,
        disk_taken_bytes: int = 0,
        beside: Fit | None = None,
    ) -> Judged:
        """Judges a variant.

        Args:
            context_length: Tokens wanted.
            may_shorten: Take a shorter context where this one doesn't fit.
            budget: Memory left by other models; None for the whole machine.
            disk_taken_bytes: Disk that other downloads of the same recommendation take.
            beside: How the chat model lies that is to run at the same time.
        """
        room = budget or self.budget()
        fit, shorter = self._fit(variant, context_length, may_shorten=may_shorten, room=room)
        estimated = speed_of(variant, fit, self.profile, self.tables)
        speed = measured_speed(estimated, self.learned.speed(self.engine, variant, fit))
        blockers = (*self._engine_blockers(), *self._disk_blockers(variant, disk_taken_bytes))
        if any(part.file.digest in self.away for part in variant.parts):
            key = version_key_of(offer.release, variant.quantisation)
            blockers = (*blockers, say.not_brought(say.name_of(offer.release, variant), key))
        if not fit.fits:
            blockers = (*blockers, say.does_not_fit(say.name_of(offer.release, variant), fit))
        candidate = Candidate(
            selection=Selection(offer=offer, variant=variant, context_length=fit.context_length),
            runtime=self.engine,
            fit=fit,
            expectation=speed.expectation(),
            can_run=not blockers,
            disk_bytes=self.disk_bytes(variant),
        )
        remarks = tuple(self._remarks(candidate, speed, context_length, shorter, beside))
        candidate = candidate.model_copy(update={"reasons": (*blockers, *remarks)})
        return self._placed(candidate, speed, room)

    def _fit(self, variant: Variant, wanted: int, *, may_shorten: bool, room: Budget) -> tuple[Fit, int | None]:
        """The fit at the longest context that fits; where the wanted one must stay, the length that would fit too.

        A model that would lie on both GPU and processor gets a shorter context only where that was measured here: it
        would lie on the GPU whole then."""
        correction = self.learned.correction(self.engine, variant)
        fits = (
            estimate(
                variant,
                self.profile,
                context_length=length,
                accelerators=self.accelerators,
                concurrency=self.concurrency,
                graph=self.graph,
                budget=room,
                correction=1.0 if correction is None else correction.factor,
            )
            for length in shorter_contexts(wanted)
        )
        first = next(fits)
        if first.fits:
            whole = self._whole(fits) if first.placement is Placement.SPLIT else None
            seen = correction is not None or self.learned.graphics_room(self.engine) is not None
            if whole is not None and may_shorten and seen:
                return whole, None
            return first, None if whole is None else whole.context_length
        fitting = next((fit for fit in fits if fit.fits), None)
        if may_shorten and fitting is not None:
            return fitting, None
        return first, fitting.context_length if fitting is not None else None

    @staticmethod
    def _whole(fits: Iterable[Fit]) -> Fit | None:
        return next((fit for fit in fits if fit.fits and fit.placement in (Placement.GPU, Placement.UNIFIED)), None)

    def _engine_blockers(self) -> Iterator[Reason]:
        if self.runtime is None or not self.runtime.available:
            yield say.engine_missing(self.wanted, self.runtime)
        if self.engine == "embedded" and _lacks_avx2(self.profile):
            yield say.no_avx2()

    def disk_bytes(self, variant: Variant) -> int:
        """What a variant takes of the disk beside what is here already."""
        files = (part.file for part in variant.parts)
        return sum(max(0, file.length_bytes - self.here.get(file.digest, 0)) for file in files)

    def _disk_blockers(self, variant: Variant, taken: int) -> Iterator[Reason]:
        """The store keeps the file, and Ollama copies of its own, which may be on the same volume."""
        need = self.disk_bytes(variant)
        copies = variant.length_bytes * self.runtime.copies if need and self.runtime is not None else 0
        store = self.profile.volume_for(VolumePurpose.STORE)
        ollama = self.profile.volume_for(VolumePurpose.OLLAMA) if self._copies_to_ollama() else None
        needs: dict[str, int] = {}
        for volume, bytes_there in ((store, need), (ollama, copies)):
            if volume is not None:
                needs[volume.device] = needs.get(volume.device, 0) + bytes_there + taken
        for volume in {each.device: each for each in (ollama, store) if each is not None}.values():
            free = volume.free_bytes
            if need and free is not None and free < needs[volume.device]:
                yield say.disk_short(str(volume.path), needs[volume.device], free)

    def _copies_to_ollama(self) -> bool:
        return self.runtime is not None and self.runtime.name == "ollama" and self.runtime.local

    def _remarks(
        self, candidate: Candidate, speed: Speed, wanted: int, shorter: int | None, beside: Fit | None
    ) -> Iterator[Reason]:
        fit, architecture = candidate.fit, candidate.variant.architecture
        if fit.fits:
            yield from say.close_programs(self.profile, fit, beside)
            yield say.expect(candidate.expectation)
            yield say.runs_on(candidate.runtime, fit, self.profile)
        yield from self._corrected(candidate.runtime, candidate.variant)
        if shorter is not None:
            yield say.shorter_context_fits(shorter, on_gpu=fit.placement is Placement.SPLIT)
        if fit.context_length < wanted:
            yield say.context_shortened(wanted, fit.context_length, on_gpu=fit.placement is Placement.GPU)
        if fit.context_length > architecture.trained_context:
            yield say.context_untrained(fit.context_length, architecture.trained_context)
        if fit.placement is Placement.SPLIT:
            yield say.split_is_slow(fit, architecture.layers)
        if candidate.variant.weights_quantisation in COARSE:
            yield say.coarse(candidate.variant.weights_quantisation)
        if fit.fits and speed.typical_tokens_per_s < self.tiers.min_chat_tokens_per_s:
            yield say.slow(candidate.expectation, self.tiers.min_chat_tokens_per_s)
        if candidate.runtime == "embedded" and _avx2_unknown(self.profile):
            yield say.avx2_unknown()

    def _corrected(self, engine: EngineName, variant: Variant) -> Iterator[Reason]:
        correction, seen = self.learned.correction(engine, variant), self.learned.graphics_room(engine)
        if correction is not None:
            yield say.memory_corrected(engine, correction)
        if seen is not None:
            yield say.graphics_limited(engine, seen)

    def _placed(self, candidate: Candidate, speed: Speed, room: Budget) -> Judged:
        fit = candidate.fit
        if fit.placement is Placement.UNIFIED:
            limit = min(max(room.vram_bytes), room.ram_bytes)
            return Judged(candidate, speed, limit, fit.ram.needed_bytes, "unified")
        if fit.vram is not None and fit.gpu_index is not None:
            vendor = self.profile.gpus[fit.gpu_index].vendor
            pairs = zip(self.profile.gpus, room.vram_bytes, strict=True)
            graphics = sum(free for gpu, free in pairs if gpu.vendor == vendor)
            return Judged(candidate, speed, graphics, fit.vram.needed_bytes, "vram")
        return Judged(candidate, speed, room.ram_bytes, fit.ram.needed_bytes, "ram")


def pick_runtime(
    runtimes: Sequence[RuntimeStatus], wanted: Literal["ollama", "embedded"] | None
) -> RuntimeStatus | None:
    """The engine asked for, else Ollama where it answers, else the embedded one; the first in this order that isn't
    available when none is."""
    known = {status.name: status for status in runtimes}
    if wanted is not None:
        return known.get(wanted)
    ordered = [known[name] for name in ("ollama", "embedded") if name in known]
    available = [status for status in ordered if status.available]
    if available:
        return available[0]
    return known.get("embedded") or (ordered[0] if ordered else None)


def release_context(release: Release) -> int:
    return release.prompt.parameters.context_length


def with_kinds_in_order(given: Sequence[Reason]) -> tuple[Reason, ...]:
    """What speaks against it first, then why, what more needs, what to close, what to expect, the engine; each once."""
    order = [
        ReasonKind.WARNING,
        ReasonKind.DECIDED,
        ReasonKind.MORE,
        ReasonKind.CLOSE,
        ReasonKind.EXPECT,
        ReasonKind.ENGINE,
    ]
    unique = list({reason.text: reason for reason in given}.values())
    return tuple(sorted(unique, key=lambda reason: order.index(reason.kind)))


def _lacks_avx2(profile: HardwareProfile) -> bool:
    return profile.os.architecture == "x86_64" and profile.cpu.has("avx2") is False


def _avx2_unknown(profile: HardwareProfile) -> bool:
    return profile.os.architecture == "x86_64" and profile.cpu.has("avx2") is None
