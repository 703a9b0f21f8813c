"""The route by which Ollama pulls a model from us: through a registry on this machine, then to its clean name."""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.errors import BBjDesktopError, EngineError, EngineRefusedError, NotReachedError
from bbj_desktop.core.progress import Cancel, Report, Transfer
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_loopback import Blob, LoopbackRegistry, left_over
from bbj_desktop.services.runtime.ollama_manifest import manifest_of
from bbj_desktop.services.store.disk import pieces_of

_LOOK_S = 0.5  # seconds; a port of this machine answers at once or not at all


@dataclass(frozen=True, slots=True)
class TextBlob:
    """A small part, held in memory."""

    content: bytes

    @property
    def length_bytes(self) -> int:
        return len(self.content)

    def read(self, offset: int, length_bytes: int, cancel: Cancel) -> Generator[bytes]:
        cancel.check()
        yield self.content[offset : offset + length_bytes]


@dataclass(frozen=True, slots=True)
class FileBlob:
    """A verified file of ours."""

    path: Path
    length_bytes: int

    def read(self, offset: int, length_bytes: int, cancel: Cancel) -> Generator[bytes]:
        for piece in pieces_of(self.path, offset, length_bytes):
            cancel.check()
            yield piece


@dataclass(frozen=True, slots=True)
class Pulled:
    """Attributes:
    sent_bytes: What Ollama really took from us; less than the model where it had some of it.
    """

    sent_bytes: int


def pull(
    api: OllamaApi, version: InstalledVersion, files: Mapping[str, Blob], report: Report, cancel: Cancel
) -> Pulled:
    """Lets Ollama pull a version under its own tag.

    Args:
        api: Ollama, on this machine.
        version: What to pull.
        files: Its files by digest, from wherever they come; the texts are made here.
        report: Told how far it is.
        cancel: Ends it; what Ollama has by then it keeps for the next time.

    Raises:
        NotReachedError: It didn't even ask: it runs in a container, or behind a forwarded port.
        EngineRefusedError, EngineCrashedError: Ollama couldn't.
        BBjDesktopError: What the reading of ``files`` raises.
    """
    manifest = manifest_of(version)
    texts = {layer.digest: TextBlob(layer.content) for layer in manifest.blobs if layer.content is not None}
    ending = Cancel()
    forget = cancel.on_cancel(ending.cancel)
    try:
        with LoopbackRegistry(manifest, {**texts, **files}, cancel) as registry:
            registry.failed.on_cancel(ending.cancel)
            try:
                _follow(api, registry.name, _length_of(version), report, ending)
            except BBjDesktopError as error:
                with suppress(EngineError):  # it may be whole already; where Ollama is gone the next pull sees to it
                    api.delete(registry.name)
                cancel.check()
                if registry.failure is not None:
                    raise registry.failure from error
                if isinstance(error, EngineRefusedError) and not registry.asked:
                    raise NotReachedError(
                        f"Ollama doesn't reach this machine's own address: {error.message}",
                        hint="Does it run in a container, or behind a forwarded port?",
                    ) from error
                raise
            api.delete(version.key)  # what somebody made of it goes whole; the files have another name by now
            api.copy(registry.name, version.key)
            api.delete(registry.name)
        sweep(api, api.tags())  # last: what an interrupted pull left shares its blobs with this one
        return Pulled(registry.sent_bytes)
    finally:
        forget()


def _length_of(version: InstalledVersion) -> int:
    return sum(part.file.length_bytes for part, _ in version.files)


def _follow(api: OllamaApi, name: str, total: int, report: Report, cancel: Cancel) -> None:
    """Reads what Ollama says while it pulls: for each blob how much of it is there."""
    completed: dict[str, int] = {}
    shown = 0
    for line in api.pull(name, cancel):
        if line.digest:
            completed[line.digest] = max(completed.get(line.digest, 0), line.completed)
            done = min(sum(completed.values()), total)
            if done > shown:
                shown = done
                report(Transfer(done_bytes=done, total_bytes=total))


def sweep(api: OllamaApi, names: Iterable[str]) -> None:
    """Removes the names that an interrupted pull of ours left in Ollama; those of a pull that is going on stay.

    Args:
        names: All that Ollama knows.
    """
    for name in names:
        port = left_over(name)
        if port is not None and not _answers(port):
            api.delete(name)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_LOOK_S):
            return True
    except OSError:
        return False
