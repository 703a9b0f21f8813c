"""Bringing a variant here and making a runtime know it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions import ollama_mirrors
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.learning import keep_tokenizers
from bbj_desktop.actions.space import VolumeNeed, check_needs, needs_of
from bbj_desktop.actions.versions import activate_version
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.errors import (
    DoesNotFitError,
    EngineError,
    EngineMissingError,
    NotFoundError,
    PublishError,
    TransportError,
)
from bbj_desktop.core.mirroring import NamedMirror
from bbj_desktop.core.ownership import Ownership, decide_ownership
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.recommendation import Candidate, ReasonKind
from bbj_desktop.core.release import Catalogue, ChunkIndex, FileReference, Part, format_of
from bbj_desktop.core.routes import RouteDecision
from bbj_desktop.core.versions import InstalledVersion, Selection, version_key_of
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.store.checking import digest_of_file
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.donors import Donor, keep_index, recall_index
from bbj_desktop.services.transfer.fetch import Limits, bytes_missing, fetch
from bbj_desktop.services.transfer.passing import PassedOn

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
        TransportError, TrustError: The registry's chunk index can't be had or trusted.
    """
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
    missing = _missing(store, own)
    room = _room(store, own)
    route = route_of(context, store, candidate, file_here=not room)
    if route is not None and not route.keeps_our_file:
        there = _lying_elsewhere(store)
        missing = sum(
            bytes_missing(each, store.blob_path(each.file.digest), donors) for each in own if each.file not in there
        )
        room = 0
    status = _status_of(context, candidate)
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
        needs=_needs(store, candidate, room, status, route),
        ownership=decide_ownership(status, route),
        named=ollama_mirrors.consider(context, candidate, missing),
    )


def route_of(context: Context, store: Store, candidate: Candidate, *, file_here: bool) -> RouteDecision | None:
    """How a model would get into Ollama; None for another engine, and for an Ollama that doesn't answer."""
    from bbj_desktop.services.runtime.ollama import OllamaRuntime

    runtime = context.runtime(candidate.runtime)
    if not isinstance(runtime, OllamaRuntime):
        return None
    with suppress(EngineError):
        adapter = candidate.variant.adapter is not None
        return runtime.decide(store.root, adapter=adapter, file_here=file_here, streams=True)
    return None


def _lying_elsewhere(store: Store) -> set[FileReference]:
    """The files of installed versions that lie in Ollama's folder, where a pull leaves them as they are."""
    files = (each for version in store.versions() for each in version.files)
    return {part.file for part, path in files if path.exists()}


def _room(store: Store, indexes: Iterable[ChunkIndex]) -> int:
    """What files that no shared store has take on the store's volume, in bytes."""
    return sum(bytes_missing(index, store.blob_path(index.file.digest)) for index in indexes)


def _status_of(context: Context, candidate: Candidate) -> RuntimeStatus:
    """With Ollama's models folder as it was found: the process or service says that better than our environment."""
    from bbj_desktop.services.runtime.ollama import OllamaRuntime

    runtime = context.runtime(candidate.runtime)
    status = runtime.status()
    if isinstance(runtime, OllamaRuntime) and status.local and runtime.models_folder is not None:
        return status.model_copy(update={"models_folder": runtime.models_folder})
    return status


def _needs(
    store: Store, candidate: Candidate, room: int, status: RuntimeStatus, route: RouteDecision | None
) -> tuple[VolumeNeed, ...]:
    key = version_key_of(candidate.release, candidate.variant.quantisation)
    known = any(each.key == key and each.registration(status.name) is not None for each in store.versions())
    length = candidate.variant.length_bytes
    return needs_of(store.root, room, status, decide_ownership(status, route), length, registered=known)


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
    version, fetched, already = _bring(context, store, candidate, report, cancel, force=force)
    report(Step("register", f"Registering {version.key} with {candidate.runtime}"))
    version = register_version(context, store, version, candidate.runtime, report, cancel, force=force)
    ollama_mirrors.settle(context, candidate, report)
    report(Step("activate", f"Activating {version.key}"))
    version = activate_version(context, store, version.key, report, cancel)
    seconds = time.monotonic() - started
    log.info("installed %s: %d bytes fetched in %.1f s", version.key, fetched, seconds)
    return Installed(version=version, fetched_bytes=fetched, seconds=seconds, already=already)


