"""What the pages ask for, over the actions. Every method blocks and is called from a job, never from the UI thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bbj_desktop.actions import chatting, checking, installing, recommending, registering, updating, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.installing import Installed, InstallPlan
from bbj_desktop.actions.ollama import OllamaHere, ollama_here, start_ollama, stop_ollama
from bbj_desktop.actions.updating import Update, UpdateCheck, Withdrawn
from bbj_desktop.core.chat import ChatEvent
from bbj_desktop.core.compiling import CheckedAnswer
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.errors import BBjDesktopError, NoTrustedRootError, TransportError, TrustError
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.progress import Cancel, Report, Step
from bbj_desktop.core.recommendation import Candidate, Recommendation, Wishes
from bbj_desktop.core.release import Offering, Role
from bbj_desktop.core.versions import InstalledVersion


@dataclass(frozen=True)
class Survey:
    """Everything that the window knows at one moment.

    Attributes:
        registry: Address of the registry in use; None when none is set up.
        recommendation: None when the registry could not be read, or wasn't asked.
        plans: For each recommended candidate that isn't installed, what installing it would fetch.
        trouble: Why there is no recommendation.
        ollama: Whether an Ollama can be started, or was.
    """

    profile: HardwareProfile
    runtimes: tuple[RuntimeStatus, ...]
    installed: tuple[InstalledVersion, ...]
    registry: str | None
    offering: Offering | None = None
    recommendation: Recommendation | None = None
    plans: tuple[InstallPlan, ...] = ()
    updates: tuple[Update, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()
    trouble: BBjDesktopError | None = None
    ollama: OllamaHere = field(default_factory=OllamaHere)

    @property
    def runtime(self) -> RuntimeStatus | None:
        """The runtime that would be used now."""
        return next((status for status in self.runtimes if status.available), None)

    @property
    def chat_version(self) -> InstalledVersion | None:
        """The version that answers: the active chat version, the largest when there are several."""
        return self.active_version(Role.CHAT)

    def active_version(self, role: Role) -> InstalledVersion | None:
        active = [each for each in self.installed if each.active and each.registrations and each.release.role is role]
        return max(active, key=lambda version: version.variant.architecture.parameters, default=None)

    def choice(self, role: Role) -> Candidate | None:
        found = self.recommendation.for_role(role) if self.recommendation else None
        return found.choice if found else None

    def plan(self, candidate: Candidate) -> InstallPlan | None:
        return next((plan for plan in self.plans if plan.candidate == candidate), None)


@dataclass(frozen=True)
class RootView:
    """A root file as it is shown before it is trusted.

    Attributes:
        fingerprint: To be compared with what the administrator published.
        data: The file.
    """

    fingerprint: str
    data: bytes


class Talk(Protocol):
    """One conversation."""

    @property
    def version(self) -> InstalledVersion: ...
    def ask(self, text: str, cancel: Cancel) -> Iterator[ChatEvent]: ...
    def too_many(self, text: str) -> int | None: ...
    def leave_out(self, turns: int) -> int: ...


class Desk(Protocol):
    """The window's view of the program; tests put others in its place."""

    def survey(self, report: Report, cancel: Cancel, *, ask_registry: bool) -> Survey: ...
    def install(self, candidate: Candidate, report: Report, cancel: Cancel) -> Installed: ...
    def update(self, update: Update, report: Report, cancel: Cancel) -> tuple[Installed, ...]: ...
    def read_root(self, path: Path) -> RootView: ...
    def add_registry(self, address: str, root: bytes, report: Report, cancel: Cancel) -> None: ...
    def open_conversation(self) -> Talk: ...
    def ollama(self) -> OllamaHere: ...
    def check(self, answer: str, cancel: Cancel, *, cut_off: bool) -> CheckedAnswer: ...
    def start_ollama(self, report: Report, cancel: Cancel) -> None: ...
    def stop_ollama(self, report: Report, cancel: Cancel) -> None: ...
    def close(self) -> None: ...


