"""Decides what a machine should get. Pure: the same profile, offering, runtimes and wishes give the same answer.

The rules, in their order:

1. The engine: the one asked for, else Ollama where it answers, else the embedded one. It decides which GPUs count.
2. Chat: the largest model that runs fast enough. One larger than the smallest tier's must also leave a fifth of the
   memory free. Of a model's quantisations the tier's comes first, else Q4_K_M; Q8_0 and above on request only. Where
   the same is offered whole and as an adapter over a base, what takes fewer bytes to fetch comes first.
3. Where nothing is fast enough, the fastest; where nothing else fits, a coarse quantisation (Q2_K). The context is
   shortened to 2048 tokens at least before a variant is given up.
4. Completion: what fits beside the chat model, and only where it is fast enough to be of use while typing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from bbj_desktop.core import reasons as say
from bbj_desktop.core.engines import OLLAMA_ACCELERATORS, RuntimeStatus
from bbj_desktop.core.fit import (
    GIB,
    GPU_CONTEXT_BYTES,
    Budget,
    compute_bytes,
    kv_bytes,
    loaded,
    too_old,
    usable,
)
from bbj_desktop.core.hardware import Gpu, GpuKind, HardwareProfile
from bbj_desktop.core.judging import (
    COARSE,
    LARGE,
    REGULAR_SIZE,
    WELL_FILLED,
    Judge,
    Judged,
    pick_runtime,
    release_context,
    with_kinds_in_order,
)
from bbj_desktop.core.measuring import Learned
from bbj_desktop.core.recommendation import Candidate, Fit, Placement, Reason, Recommendation, RoleChoice, Wishes
from bbj_desktop.core.release import Offer, Offering, Role, Tier, TierTable, Variant, parameters_of, version_key
from bbj_desktop.core.speed import HardwareTables, load_tables
from bbj_desktop.core.tiers import tier_of
from bbj_desktop.core.versions import version_key_of

__all__ = ["HardwareTables", "judge", "load_tables", "recommend"]

WITHOUT_TIERS = TierTable(tiers=(), min_chat_tokens_per_s=5.0, min_fim_tokens_per_s=20.0, max_fim_ttft_s=2.0)
"""Limits where neither the catalogue nor the caller has a tier table."""

_NOTHING_LEARNED = Learned()

PREFERRED = ("Q4_K_M", "Q4_0")
"""Quantisations by preference, behind the tier's own; all others that are neither coarse nor large follow by size."""


def recommend(
    profile: HardwareProfile,
    offering: Offering,
    runtimes: Sequence[RuntimeStatus],
    wishes: Wishes,
    *,
    tables: HardwareTables | None = None,
    tiers: TierTable | None = None,
    here: Mapping[str, int] = MappingProxyType({}),
    learned: Learned = _NOTHING_LEARNED,
    away: frozenset[str] = frozenset(),
) -> Recommendation:
    """Recommends a set of variants, at most one for each role; together they fit.

    Args:
        offering: What the channel offers; its catalogue's tier table replaces ``tiers``.
        runtimes: What is known about each engine.
        tables: Speeds of known hardware; without them careful assumptions.
        tiers: The tier table that comes with the program.
        here: Bytes of model files that are in the store already, whole or in part, by digest: they take no disk.
        learned: What was measured on this machine; it stands in place of what would be estimated.
        away: Digests of model files that can't be had now: without a network, those that nobody brought.
    """
    table = offering.catalogue.tiers or tiers or WITHOUT_TIERS
    judging = Judge(
        profile=profile,
        runtime=pick_runtime(runtimes, wishes.runtime),
        tiers=table,
        tables=tables or HardwareTables(),
        wanted=wishes.runtime,
        concurrency=wishes.concurrency,
        here=here,
        learned=learned,
        away=away,
    )
    tier = tier_of(profile, table)
    chooser = _Chooser(judging, offering, wishes, tier)
    remarks = (*_remarks(judging, runtimes, tier), *map(say.release_skipped, offering.skipped))
    return Recommendation(tier=tier, choices=chooser.choices(), remarks=remarks)


