"""Bringing verified files here: out of the shared store, from mirrors, through Ollama or straight into it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bbj_desktop.actions import ollama_mirrors
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.learning import keep_tokenizers
from bbj_desktop.actions.placing import (
    bytes_to_fetch,
    donors_of,
    limits_of,
    room_bytes,
    route_of,
    status_of,
    volume_needs,
)
from bbj_desktop.actions.space import check_needs
from bbj_desktop.core.errors import EngineMissingError, NotFoundError, PublishError, TransportError
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.recommendation import Candidate
from bbj_desktop.core.release import Catalogue, ChunkIndex, Part, format_of
from bbj_desktop.core.versions import InstalledVersion, Selection
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.store.checking import digest_of_file
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.donors import keep_index
from bbj_desktop.services.transfer.fetch import bytes_missing, fetch
from bbj_desktop.services.transfer.passing import PassedOn

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Brought:
    """A version whose verified files are here, or lie in Ollama's folder.

    Attributes:
        fetched_bytes: What came over the wire.
        already: Everything was here before.
    """

    version: InstalledVersion
    fetched_bytes: int
    already: bool


@dataclass(frozen=True, slots=True)
class _File:
    """One file of a variant.

    Attributes:
        shared: Where the shared store has it; None where it becomes ours.
    """

    index: ChunkIndex
    shared: Path | None


def bring(
    context: Context, store: Store, candidate: Candidate, report: Report, cancel: Cancel, *, force: bool
) -> Brought:
    """Fetches and verifies a variant's files by the best way there is, and records them.

    Args:
        force: Not to be kept back by the room that Ollama's copies would take.

    Raises:
        PublishError: The version was withdrawn.
        NoSpaceError: Before the first byte.
        TransportError, TrustError, StoreError, EngineError: As the services say.
    """
    registry = context.open_registry()
    try:
        report(Step("plan", "Reading the signed chunk list"))
        _check_offered(context, registry, candidate.selection, report, cancel)
        files = [
            _File(registry.chunk_index(part, cancel), _shared_file(store, part, report, cancel))
            for part in candidate.variant.parts
        ]
        own = [file.index for file in files if file.shared is None]
        room, streams = _check_room(context, store, candidate, own, force=force)
        known = {path for version in store.versions() for _, path in version.files}
        named = _let_ollama_fetch(context, store, registry, candidate, own, report, cancel)
        with _worst_of(named):
            if streams or (named.name and not ollama_mirrors.adopt(context, store, candidate)):
                indexes = [file.index for file in files]
                streamed = stream(context, store, registry, candidate, indexes, report, cancel)
                fetched = streamed.fetched_bytes + named.fetched_bytes
                return replace(streamed, fetched_bytes=fetched, already=streamed.already and not named.name)
            fetched = sum(_fetch(context, store, registry, candidate, index, report, cancel) for index in own)
        if own:
            report(Step("store", "Recording the verified version"))
        paths = [file.shared or store.blob_path(file.index.file.digest) for file in files]
        version = store.install(_record(context, candidate.selection, paths, registry.identity))
    finally:
        registry.close()
    already = not room and (bool(own) or known.issuperset(paths))
    return Brought(version, fetched + named.fetched_bytes, already)


def _check_offered(context: Context, registry: Registry, selection: Selection, report: Report, cancel: Cancel) -> None:
    """That the registry, as it is now, still offers it: the plan may be older. Passes on what it remarks."""
    catalogue = registry.offering(selection.offer.channel, cancel, app_version=context.app_version).catalogue
    for remark in registry.remarks:
        report(remark)
    _refuse_withdrawn(selection, catalogue)


def _check_room(
    context: Context, store: Store, candidate: Candidate, own: Sequence[ChunkIndex], *, force: bool
) -> tuple[int, bool]:
    """The bytes that it takes in the store, for which there is room, and whether it streams into Ollama instead."""
    room = room_bytes(store, own)
    route = route_of(context, store, candidate, file_here=not room)
    streams = route is not None and not route.keeps_our_file
    room = 0 if streams else room
    store.check_space(room)
    if not force:  # what Ollama's copies take is known less surely than what our file takes
        check_needs(volume_needs(store, candidate, room, status_of(context, candidate), route))
    return room, streams


def _refuse_withdrawn(selection: Selection, catalogue: Catalogue) -> None:
    chosen = selection.offer.entry
    for entry in catalogue.entries:
        if entry.manifest == chosen.manifest and entry.withdrawn is not None:
            raise PublishError(
                f"{selection.offer.release.title} {entry.version} was withdrawn by its makers: {entry.withdrawn}",
                hint="bbj-desktop recommend shows what is offered instead.",
            )


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
    considered = ollama_mirrors.consider(context, candidate, bytes_to_fetch(store, own))
    names = [each.name for each in considered if each.taken]
    if not names:
        return ollama_mirrors.Named()
    paths = [store.blob_path(part.file.digest) for part in candidate.variant.parts]
    record = _record(context, candidate.selection, paths, registry.identity)
    return ollama_mirrors.bring(context, names, candidate, record, report, cancel)


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
) -> Brought:
    """Fetches a version straight into Ollama and records that its files lie there."""
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
    for index in indexes:  # kept with us: Ollama's folder isn't ours to write
        keep_index(index, store.blob_path(index.file.digest), Disk())
    fetched = sum(each.received_bytes for each in passed.values())
    return Brought(version, fetched, not fetched)


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
