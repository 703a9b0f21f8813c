"""The sentences of an explanation: short, number first. Each has a stable code and its values, for translations."""

from __future__ import annotations

from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.fit import MIN_COMPUTE_CAPABILITY
from bbj_desktop.core.hardware import Gpu, HardwareProfile
from bbj_desktop.core.measuring import Correction, GraphicsRoom
from bbj_desktop.core.recommendation import Expectation, Fit, Placement, Reason, ReasonKind
from bbj_desktop.core.release import Release, Role, TierTable, Variant

GIB = 2**30

ENGINE_NAMES = {"ollama": "Ollama", "embedded": "the built-in engine"}


PLACES = {"vram": "graphics memory", "ram": "memory", "unified": "shared memory"}


def memory_text(count: int) -> str:
    """Memory as its owner names it, in units of 2**30 bytes: ``8 GB``, ``5.4 GB``."""
    value = count / GIB
    return f"{value:.0f} GB" if value >= 100 or abs(value - round(value)) < 0.05 else f"{value:.1f} GB"  # noqa: PLR2004 - digits that are worth showing


def disk_text(count: int) -> str:
    """Bytes of files, in units of 10**9 as disks are sold: ``4.7 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"  # noqa: PLR2004 - one GB


def range_text(low: float, high: float) -> str:
    """``30-50``, ``2.5-5``: no more digits than the range deserves."""
    first, second = _number(low), _number(high)
    return first if first == second else f"{first}-{second}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")  # noqa: PLR2004 - two digits are enough


def name_of(release: Release, variant: Variant) -> str:
    return f"{release.size.upper()} {variant.quantisation}"


def _reason(kind: ReasonKind, code: str, text: str, **values: str | float) -> Reason:
    return Reason(kind=kind, code=code, text=text[0].upper() + text[1:], values=values)


# What decided


def memory_decides(place: str, room: int, larger: str, need: int) -> Reason:
    """What there is, and what the next larger model would need.

    Args:
        place: ``vram``, ``ram`` or ``unified``.
        room: Bytes there.
        larger: The model that would need more.
        need: Bytes that it would need there.
    """
    words = PLACES[place]
    text = f"Your {memory_text(room)} of {words} decide: {larger} would need {memory_text(need)}."
    return _reason(ReasonKind.DECIDED, f"{place}_decides", text, room_bytes=room, larger=larger, need_bytes=need)


def crowded(place: str, room: int, larger: str, need: int) -> Reason:
    """Arguments as for ``memory_decides``; ``room`` is what models can take of it."""
    words = PLACES[place]
    share = f"{need / max(1, room):.0%}"
    text = f"{larger} would fill {share} of the {words} that models can take ({memory_text(room)})."
    return _reason(ReasonKind.DECIDED, "too_tight", text, place=place, room_bytes=room, larger=larger, need_bytes=need)


def speed_decides(larger: str, tokens_per_s: float, least: float) -> Reason:
    text = (
        f"Speed decides: {larger} would write about {_number(tokens_per_s)} tokens a second here; "
        f"{_number(least)} are the least for working with it."
    )
    return _reason(
        ReasonKind.DECIDED, "speed_decides", text, larger=larger, tokens_per_s=round(tokens_per_s, 1), least=least
    )


def disk_decides(larger: str, need: int, free: int) -> Reason:
    text = f"{disk_text(free)} of free disk decide: {larger} takes {disk_text(need)}."
    return _reason(ReasonKind.DECIDED, "disk_decides", text, larger=larger, need_bytes=need, free_bytes=free)


def largest_offered(name: str) -> Reason:
    return _reason(
        ReasonKind.DECIDED, "largest_offered", f"{name} is the largest that is offered, and it fits.", name=name
    )


def adapter_over_base(name: str, fetched: int, whole: str, whole_fetched: int) -> Reason:
    """Why an adapter is chosen where the same model is offered whole, too."""
    text = (
        f"{disk_text(fetched)} to fetch for {name}, whose base is here already; {whole} would be "
        f"{disk_text(whole_fetched)}."
    )
    return _reason(
        ReasonKind.DECIDED,
        "adapter_over_base",
        text,
        name=name,
        fetch_bytes=fetched,
        other=whole,
        other_fetch_bytes=whole_fetched,
    )


def whole_over_adapter(name: str, fetched: int, adapter: str, adapter_fetched: int) -> Reason:
    """Why the whole model is chosen where it is offered as an adapter, too."""
    text = (
        f"{disk_text(fetched)} to fetch for {name}, one whole file; {adapter} with its base would be "
        f"{disk_text(adapter_fetched)}."
    )
    return _reason(
        ReasonKind.DECIDED,
        "whole_over_adapter",
        text,
        name=name,
        fetch_bytes=fetched,
        other=adapter,
        other_fetch_bytes=adapter_fetched,
    )


def adapter_fetches_less(adapter: str, fetched: int) -> Reason:
    """A way with fewer bytes, where the whole model was asked for."""
    text = f"{disk_text(fetched)} would do: {adapter} is the same model over a base that is here already."
    return _reason(ReasonKind.MORE, "adapter_fetches_less", text, name=adapter, fetch_bytes=fetched)


def wish_decides(name: str) -> Reason:
    return _reason(ReasonKind.DECIDED, "wish_decides", f"{name} is what you asked for.", name=name)


def nothing_runs() -> Reason:
    text = "This machine can run nothing of what is offered."
    return _reason(ReasonKind.DECIDED, "nothing_runs", text)


def nothing_offered(role: Role) -> Reason:
    words = {Role.CHAT: "chat", Role.FIM: "completion"}[role]
    text = f"The registry offers no {words} model that matches."
    return _reason(ReasonKind.DECIDED, "nothing_offered", text, role=role.value)


def fim_too_slow(
    name: str, tokens_per_s: float, ttft_s: float, tiers: TierTable, *, beside_gpu: bool = False
) -> Reason:
    """``beside_gpu``: the chat model leaves no graphics memory, so that it would run on the processor."""
    why = "the chat model leaves it no graphics memory, and on the processor " if beside_gpu else ""
    text = (
        f"No completion model: {why}{name} would take {_number(ttft_s)} s to begin and write "
        f"{_number(tokens_per_s)} tokens a second here; while typing, {_number(tiers.max_fim_ttft_s)} s and "
        f"{_number(tiers.min_fim_tokens_per_s)} are the limits."
    )
    return _reason(
        ReasonKind.DECIDED,
        "fim_too_slow",
        text,
        name=name,
        tokens_per_s=round(tokens_per_s, 1),
        ttft_s=round(ttft_s, 1),
    )


def fim_no_room(name: str, short: int) -> Reason:
    text = f"No completion model: beside the chat model, {memory_text(short)} are missing for {name}."
    return _reason(ReasonKind.DECIDED, "fim_no_room", text, name=name, short_bytes=short)


def fim_fits_beside() -> Reason:
    return _reason(ReasonKind.DECIDED, "fim_fits_beside", "It fits beside the chat model.")


# What more would need


SIZES_SOLD = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 80, 96, 128, 192, 256)
"""Sizes in which memory comes, in units of 2**30 bytes."""


def would_need(larger: str, place: str, need: int) -> Reason:
    """Names the size of memory to look for. ``need`` is what would do; it is rounded up to a size that is sold."""
    words = PLACES[place]
    size = next((size for size in SIZES_SOLD if size * GIB >= need), -(-need // GIB))
    text = f"{larger} asks for {size} GB of {words}."
    return _reason(ReasonKind.MORE, f"more_{place}", text, larger=larger, need_bytes=size * GIB)


def fim_beside_smaller_chat(fim: str, chat: str) -> Reason:
    text = f"{fim} would fit beside {chat}."
    return _reason(ReasonKind.MORE, "fim_beside_smaller_chat", text, fim=fim, chat=chat)


def fits_smaller(name: str) -> Reason:
    return _reason(ReasonKind.MORE, "would_fit", f"{name} would fit.", name=name)


def short_of(name: str, fit: Fit) -> Reason:
    text = f"{name} needs {memory_text(fit.ram.needed_bytes)} of memory; {memory_text(fit.short_bytes)} are missing."
    return _reason(
        ReasonKind.MORE, "memory_missing", text, name=name, need_bytes=fit.ram.needed_bytes, short_bytes=fit.short_bytes
    )


# What to close


def close_programs(profile: HardwareProfile, fit: Fit, beside: Fit | None = None) -> tuple[Reason, ...]:
    """What has to be freed before it runs; nothing when there is room now.

    Args:
        profile: With what is free now.
        fit: What is to run.
        beside: What is to run at the same time: the two need their room together.
    """
    reasons: list[Reason] = []
    gpu = profile.gpus[fit.gpu_index] if fit.gpu_index is not None else None
    with_chat = beside is not None
    if fit.vram is not None and gpu is not None and gpu.vram_free_bytes is not None:
        need = fit.vram.needed_bytes
        if beside is not None and beside.vram is not None:
            need += beside.vram.needed_bytes
        free = gpu.vram_free_bytes
        if gpu.vram_total_bytes and need > gpu.vram_total_bytes:
            free = sum(each.vram_free_bytes or 0 for each in profile.gpus if each.vendor == gpu.vendor)
        reasons += _close("close_gpu", f"graphics memory of {gpu.name}", need, free, with_chat=with_chat)
    need = fit.ram.needed_bytes + (beside.ram.needed_bytes if beside is not None else 0)
    reasons += _close("close_ram", "memory", need, profile.memory.available_bytes, with_chat=with_chat)
    return tuple(reasons)


def _close(code: str, place: str, need: int, free: int, *, with_chat: bool) -> list[Reason]:
    if need <= free:
        return []
    together = " with the chat model" if with_chat else ""
    text = (
        f"Close programs that hold {memory_text(need - free)} of {place}: "
        f"{memory_text(free)} are free now, {memory_text(need)} are needed{together}."
    )
    return [_reason(ReasonKind.CLOSE, code, text, free_bytes=free, need_bytes=need)]


# What to expect


def expect(expectation: Expectation) -> Reason:
    speed, ttft = expectation.tokens_per_s, expectation.ttft_2000_s
    begin = f"after {range_text(*ttft)} s" if ttft[1] >= 1 else "within a second"
    text = (
        f"Expect {range_text(*speed)} tokens a second, and the first word of an answer to a prompt of 2,000 tokens "
        f"{begin} ({expectation.basis})."
    )
    values: dict[str, str | float] = {
        "tokens_per_s_low": speed[0],
        "tokens_per_s_high": speed[1],
        "ttft_s_low": ttft[0],
        "ttft_s_high": ttft[1],
        "basis": expectation.basis,
    }
    return _reason(ReasonKind.EXPECT, "expect", text, **values)


def memory_corrected(runtime: str, correction: Correction) -> Reason:
    """Why the need for memory is larger than the model's own numbers say."""
    more = round((correction.factor - 1) * 100)
    bound = (
        f" (of {round((correction.measured - 1) * 100)} % measured)" if correction.measured > correction.factor else ""
    )
    text = (
        f"Memory counts {more} % more than computed{bound}: so much more did {ENGINE_NAMES[runtime]} take here, "
        f"n={correction.count}."
    )
    return _reason(
        ReasonKind.ENGINE, "memory_corrected", text, factor=round(correction.factor, 3), count=correction.count
    )