def judge(
    profile: HardwareProfile,
    offer: Offer,
    variant: Variant,
    runtimes: Sequence[RuntimeStatus],
    *,
    context_length: int | None,
    runtime: Literal["ollama", "embedded"] | None,
    tiers: TierTable,
    tables: HardwareTables | None = None,
    concurrency: int = 1,
    here: Mapping[str, int] = MappingProxyType({}),
    learned: Learned = _NOTHING_LEARNED,
    away: frozenset[str] = frozenset(),
) -> Candidate:
    """Judges a choice of the user's own: nothing is replaced or shortened, what speaks against it is said.

    Args:
        context_length: Tokens; None takes the release's.
        runtime: The engine; None takes the one that would be recommended.
        here: As in ``recommend``.
        learned: Likewise.
        away: Likewise.
    """
    judging = Judge(
        profile=profile,
        runtime=pick_runtime(runtimes, runtime),
        tiers=tiers,
        tables=tables or HardwareTables(),
        wanted=runtime,
        concurrency=concurrency,
        here=here,
        learned=learned,
        away=away,
    )
    wanted = context_length or release_context(offer.release)
    judged = judging.judge(offer, variant, context_length=wanted, may_shorten=False)
    candidate, more = judged.candidate, list[Reason]()
    if not candidate.fit.fits or any(reason.code == "disk_short" for reason in candidate.reasons):
        more += _smaller_variants(judging, offer, variant, wanted)
    if offer.release.role is Role.FIM and candidate.fit.fits and not _fast_enough_for_fim(judged, tiers):
        more.append(say.slow_completion(judged.speed.typical_tokens_per_s, judged.fim_ttft_s, tiers))
    more += [*_way(judging, candidate, asked=True), *_unused_gpus(judging, runtimes)]
    return candidate.model_copy(update={"reasons": with_kinds_in_order((*candidate.reasons, *more))})


def _smaller_variants(judging: Judge, offer: Offer, variant: Variant, context_length: int) -> list[Reason]:
    """The largest other quantisation of the same release for which memory and disk would do."""
    smaller = [each for each in offer.release.variants if each.file.length_bytes < variant.file.length_bytes]
    for each in sorted(smaller, key=lambda each: -each.length_bytes):
        judged = judging.judge(offer, each, context_length=context_length, may_shorten=False).candidate
        if judged.fit.fits and all(reason.code not in ("disk_short", "not_brought") for reason in judged.reasons):
            return [say.fits_smaller(say.name_of(offer.release, each))]
    return []