class ActionsDesk:
    """The desk over the real actions."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._opening = threading.Lock()  # a context makes its runtimes on first use: one thread at a time

    def survey(self, report: Report, cancel: Cancel, *, ask_registry: bool) -> Survey:
        """Looks at the machine, the store and the registry.

        Args:
            ask_registry: The user asked for it. Otherwise the registry is left alone where the settings forbid to ask
                it without being told.
        """
        with self._opening:
            runtimes = self._context.runtimes()
        installed = versions.list_versions(self._context)
        wanted = ask_registry or self._context.settings.values.update_checks
        trouble: BBjDesktopError | None = None
        if wanted:
            try:
                found = recommending.recommend(self._context, Wishes(), report, cancel)
                return self._complete(found, installed, cancel)
            except (TransportError, TrustError) as error:
                trouble = error
        report(Step("detect", "Looking at this machine"))
        return Survey(
            profile=self._context.profile(),
            runtimes=tuple(runtime.status() for runtime in runtimes),
            installed=installed,
            registry=self._registry(),
            trouble=trouble,
            ollama=ollama_here(self._context),
        )

    def _registry(self) -> str | None:
        try:
            return self._context.known_registry().address
        except NoTrustedRootError:
            return None

    def _complete(
        self, found: recommending.Recommended, installed: tuple[InstalledVersion, ...], cancel: Cancel
    ) -> Survey:
        keys = {version.key for version in installed if version.registrations}
        choices = [each.choice for each in found.recommendation.choices if each.choice is not None]
        plans = [installing.plan_install(self._context, choice, cancel) for choice in choices]
        return Survey(
            profile=found.profile,
            runtimes=found.runtimes,
            installed=installed,
            registry=found.offering.registry,
            offering=found.offering,
            recommendation=found.recommendation,
            plans=tuple(plan for plan in plans if plan.key not in keys),
            updates=updating.find_updates(installed, found.offering),
            withdrawn=updating.find_withdrawn(installed, found.offering),
            ollama=ollama_here(self._context),
        )

    def install(self, candidate: Candidate, report: Report, cancel: Cancel) -> Installed:
        plan = installing.plan_install(self._context, candidate, cancel)
        return installing.install(self._context, plan, report, cancel)

    def update(self, update: Update, report: Report, cancel: Cancel) -> tuple[Installed, ...]:
        offering = recommending.read_offering(self._context, cancel)
        return updating.update(self._context, UpdateCheck(offering=offering, updates=(update,)), report, cancel)

    def read_root(self, path: Path) -> RootView:
        data = registering.read_root(path)
        return RootView(fingerprint=registering.describe(data).fingerprint, data=data)

    def add_registry(self, address: str, root: bytes, report: Report, cancel: Cancel) -> None:
        registering.add_registry(self._context, address, root, report, cancel)

    def open_conversation(self) -> chatting.Conversation:
        with self._opening:
            return chatting.open_conversation(self._context)

    def ollama(self) -> OllamaHere:
        """Whether an Ollama can be started now, or was."""
        return ollama_here(self._context)

    def start_ollama(self, report: Report, cancel: Cancel) -> None:
        start_ollama(self._context, report, cancel)

    def stop_ollama(self, report: Report, cancel: Cancel) -> None:
        """Ends the one that this program started, if it runs."""
        report(Step("stop-ollama", "Ending Ollama"))
        cancel.check()
        stop_ollama(self._context)

    def check(self, answer: str, cancel: Cancel, *, cut_off: bool) -> CheckedAnswer:
        """What this machine's BBj compiler says of an answer's code; see ``check_answer``."""
        compiler = checking.compiler_for(self._context.settings.values)
        return checking.check_answer(compiler, answer, cancel, cut_off=cut_off)

    def close(self) -> None:
        self._context.close()