def graphics_limited(runtime: str, seen: GraphicsRoom) -> Reason:
    """Why less graphics memory counts than the card has."""
    text = (
        f"{memory_text(seen.most_bytes)} of graphics memory count: more {ENGINE_NAMES[runtime]} didn't get here when a "
        f"model needed it, n={seen.count}."
    )
    return _reason(ReasonKind.ENGINE, "graphics_limited", text, most_bytes=seen.most_bytes, count=seen.count)


# The engine


def runs_on(runtime: str, fit: Fit, profile: HardwareProfile) -> Reason:
    engine = ENGINE_NAMES[runtime]
    gpu = profile.gpus[fit.gpu_index].name if fit.gpu_index is not None else ""
    cards = _cards(fit, profile)
    where = {
        Placement.GPU: f"wholly on {gpu}" if len(cards) < 2 else f"spread over {' and '.join(cards)}",  # noqa: PLR2004 - two are several
        Placement.UNIFIED: f"on {gpu}",
        Placement.SPLIT: f"with {fit.gpu_layers} blocks on {gpu} and the rest on the processor",
        Placement.CPU: "on the processor",
    }[fit.placement]
    code = f"runs_on_{fit.placement.value}"
    return _reason(ReasonKind.ENGINE, code, f"{engine} runs it {where}.", engine=engine, gpu=gpu, layers=fit.gpu_layers)