@dataclass(frozen=True, slots=True)
class _Chooser:
    """Chooses for each role from what the wishes leave."""

    judging: Judge
    offering: Offering
    wishes: Wishes
    tier: Tier | None

    def choices(self) -> tuple[RoleChoice, ...]:
        chosen: list[RoleChoice] = []
        budget = self.judging.budget()
        chat: Judged | None = None
        if Role.CHAT in self.wishes.roles:
            judged = self._judge_all(Role.CHAT, budget, 0)
            chat = self._best_chat(judged)
            chosen.append(self._chat_choice(judged, chat))
        if Role.FIM in self.wishes.roles:
            chosen.append(self._fim_choice(chat))
        return tuple(chosen)

    # Candidates

    def _judge_all(self, role: Role, budget: Budget, disk_taken: int, beside: Fit | None = None) -> list[Judged]:
        """Every variant that the wishes allow, best first."""
        judged = [
            self.judging.judge(
                offer,
                variant,
                context_length=self.wishes.context_length or release_context(offer.release),
                budget=budget,
                disk_taken_bytes=disk_taken,
                beside=beside,
            )
            for offer in self.offering.offers
            for variant in offer.release.variants
            if offer.release.role is role and self._wanted(offer, variant)
        ]
        return sorted(judged, key=self._rank)

    def _wanted(self, offer: Offer, variant: Variant) -> bool:
        wishes, release = self.wishes, offer.release
        return (
            wishes.model in (None, release.model)
            and wishes.size in (None, release.size)
            and wishes.version in (None, release.version)
            and wishes.quantisation in (None, variant.quantisation)
        )

    def _rank(self, judged: Judged) -> tuple[object, ...]:
        """Sort key, best first: runs, regular, good, then large; the newest version of what is equal."""
        return (
            not judged.candidate.can_run,
            not self._regular(judged),
            not self._good(judged),
            -judged.parameters,
            self._quantisation_rank(judged),
            judged.candidate.release.model,
            _newest_first(judged.candidate.release.version),
        )

    def _quantisation_rank(self, judged: Judged) -> tuple[int, bool, int]:
        """The tier's quantisation for its own size, the preferred ones, then from small to large; of a whole model and
        an adapter for the same what is fetched with fewer bytes."""
        quantisation = judged.candidate.variant.weights_quantisation
        order = list(PREFERRED)
        if self.tier is not None and self.tier.size == judged.candidate.release.size:
            order.insert(0, self.tier.quantisation)
        position = order.index(quantisation) if quantisation in order else len(order)
        other = _other_way(judged.candidate)
        dearer = other is not None and not _is_cheaper(self.judging, judged.candidate.variant, other)
        return position, dearer, judged.candidate.variant.length_bytes

    def _regular(self, judged: Judged) -> bool:
        """Neither coarse nor needlessly large, unless asked for or the release has nothing else."""
        if self.wishes.quantisation is not None:
            return True
        special = (*COARSE, *LARGE)
        names = [variant.weights_quantisation for variant in judged.candidate.release.variants]
        return judged.candidate.variant.weights_quantisation not in special or all(name in special for name in names)

    # Chat

    def _good(self, judged: Judged) -> bool:
        """Fast enough, and not larger than what the machine has comfortable room for."""
        if (
            not judged.candidate.fit.fits
            or judged.speed.typical_tokens_per_s < self.judging.tiers.min_chat_tokens_per_s
        ):
            return False
        return judged.parameters <= self._regular_size() or judged.fills_well or self.wishes.size is not None

    def _regular_size(self) -> float:
        return min((parameters_of(tier.size) for tier in self.judging.tiers.tiers), default=REGULAR_SIZE)

    def _best_chat(self, judged: Sequence[Judged]) -> Judged | None:
        """``judged`` is sorted: its first is the best, unless nothing regular is good; then the fastest."""
        running = [each for each in judged if each.candidate.can_run]
        regular = [each for each in running if self._regular(each)]
        if not running or not regular or self._good(regular[0]):
            return running[0] if running else None
        return max(regular, key=lambda each: (each.speed.typical_tokens_per_s, -judged.index(each)))

    def _chat_choice(self, judged: list[Judged], chat: Judged | None) -> RoleChoice:
        others = tuple(each.candidate for each in judged if each is not chat)
        awaited = self._awaited(Role.CHAT, chat, None)
        if chat is None:
            given = (*awaited, *self._why_nothing(Role.CHAT, judged))
            return RoleChoice(role=Role.CHAT, choice=None, reasons=given, others=others)
        why = (*(awaited or self._why(chat, judged)), *_way(self.judging, chat.candidate))
        given = with_kinds_in_order((*why, *chat.candidate.reasons))
        choice = chat.candidate.model_copy(update={"reasons": given})
        return RoleChoice(role=Role.CHAT, choice=choice, reasons=given, others=others)

    def _why(self, chosen: Judged, judged: Sequence[Judged]) -> list[Reason]:
        """What kept the next larger model away."""
        least = chosen.parameters if self._regular(chosen) else 0  # of a coarse one the finer ones of its size count
        larger = [each for each in judged if each.parameters > least and self._regular(each)]
        if not larger:
            asked = self.wishes.size is not None or self.wishes.quantisation is not None
            return [say.wish_decides(chosen.name) if asked else say.largest_offered(chosen.name)]
        size = min(each.parameters for each in larger)
        return self._against(min((each for each in larger if each.parameters == size), key=self._quantisation_rank))

    def _against(self, larger: Judged) -> list[Reason]:
        """Why the larger model isn't recommended, and what it would need."""
        candidate, least = larger.candidate, self.judging.tiers.min_chat_tokens_per_s
        fit, vram = candidate.fit, _gpu_need(candidate, self.judging)
        gpu, name = self._largest_gpu(), larger.name
        more_vram = say.would_need(name, "vram", int(vram / WELL_FILLED))
        if gpu is not None and gpu.kind is GpuKind.DISCRETE and fit.placement in (Placement.SPLIT, Placement.CPU):
            return [say.memory_decides("vram", gpu.vram_total_bytes or 0, name, vram), more_vram]
        if not fit.fits:
            place = "unified" if gpu is not None else "ram"
            total, need = self.judging.profile.memory.total_bytes, fit.ram.needed_bytes
            enough = _ram_for(need, unified=gpu is not None)
            more = say.would_need(name, place, max(enough, total + 1))
            return [say.memory_decides(place, total, name, need), more]
        if larger.speed.typical_tokens_per_s < least:
            return [say.speed_decides(name, larger.speed.typical_tokens_per_s, least), more_vram]
        blocker = next((reason for reason in candidate.reasons if reason.code == "disk_short"), None)
        if blocker is not None:
            need, free = int(blocker.values["need_bytes"]), int(blocker.values["free_bytes"])
            return [say.disk_decides(larger.name, need, free)]
        unified = larger.place == "unified"
        enough = int(vram / WELL_FILLED) if larger.place == "vram" else _ram_for(larger.need_bytes, unified=unified)
        more = say.would_need(name, larger.place, enough)
        return [say.crowded(larger.place, larger.room_bytes, name, larger.need_bytes), more]

    def _awaited(self, role: Role, chosen: Judged | None, chat: Judged | None) -> list[Reason]:
        """What would be chosen instead if its bytes were here."""
        if not self.judging.away:
            return []
        anything = replace(self, judging=replace(self.judging, away=frozenset()))
        better = anything._best(role, chat)  # noqa: SLF001 - its own kind
        if better is None or (chosen is not None and better.name == chosen.name):
            return []
        key = version_key_of(better.candidate.release, better.candidate.variant.quantisation)
        return [say.awaited(better.name, key, chosen.name if chosen is not None else None)]

    def _best(self, role: Role, chat: Judged | None) -> Judged | None:
        if role is Role.CHAT:
            return self._best_chat(self._judge_all(role, self.judging.budget(), 0))
        return self._best_fim(self._judge_beside(chat))

    def _largest_gpu(self) -> Gpu | None:
        gpus = [gpu for gpu in self.judging.profile.gpus if usable(gpu, self.judging.accelerators)]
        return max(gpus, key=lambda gpu: gpu.vram_total_bytes or 0, default=None)

    def _why_nothing(self, role: Role, judged: Sequence[Judged]) -> tuple[Reason, ...]:
        """Why nothing is recommended, and what comes nearest."""
        if not judged:
            return (say.nothing_offered(role),)
        nearest = min(judged, key=lambda each: (each.candidate.fit.short_bytes, each.candidate.variant.length_bytes))
        blockers = [reason for reason in nearest.candidate.reasons if reason.code in _BLOCKERS]
        more = [] if nearest.candidate.fit.fits else [say.short_of(nearest.name, nearest.candidate.fit)]
        more += self._without_the_wish(role)
        return with_kinds_in_order((say.nothing_runs(), *blockers, *more))

    def _without_the_wish(self, role: Role) -> list[Reason]:
        """Where a size or quantisation was asked for that can't run: what would."""
        free = {"model": None, "size": None, "quantisation": None}
        if role is not Role.CHAT or self.wishes == self.wishes.model_copy(update=free):
            return []
        anything = replace(self, wishes=self.wishes.model_copy(update=free))
        best = anything._best_chat(anything._judge_all(role, self.judging.budget(), 0))  # noqa: SLF001 - its own kind
        return [say.fits_smaller(best.name)] if best is not None else []

    # Completion

    def _judge_beside(self, chat: Judged | None) -> list[Judged]:
        """Every completion model, in what the chat model leaves."""
        budget = self.judging.budget()
        if chat is None:
            return self._judge_all(Role.FIM, budget, 0)
        fit = chat.candidate.fit
        return self._judge_all(Role.FIM, budget.less(fit), chat.candidate.disk_bytes, fit)

    def _best_fim(self, judged: Sequence[Judged]) -> Judged | None:
        fast = [each for each in self._running_fims(judged) if _fast_enough_for_fim(each, self.judging.tiers)]
        return max(fast, key=lambda each: (each.parameters, -judged.index(each)), default=None)

    def _running_fims(self, judged: Sequence[Judged]) -> list[Judged]:
        return [each for each in judged if each.candidate.can_run and self._regular(each)]

    def _fim_choice(self, chat: Judged | None) -> RoleChoice:
        judged = self._judge_beside(chat)
        best = self._best_fim(judged)
        others = tuple(each.candidate for each in judged if each is not best)
        awaited = self._awaited(Role.FIM, best, chat)
        if best is None:
            given = (*awaited, *self._why_no_fim(judged, self._running_fims(judged), chat))
            return RoleChoice(role=Role.FIM, choice=None, reasons=given, others=others)
        beside = [say.fim_fits_beside()] if chat is not None else [say.wish_decides(best.name)]
        why = (*awaited, *beside, *_way(self.judging, best.candidate))
        given = with_kinds_in_order((*why, *best.candidate.reasons))
        return RoleChoice(
            role=Role.FIM, choice=best.candidate.model_copy(update={"reasons": given}), reasons=given, others=others
        )

    def _why_no_fim(
        self, judged: Sequence[Judged], running: Sequence[Judged], chat: Judged | None
    ) -> tuple[Reason, ...]:
        if running:
            fastest = max(running, key=lambda each: (each.speed.typical_tokens_per_s, -each.fim_ttft_s))
            speed, ttft = fastest.speed.typical_tokens_per_s, fastest.fim_ttft_s
            on_gpu = chat is not None and chat.place == "vram" and fastest.place == "ram"
            too_slow = say.fim_too_slow(fastest.name, speed, ttft, self.judging.tiers, beside_gpu=on_gpu)
            return (too_slow, *self._room_by_chat(chat))
        regular = [each for each in judged if self._regular(each)]
        if chat is not None and regular and all(not each.candidate.fit.fits for each in regular):
            nearest = min(regular, key=lambda each: each.candidate.fit.short_bytes)
            return (say.fim_no_room(nearest.name, nearest.candidate.fit.short_bytes), *self._room_by_chat(chat))
        return self._why_nothing(Role.FIM, judged)

    def _room_by_chat(self, chat: Judged | None) -> list[Reason]:
        """Whether a smaller quantisation of the chat model would make room for a completion model."""
        if chat is None:
            return []
        offer, length = chat.candidate.selection.offer, chat.candidate.variant.file.length_bytes
        budget = self.judging.budget()
        for variant in sorted(offer.release.variants, key=lambda each: -each.file.length_bytes):
            if variant.file.length_bytes >= length or variant.weights_quantisation in COARSE:
                continue
            context = chat.candidate.selection.context_length
            smaller = self.judging.judge(offer, variant, context_length=context, budget=budget)
            fims = self._judge_all(Role.FIM, budget.less(smaller.candidate.fit), smaller.candidate.disk_bytes)
            fits = [each for each in fims if each.candidate.can_run and self._regular(each)]
            fast = [each for each in fits if _fast_enough_for_fim(each, self.judging.tiers)]
            if fast and smaller.candidate.can_run:
                return [say.fim_beside_smaller_chat(fast[0].name, smaller.name)]
        return []


