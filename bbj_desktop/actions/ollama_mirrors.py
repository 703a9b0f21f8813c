"""Mirrors that only Ollama can read (``ollama://…``): they bring bytes, never metadata, for an install only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import DigestError, EngineError, NoTrustedRootError
from bbj_desktop.core.mirroring import NamedMirror, consider_mirrors
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.recommendation import Candidate
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.store import Store


class Named(BaseModel):
    """What came of asking Ollama to pull.

    Attributes:
        name: What it pulled; empty when it has the files by none.
        fetched_bytes: What it fetched of them.
        lie: The first name that had other files than the signed ones.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str = ""
    fetched_bytes: int = 0
    lie: DigestError | None = None


def consider(context: Context, candidate: Candidate, missing_bytes: int) -> tuple[NamedMirror, ...]:
    """What Ollama could pull instead of our fetching it, and whether it is to, with reasons; nothing is asked. With
    ``update_checks`` off it is told to pull nothing from other machines, whose traffic isn't ours to see; from where
    only the makers say, it pulls with ``publisher_mirrors`` on.

    Args:
        missing_bytes: What of its files isn't here.
    """
    if not isinstance(context.runtime(candidate.runtime), OllamaRuntime):
        return ()
    values = context.settings.values
    added: tuple[str, ...] = ()
    with suppress(NoTrustedRootError):
        added = context.known_registry().ollama
    return consider_mirrors(
        candidate,
        added,
        missing_bytes=missing_bytes,
        asks=values.update_checks,
        trusts_makers=values.publisher_mirrors,
    )


def bring(
    context: Context,
    names: Sequence[str],
    candidate: Candidate,
    record: InstalledVersion,
    report: Report,
    cancel: Cancel,
) -> Named:
    """Lets Ollama pull a version's files by one of the names. None of them having the right ones is no error: there
    are other mirrors.

    Args:
        record: The version; its paths needn't lead to files.

    Raises:
        Cancelled: By ``cancel``.
    """
    runtime = context.runtime(candidate.runtime)
    lie: DigestError | None = None
    if not isinstance(runtime, OllamaRuntime):
        return Named()
    for name in names:
        report(Step("pull", f"Letting Ollama fetch {record.key} as {name}"))
        try:
            fetched = runtime.fetch_named(name, record, report, cancel)
        except DigestError as error:
            lie = lie or error
            report(Remark(error.message, "warning"))
        except EngineError as error:
            report(Remark(f"Not from {name}: {error.message}", "warning"))
        else:
            return Named(name=name, fetched_bytes=fetched, lie=lie)
    return Named(lie=lie)


def adopt(context: Context, store: Store, candidate: Candidate) -> bool:
    """Gives Ollama's files a second name in our store, where both are this user's. Says whether that worked for all;
    they are hashed there before anything is made of them."""
    runtime = context.runtime(candidate.runtime)
    for part in candidate.variant.parts:
        theirs = runtime.blob_path(part.file.digest) if isinstance(runtime, OllamaRuntime) else None
        ours = store.blob_path(part.file.digest)
        if ours.exists():
            continue
        try:
            Disk().make_folder(ours.parent)
            if theirs is None or theirs.stat().st_uid != ours.parent.stat().st_uid:
                return False
            os.link(theirs, ours)
        except OSError:
            return False
    return True


def settle(context: Context, candidate: Candidate, report: Report) -> None:
    """Removes the names by which Ollama pulled: its files have ours now."""
    runtime = context.runtime(candidate.runtime)
    if isinstance(runtime, OllamaRuntime):
        try:
            runtime.drop_named()
        except EngineError as error:
            report(Remark(f"A name that Ollama pulled by is still there: {error.message}"))