def _cards(fit: Fit, profile: HardwareProfile) -> list[str]:
    """Names of the GPUs that a model is laid over: one, or all of a maker where it is larger than any."""
    if fit.gpu_index is None or fit.vram is None:
        return []
    gpu = profile.gpus[fit.gpu_index]
    if fit.vram.needed_bytes <= (gpu.vram_total_bytes or 0):
        return [gpu.name]
    return [each.name for each in profile.gpus if each.vendor == gpu.vendor]


def gpu_not_counted(gpu: Gpu) -> Reason:
    text = (
        f"{gpu.name} isn't counted: its memory could not be read."
        if gpu.vendor in ("nvidia", "amd")
        else f"{gpu.name} isn't counted: whether an engine here can compute on it isn't known."
    )
    return Reason(kind=ReasonKind.ENGINE, code="gpu_not_counted", text=text, values={"gpu": gpu.name})


def gpu_needs_ollama(gpu: Gpu, ollama: RuntimeStatus | None) -> Reason:
    why = ollama.reason if ollama is not None and ollama.reason else "Ollama doesn't answer"
    text = (
        f"{gpu.name} stays unused: the built-in engine computes on the processor. "
        f"Install and start Ollama first to use it ({why.rstrip('.')})."
    )
    return _reason(ReasonKind.ENGINE, "gpu_needs_ollama", text, gpu=gpu.name)


