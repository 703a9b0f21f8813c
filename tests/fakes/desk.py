"""A desk whose answers a test decides, and a machine, an offering and a recommendation to answer with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from bbj_desktop.actions.checking import check_answer
from bbj_desktop.actions.installing import Installed, InstallPlan
from bbj_desktop.actions.ollama import OllamaHere
from bbj_desktop.actions.updating import Update
from bbj_desktop.core.chat import ChatEvent, Delta, Finished, Statistics
from bbj_desktop.core.compiling import CheckedAnswer
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.core.hardware import (
    Cpu,
    Gpu,
    GpuKind,
    HardwareProfile,
    Memory,
    OperatingSystem,
    Volume,
    VolumePurpose,
)
from bbj_desktop.core.progress import Cancel, Report, Step, Transfer
from bbj_desktop.core.recommendation import (
    Candidate,
    Expectation,
    Fit,
    MemoryNeed,
    Placement,
    Reason,
    ReasonKind,
    Recommendation,
    RoleChoice,
)
from bbj_desktop.core.release import Catalogue, CatalogueEntry, FileReference, Offer, Offering, Release, Role
from bbj_desktop.core.versions import InstalledVersion, Registration, Selection, version_key_of
from bbj_desktop.services.compiler import Compiler
from bbj_desktop.ui.desk import RootView, Survey
from tests.fakes.registry import make_release

GIB = 1 << 30
FINGERPRINT = " ".join(["0123", "4567", "89ab", "cdef"] * 4)

PROFILE = HardwareProfile(
    os=OperatingSystem(family="windows", name="Windows 11 Pro", version="26100", architecture="x86_64"),
    cpu=Cpu(model="AMD Ryzen 7 5800X", physical_cores=8, logical_cores=16, usable_cores=16),
    memory=Memory(total_bytes=16 * GIB, available_bytes=10 * GIB, machine_total_bytes=16 * GIB),
    gpus=(
        Gpu(
            vendor="nvidia",
            name="NVIDIA RTX 4060",
            kind=GpuKind.DISCRETE,
            vram_total_bytes=8 * GIB,
            vram_free_bytes=7 * GIB,
        ),
    ),
    volumes=(
        Volume(
            purposes=(VolumePurpose.STORE,),
            path=Path("/home/Jürgen Groß/BBj Desktop/store"),
            device="1",
            total_bytes=500_000_000_000,
            free_bytes=212_000_000_000,
        ),
    ),
)
OLLAMA = RuntimeStatus(name="ollama", available=True, version="0.33", accelerators=frozenset({"nvidia"}))


def release_of(role: Role = Role.CHAT, version: str = "2026.1", **changes: object) -> Release:
    """A release whose download is 4.7 GB (chat) or 1.1 GB (fim)."""
    size = "7b" if role is Role.CHAT else "1.5b"
    release = make_release(version, **{"role": role, "size": size, **changes})
    length = 4_700_000_000 if role is Role.CHAT else 1_100_000_000
    reference = FileReference(digest=release.variants[0].file.digest, length_bytes=length)
    variant = release.variants[0].model_copy(update={"file": reference})
    return release.model_copy(update={"variants": (variant,)})


def offer_of(release: Release) -> Offer:
    entry = CatalogueEntry(
        model=release.model,
        role=release.role,
        size=release.size,
        version=release.version,
        released=date(2026, 1, 14),
        manifest=f"stable/{release.version}.json",
    )
    return Offer(channel="stable", entry=entry, release=release)


def candidate_of(release: Release, **changes: object) -> Candidate:
    variant = release.variants[0]
    vram = MemoryNeed(
        weights_bytes=variant.file.length_bytes, kv_bytes=470_000_000, compute_bytes=310_000_000, overhead_bytes=0
    )
    candidate = Candidate(
        selection=Selection(offer=offer_of(release), variant=variant, context_length=8192),
        runtime="ollama",
        fit=Fit(
            context_length=8192,
            placement=Placement.GPU,
            gpu_layers=28,
            ram=MemoryNeed(compute_bytes=800_000_000),
            vram=vram,
            gpu_index=0,
            fits=True,
        ),
        expectation=Expectation(tokens_per_s=(30, 50), ttft_2000_s=(1, 2), basis="memory bandwidth"),
        can_run=True,
        disk_bytes=variant.file.length_bytes,
        reasons=(
            Reason(kind=ReasonKind.DECIDED, code="vram_decides", text="Your 8 GB of graphics memory decide."),
            Reason(
                kind=ReasonKind.MORE,
                code="larger_needs",
                text="The 14B model would answer better but needs 11 GB; it would run half on the processor, at about "
                "7 tokens per second.",
            ),
        ),
    )
    return candidate.model_copy(update=changes)


def plan_of(candidate: Candidate, *, here_bytes: int = 0) -> InstallPlan:
    length = candidate.variant.file.length_bytes
    return InstallPlan(
        candidate=candidate,
        key=version_key_of(candidate.release, candidate.variant.quantisation),
        to_fetch_bytes=length - here_bytes,
        here_bytes=here_bytes,
        disk_bytes=length - here_bytes,
        free_bytes=212_000_000_000,
        folder=Path("/store"),
    )


def installed_of(release: Release, *, active: bool = True) -> InstalledVersion:
    version = InstalledVersion(
        release=release,
        quantisation=release.variants[0].quantisation,
        path=Path("/store/blob"),
        channel="stable",
        registry=FINGERPRINT,
        context_length=8192,
        installed_at=datetime(2026, 1, 15, tzinfo=UTC),
        active=active,
    )
    return version.model_copy(update={"registrations": (Registration(runtime="ollama", tag=version.key),)})


def bare_survey(**changes: object) -> Survey:
    """The machine, and no registry yet."""
    return replace(Survey(profile=PROFILE, runtimes=(OLLAMA,), installed=(), registry=None), **changes)  # type: ignore[arg-type]


def offering_survey(chat: Release | None = None, fim: Release | None = None, **changes: object) -> Survey:
    """The machine with what a registry recommends for it."""
    chat = chat or release_of()
    chosen = [candidate_of(chat)] + ([candidate_of(fim)] if fim else [])
    offering = Offering(
        registry="https://models.example.com",
        checked_at=datetime.now(UTC),
        catalogue=Catalogue(channel="stable"),
        offers=tuple(each.selection.offer for each in chosen),
    )
    recommendation = Recommendation(
        tier=None, choices=tuple(RoleChoice(role=each.release.role, choice=each, reasons=()) for each in chosen)
    )
    survey = bare_survey(
        registry=offering.registry,
        offering=offering,
        recommendation=recommendation,
        plans=tuple(plan_of(each) for each in chosen),
    )
    return replace(survey, **changes)  # type: ignore[arg-type]


@dataclass
class FakeTalk:
    """A conversation. ``pieces`` may contain an error, which is raised there."""

    desk: FakeDesk
    version: InstalledVersion

    def ask(self, text: str, cancel: Cancel) -> Iterator[ChatEvent]:
        self.desk.questions.append(text)
        count = 0
        for piece in self.desk.answers.pop(0) if self.desk.answers else self.desk.pieces:
            if isinstance(piece, BBjDesktopError):
                raise piece
            if cancel.is_set:
                yield Finished(statistics=statistics(count, "cancelled"))
                return
            yield Delta(text=piece)
            count += 1
            self.desk.between.wait(self.desk.piece_s)
        yield Finished(statistics=statistics(count, self.desk.ended_by))

    def too_many(self, text: str) -> int | None:
        return self.desk.too_many if text else None

    def leave_out(self, turns: int) -> int:
        self.desk.left_out.append(turns)
        return turns


def statistics(tokens: int = 118, reason: str = "stop") -> Statistics:
    return Statistics.model_validate(
        {
            "ttft_s": 0.31,
            "prompt_tokens": 1086,
            "answer_tokens": tokens,
            "decode_tokens_per_s": 42.6,
            "total_s": 3.1,
            "stop_reason": reason,
        }
    )


@dataclass
class FakeDesk:
    """See ``Desk``.

    Attributes:
        surveys: Answers in their order; the last one stays. An error is raised.
        hold_survey: While cleared, surveys wait.
        hold_install: While cleared, an install waits half-way, until it is cancelled.
        install_cancel: By which the latest install can be cancelled and paused.
        pieces: Every answer.
        answers: The next answers, before those.
        ended_by: Why answers end.
        too_many: How many questions are to be left out for one that is refused as too long.
        left_out: How many were left out each time.
        compiler: That of the machine, or what is wrong with its setting.
        hold_check: While cleared, the compiler waits.
        closed_on: Name of the thread that closed it.
        install_error: Raised half-way through an install, once.
        after_install: What a survey says from then on.
        after_ollama: The same after a start or an end of Ollama.
        ollama_error: Raised by a start of Ollama, once.
        hold_ollama: While cleared, a start of Ollama waits until it is cancelled.
        ollama_changes: ``start`` and ``stop``, as they were asked for.
    """

    surveys: list[Survey | BBjDesktopError]
    after_install: Survey | None = None
    after_ollama: Survey | None = None
    ollama_error: BBjDesktopError | None = None
    ollama_changes: list[str] = field(default_factory=list)
    install_error: BBjDesktopError | None = None
    root_error: BBjDesktopError | None = None
    pieces: list[str | BBjDesktopError] = field(default_factory=lambda: ["Hello", " BBj"])
    answers: list[list[str | BBjDesktopError]] = field(default_factory=list)
    ended_by: str = "stop"
    piece_s: float = 0.0
    too_many: int | None = None
    left_out: list[int] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    installs: list[object] = field(default_factory=list)
    registries: list[tuple[str, bytes]] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)
    install_cancel: Cancel | None = None
    closed: bool = False
    closed_on: str = ""
    hold_survey: threading.Event = field(default_factory=threading.Event)
    hold_install: threading.Event = field(default_factory=threading.Event)
    hold_ollama: threading.Event = field(default_factory=threading.Event)
    between: threading.Event = field(default_factory=threading.Event)
    compiler: Compiler | BBjDesktopError | None = None
    hold_check: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.hold_survey.set()
        self.hold_install.set()
        self.hold_check.set()
        self.hold_ollama.set()

    def survey(self, report: Report, cancel: Cancel, *, ask_registry: bool) -> Survey:
        self.asked.append(ask_registry)
        report(Step("detect", "Looking at this machine"))
        while not self.hold_survey.is_set():
            cancel.wait(0.01)
        answer = self.surveys.pop(0) if len(self.surveys) > 1 else self.surveys[0]
        if isinstance(answer, BBjDesktopError):
            raise answer
        return answer

    def _install(self, wanted: object, report: Report, cancel: Cancel) -> None:
        self.installs.append(wanted)
        self.install_cancel = cancel
        report(Step("download", "Downloading and verifying"))
        report(Transfer(2_350_000_000, 4_700_000_000, 24_000_000, 98))
        while not self.hold_install.is_set():
            cancel.wait(0.01)
        error, self.install_error = self.install_error, None
        if error is not None:
            raise error
        if self.after_install is not None:
            self.surveys = [self.after_install]

    def install(self, candidate: Candidate, report: Report, cancel: Cancel) -> Installed:
        self._install(candidate, report, cancel)
        return Installed(version=installed_of(candidate.release), fetched_bytes=1, seconds=1)

    def update(self, update: Update, report: Report, cancel: Cancel) -> tuple[Installed, ...]:
        self._install(update, report, cancel)
        return (Installed(version=installed_of(update.offer.release), fetched_bytes=1, seconds=1),)

    def read_root(self, path: Path) -> RootView:
        if self.root_error is not None:
            raise self.root_error
        return RootView(fingerprint=FINGERPRINT, data=path.read_bytes())

    def add_registry(self, address: str, root: bytes, report: Report, cancel: Cancel) -> None:
        report(Step("registry", f"Reading {address}"))
        cancel.check()
        self.registries.append((address, root))

    def open_conversation(self) -> FakeTalk:
        survey = self.surveys[0]
        if isinstance(survey, BBjDesktopError) or survey.chat_version is None:
            raise AssertionError("the page asked without a model")
        return FakeTalk(self, survey.chat_version)

    def ollama(self) -> OllamaHere:
        survey = self.surveys[0]
        return OllamaHere() if isinstance(survey, BBjDesktopError) else survey.ollama

    def start_ollama(self, report: Report, cancel: Cancel) -> None:
        self._change_ollama("start", report, cancel)

    def stop_ollama(self, report: Report, cancel: Cancel) -> None:
        self._change_ollama("stop", report, cancel)

    def _change_ollama(self, change: str, report: Report, cancel: Cancel) -> None:
        self.ollama_changes.append(change)
        report(Step(f"{change}-ollama", "Ollama"))
        while not self.hold_ollama.is_set():
            cancel.wait(0.01)
        error, self.ollama_error = self.ollama_error, None
        if error is not None:
            raise error
        if self.after_ollama is not None:
            self.surveys = [self.after_ollama]

    def check(self, answer: str, cancel: Cancel, *, cut_off: bool) -> CheckedAnswer:
        self.hold_check.wait(10)
        cancel.check()
        if isinstance(self.compiler, BBjDesktopError):
            raise self.compiler
        return check_answer(self.compiler, answer, cancel, cut_off=cut_off)

    def close(self) -> None:
        self.closed = True
        self.closed_on = threading.current_thread().name
