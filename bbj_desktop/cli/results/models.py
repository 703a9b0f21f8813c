"""Results about models: what is offered, installed, asked and answered."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Self

from bbj_desktop.actions.space import VolumeNeed
from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.compiling import CheckedAnswer
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.measuring import MeasuredSpeed
from bbj_desktop.core.ownership import Ownership
from bbj_desktop.core.recommendation import Candidate, Reason
from bbj_desktop.core.release import Release, Role, Tier
from bbj_desktop.core.versions import InstalledVersion, version_key_of
from bbj_desktop.services.runtime.ollama_drift import Drift


class ReleaseView(ResultModel):
    """A release without its texts.

    Attributes:
        notice: e.g. that it is a stand-in; empty when there is nothing to say.
    """

    model: str
    role: Role
    size: str
    version: str
    released: date
    title: str
    notice: str

    @classmethod
    def of(cls, release: Release) -> Self:
        return cls(**{name: getattr(release, name) for name in cls.model_fields})


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


class VersionView(ResultModel):
    """An installed version.

    Attributes:
        runtimes: What knows it.
        tags: The names by which the runtimes know it.
        adapter_path: The adapter over the file at ``path``; null where that is the whole model.
        activated_at: When it became the active one last; null when it never was.
        pinned: It isn't removed, and while it is active no update replaces it.
        measured: How fast it was here, where ``versions`` asks; null when nothing was measured.
    """

    key: str
    slot: str
    release: ReleaseView
    quantisation: str
    context_length: int
    active: bool
    channel: str
    registry: str
    path: Path
    size_bytes: int
    installed_at: datetime
    runtimes: tuple[str, ...]
    tags: tuple[str, ...]
    activated_at: datetime | None = None
    pinned: bool = False
    adapter_path: Path | None = None
    measured: MeasuredSpeed | None = None

    @classmethod
    def of(cls, version: InstalledVersion) -> Self:
        return cls(
            key=version.key,
            slot=version.slot,
            release=ReleaseView.of(version.release),
            quantisation=version.quantisation,
            context_length=version.context_length,
            active=version.active,
            channel=version.channel,
            registry=version.registry,
            path=version.path,
            size_bytes=version.variant.length_bytes,
            installed_at=version.installed_at,
            runtimes=tuple(each.runtime for each in version.registrations),
            tags=tuple(tag for each in version.registrations for tag in (each.tag, *each.aliases)),
            activated_at=version.activated_at,
            pinned=version.pinned,
            adapter_path=version.adapter_path,
        )


class RoleView(ResultModel):
    """Attributes:
    choice: The recommended variant, or null.
    reasons: Why this one, or why none.
    others: Every other variant offered for the role, best first.
    """

    role: Role
    choice: CandidateView | None
    reasons: tuple[Reason, ...]
    others: tuple[CandidateView, ...]


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


class PlanView(ResultModel):
    """What an install would do.

    Attributes:
        to_fetch_bytes: What will be fetched.
        here_bytes: What is here already.
        disk_bytes: Further room that it takes.
        free_bytes: Room on the store's volume.
        refusals: Why it is refused without ``--force``.
        needs: The room it takes, by volume.
        ownership: Who will own the bytes, and what that costs.
        by_ollama: What Ollama is to fetch itself, tried before our own mirrors.
    """

    candidate: CandidateView
    to_fetch_bytes: int
    here_bytes: int
    disk_bytes: int
    free_bytes: int
    folder: Path
    refusals: tuple[str, ...]
    needs: tuple[VolumeNeed, ...] = ()
    ownership: Ownership | None = None
    by_ollama: tuple[str, ...] = ()


class InstalledView(ResultModel):
    """Attributes:
    fetched_bytes: Payload bytes that came over the wire.
    already: It was complete before.
    """

    version: VersionView
    fetched_bytes: int
    seconds: float
    already: bool


class InstallResult(ResultModel):
    """Attributes:
    installed: Empty for ``--dry-run``.
    remarks: What was said on the way, e.g. which mirror was set aside and why.
    """

    plans: tuple[PlanView, ...]
    installed: tuple[InstalledView, ...] = ()
    remarks: tuple[str, ...] = ()


class UpdateView(ResultModel):
    installed: VersionView
    available: ReleaseView


class WithdrawnView(ResultModel):
    installed: VersionView
    reason: str


class UpdateResult(ResultModel):
    """Attributes:
    updates: Newer releases of what is active here.
    pinned: Newer releases of what is active and pinned here: they aren't installed.
    withdrawn: Installed versions that should not be used any more.
    skipped: Why newer releases aren't among the updates, a sentence each.
    installed: Empty with ``--check``.
    remarks: What was said on the way, e.g. which mirror was set aside and why.
    """

    registry: str
    channel: str
    updates: tuple[UpdateView, ...]
    pinned: tuple[UpdateView, ...] = ()
    withdrawn: tuple[WithdrawnView, ...]
    skipped: tuple[str, ...] = ()
    installed: tuple[InstalledView, ...] = ()
    remarks: tuple[str, ...] = ()


class VersionsResult(ResultModel):
    """Attributes:
    shared: What the shared store has besides: ``install`` takes it from there without fetching.
    drift: What somebody changed of them in Ollama since they were registered.
    """

    versions: tuple[VersionView, ...]
    shared: tuple[VersionView, ...] = ()
    drift: tuple[Drift, ...] = ()


class ActivateResult(ResultModel):
    version: VersionView


class RollbackResult(ResultModel):
    """Attributes:
    version: Active now.
    before: Key of the version that was; null when none was.
    """

    version: VersionView
    before: str | None


class PinResult(ResultModel):
    version: VersionView


class RebuildResult(ResultModel):
    """Attributes:
    restored: Keys of the versions whose records are here again.
    lost: A sentence for each record that is gone for good.
    """

    restored: tuple[str, ...]
    lost: tuple[str, ...]


class RemovedView(ResultModel):
    key: str
    freed_bytes: int


class VerifyResult(ResultModel):
    """Attributes:
    digest: What was signed, and what the file has: ``sha256:<hex>``.
    drift: What somebody changed of it in Ollama since it was registered.
    """

    version: VersionView
    digest: str
    drift: tuple[Drift, ...] = ()


class RepairResult(ResultModel):
    """Attributes:
    damaged_bytes: Length of the parts that weren't as they were signed; 0 when nothing was wrong.
    mended: What somebody had changed of it in Ollama; but for a name that is somebody's only one, it is right again.
    """

    version: VersionView
    damaged_bytes: int
    fetched_bytes: int
    seconds: float
    mended: tuple[Drift, ...] = ()


class RemoveResult(ResultModel):
    removed: tuple[RemovedView, ...]


class AskResult(ResultModel):
    """Attributes:
    version: Key of the version that answered.
    answer: The last one, when the model was asked to mend it.
    checks: What the compiler said of each answer in turn; empty unless it was to be asked.
    """

    version: str
    runtime: str
    answer: str
    statistics: Statistics
    checks: tuple[CheckedAnswer, ...] = ()


class CompleteResult(ResultModel):
    """Attributes:
    completion: What belongs at the cursor.
    prompt_tokens: Of the prompt that was made of what is around it.
    tokens_counted: With the model's own tokenizer; else they are estimated.
    left_out_before: Characters of the file's beginning that didn't fit into the context.
    left_out_behind: Characters of its end.
    """

    version: str
    runtime: str
    completion: str
    prompt_tokens: int
    tokens_counted: bool
    left_out_before: int
    left_out_behind: int
    statistics: Statistics


class ChatResult(ResultModel):
    """The end of a chat; with ``--json`` each answer is an AskResult of its own line before it."""

    version: str
    answers: int
