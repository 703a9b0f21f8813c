"""What works here, what doesn't, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.checking import NO_COMPILER, compiler_for
from bbj_desktop.actions.connected import connected_versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.drifting import find_drift
from bbj_desktop.actions.finding import Finding, State
from bbj_desktop.actions.ollama import look_at_ollama, ollama_findings
from bbj_desktop.actions.reaching import reach
from bbj_desktop.core.errors import BBjDesktopError, Cancelled
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.progress import Cancel, Report, Step
from bbj_desktop.core.tiers import load_tiers, tier_of
from bbj_desktop.core.units import format_bytes, format_memory
from bbj_desktop.resources import resource

_STORE_HINT = "bbj-desktop rebuild restores records; bbj-desktop repair VERSION mends files."


class Diagnosis(BaseModel):
    """Everything found, and the profile it rests on."""

    model_config = ConfigDict(frozen=True)

    profile: HardwareProfile
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> State:
        order: tuple[State, ...] = ("ok", "note", "warning", "error")
        return max((finding.state for finding in self.findings), key=order.index, default="ok")


def diagnose(context: Context, report: Report, cancel: Cancel, *, online: bool = False) -> Diagnosis:
    """Looks at everything once. What fails becomes a finding; nothing is changed.

    Args:
        context: Whose machine, settings and folders.
        report: Told what is looked at.
        cancel: Obeyed between the parts.
        online: Ask the registry although the settings forbid to ask it without being told (``update_checks``).

    Raises:
        Cancelled: By ``cancel``.
    """
    asks = online or context.settings.values.update_checks
    report(Step("machine", "Looking at this machine"))
    profile = context.profile()
    findings = list(_machine(profile))
    parts: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("registry", lambda: reach(context, cancel, online=asks)),
        ("store", lambda: _store(context)),
        ("runtime", lambda: _runtimes(context, profile)),
        ("models", lambda: _models(context)),
        ("compiler", lambda: _compiler(context)),
    )
    for area, part in parts:
        cancel.check()
        report(Step(area, f"Checking {area}"))
        try:
            findings.extend(part())
        except Cancelled:
            raise
        except BBjDesktopError as error:
            findings.append(Finding(area=area, state="error", text=error.message, hint=error.hint))
    return Diagnosis(profile=profile, findings=tuple(findings))


def _machine(profile: HardwareProfile) -> Iterator[Finding]:
    cpu, memory = profile.cpu, profile.memory
    yield Finding(area="machine", state="ok", text=f"{profile.os.name}, {cpu.model}, {cpu.usable_cores:g} usable cores")
    limited = f", limited by {memory.limited_by}" if memory.limited_by else ""
    yield Finding(
        area="machine",
        state="ok",
        text=f"{format_memory(memory.total_bytes)} memory, {format_memory(memory.available_bytes)} available{limited}",
    )
    for gpu in profile.gpus:
        size = f", {format_memory(gpu.vram_total_bytes)}" if gpu.vram_total_bytes else ""
        free = f", {format_memory(gpu.vram_free_bytes)} free" if gpu.vram_free_bytes is not None else ""
        yield Finding(area="machine", state="ok", text=f"{gpu.name} ({gpu.kind}{size}{free})")
    if profile.os.architecture == "x86_64" and cpu.has("avx2") is False:
        yield Finding(
            area="machine",
            state="warning",
            text="This processor has no AVX2: the embedded engine can't run here.",
            hint="Use Ollama, or another machine.",
        )
    table = load_tiers(resource("tiers.json").read_text(encoding="utf-8"))
    tier = tier_of(profile, table)
    if tier is None:
        yield Finding(area="machine", state="warning", text="This machine is below the Minimum tier.")
    else:
        yield Finding(area="machine", state="ok", text=f"Tier: {tier.title}")
    for note in profile.notes:
        yield Finding(area="machine", state="note", text=f"{note.probe}: {note.message}")


def _store(context: Context) -> Iterator[Finding]:
    store = context.open_store()
    yield Finding(area="store", state="ok", text=f"{store.root}: {format_bytes(store.free_bytes())} free")
    for problem in store.problems():
        yield Finding(area="store", state="error", text=problem, hint=_STORE_HINT)
    for leftover in store.leftovers():
        yield Finding(
            area="store",
            state="note",
            text=f"{leftover.path.name}: {format_bytes(leftover.size_bytes)} of an unfinished install",
            hint="bbj-desktop install continues it.",
        )


def _runtimes(context: Context, profile: HardwareProfile) -> Iterator[Finding]:
    any_available = False
    for runtime in context.runtimes():
        status = runtime.status()
        any_available = any_available or status.available
        about = f"{status.name} {status.version or ''}".strip() + (f" at {status.address}" if status.address else "")
        if status.available:
            yield Finding(area="runtime", state="ok", text=f"{about} can be used. {status.reason}".strip())
        else:
            yield Finding(area="runtime", state="note", text=f"{about} can't be used: {status.reason}")
        if status.name == "ollama":
            yield from ollama_findings(look_at_ollama(context), profile)
    if not any_available:
        yield Finding(
            area="runtime",
            state="error",
            text="Nothing here can run a model.",
            hint='Install Ollama, or the embedded engine: pip install "bbj-desktop[embedded]"',
        )


def _models(context: Context) -> Iterator[Finding]:
    versions = context.open_store().versions()
    keys = {version.key for version in versions}
    connected = [version for version in connected_versions(context) if version.key not in keys]
    if not versions and not connected:
        yield Finding(area="models", state="note", text="No model is installed.", hint="Type: bbj-desktop install")
    for version in connected:
        yield Finding(area="models", state="ok", text=f"{version.key} is used at the Ollama of the settings (connect)")
    for version in versions:
        active = "active" if version.active else "installed"
        if version.registrations:
            known = ", ".join(registration.runtime for registration in version.registrations)
            yield Finding(area="models", state="ok", text=f"{version.key} is {active} ({known})")
        else:
            yield Finding(
                area="models",
                state="warning",
                text=f"{version.key} is here, but no runtime knows it.",
                hint="bbj-desktop install takes up where it ended.",
            )
    for drift in find_drift(context, versions):
        hint = f"To put it right: bbj-desktop repair {drift.version}" if drift.mendable else ""
        yield Finding(area="models", state="warning", text=drift.text, hint=hint)


def _compiler(context: Context) -> Iterator[Finding]:
    found = compiler_for(context.settings.values)
    if found is not None:
        yield Finding(area="compiler", state="ok", text=f"{found.program}, by {found.origin}")
        return
    yield Finding(
        area="compiler",
        state="note",
        text=f"{NO_COMPILER} Generated code isn't judged.",
        hint="Set compiler to the folder of a BBj installation, where there is one.",
    )
