"""What ``--json`` prints as ``result``, one class a command. These classes are the schema: fields are only ever added;
a change that would break a reader raises ``screen.JSON_FORMAT``. ``docs/commands.md`` explains them."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from bbj_desktop.actions.bundling import ImportedModel
from bbj_desktop.actions.engine import EngineLog, EngineStatus
from bbj_desktop.actions.extras import FetchedExtra, ImportedExtra
from bbj_desktop.actions.finding import Finding
from bbj_desktop.actions.gateway import GatewayStatus
from bbj_desktop.actions.ide import IdeModel, TriedModel
from bbj_desktop.actions.login import Login
from bbj_desktop.actions.ollama import OllamaState
from bbj_desktop.actions.purging import Ours
from bbj_desktop.actions.registering import RegistryView
from bbj_desktop.actions.reporting import ReportFile
from bbj_desktop.actions.space import VolumeNeed
from bbj_desktop.cli.screen import JSON_FORMAT
from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.compiling import CheckedAnswer, Verdict
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.measuring import MeasuredSpeed
from bbj_desktop.core.ownership import Ownership
from bbj_desktop.core.recommendation import Candidate, Reason
from bbj_desktop.core.release import Extra, Release, Role, Tier
from bbj_desktop.core.settings import OriginKind
from bbj_desktop.core.versions import InstalledVersion, version_key_of
from bbj_desktop.services.registry.bundle import BundleContent
from bbj_desktop.services.registry.findings import RoleLife, StageView, Verified
from bbj_desktop.services.registry.root import RootDescription
from bbj_desktop.services.runtime.ollama_drift import Drift
from bbj_desktop.services.runtime.ollama_starting import StartedOllama


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReleaseView(_Result):
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


class CandidateView(_Result):
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


class VersionView(_Result):
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


class OllamaStatusResult(OllamaState):
    """What is known about the Ollama of the settings."""


class ConnectResult(_Result):
    """Attributes:
    address: The Ollama's.
    versions: What it has and this machine uses from now on; their ``path`` leads to no file.
    """

    address: str
    versions: tuple[VersionView, ...]


class OllamaStartResult(_Result):
    started: StartedOllama


class OllamaStopResult(_Result):
    """Attributes:
    stopped: Null when none ran that this program had started.
    """

    stopped: StartedOllama | None


class DoctorResult(_Result):
    """Attributes:
    worst: The gravest state among the findings.
    log_file: Where the log is written.
    bundle: The archive that was written, or null.
    bundle_files: What is in it, each with ``name``, ``about``, ``size_bytes``.
    """

    worst: Literal["ok", "note", "warning", "error"]
    findings: tuple[Finding, ...]
    profile: HardwareProfile
    log_file: Path
    bundle: Path | None = None
    bundle_files: tuple[ReportFile, ...] = ()


class RoleView(_Result):
    """Attributes:
    choice: The recommended variant, or null.
    reasons: Why this one, or why none.
    others: Every other variant offered for the role, best first.
    """

    role: Role
    choice: CandidateView | None
    reasons: tuple[Reason, ...]
    others: tuple[CandidateView, ...]


class RecommendResult(_Result):
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


class PlanView(_Result):
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


class InstalledView(_Result):
    """Attributes:
    fetched_bytes: Payload bytes that came over the wire.
    already: It was complete before.
    """

    version: VersionView
    fetched_bytes: int
    seconds: float
    already: bool


class InstallResult(_Result):
    """Attributes:
    installed: Empty for ``--dry-run``.
    remarks: What was said on the way, e.g. which mirror was set aside and why.
    """

    plans: tuple[PlanView, ...]
    installed: tuple[InstalledView, ...] = ()
    remarks: tuple[str, ...] = ()


class UpdateView(_Result):
    installed: VersionView
    available: ReleaseView


class WithdrawnView(_Result):
    installed: VersionView
    reason: str


class UpdateResult(_Result):
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


class VersionsResult(_Result):
    """Attributes:
    shared: What the shared store has besides: ``install`` takes it from there without fetching.
    drift: What somebody changed of them in Ollama since they were registered.
    """

    versions: tuple[VersionView, ...]
    shared: tuple[VersionView, ...] = ()
    drift: tuple[Drift, ...] = ()


class ActivateResult(_Result):
    version: VersionView


class RollbackResult(_Result):
    """Attributes:
    version: Active now.
    before: Key of the version that was; null when none was.
    """

    version: VersionView
    before: str | None


class PinResult(_Result):
    version: VersionView


class RebuildResult(_Result):
    """Attributes:
    restored: Keys of the versions whose records are here again.
    lost: A sentence for each record that is gone for good.
    """

    restored: tuple[str, ...]
    lost: tuple[str, ...]


class RemovedView(_Result):
    key: str
    freed_bytes: int


class VerifyResult(_Result):
    """Attributes:
    digest: What was signed, and what the file has: ``sha256:<hex>``.
    drift: What somebody changed of it in Ollama since it was registered.
    """

    version: VersionView
    digest: str
    drift: tuple[Drift, ...] = ()


class RepairResult(_Result):
    """Attributes:
    damaged_bytes: Length of the parts that weren't as they were signed; 0 when nothing was wrong.
    mended: What somebody had changed of it in Ollama; but for a name that is somebody's only one, it is right again.
    """

    version: VersionView
    damaged_bytes: int
    fetched_bytes: int
    seconds: float
    mended: tuple[Drift, ...] = ()


class RemoveResult(_Result):
    removed: tuple[RemovedView, ...]


class AskResult(_Result):
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


class CompleteResult(_Result):
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


class ChatResult(_Result):
    """The end of a chat; with ``--json`` each answer is an AskResult of its own line before it."""

    version: str
    answers: int


class ValidatedCode(_Result):
    """Attributes:
    lines: What the compiler refuses, or why it didn't judge.
    """

    verdict: Verdict
    lines: tuple[str, ...]


class FieldReportResult(_Result):
    """A failed answer that was written down.

    Attributes:
        verdict: What the compiler says of the answer.
    """

    file: str
    verdict: Verdict


class McpResult(_Result):
    """The end of a server.

    Attributes:
        address: Where it was; none for stdio.
    """

    transport: Literal["stdio", "http"]
    address: str | None = None


class IdeShowResult(_Result):
    """Attributes:
    path: Continue's file.
    config: What it would hold, or holds, with these models.
    """

    models: tuple[IdeModel, ...]
    path: Path
    config: str


class IdeApplyResult(_Result):
    """Attributes:
    difference: Unified diff; empty when there is nothing to change.
    backup: What the file was before.
    """

    path: Path
    difference: str
    written: bool
    backup: Path | None = None


class IdeUndoResult(_Result):
    """Attributes:
    removed: The file wasn't there before, and isn't any more.
    """

    path: Path
    removed: bool


class IdeTestResult(_Result):
    models: tuple[TriedModel, ...]


class RegistryAddResult(_Result):
    registry: RegistryView
    root: RootDescription


class RegistryShowResult(_Result):
    registries: tuple[RegistryView, ...]


class RegistryRootResult(_Result):
    root: RootDescription


class RegistryForgetResult(_Result):
    registry: RegistryView


class RegistryMirrorResult(_Result):
    """Of ``mirror add`` and ``mirror remove``."""

    registry: RegistryView


class RegistryLoginResult(_Result):
    login: Login


class RegistryLogoutResult(_Result):
    """Attributes:
    removed: Whether there was one.
    """

    origin: str
    removed: bool


class RegistryCreateResult(_Result):
    folder: Path
    keys: Path
    root: RootDescription


class RegistryReleaseResult(_Result):
    """Of ``publish`` and ``promote``.

    Attributes:
        name: What ``promote`` and ``withdraw`` call it.
    """

    channel: str
    name: str
    release: ReleaseView
    quantisations: tuple[str, ...]
    stage: StageView | None = None


class RegistryWithdrawResult(_Result):
    channel: str
    name: str
    reason: str
    stage: StageView | None = None


class RegistryRenewResult(_Result):
    folder: Path
    roles: tuple[str, ...]
    stage: StageView | None = None


class RegistryStageResult(_Result):
    """Of ``stage`` and ``rotate``."""

    stage: StageView


class SignatureView(_Result):
    role: str
    keyid: str


class RegistrySignResult(_Result):
    """Attributes:
    signed: Signatures that weren't there before.
    """

    signed: tuple[SignatureView, ...]
    stage: StageView


class RegistryMergeResult(_Result):
    """Attributes:
    added: Signatures that weren't there before.
    """

    added: tuple[SignatureView, ...]
    stage: StageView


class RegistryPublishStagedResult(_Result):
    folder: Path
    roles: tuple[str, ...]


class RegistryKeyResult(_Result):
    """Attributes:
    private: Its sealed file.
    public: What its owner hands out.
    """

    role: str
    keyid: str
    private: Path
    public: Path


class RegistryStatusResult(_Result):
    """Attributes:
    fine: There is nothing to do.
    """

    folder: Path
    roles: tuple[RoleLife, ...]
    fine: bool


class RegistryVerifyResult(_Result):
    """Attributes:
    sound: Everything that customers may ask for is there, right and in time.
    """

    mirror: Verified
    sound: bool


class RegistryRefreshResult(_Result):
    """Attributes:
    expires: Until when the new timestamp is good.
    """

    folder: Path
    expires: datetime


class SettingView(_Result):
    """Attributes:
    value: In force; credentials are blotted out.
    origin: The layer that gave it.
    place: File, variable or flag; empty for the default.
    locked: A policy gave it: nothing else can change it.
    environment: The variables that set it.
    """

    name: str
    value: str | int | float | bool | None
    default: str | int | float | bool | None
    unit: str
    origin: OriginKind
    place: str
    locked: bool
    environment: tuple[str, ...]
    flag: str
    help: str


class SettingsResult(_Result):
    """Attributes:
    file: The settings file; need not exist.
    policy: The policy file; need not exist.
    """

    settings: tuple[SettingView, ...]
    file: Path
    policy: Path


class PurgeResult(_Result):
    removed: tuple[Ours, ...]
    kept: tuple[Ours, ...] = ()


class DemoView(_Result):
    key: str
    runtime: str
    fetched_bytes: int
    install_s: float
    question: str
    answer: str
    statistics: Statistics


class ExtrasListResult(_Result):
    """Attributes:
    extras: Newest ones and older ones, by key.
    """

    channel: str
    extras: tuple[Extra, ...]


class ExtrasFetchResult(_Result):
    """Attributes:
    extras: Where each was put, and what to do with it.
    """

    extras: tuple[FetchedExtra, ...]


class RegistryExtraResult(_Result):
    """Attributes:
    extra: As it was signed, or removed.
    stage: The stage that waits for signatures; null when it is live.
    """

    channel: str
    extra: Extra
    stage: StageView | None


class BundleExportResult(_Result):
    """Attributes:
    extras: Installers and the like that went along.
    registry: Identity of the registry.
    volumes: Folders ``volume-1`` … in ``folder``; 0 when ``folder`` itself is the bundle.
    fetched_bytes: Written by this call; the rest was there.
    """

    folder: Path
    registry: str
    channel: str
    contents: tuple[BundleContent, ...]
    extras: tuple[BundleContent, ...] = ()
    volumes: int
    size_bytes: int
    fetched_bytes: int
    seconds: float


class BundleImportResult(_Result):
    """Attributes:
    models: What the bundle has and the registry offers; ``missing`` names the pieces still to be brought.
    extras: Installers and the like: where they were put, and what to do with them.
    newer_known: This machine knew newer metadata than the bundle, and judged by it.
    refused: What the bundle has and the newest metadata known here doesn't offer.
    installed: With ``--install``.
    """

    registry: RegistryView
    channel: str
    models: tuple[ImportedModel, ...]
    extras: tuple[ImportedExtra, ...] = ()
    newer_known: bool
    refused: tuple[str, ...]
    copied_bytes: int
    seconds: float
    installed: tuple[InstalledView, ...] = ()


class EngineStatusResult(_Result):
    engine: EngineStatus


class EngineStopResult(_Result):
    """Attributes:
    pid: Of the host that was ended; null when none ran.
    """

    pid: int | None


class EngineLogsResult(_Result):
    logs: tuple[EngineLog, ...]


class GatewayResult(_Result):
    """Of ``start`` and ``status``.

    Attributes:
        key: With ``--show-key``.
    """

    gateway: GatewayStatus
    key: str | None = None


class GatewayStopResult(_Result):
    """Attributes:
    closed: It was open.
    """

    closed: bool


RESULTS: dict[str, type[BaseModel]] = {
    "gateway start": GatewayResult,
    "gateway stop": GatewayStopResult,
    "gateway status": GatewayResult,
    "engine status": EngineStatusResult,
    "engine stop": EngineStopResult,
    "engine logs": EngineLogsResult,
    "doctor": DoctorResult,
    "recommend": RecommendResult,
    "install": InstallResult,
    "update": UpdateResult,
    "versions": VersionsResult,
    "activate": ActivateResult,
    "rollback": RollbackResult,
    "pin": PinResult,
    "unpin": PinResult,
    "rebuild": RebuildResult,
    "verify": VerifyResult,
    "repair": RepairResult,
    "remove": RemoveResult,
    "chat": ChatResult,
    "ask": AskResult,
    "complete": CompleteResult,
    "report": FieldReportResult,
    "mcp": McpResult,
    "ide show": IdeShowResult,
    "ide apply": IdeApplyResult,
    "ide undo": IdeUndoResult,
    "ide test": IdeTestResult,
    "registry add": RegistryAddResult,
    "registry show": RegistryShowResult,
    "registry root": RegistryRootResult,
    "registry forget": RegistryForgetResult,
    "registry mirror add": RegistryMirrorResult,
    "registry mirror remove": RegistryMirrorResult,
    "registry login": RegistryLoginResult,
    "registry logout": RegistryLogoutResult,
    "registry create": RegistryCreateResult,
    "registry publish": RegistryReleaseResult,
    "registry refresh": RegistryRefreshResult,
    "registry promote": RegistryReleaseResult,
    "registry withdraw": RegistryWithdrawResult,
    "registry renew": RegistryRenewResult,
    "registry stage": RegistryStageResult,
    "registry sign": RegistrySignResult,
    "registry merge": RegistryMergeResult,
    "registry publish-staged": RegistryPublishStagedResult,
    "registry rotate": RegistryStageResult,
    "registry key": RegistryKeyResult,
    "registry status": RegistryStatusResult,
    "registry verify": RegistryVerifyResult,
    "registry add-extra": RegistryExtraResult,
    "registry remove-extra": RegistryExtraResult,
    "registry list-extras": ExtrasListResult,
    "extras list": ExtrasListResult,
    "extras fetch": ExtrasFetchResult,
    "bundle export": BundleExportResult,
    "bundle import": BundleImportResult,
    "connect": ConnectResult,
    "ollama status": OllamaStatusResult,
    "ollama start": OllamaStartResult,
    "ollama stop": OllamaStopResult,
    "settings show": SettingsResult,
    "purge": PurgeResult,
    "demo": DemoView,
}
"""The class of each command's result."""


