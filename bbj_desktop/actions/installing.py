"""Bringing a variant here and making a runtime know it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions import ollama_mirrors
from bbj_desktop.actions.bringing import bring
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.placing import (
    bytes_to_fetch,
    donors_of,
    lying_elsewhere,
    room_bytes,
    route_of,
    status_of,
    volume_needs,
)
from bbj_desktop.actions.space import VolumeNeed
from bbj_desktop.actions.versions import activate_version
from bbj_desktop.core.errors import (
    DoesNotFitError,
    EngineMissingError,
    NotFoundError,
)
from bbj_desktop.core.mirroring import NamedMirror
from bbj_desktop.core.ownership import Ownership, decide_ownership
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.recommendation import Candidate, ReasonKind
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.core.versions import InstalledVersion, version_key_of
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.fetch import bytes_missing

log = logging.getLogger(__name__)


class InstallPlan(BaseModel):
    """What an install would do, known before it begins.

    Attributes:
        key: Tag of the version, e.g. ``bbj-coder:2026.1-7b-q4_k_m``.
        to_fetch_bytes: What will really be fetched.
        here_bytes: What is here already: from an earlier or interrupted install, or in other versions' files.
        disk_bytes: Further room that it takes on the store's volume.
        free_bytes: Room there now.
        folder: The store.
        refusals: Why it would be refused without force; empty when nothing speaks against it.
        needs: The room it takes, by volume.
        ownership: Who will own the bytes.
        named: Where only Ollama could fetch it from, and whether it is to, before our own mirrors are asked.
    """

    model_config = ConfigDict(frozen=True)

    candidate: Candidate
    key: str
    to_fetch_bytes: int
    here_bytes: int
    disk_bytes: int
    free_bytes: int
    folder: Path
    refusals: tuple[str, ...] = ()
    needs: tuple[VolumeNeed, ...] = ()
    ownership: Ownership | None = None
    named: tuple[NamedMirror, ...] = ()

    @property
    def by_ollama(self) -> tuple[str, ...]:
        """What Ollama is to fetch itself, with host and tag."""
        return tuple(each.name for each in self.named if each.taken)


class Installed(BaseModel):
    """The end of an install.

    Attributes:
        fetched_bytes: Payload bytes that came over the wire.
        seconds: How long it took in all.
        already: It was complete before.
    """

    model_config = ConfigDict(frozen=True)

    version: InstalledVersion
    fetched_bytes: int
    seconds: float
    already: bool = False


def plan_install(context: Context, candidate: Candidate, cancel: Cancel) -> InstallPlan:
    """Says what an install would fetch and take, without changing anything.

    Raises:
        NotFoundError: Its bytes are neither here nor where the registry was found.
        TransportError, TrustError: The registry's chunk index can't be had or trusted.
    """
    missing = next((reason for reason in candidate.reasons if reason.code == "not_brought"), None)
    if missing is not None:
        raise NotFoundError(missing.text, hint="bbj-desktop bundle import DIR takes it over.")
    store = context.open_store()
    registry = context.open_registry()
    try:
        registry.refresh(cancel)
        indexes = [registry.chunk_index(part, cancel) for part in candidate.variant.parts]
    finally:
        registry.close()
    return _plan(context, store, candidate, indexes)


def _plan(context: Context, store: Store, candidate: Candidate, indexes: Sequence[ChunkIndex]) -> InstallPlan:
    own = [index for index in indexes if store.shared_file(index.file) is None]
    donors = donors_of(store)
    missing = bytes_to_fetch(store, own)
    room = room_bytes(store, own)
    route = route_of(context, store, candidate, file_here=not room)
    if route is not None and not route.keeps_our_file:
        there = lying_elsewhere(store)
        missing = sum(
            bytes_missing(each, store.blob_path(each.file.digest), donors) for each in own if each.file not in there
        )
        room = 0
    status = status_of(context, candidate)
    warnings = [reason.text for reason in candidate.reasons if reason.kind is ReasonKind.WARNING]
    return InstallPlan(
        candidate=candidate,
        key=version_key_of(candidate.release, candidate.variant.quantisation),
        to_fetch_bytes=missing,
        here_bytes=candidate.variant.length_bytes - missing,
        disk_bytes=room,
        free_bytes=store.free_bytes(),
        folder=context.paths.store,
        refusals=() if candidate.can_run else tuple(warnings) or ("This machine can't run it.",),
        needs=volume_needs(store, candidate, room, status, route),
        ownership=decide_ownership(status, route),
        named=ollama_mirrors.consider(context, candidate, missing),
    )


def install(context: Context, plan: InstallPlan, report: Report, cancel: Cancel, *, force: bool = False) -> Installed:
    """Fetches, verifies, records, registers and activates what a plan names. Interrupted anywhere, doing it again
    takes up where it ended; nothing that was active before changes until the new version is registered.

    Args:
        force: Install although the machine can't run it.

    Raises:
        DoesNotFitError: The machine can't run it, and ``force`` wasn't given.
        NoSpaceError: Before the first byte.
        TransportError, TrustError, StoreError, EngineError: As the services say.
    """
    candidate = plan.candidate
    if plan.refusals and not force:
        raise DoesNotFitError(
            f"{candidate.release.title} {candidate.variant.quantisation} would not run here: "
            + " ".join(plan.refusals),
            hint="Choose what bbj-desktop recommend names, or add --force to install it all the same.",
        )
    started = time.monotonic()
    store = context.open_store()
    brought = bring(context, store, candidate, report, cancel, force=force)
    version = brought.version
    report(Step("register", f"Registering {version.key} with {candidate.runtime}"))
    version = register_version(context, store, version, candidate.runtime, report, cancel, force=force)
    ollama_mirrors.settle(context, candidate, report)
    report(Step("activate", f"Activating {version.key}"))
    version = activate_version(context, store, version.key, report, cancel)
    seconds = time.monotonic() - started
    log.info("installed %s: %d bytes fetched in %.1f s", version.key, brought.fetched_bytes, seconds)
    return Installed(version=version, fetched_bytes=brought.fetched_bytes, seconds=seconds, already=brought.already)


def register_version(
    context: Context,
    store: Store,
    version: InstalledVersion,
    runtime_name: str,
    report: Report,
    cancel: Cancel,
    *,
    force: bool = False,
) -> InstalledVersion:
    """Makes a runtime know an installed version and records how.

    Args:
        force: Keep the version even when its runtime can't be used now; a later install registers it.

    Raises:
        EngineError: The runtime can't, and ``force`` wasn't given.
    """
    runtime = context.runtime("ollama" if runtime_name == "ollama" else "embedded")
    status = runtime.status()
    if not status.available:
        if not force:
            raise EngineMissingError(f"{runtime.name} can't be used: {status.reason}", hint="See bbj-desktop doctor.")
        report(Remark(f"Not registered: {status.reason}", level="warning"))
        return version
    registration = runtime.register(version, report, cancel)
    return store.register(version.key, registration)