def gpu_not_chosen(gpu: Gpu) -> Reason:
    text = (
        f"{gpu.name} stays unused: the built-in engine was chosen, and it computes on the processor. Ollama can use it."
    )
    return _reason(ReasonKind.ENGINE, "gpu_not_chosen", text, gpu=gpu.name)


def gpu_too_old(gpu: Gpu) -> Reason:
    text = (
        f"{gpu.name} is too old for any engine: compute capability {gpu.compute_capability}, "
        f"{MIN_COMPUTE_CAPABILITY:g} is the least."
    )
    values = {"gpu": gpu.name, "compute_capability": gpu.compute_capability or ""}
    return _reason(ReasonKind.ENGINE, "gpu_too_old", text, **values)


def engines_assumed(engine: str, *, chosen: bool) -> Reason:
    """``engine`` is what is taken to run the model on a machine of which only the profile is known."""
    name = ENGINE_NAMES[engine]
    other = "" if chosen or engine != "ollama" else " With the built-in engine alone it may get something else."
    text = f"A profile doesn't say which engines the machine has: {name} is taken to be there.{other}"
    return _reason(ReasonKind.ENGINE, "engines_assumed", text, engine=engine)


def hardware_unknown(runtime: RuntimeStatus) -> Reason:
    text = (
        f"Ollama runs on another machine ({runtime.address or 'its address'}): what it has isn't known, so this "
        "machine's hardware stands in for it. With its saved profile it would be known: --ollama-profile FILE"
    )
    return _reason(ReasonKind.WARNING, "remote_hardware_unknown", text, address=runtime.address)


# What speaks against it


def release_skipped(why: str) -> Reason:
    """``why`` is a sentence that names the release and what it needs."""
    return Reason(kind=ReasonKind.WARNING, code="release_skipped", text=why)


def no_avx2() -> Reason:
    text = "This processor has no AVX2, which the built-in engine needs. Ollama runs without it, slowly."
    return _reason(ReasonKind.WARNING, "no_avx2", text)


def avx2_unknown() -> Reason:
    text = "Whether this processor has AVX2 could not be read; without it the built-in engine doesn't start."
    return _reason(ReasonKind.WARNING, "avx2_unknown", text)


def engine_missing(wanted: str | None, status: RuntimeStatus | None) -> Reason:
    """The engine's own reason says what to do: it may be there and too old."""
    name = ENGINE_NAMES[wanted] if wanted is not None else "an engine"
    why = f"{name} is missing. Install Ollama, or BBj Desktop with its engine."
    if status is not None and status.reason:
        why = status.reason
    return _reason(ReasonKind.WARNING, "engine_missing", f"No model can run here yet. {why[:1].upper()}{why[1:]}")


