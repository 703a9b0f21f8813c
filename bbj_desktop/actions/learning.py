"""Remembering how answers went on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.measured import machine_of
from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.engines import EngineName, RuntimeStatus
from bbj_desktop.core.errors import BBjDesktopError, Cancelled, EngineError, StoreError
from bbj_desktop.core.fit import predicted_bytes
from bbj_desktop.core.measuring import Measurement, measurement_of
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Release
from bbj_desktop.core.splitting import split_remark
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.measurements import Measurements
from bbj_desktop.services.runtime.base import RunningModel, Runtime
from bbj_desktop.services.runtime.vocabulary import keep_tokenizer

if TYPE_CHECKING:
    from bbj_desktop.services.registry.client import Registry

log = logging.getLogger(__name__)


class Learner:
    """Measures the answers of one version. Whatever fails here is logged: no answer is lost to it.

    Attributes:
        remark: What the user should know about where the model lies; empty when there is nothing.
    """

    def __init__(self, context: Context, version: InstalledVersion, runtime: Runtime) -> None:
        self.remark = ""
        self._context = context
        self._version = version
        self._runtime = runtime
        self._status: RuntimeStatus | None = None
        self._looked = False
        self._share: float | None = None

    def learn(self, statistics: Statistics) -> None:
        """Remembers an answer; after the first one also the memory that the model takes."""
        try:
            self._add(self._measured(statistics))
        except (EngineError, StoreError) as error:
            log.warning("an answer wasn't measured: %s", error)

    def _measured(self, statistics: Statistics) -> Measurement:
        if self._status is None:
            self._status = self._runtime.status()
        context, name, machine = self._context, self._runtime.name, machine_of(self._status)
        plain = measurement_of(self._version, statistics, at=context.now(), machine=machine, engine=name)
        more: dict[str, object] = {"engine_version": self._status.version or ""}
        if not self._looked:
            self._looked = True
            more |= self._memory(name)
        return plain.model_copy(update={**more, "gpu_share": self._share})

    def _memory(self, name: EngineName) -> dict[str, object]:
        """What the model takes, beside what it was expected to take; nothing when nobody tells."""
        running = self._running()
        if running is None or not running.size_bytes:
            return {}
        if running.vram_bytes is not None:
            self._share = min(1.0, running.vram_bytes / running.size_bytes)
        self.remark = split_remark(self._version, running.size_bytes, running.vram_bytes)
        memory = {"used_bytes": running.size_bytes, "vram_bytes": running.vram_bytes}
        return {**memory, "predicted_bytes": predicted_bytes(self._version, name)}

    def _running(self) -> RunningModel | None:
        """The model in memory, which Ollama may know by the alias that it was loaded under."""
        known = self._version.registration(self._runtime.name)
        names = {self._version.key, *(known.aliases if known is not None and self._version.active else ())}
        return next((each for each in self._runtime.running() if each.name in names), None)

    def _add(self, measurement: Measurement) -> None:
        Measurements(self._context.paths.learned).add(measurement)


def keep_tokenizers(context: Context, registry: Registry, releases: Iterable[Release], cancel: Cancel) -> None:
    """Fetches the small files by which tokens are counted, for models that Ollama alone has. What can't be fetched is
    logged: tokens are estimated then.

    Raises:
        Cancelled: By ``cancel``.
    """
    folder = context.paths.learned / "tokenizers"
    for release in releases:
        try:
            content = registry.tokenizer(release, cancel)
            if content is not None:
                keep_tokenizer(folder, release, content)
        except Cancelled:
            raise
        except BBjDesktopError as error:
            log.warning("tokens of %s %s will be estimated: %s", release.model, release.version, error)