def _other_way(candidate: Candidate) -> Variant | None:
    """The same model whole where this is an adapter, as an adapter where this is whole; None where it isn't offered."""
    variant = candidate.variant
    return next(
        (
            each
            for each in candidate.release.variants
            if each.weights_quantisation == variant.weights_quantisation and each.quantisation != variant.quantisation
        ),
        None,
    )


def _is_cheaper(judging: Judge, variant: Variant, other: Variant) -> bool:
    """Whether fewer bytes are to be fetched for one way than for the other; whole where it is all the same."""
    return (judging.disk_bytes(variant), variant.adapter is not None) < (
        judging.disk_bytes(other),
        other.adapter is not None,
    )


def _way(judging: Judge, candidate: Candidate, *, asked: bool = False) -> list[Reason]:
    """Why the whole model or the adapter: nothing is said of a model that is here, or offered in one way only.

    Args:
        asked: This way was asked for, so it needs no reason: it is said when the other one is cheaper.
    """
    variant, other = candidate.variant, _other_way(candidate)
    if other is None or not judging.disk_bytes(variant):
        return []
    name, another = (say.name_of(candidate.release, each) for each in (variant, other))
    fetched, others = judging.disk_bytes(variant), judging.disk_bytes(other)
    if not _is_cheaper(judging, variant, other):
        return [say.adapter_fetches_less(another, others)] if asked and other.adapter is not None else []
    if variant.adapter is not None:
        return [say.adapter_over_base(name, fetched, another, others)]
    return [say.whole_over_adapter(name, fetched, another, others)]


