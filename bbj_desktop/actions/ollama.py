"""Seeing, starting and ending the Ollama of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.finding import Finding
from bbj_desktop.core.engines import OLLAMA_ACCELERATORS, RuntimeStatus
from bbj_desktop.core.errors import EngineError, EngineMissingError
from bbj_desktop.core.fit import usable
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.units import format_memory
from bbj_desktop.services.runtime.base import RunningModel
from bbj_desktop.services.runtime.ollama_address import parse_ollama_host
from bbj_desktop.services.runtime.ollama_finding import OllamaFinding
from bbj_desktop.services.runtime.ollama_reading import find_ollama
from bbj_desktop.services.runtime.ollama_starting import OllamaStarter, StartedOllama
from bbj_desktop.services.runtime.ollama_versions import VersionNote, version_notes

_CLOUD = re.compile(r"[:-]cloud$")
GpuUse = Literal["all", "part", "none", "unknown"]


class OllamaState(BaseModel):
    """What is known about the Ollama of the settings.

    Attributes:
        status: Whether it can be used.
        finding: Who runs it, how, and where its models lie.
        version_notes: What its version can't do, with reasons.
        started: The server that this program started; None when it didn't, or when it has ended.
        running: The models in its memory.
        cloud_models: Names that it knows and that run on its makers' machines. They are never used here.
    """

    model_config = ConfigDict(frozen=True)

    status: RuntimeStatus
    finding: OllamaFinding
    version_notes: tuple[VersionNote, ...] = ()
    started: StartedOllama | None = None
    running: tuple[RunningModel, ...] = ()
    cloud_models: tuple[str, ...] = ()


class OllamaHere(BaseModel):
    """What can be offered about the Ollama of this machine.

    Attributes:
        executable: It is installed here and doesn't run: what would be started; None when there is nothing to start.
        address: Where it would answer.
        needed: Nothing works without it.
        started: The server that this program started and that runs; None when there is none.
    """

    model_config = ConfigDict(frozen=True)

    executable: str | None = None
    address: str = ""
    needed: bool = False
    started: StartedOllama | None = None


def starter_of(context: Context) -> OllamaStarter:
    """What starts and ends the one server of ours."""
    return OllamaStarter(context.paths.cache / "ollama", context.paths.logs)


def look_at_ollama(context: Context) -> OllamaState:
    """Looks at it without changing anything. Never fails: what can't be seen isn't there."""
    runtime = context.runtime("ollama")
    status = runtime.status()
    running: tuple[RunningModel, ...] = ()
    names: tuple[str, ...] = ()
    if status.available:
        try:
            running, names = runtime.running(), runtime.tags()
        except EngineError:  # it has just gone
            running = ()
    return OllamaState(
        status=status,
        finding=_finding(status),
        version_notes=version_notes(status.version) if status.version is not None else (),
        started=starter_of(context).running(),
        running=running,
        cloud_models=tuple(name for name in names if is_cloud(name)),
    )


def _finding(status: RuntimeStatus) -> OllamaFinding:
    """Nothing is claimed of what may not be Ollama at all: no process of one is seen, and it told no version."""
    finding = find_ollama(status.address)
    if finding.server is not None and finding.server.kind == "unseen" and status.version is None:
        return finding.model_copy(update={"models": None, "notes": ()})
    return finding


def is_cloud(name: str) -> bool:
    """Whether a model runs on other people's machines, by its name: ``gpt-oss:120b-cloud``, ``glm-4.6:cloud``."""
    return _CLOUD.search(name) is not None


def could_start(context: Context) -> OllamaFinding | None:
    """The Ollama that is installed here, doesn't run, and that the settings would use; None when there is none."""
    values = context.settings.values
    if values.runtime == "embedded" or values.start_ollama == "no":
        return None
    status = context.runtime("ollama").status()
    if status.available or not status.local or status.version is not None:
        return None
    finding = find_ollama(status.address)
    return finding if finding.startable else None


def is_needed(context: Context) -> bool:
    """Whether nothing works without Ollama: it was asked for by name, the embedded engine can't be used, or an active
    version is known to Ollama alone."""
    if context.settings.values.runtime == "ollama" or not context.runtime("embedded").status().available:
        return True
    active = [version for version in context.open_store().versions() if version.active]
    return any(version.registration("ollama") and not version.registration("embedded") for version in active)