def command_schemas() -> dict[str, object]:
    """JSON Schema of what each command prints with ``--json``; ``docs/commands.schema.json`` is this.

    Each command's document is an envelope: ``format``, ``command``, and either ``result`` or ``error``. Arguments that
    name no command, or can't be read, end in an error whose ``command`` is empty.
    """
    classes = [(each, "serialization") for each in dict.fromkeys(RESULTS.values())]
    references, schema = models_json_schema(classes)  # type: ignore[arg-type]  # a list of pairs, as documented
    error = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "description": "Name of the error, e.g. NoSpaceError; Bug for a bug"},
            "message": {"type": "string", "description": "What happened, to what"},
            "hint": {"type": "string", "description": "What to do now; may be empty"},
            "exit_code": {"type": "integer"},
        },
        "required": ["code", "message", "hint", "exit_code"],
    }
    documents = [
        {
            "properties": {
                "format": {"const": JSON_FORMAT},
                "command": {"const": command},
                "result": references[(result, "serialization")],
                "error": error,
            },
            "required": ["format", "command"],
        }
        for command, result in RESULTS.items()
    ]
    unreadable = {
        "properties": {"format": {"const": JSON_FORMAT}, "command": {"const": ""}, "error": error},
        "required": ["format", "command", "error"],
    }
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "type": "object", "anyOf": [*documents, unreadable], "$defs": schema["$defs"]}


if __name__ == "__main__":
    print(json.dumps(command_schemas(), indent=1))
