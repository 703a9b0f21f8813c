"""What bringing a variant here takes, and where it goes: known before anything is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.space import VolumeNeed, needs_of
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.errors import EngineError
from bbj_desktop.core.ownership import decide_ownership
from bbj_desktop.core.recommendation import Candidate
from bbj_desktop.core.release import ChunkIndex, FileReference
from bbj_desktop.core.routes import RouteDecision
from bbj_desktop.core.versions import version_key_of
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.donors import Donor, recall_index
from bbj_desktop.services.transfer.fetch import Limits, bytes_missing


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


def lying_elsewhere(store: Store) -> set[FileReference]:
    """The files of installed versions that lie in Ollama's folder, where a pull leaves them as they are."""
    files = (each for version in store.versions() for each in version.files)
    return {part.file for part, path in files if path.exists()}


def room_bytes(store: Store, indexes: Iterable[ChunkIndex]) -> int:
    """What files that no shared store has take on the store's volume, in bytes."""
    return sum(bytes_missing(index, store.blob_path(index.file.digest)) for index in indexes)


def status_of(context: Context, candidate: Candidate) -> RuntimeStatus:
    """With Ollama's models folder as it was found: the process or service says that better than our environment."""
    from bbj_desktop.services.runtime.ollama import OllamaRuntime

    runtime = context.runtime(candidate.runtime)
    status = runtime.status()
    if isinstance(runtime, OllamaRuntime) and status.local and runtime.models_folder is not None:
        return status.model_copy(update={"models_folder": runtime.models_folder})
    return status


def volume_needs(
    store: Store, candidate: Candidate, room: int, status: RuntimeStatus, route: RouteDecision | None
) -> tuple[VolumeNeed, ...]:
    key = version_key_of(candidate.release, candidate.variant.quantisation)
    known = any(each.key == key and each.registration(status.name) is not None for each in store.versions())
    length = candidate.variant.length_bytes
    return needs_of(store.root, room, status, decide_ownership(status, route), length, registered=known)


def bytes_to_fetch(store: Store, indexes: Iterable[ChunkIndex]) -> int:
    """What of some files is neither here nor in other versions' files, in bytes."""
    donors = donors_of(store)
    return sum(bytes_missing(each, store.blob_path(each.file.digest), donors) for each in indexes)


def donors_of(store: Store) -> tuple[Donor, ...]:
    """The installed files whose chunks are known: an update takes from them what didn't change."""
    versions = (*store.versions(), *store.shared_versions())
    paths = dict.fromkeys(path for version in versions for _, path in version.files)
    indexes = ((path, recall_index(path) or recall_index(store.root / "blobs" / path.name)) for path in paths)
    return tuple(Donor(path, index) for path, index in indexes if index is not None)


def limits_of(context: Context) -> Limits:
    """What the settings say about the speed of downloads."""
    return Limits(bytes_per_s=context.settings.values.bandwidth_limit)