def below_minimum(tiers: TierTable) -> Reason:
    least = tiers.tiers[0]
    text = f"This machine is below {least.title}, which asks for {least.ram_bytes / 1e9:.0f} GB of memory."
    return _reason(ReasonKind.WARNING, "below_minimum", text, tier=least.name, ram_bytes=least.ram_bytes)


def does_not_fit(name: str, fit: Fit) -> Reason:
    text = (
        f"{name} doesn't fit: at {fit.context_length} tokens of context it needs {memory_text(fit.ram.needed_bytes)} "
        f"of memory, {memory_text(fit.short_bytes)} more than there is."
    )
    return _reason(
        ReasonKind.WARNING,
        "does_not_fit",
        text,
        name=name,
        need_bytes=fit.ram.needed_bytes,
        short_bytes=fit.short_bytes,
    )


def disk_short(place: str, need: int, free: int) -> Reason:
    missing = disk_text(need - free)
    text = f"{disk_text(need)} of disk are needed on {place}; {disk_text(free)} are free: {missing} too few."
    return _reason(ReasonKind.WARNING, "disk_short", text, place=place, need_bytes=need, free_bytes=free)


def not_brought(name: str, key: str) -> Reason:
    text = f"{name} isn't here, and no network leads to it: ask for a bundle with {key}."
    return _reason(ReasonKind.WARNING, "not_brought", text, name=name, key=key)


def awaited(name: str, key: str, instead: str | None) -> Reason:
    """What would be recommended if its bytes were here.

    Args:
        instead: The model that is recommended because its bytes are; None where there is none.
    """
    so = f"so {instead}, which is, is recommended; for the other" if instead else "and no network leads to it:"
    text = f"{name} would suit this machine best and isn't here, {so} ask for a bundle with {key}."
    return _reason(ReasonKind.DECIDED, "awaited", text, name=name, key=key, instead=instead or "")


def context_shortened(wanted: int, given: int, *, on_gpu: bool = False) -> Reason:
    """``on_gpu``: so that all of the model lies in graphics memory."""
    place = "graphics memory" if on_gpu else "the memory"
    text = f"The context is {given} tokens instead of {wanted}: more doesn't fit into {place}."
    return _reason(ReasonKind.WARNING, "context_shortened", text, wanted=wanted, given=given)


def context_untrained(wanted: int, trained: int) -> Reason:
    text = f"The model was trained for {trained} tokens of context; beyond that, at {wanted}, answers get worse."
    return _reason(ReasonKind.WARNING, "context_untrained", text, wanted=wanted, trained=trained)


def shorter_context_fits(given: int, *, on_gpu: bool = False) -> Reason:
    """``on_gpu``: it fits as it is, but not all of it into graphics memory."""
    what = "all of it would fit into graphics memory" if on_gpu else "it would fit"
    text = f"With {given} tokens of context {what}."
    return _reason(ReasonKind.MORE, "shorter_context_fits", text, given=given)


def coarse(name: str) -> Reason:
    text = f"{name} is a coarse quantisation that makes mistakes: a last resort."
    return _reason(ReasonKind.WARNING, "coarse_quantisation", text, name=name)


def slow(expectation: Expectation, least: float) -> Reason:
    speed = range_text(*expectation.tokens_per_s)
    text = f"It would be slow here: {speed} tokens a second; {_number(least)} are the least for working with it."
    return _reason(ReasonKind.WARNING, "slow", text, least=least)


def slow_completion(tokens_per_s: float, ttft_s: float, tiers: TierTable) -> Reason:
    text = (
        f"Too slow for completion while typing: {_number(ttft_s)} s to begin ({_number(tiers.max_fim_ttft_s)} s at "
        f"most), {_number(tokens_per_s)} tokens a second ({_number(tiers.min_fim_tokens_per_s)} at least)."
    )
    return _reason(ReasonKind.WARNING, "slow_completion", text, ttft_s=round(ttft_s, 1))


def split_is_slow(fit: Fit, layers: int) -> Reason:
    text = f"Only {fit.gpu_layers} of its {layers} blocks fit into graphics memory: the processor's part sets the pace."
    return _reason(ReasonKind.WARNING, "split", text, gpu_layers=fit.gpu_layers, layers=layers)
