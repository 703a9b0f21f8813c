"""Mending a version of which only Ollama has the bytes: never by writing into its file, always by its own pull."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.drifting import find_drift, talk_to_ollama
from bbj_desktop.actions.placing import donors_of, limits_of
from bbj_desktop.core.errors import EngineMissingError, StoreAccessError
from bbj_desktop.core.progress import Cancel, Report, Step
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_drift import Drift
from bbj_desktop.services.runtime.ollama_freeing import let_go
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.held import HeldFile
from bbj_desktop.services.transfer.passing import PassedOn

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done about files.

    Attributes:
        damaged_bytes: Not as they were signed, or gone.
        fetched_bytes: What came over the network.
        mended: What somebody had changed of the version's tag in Ollama.
        removed: Names in Ollama that were removed on the way, to be given again.
        unread: A file that Ollama had and has couldn't be read.
    """

    damaged_bytes: int = 0
    fetched_bytes: int = 0
    mended: tuple[Drift, ...] = ()
    removed: frozenset[str] = frozenset()
    unread: bool = False

    def __add__(self, other: Restored) -> Restored:
        return Restored(
            self.damaged_bytes + other.damaged_bytes,
            self.fetched_bytes + other.fetched_bytes,
            (*self.mended, *other.mended),
            self.removed | other.removed,
            self.unread or other.unread,
        )


@dataclass(frozen=True, slots=True)
class Looked:
    """One file of a version in Ollama's folder.

    Attributes:
        index: What was signed.
        path: Its place.
        held: Open, where it can be read.
        there: Whether Ollama says that it has it.
    """

    index: ChunkIndex
    path: Path
    held: HeldFile | None
    there: bool

    @property
    def damaged_bytes(self) -> int:
        if self.held is not None:
            return self.held.damaged_bytes
        return 0 if self.there else self.index.file.length_bytes


def restream(
    context: Context, store: Store, registry: Registry, version: InstalledVersion, report: Report, cancel: Cancel
) -> Restored:
    """Lets Ollama pull a version again whose only files are its own, where they aren't as they were signed or its tag
    isn't as it was registered. What of them can be read and is right isn't fetched. Interrupted anywhere, the next
    time mends it; what Ollama had given up by then and hadn't taken again is fetched.

    Raises:
        EngineError: Ollama can't; or somebody else's model needs the damaged file.
        TransportError, TrustError: What is missing can't be had.
    """
    runtime = _runtime(context)
    indexes = [registry.chunk_index(part, cancel) for part, _ in version.files]
    with talk_to_ollama(context) as api, _looked(api, runtime, version, indexes, report, cancel) as looked:
        damaged = sum(each.damaged_bytes for each in looked)
        drift = tuple(each for each in find_drift(context, (version,)) if each.wrong_answer)  # mend sees to the rest
        unread = any(each.held is None and each.there for each in looked)
        if not damaged and not drift:
            return Restored(unread=unread)
        report(Step("repair", f"Letting Ollama fetch {version.key} again"))
        removed: frozenset[str] = frozenset()
        if giving_up := [each.index.file.digest for each in looked if each.there and each.damaged_bytes]:
            removed = let_go(api, giving_up, store.versions(), cancel)
        if any(not each.there for each in looked):  # a tag without its file looks as if nothing were to be done
            api.delete(version.key)
        fetched = _stream(context, store, registry, runtime, version, looked, report, cancel)
    log.info("streamed %s again: %d bytes fetched", version.key, fetched)
    return Restored(damaged, fetched, drift, removed, unread)


def _runtime(context: Context) -> OllamaRuntime:
    runtime = context.runtime("ollama")
    status = runtime.status()
    if not isinstance(runtime, OllamaRuntime) or not status.available:
        raise EngineMissingError(status.reason, hint="The only files of this version are Ollama's: start it first.")
    return runtime


@contextmanager
def _looked(
    api: OllamaApi,
    runtime: OllamaRuntime,
    version: InstalledVersion,
    indexes: Sequence[ChunkIndex],
    report: Report,
    cancel: Cancel,
) -> Iterator[list[Looked]]:
    with ExitStack() as stack:
        found = []
        for index, (_, before) in zip(indexes, version.files, strict=True):
            path = runtime.blob_path(index.file.digest) or before  # its folder may be another one now
            held = None
            try:
                held = stack.enter_context(HeldFile(path, index))
            except StoreAccessError as error:
                log.info("%s", error.message)
            else:
                report(Step("verify", f"Reading {path.name} in Ollama's folder"))
                held.look(report, cancel)
            found.append(Looked(index, path, held, api.has_blob(index.file.digest, cancel)))
        yield found


def _stream(
    context: Context,
    store: Store,
    registry: Registry,
    runtime: OllamaRuntime,
    version: InstalledVersion,
    looked: Sequence[Looked],
    report: Report,
    cancel: Cancel,
) -> int:
    """Returns the bytes that were fetched."""
    donors, limits = donors_of(store), limits_of(context)
    held = [each.held for each in looked if each.held is not None]
    passed = {
        each.index.file.digest: PassedOn(
            registry.payload_sources(each.index),
            blob_path(each.index.file.digest),
            each.index,
            donors=donors,
            held=held,
            limits=limits,
            remark=lambda remark: log.warning("%s", remark.text),  # from the threads that serve
        )
        for each in looked
    }
    path, *adapters = [each.path for each in looked]
    record = version.model_copy(update={"path": path, "adapter_path": adapters[0] if adapters else None})
    known, others = version.registration("ollama"), [e for e in version.registrations if e.runtime != "ollama"]
    registration = runtime.stream(record, passed, report, cancel)
    registration = registration.model_copy(update={"aliases": known.aliases if known is not None else ()})
    store.install(record.model_copy(update={"registrations": (*others, registration)}))
    return sum(each.received_bytes for each in passed.values())