def _bring(
    context: Context, store: Store, candidate: Candidate, report: Report, cancel: Cancel, *, force: bool
) -> tuple[InstalledVersion, int, bool]:
    """The verified files and their record: (version, bytes fetched, whether they were there)."""
    selection, variant = candidate.selection, candidate.variant
    registry = context.open_registry()
    try:
        report(Step("plan", "Reading the signed chunk list"))
        catalogue = registry.offering(selection.offer.channel, cancel, app_version=context.app_version).catalogue
        for remark in registry.remarks:
            report(remark)
        _refuse_withdrawn(selection, catalogue)
        indexes = [registry.chunk_index(part, cancel) for part in variant.parts]
        shared = [_shared_file(store, part, report, cancel) for part in variant.parts]
        own = [index for index, place in zip(indexes, shared, strict=True) if place is None]
        room = _room(store, own)
        route = route_of(context, store, candidate, file_here=not room)
        streams = route is not None and not route.keeps_our_file
        room = 0 if streams else room
        store.check_space(room)
        if not force:  # what Ollama's copies take is known less surely than what our file takes
            check_needs(_needs(store, candidate, room, _status_of(context, candidate), route))
        known = {path for version in store.versions() for _, path in version.files}
        named = _let_ollama_fetch(context, store, registry, candidate, own, report, cancel)
        with _worst_of(named):
            if streams or (named.name and not ollama_mirrors.adopt(context, store, candidate)):
                version, fetched, already = stream(context, store, registry, candidate, indexes, report, cancel)
                return version, fetched + named.fetched_bytes, already and not named.name
            fetched = sum(_fetch(context, store, registry, candidate, index, report, cancel) for index in own)
            fetched += named.fetched_bytes
        if own:
            report(Step("store", "Recording the verified version"))
        paths = [place or store.blob_path(part.file.digest) for place, part in zip(shared, variant.parts, strict=True)]
        version = store.install(_record(context, selection, paths, registry.identity))
    finally:
        registry.close()
    return version, fetched, not room and (bool(own) or known.issuperset(paths))


def _let_ollama_fetch(
    context: Context,
    store: Store,
    registry: Registry,
    candidate: Candidate,
    own: Sequence[ChunkIndex],
    report: Report,
    cancel: Cancel,
) -> ollama_mirrors.Named:
    """Where hardly anything of a version is here, Ollama may have been named a place to fetch it from."""
    considered = ollama_mirrors.consider(context, candidate, _missing(store, own))
    names = [each.name for each in considered if each.taken]
    if not names:
        return ollama_mirrors.Named()
    paths = [store.blob_path(part.file.digest) for part in candidate.variant.parts]
    record = _record(context, candidate.selection, paths, registry.identity)
    return ollama_mirrors.bring(context, names, candidate, record, report, cancel)


def _missing(store: Store, indexes: Iterable[ChunkIndex]) -> int:
    """What of some files is neither here nor in other versions' files, in bytes."""
    donors = donors_of(store)
    return sum(bytes_missing(each, store.blob_path(each.file.digest), donors) for each in indexes)


@contextmanager
def _worst_of(named: ollama_mirrors.Named) -> Iterator[None]:
    """That one mirror lied is worse than that the others don't answer."""
    try:
        yield
    except (TransportError, NotFoundError) as error:
        if named.lie is not None:
            raise named.lie from error
        raise


