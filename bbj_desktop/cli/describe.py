"""Machines, variants and answers in a few words, the number first."""

from __future__ import annotations

from collections.abc import Sequence

from bbj_desktop.cli.results.recommending import CandidateView
from bbj_desktop.cli.results.views import VersionView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.hardware import GpuKind, HardwareProfile
from bbj_desktop.core.recommendation import Reason, ReasonKind
from bbj_desktop.core.release import Role
from bbj_desktop.core.units import format_bytes, format_memory, format_seconds

ROLE_NAMES = {Role.CHAT: "Chat", Role.FIM: "Tab completion"}
RUNTIME_NAMES = {"embedded": "the embedded engine", "ollama": "Ollama"}
_PLACES = {"gpu": "on the GPU", "split": "on GPU and CPU", "cpu": "on the CPU", "unified": "on the GPU"}


def machine_line(profile: HardwareProfile) -> str:
    """``Debian 12, AMD EPYC 7763, 16 cores, 32 GB memory (28 GB available), no GPU``."""
    gpus = [_gpu(gpu.name, gpu.vram_total_bytes) for gpu in profile.gpus if gpu.kind is not GpuKind.INTEGRATED]
    memory = profile.memory
    available = f"{format_memory(memory.total_bytes)} memory ({format_memory(memory.available_bytes)} available)"
    cores = f"{profile.cpu.usable_cores:g} cores"
    return ", ".join((profile.os.name, profile.cpu.model, cores, available, *(gpus or ["no GPU"])))


def _gpu(name: str, vram_bytes: int | None) -> str:
    return f"{name} ({format_memory(vram_bytes)})" if vram_bytes else name


def candidate_title(candidate: CandidateView) -> str:
    """``BBj Coder 7B 2026.1, Q4_K_M, with the embedded engine on the CPU``."""
    release = candidate.release
    runs = f"with {RUNTIME_NAMES[candidate.runtime]} {_PLACES[candidate.placement]}"
    return f"{release.title} {release.version}, {candidate.quantisation}, {runs}"


def candidate_figures(candidate: CandidateView) -> str:
    """``4.7 GB to download · 5.6 GB of memory · 4,096 tokens of context · 8-12 tokens/s``."""
    memory = candidate.ram_bytes + (candidate.vram_bytes or 0)
    parts = [
        f"{format_bytes(candidate.download_bytes)} to download",
        f"{format_memory(memory)} of memory",
        f"{candidate.context_length:,} tokens of context",
        f"about {span(candidate.tokens_per_s)} tokens/s",
    ]
    return " · ".join(parts)


def span(values: tuple[float, float]) -> str:
    """``8-12``; one number where both round to the same."""
    digits = 0 if values[1] >= 10 else 1  # noqa: PLR2004 - from two digits on, tenths say nothing
    low, high = (f"{value:.{digits}f}" for value in values)
    return low if low == high else f"{low}-{high}"


def show_candidate(screen: Screen, candidate: CandidateView, heading: str) -> None:
    """Title, figures, notice and reasons."""
    screen.line(f"{heading}: {candidate_title(candidate)}", "bold")
    screen.line(f"  {candidate_figures(candidate)}")
    if candidate.release.notice:
        screen.line(f"  {candidate.release.notice}", "yellow")
    show_reasons(screen, candidate.reasons)


def show_reasons(screen: Screen, reasons: Sequence[Reason]) -> None:
    for reason in reasons:
        screen.line(f"  {reason.text}", "yellow" if reason.kind is ReasonKind.WARNING else "")


def candidate_table(screen: Screen, candidates: Sequence[CandidateView]) -> None:
    """One line for each variant."""
    rows = [
        (
            format_bytes(each.download_bytes),
            format_memory(each.ram_bytes + (each.vram_bytes or 0)),
            span(each.tokens_per_s),
            each.key,
            "" if each.can_run else "can't run here",
        )
        for each in candidates
    ]
    screen.table(("Download", "Memory", "Tokens/s", "Variant", ""), rows, right=frozenset({0, 1, 2}))


def version_table(screen: Screen, versions: Sequence[VersionView]) -> None:
    """One line for each installed version."""
    rows = [
        (
            format_bytes(each.size_bytes),
            each.key,
            _state(each),
            f"{each.context_length:,}",
            ", ".join(each.runtimes) or "no runtime yet",
            f"{each.installed_at:%Y-%m-%d}",
        )
        for each in versions
    ]
    headers = ("Size", "Version", "", "Context", "Runtime", "Installed")
    screen.table(headers, rows, right=frozenset({0, 3}))
    for each in versions:
        if each.measured is not None:
            screen.line(f"{each.key}: {each.measured.text}.")


def _state(version: VersionView) -> str:
    return ", ".join(word for word, true in (("active", version.active), ("pinned", version.pinned)) if true)


def statistics_line(statistics: Statistics) -> str:
    """``TTFT 0.31 s · prefill 412 tokens/s · decode 28.4 tokens/s · 212 tokens in 7.8 s``."""
    parts = [f"TTFT {format_seconds(statistics.ttft_s)}"]
    if statistics.load_s >= 0.01:  # noqa: PLR2004 - a hundredth of a second is what is printed
        parts[0] += f" (of it {format_seconds(statistics.load_s)} loading)"
    for name, speed in (("prefill", statistics.prefill_tokens_per_s), ("decode", statistics.decode_tokens_per_s)):
        parts.append(f"{name} {_speed(speed)}")
    parts.append(f"{statistics.answer_tokens} tokens in {format_seconds(statistics.total_s)}")
    ends = {"stop": "", "length": "cut off at its limit", "cancelled": "stopped"}
    return " · ".join([*parts, *filter(None, [ends[statistics.stop_reason]])])


def _speed(tokens_per_s: float | None) -> str:
    return "unknown" if tokens_per_s is None else f"{tokens_per_s:.1f} tokens/s"
