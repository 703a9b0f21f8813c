"""Results of installing and updating."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.actions.space import VolumeNeed
from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.cli.results.recommending import CandidateView
from bbj_desktop.cli.results.views import ReleaseView, VersionView
from bbj_desktop.core.mirroring import NamedMirror
from bbj_desktop.core.ownership import Ownership


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
        mirrors: Where only Ollama could fetch it from: whether it is to, and why.
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
    mirrors: tuple[NamedMirror, ...] = ()


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