def stream(
    context: Context,
    store: Store,
    registry: Registry,
    candidate: Candidate,
    indexes: Sequence[ChunkIndex],
    report: Report,
    cancel: Cancel,
) -> tuple[InstalledVersion, int, bool]:
    """Fetches a version straight into Ollama and records that its files lie there: as ``_bring``."""
    from bbj_desktop.services.runtime.ollama import OllamaRuntime

    runtime = context.runtime(candidate.runtime)
    if not isinstance(runtime, OllamaRuntime):
        raise EngineMissingError(f"{runtime.name} pulls nothing.")
    paths = [path for index in indexes if (path := runtime.blob_path(index.file.digest)) is not None]
    record = _record(context, candidate.selection, paths, registry.identity)
    donors, limits = donors_of(store), limits_of(context)
    passed = {
        index.file.digest: PassedOn(
            registry.payload_sources(index),
            blob_path(index.file.digest),
            index,
            donors=donors,
            limits=limits,
            remark=lambda remark: log.warning("%s", remark.text),  # from the threads that serve, which report nothing
        )
        for index in indexes
    }
    registration = runtime.stream(record, passed, report, cancel)
    keep_tokenizers(context, registry, [record.release], cancel)
    version = store.install(record.model_copy(update={"registrations": (registration,)}))
    fetched = sum(each.received_bytes for each in passed.values())
    return version, fetched, not fetched


def _fetch(
    context: Context,
    store: Store,
    registry: Registry,
    candidate: Candidate,
    index: ChunkIndex,
    report: Report,
    cancel: Cancel,
) -> int:
    """Brings one file into the store. Returns the bytes that came over the wire."""
    release, variant = candidate.release, candidate.variant
    which = ""
    if variant.adapter is not None:
        which = ", the adapter" if index.file == variant.adapter.file else ", the base"
    path, destination = blob_path(index.file.digest), store.blob_path(index.file.digest)
    does = "Downloading and verifying" if bytes_missing(index, destination) else "Here already, verifying"
    report(Step("download", f"{does} {release.title} {variant.quantisation}{which}"))
    limits, donors = limits_of(context), donors_of(store)
    sources = registry.payload_sources(index)
    fetched = fetch(sources, path, index, destination, report, cancel, limits=limits, donors=donors)
    keep_index(index, destination, Disk())
    return fetched.bytes_fetched


def _shared_file(store: Store, part: Part, report: Report, cancel: Cancel) -> Path | None:
    """The shared store's file, hashed here: who can write there needn't be trusted."""
    path = store.shared_file(part.file)
    if path is None:
        return None
    report(Step("verify", f"Reading {path.name} of the shared store"))
    meter = Meter(report, part.file.length_bytes)
    if digest_of_file(path, part.file, meter, cancel) == part.file.digest:
        return path
    report(Remark(f"{path} isn't what was signed: the model is fetched instead.", level="warning"))
    return None


def donors_of(store: Store) -> tuple[Donor, ...]:
    """The installed files whose chunks are known: an update takes from them what didn't change."""
    versions = (*store.versions(), *store.shared_versions())
    paths = dict.fromkeys(path for version in versions for _, path in version.files)
    indexes = ((path, recall_index(path)) for path in paths)
    return tuple(Donor(path, index) for path, index in indexes if index is not None)


def limits_of(context: Context) -> Limits:
    """What the settings say about the speed of downloads."""
    return Limits(bytes_per_s=context.settings.values.bandwidth_limit)


def _refuse_withdrawn(selection: Selection, catalogue: Catalogue) -> None:
    """As the registry says now: the plan may be older."""
    chosen = selection.offer.entry
    for entry in catalogue.entries:
        if entry.manifest == chosen.manifest and entry.withdrawn is not None:
            raise PublishError(
                f"{selection.offer.release.title} {entry.version} was withdrawn by its makers: {entry.withdrawn}",
                hint="bbj-desktop recommend shows what is offered instead.",
            )


def _record(context: Context, selection: Selection, paths: Sequence[Path], identity: str) -> InstalledVersion:
    path, *adapters = paths
    return InstalledVersion(
        format=format_of([selection.variant]),
        release=selection.offer.release,
        quantisation=selection.variant.quantisation,
        path=path,
        adapter_path=adapters[0] if adapters else None,
        channel=selection.offer.channel,
        registry=identity,
        context_length=selection.context_length,
        installed_at=context.now(),
    )


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
