"""Mending an installed version whose file was damaged."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.drifting import mend, talk_to_ollama
from bbj_desktop.actions.placing import donors_of, limits_of
from bbj_desktop.actions.restreaming import Restored, restream
from bbj_desktop.actions.serving_bytes import Bytes, damaged_copies, look_at_files
from bbj_desktop.core.errors import (
    BBjDesktopError,
    DigestError,
    EngineError,
    EngineMissingError,
    NotFoundError,
    NoTrustedRootError,
    TransportError,
)
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.runtime.ollama_drift import Drift
from bbj_desktop.services.runtime.ollama_freeing import let_go
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.donors import keep_index
from bbj_desktop.services.transfer.repair import Repaired as FileRepaired
from bbj_desktop.services.transfer.repair import repair as repair_file

log = logging.getLogger(__name__)


class Repaired(BaseModel):
    """The end of a repair.

    Attributes:
        damaged_bytes: Length of the parts that weren't as they were signed; 0 when nothing was wrong.
        fetched_bytes: What came over the wire.
        seconds: How long it took in all.
        mended: What somebody had changed of it in Ollama.
        files: What is known of its files now.
    """

    model_config = ConfigDict(frozen=True)

    version: InstalledVersion
    damaged_bytes: int
    fetched_bytes: int
    seconds: float
    mended: tuple[Drift, ...] = ()
    files: Bytes = Bytes.HASHED


def repair(context: Context, text: str, report: Report, cancel: Cancel) -> Repaired:
    """Reads an installed version's file and fetches what of it isn't as it was signed, and no more. Its runtimes let go
    of it before. Interrupted anywhere, the file is as it was, and doing it again takes up where it ended.

    Args:
        text: Its key, or a unique beginning of it.

    Raises:
        NotFoundError: No such version, or the registry has its files no more.
        TransportError, TrustError, StoreError: As the services say.
    """
    started = time.monotonic()
    store = context.open_store()
    version = store.find(text)
    done = Restored()
    try:
        done = _repair_files(context, store, version, report, cancel)
    except (TransportError, NoTrustedRootError) as error:
        done = Restored(unread=_look_without_registry(context, store, version, error, report, cancel))
    version = store.get(version.key)  # a stream may have moved it
    mended = done.mended
    try:
        removed = done.removed | _drop_damaged_copies(context, store, version, report, cancel)
        for each in _sharing(store, version):
            now, found = mend(context, store, each, report, cancel, removed=removed)
            version, mended = (now if each.key == version.key else version), (*mended, *found)
    except EngineMissingError as error:  # the file is right; what Ollama has can't be told
        report(Remark(f"Ollama wasn't asked: {error.message}"))
    log.info("repaired %s: %d bytes damaged, %d fetched", version.key, done.damaged_bytes, done.fetched_bytes)
    return Repaired(
        version=version,
        damaged_bytes=done.damaged_bytes,
        fetched_bytes=done.fetched_bytes,
        seconds=time.monotonic() - started,
        mended=mended,
        files=Bytes.AS_NAMED if done.unread else Bytes.HASHED,
    )


def _look_without_registry(
    context: Context,
    store: Store,
    version: InstalledVersion,
    error: BBjDesktopError,
    report: Report,
    cancel: Cancel,
) -> bool:
    """Without the registry a whole file can still be registered again. Tells whether it couldn't be read.

    Raises:
        BBjDesktopError: It isn't whole; that is ``error``.
    """
    report(Remark(f"The registry can't be reached: {error.message}"))
    report(Step("verify", f"Reading {version.path.name}"))
    try:
        return look_at_files(context, store, version, report, cancel) is Bytes.AS_NAMED
    except (DigestError, NotFoundError) as damage:
        raise error from damage


def _drop_damaged_copies(
    context: Context, store: Store, version: InstalledVersion, report: Report, cancel: Cancel
) -> frozenset[str]:
    """A copy of Ollama's own that isn't what its name says goes, with our names of it, so that it is taken anew.
    Returns these names."""
    if version.registration("ollama") is None or not store.keeps(version):
        return frozenset()
    with talk_to_ollama(context) as api:
        if damaged := damaged_copies(context, version, report, cancel):
            report(Remark(f"What Ollama keeps of {version.key} is damaged: it takes it again.", "warning"))
            return let_go(api, damaged, store.versions(), cancel)
    return frozenset()


def _repair_files(
    context: Context, store: Store, version: InstalledVersion, report: Report, cancel: Cancel
) -> Restored:
    registry = context.open_registry()
    try:
        report(Step("plan", "Reading the signed chunk list"))
        if not store.keeps(version):
            sharing = [each for each in _sharing(store, version) if each.key != version.key and not store.keeps(each)]
            done = restream(context, store, registry, version, report, cancel)
            for each in sharing if done.removed else ():  # their own files may have gone with their names
                done += restream(context, store, registry, each, report, cancel)
            return done
        indexes = [registry.chunk_index(part, cancel) for part, _ in version.files]
        for each in _sharing(store, version):
            unload_everywhere(context, each, report)
        report(Step("repair", f"Reading {version.key} and fetching what is damaged"))
        paths = [path for _, path in version.files]
        each_done = [
            _repair(context, store, registry, index, path, report, cancel)
            for index, path in zip(indexes, paths, strict=True)
        ]
    finally:
        registry.close()
    return Restored(sum(each.damaged_bytes for each in each_done), sum(each.fetched_bytes for each in each_done))


def _repair(
    context: Context,
    store: Store,
    registry: Registry,
    index: ChunkIndex,
    file: Path,
    report: Report,
    cancel: Cancel,
) -> FileRepaired:
    limits, donors = limits_of(context), [each for each in donors_of(store) if each.path != file]
    path, sources = blob_path(index.file.digest), registry.payload_sources(index)
    done = repair_file(sources, path, index, file, report, cancel, limits=limits, donors=donors)
    keep_index(index, file, Disk())
    return done


def _sharing(store: Store, version: InstalledVersion) -> list[InstalledVersion]:
    """The versions that one of a version's files belongs to, it among them: a base may serve several."""
    files = {path for _, path in version.files}
    return [each for each in store.versions() if files & {path for _, path in each.files}]


def unload_everywhere(context: Context, version: InstalledVersion, report: Report) -> None:
    """Makes the runtimes that know a version let go of its file; one that can't be reached has no hold of it."""
    for registration in version.registrations:
        runtime = context.runtime("ollama" if registration.runtime == "ollama" else "embedded")
        try:
            runtime.unload(version)
        except EngineError as error:
            report(Remark(f"{registration.tag} may still be loaded in {registration.runtime}: {error.message}"))
