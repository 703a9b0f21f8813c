"""Which state Home is in: a pure decision over the survey and the install under way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bbj_desktop.actions.installing import InstallPlan
from bbj_desktop.actions.ollama import OllamaHere
from bbj_desktop.actions.updating import Update
from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.core.recommendation import Candidate, Reason
from bbj_desktop.core.release import Role
from bbj_desktop.core.versions import InstalledVersion, version_key_of
from bbj_desktop.ui.desk import Survey
from bbj_desktop.ui.models.situation import Situation
from bbj_desktop.ui.text import model_title


@dataclass(frozen=True)
class Looking:
    """Nothing is known yet."""


@dataclass(frozen=True)
class FirstStart:
    """No registry is trusted yet."""


@dataclass(frozen=True)
class Unreachable:
    """Nothing is installed and nothing can be recommended; ``error`` says why."""

    error: BBjDesktopError


@dataclass(frozen=True)
class NotAsked:
    """Nothing is installed, and the settings forbid to ask the registry without being told."""

    registry: str


@dataclass(frozen=True)
class NothingFits:
    """The registry was read, but has nothing for this machine.

    Attributes:
        others: What is offered, judged, best first.
    """

    reasons: tuple[Reason, ...]
    others: tuple[Candidate, ...]


@dataclass(frozen=True)
class ReadyToInstall:
    """Attributes:
    plan: What it would fetch; None when that isn't known.
    """

    candidate: Candidate
    plan: InstallPlan | None

    @property
    def fetch_bytes(self) -> int:
        return self.plan.to_fetch_bytes if self.plan else self.candidate.variant.length_bytes

    @property
    def partly_here(self) -> bool:
        return self.plan is not None and self.plan.here_bytes > 0


@dataclass(frozen=True)
class Ready:
    """A model answers.

    Attributes:
        update: A newer release of it.
        withdrawn: Why its makers withdrew it; empty when they didn't.
        trouble: Why the registry couldn't be asked.
    """

    version: InstalledVersion
    update: Update | None = None
    withdrawn: str = ""
    trouble: BBjDesktopError | None = None


@dataclass(frozen=True)
class OllamaStopped:
    """Nothing answers until the Ollama that is installed here runs.

    Attributes:
        version: What answers through it; None when nothing is installed yet.
    """

    ollama: OllamaHere
    version: InstalledVersion | None = None


HomeState = Looking | FirstStart | Unreachable | NotAsked | NothingFits | ReadyToInstall | OllamaStopped | Ready


def home_state(situation: Situation) -> HomeState:
    """Decides what Home shows."""
    survey = situation.survey
    if survey is None:
        return Unreachable(situation.error) if situation.error and not situation.looking else Looking()
    version, candidate = survey.chat_version, survey.choice(Role.CHAT)
    if survey.ollama.needed and (version is not None or survey.recommendation is not None):
        return OllamaStopped(survey.ollama, version)
    if version is not None:
        return _ready(survey, version)
    if candidate is not None:
        return ReadyToInstall(candidate, survey.plan(candidate))
    if situation.looking:
        return Looking()
    if survey.registry is None:
        return FirstStart()
    if survey.recommendation is None:
        error = survey.trouble or situation.error
        return Unreachable(error) if error is not None else NotAsked(survey.registry)
    choice = survey.recommendation.for_role(Role.CHAT)
    return NothingFits(choice.reasons if choice else (), choice.others if choice else ())


def _ready(survey: Survey, version: InstalledVersion) -> Ready:
    state = Ready(version, trouble=survey.trouble if survey.registry else None)
    withdrawn = next((each.reason for each in survey.withdrawn if each.installed.key == version.key), "")
    update = next((each for each in survey.updates if each.installed.key == version.key), None)
    return replace(state, update=update, withdrawn=withdrawn)


def completion_offer(survey: Survey) -> ReadyToInstall | None:
    """The recommended completion model, unless it (or another of its slot) is installed."""
    candidate = survey.choice(Role.FIM)
    if candidate is None or survey.active_version(Role.FIM) is not None:
        return None
    return ReadyToInstall(candidate, survey.plan(candidate))


@dataclass(frozen=True)
class Wanted:
    """What an install under way brings: a candidate, or the update of an installed version."""

    what: Candidate | Update

    @property
    def title(self) -> str:
        release = self.what.release if isinstance(self.what, Candidate) else self.what.offer.release
        return model_title(release)

    @property
    def key(self) -> str:
        if isinstance(self.what, Candidate):
            return version_key_of(self.what.release, self.what.variant.quantisation)
        return version_key_of(self.what.offer.release, self.what.installed.quantisation)


@dataclass(frozen=True)
class Interrupted:
    """An install that ended before its end.

    Attributes:
        error: Why; None when the user stopped it.
        kind: ``stopped`` by the user, or ``failed``.
    """

    wanted: Wanted
    error: BBjDesktopError | None = None

    @property
    def kind(self) -> Literal["stopped", "failed"]:
        return "failed" if self.error else "stopped"