def ollama_here(context: Context) -> OllamaHere:
    """Looks what can be offered. Raises StoreError when the store or the record of a start can't be read."""
    started = starter_of(context).running()
    finding = could_start(context) if started is None else None
    if finding is None:
        return OllamaHere(started=started)
    return OllamaHere(executable=finding.executable, address=finding.address, needed=is_needed(context))


def start_ollama(context: Context, report: Report, cancel: Cancel) -> StartedOllama:
    """Starts the Ollama that is installed here and waits until it answers. It goes on when this program ends.

    Raises:
        UserInputError: Its address is none.
        EngineMissingError: None is installed.
        EngineRefusedError: Something answers at its address, or that is another machine.
        EngineCrashedError: It ended, or didn't answer in time.
    """
    finding = find_ollama(parse_ollama_host(context.runtime("ollama").status().address))
    if finding.local and finding.executable is None and finding.server is None:
        raise EngineMissingError(
            "No Ollama is installed on this machine.", hint="Get it from ollama.com, or use the embedded engine."
        )
    return starter_of(context).start(Path(finding.executable or "ollama"), finding.address, report, cancel)


def stop_ollama(context: Context) -> StartedOllama | None:
    """Ends the server that this program started; None when there is none. Another one is never ended."""
    return starter_of(context).stop()


def gpu_use(model: RunningModel) -> GpuUse:
    """How much of a loaded model lies in graphics memory, as Ollama says (``size_vram`` of ``/api/ps``)."""
    if not model.size_bytes or model.vram_bytes is None:
        return "unknown"
    if model.vram_bytes == 0:
        return "none"
    return "all" if model.vram_bytes >= model.size_bytes else "part"


def ollama_findings(state: OllamaState, profile: HardwareProfile) -> Iterator[Finding]:
    """What ``doctor`` says of it, beside whether it can be used."""
    for note in state.finding.notes:
        yield Finding(area="runtime", state="note", text=note)
    if state.finding.startable and not state.status.available:
        stopped = state.finding.service in ("inactive", "failed")  # systemd's words
        service = "; its service: sudo systemctl start ollama" if stopped else ""
        yield Finding(
            area="runtime",
            state="note",
            text=f"Ollama is installed ({state.finding.executable}) and doesn't run.",
            hint=f"To start it as this user: bbj-desktop ollama start{service}",
        )
    for version_note in state.version_notes:
        if version_note.state != "error":  # why it can't be used is said already
            yield Finding(area="runtime", state=version_note.state, text=version_note.text)
    if state.started is not None:
        text = f"This program started that Ollama (process {state.started.pid}); its log: {state.started.log}"
        yield Finding(area="runtime", state="note", text=text, hint="To end it: bbj-desktop ollama stop")
    yield from _gpu_findings(state, profile)
    if state.cloud_models:
        text = f"{', '.join(state.cloud_models)}: models on other people's machines, never used by this program."
        hint = "OLLAMA_NO_CLOUD=1 in Ollama's environment turns them off."
        yield Finding(area="runtime", state="note", text=text, hint=hint)


def _gpu_findings(state: OllamaState, profile: HardwareProfile) -> Iterator[Finding]:
    cards = [gpu.name for gpu in profile.gpus if state.status.local and usable(gpu, OLLAMA_ACCELERATORS)]
    for model in state.running:
        use, size = gpu_use(model), format_memory(model.size_bytes or 0)
        if use == "part":
            graphics = format_memory(model.vram_bytes or 0)
            yield Finding(
                area="runtime",
                state="warning",
                text=f"{model.name} is loaded: of {size} only {graphics} are in graphics memory.",
                hint="It answers slowly. A shorter context or a smaller model would fit: bbj-desktop recommend",
            )
        elif use == "none" and cards:
            yield Finding(
                area="runtime",
                state="warning",
                text=f"{model.name} is loaded in main memory ({size}): Ollama doesn't use {cards[0]}.",
                hint="See Ollama's log for what it says about the GPU and its driver.",
            )
        else:
            place = {"all": "in graphics memory", "none": "in main memory"}.get(use, "")
            yield Finding(area="runtime", state="ok", text=f"{model.name} is loaded: {size} {place}".strip())
