"""Results about what this machine should get."""

from __future__ import annotations

from typing import Self

from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.cli.results.views import ReleaseView
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.explaining import Explained
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.recommendation import Candidate, Reason
from bbj_desktop.core.release import Role, Tier
from bbj_desktop.core.versions import version_key_of


class CandidateView(ResultModel):
    """A variant, judged for a machine.

    Attributes:
        key: Its tag once it is installed.
        runtime: What would run it.
        placement: ``gpu``, ``split``, ``cpu`` or ``unified``.
        can_run: Memory, disk and processor allow it.
        download_bytes: Length of the GGUF.
        ram_bytes: Main memory it takes while it runs.
        vram_bytes: Graphics memory; null without a GPU.
        tokens_per_s: Expected decode speed, low and high.
        ttft_2000_s: Expected seconds to the first token of a 2,000-token prompt, low and high.
    """

    key: str
    release: ReleaseView
    quantisation: str
    context_length: int
    runtime: str
    placement: str
    can_run: bool
    download_bytes: int
    disk_bytes: int
    ram_bytes: int
    vram_bytes: int | None
    tokens_per_s: tuple[float, float]
    ttft_2000_s: tuple[float, float]
    reasons: tuple[Reason, ...]

    @classmethod
    def of(cls, candidate: Candidate) -> Self:
        fit, release = candidate.fit, candidate.release
        return cls(
            key=version_key_of(release, candidate.variant.quantisation),
            release=ReleaseView.of(release),
            quantisation=candidate.variant.quantisation,
            context_length=candidate.selection.context_length,
            runtime=candidate.runtime,
            placement=fit.placement.value,
            can_run=candidate.can_run,
            download_bytes=candidate.variant.length_bytes,
            disk_bytes=candidate.disk_bytes,
            ram_bytes=fit.ram.total_bytes,
            vram_bytes=None if fit.vram is None else fit.vram.total_bytes,
            tokens_per_s=candidate.expectation.tokens_per_s,
            ttft_2000_s=candidate.expectation.ttft_2000_s,
            reasons=candidate.reasons,
        )


class RoleView(ResultModel):
    """Attributes:
    choice: The recommended variant, or null.
    reasons: Why this one, or why none.
    others: Every other variant offered for the role, best first.
    explanation: With ``--explain``, the way to the choice, step by step.
    """

    role: Role
    choice: CandidateView | None
    reasons: tuple[Reason, ...]
    others: tuple[CandidateView, ...]
    explanation: tuple[Explained, ...] = ()


class RecommendResult(ResultModel):
    """Attributes:
    tier: The tier whose demands the machine meets; null below Minimum.
    remarks: What concerns the machine as a whole.
    """

    registry: str
    channel: str
    tier: Tier | None
    roles: tuple[RoleView, ...]
    remarks: tuple[Reason, ...]
    profile: HardwareProfile
    runtimes: tuple[RuntimeStatus, ...]