_BLOCKERS = ("engine_missing", "no_avx2", "disk_short", "not_brought")


def _newest_first(version: str) -> tuple[object, ...]:
    numbers, final, suffix = version_key(version)
    return tuple(-number for number in numbers), not final, suffix


def _ram_for(need: int, *, unified: bool) -> int:
    """Main memory of a machine in which a model of this need is comfortable: beside the system, and where it is shared
    with the GPU, within the two thirds that a GPU may take."""
    return int(need / WELL_FILLED * 1.5) if unified else int(need / WELL_FILLED) + 2 * GIB


def _gpu_need(candidate: Candidate, judging: Judge) -> int:
    """Graphics memory that would hold a variant whole, in bytes."""
    architecture, context = loaded(candidate.variant), candidate.selection.context_length
    cache = kv_bytes(architecture, context, judging.graph) * judging.concurrency
    return architecture.weights_bytes + cache + compute_bytes(architecture, context, judging.graph) + GPU_CONTEXT_BYTES


def _fast_enough_for_fim(judged: Judged, tiers: TierTable) -> bool:
    fast = judged.speed.typical_tokens_per_s >= tiers.min_fim_tokens_per_s
    return fast and judged.fim_ttft_s <= tiers.max_fim_ttft_s


def _remarks(judging: Judge, runtimes: Sequence[RuntimeStatus], tier: Tier | None) -> list[Reason]:
    """What concerns the machine as a whole."""
    remarks = []
    if judging.runtime is None or not judging.runtime.available:
        remarks.append(say.engine_missing(judging.wanted, judging.runtime))
    elif judging.runtime.accelerators is None:
        remarks.append(say.hardware_unknown(judging.runtime))
    if tier is None and judging.tiers.tiers:
        remarks.append(say.below_minimum(judging.tiers))
    return [*remarks, *_unused_gpus(judging, runtimes)]


def _unused_gpus(judging: Judge, runtimes: Sequence[RuntimeStatus]) -> list[Reason]:
    """GPUs that could be used and aren't, and those that can't be."""
    ollama = next((status for status in runtimes if status.name == "ollama"), None)
    reasons = []
    for gpu in judging.profile.gpus:
        if too_old(gpu):
            reasons.append(say.gpu_too_old(gpu))
        elif gpu.kind is GpuKind.DISCRETE and not usable(gpu, OLLAMA_ACCELERATORS):
            reasons.append(say.gpu_not_counted(gpu))
        elif _ollama_could(gpu) and not usable(gpu, judging.accelerators):
            answers = ollama is not None and ollama.available
            reasons.append(say.gpu_not_chosen(gpu) if answers else say.gpu_needs_ollama(gpu, ollama))
    return reasons


def _ollama_could(gpu: Gpu) -> bool:
    return usable(gpu, OLLAMA_ACCELERATORS)
