"""Remembering how answers went on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bbj_desktop.actions.context import Context
from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.errors import BBjDesktopError, Cancelled, EngineError, StoreError, UserInputError
from bbj_desktop.core.measuring import (
    Learned,
    MeasuredSpeed,
    Measurement,
    measurement_of,
    predicted_bytes,
    speed_from,
    split_remark,
)
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Release
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.measurements import Measurements, machine_at, this_machine
from bbj_desktop.services.runtime.base import RunningModel, Runtime
from bbj_desktop.services.runtime.ollama_address import DEFAULT_ADDRESS, is_local, parse_ollama_host
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
        plain = plain.model_copy(update={"engine_version": self._status.version or ""})
        if self._looked:
            return plain
        self._looked = True
        running = self._running()
        if running is None or not running.size_bytes:
            return plain
        self.remark = split_remark(self._version.key, running.size_bytes, running.vram_bytes)
        memory = {"used_bytes": running.size_bytes, "vram_bytes": running.vram_bytes}
        return plain.model_copy(update={**memory, "predicted_bytes": predicted_bytes(self._version, name)})

    def _running(self) -> RunningModel | None:
        """The model in memory, which Ollama may know by the alias that it was loaded under."""
        known = self._version.registration(self._runtime.name)
        names = {self._version.key, *(known.aliases if known is not None and self._version.active else ())}
        return next((each for each in self._runtime.running() if each.name in names), None)

    def _add(self, measurement: Measurement) -> None:
        Measurements(self._context.paths.learned).add(measurement)


def machine_of(status: RuntimeStatus) -> str:
    """Where an engine computes: here, or behind its address."""
    return this_machine() if status.local else machine_at(status.address)


def what_is_learned(context: Context, statuses: Sequence[RuntimeStatus]) -> Learned:
    """All that was measured; nothing when it can't be read."""
    try:
        measurements = Measurements(context.paths.learned).read()
    except BBjDesktopError as error:
        log.warning("measurements can't be read: %s", error)
        measurements = ()
    return Learned(measurements, {status.name: machine_of(status) for status in statuses})


def measured_here(context: Context, version: InstalledVersion) -> MeasuredSpeed | None:
    """How fast a version was, in the first of its runtimes in which anything was measured; nothing is asked."""
    known = Measurements(context.paths.learned).read()
    places: dict[str, str] = {"embedded": this_machine(), "ollama": _ollamas_machine(context)}
    for registration in version.registrations:
        subject = (places[registration.runtime], version.variant.own_file.digest, registration.runtime)
        if speed := speed_from([each for each in known if each.subject == subject]):
            return speed
    return None


def _ollamas_machine(context: Context) -> str:
    """Where the Ollama of the settings computes."""
    try:
        address = parse_ollama_host(context.settings.values.ollama_host or DEFAULT_ADDRESS)
    except UserInputError:  # the settings name none
        return ""
    return this_machine() if is_local(address) else machine_at(address)


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
