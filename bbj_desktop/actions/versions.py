"""The versions on this machine: list, activate, remove, verify."""

from __future__ import annotations

import logging
from contextlib import suppress

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import EngineError
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.versions import InstalledVersion, Registration
from bbj_desktop.services.store.store import Store

log = logging.getLogger(__name__)


class Removed(BaseModel):
    """Attributes:
    freed_bytes: Room that the store gave back.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    freed_bytes: int


def list_versions(context: Context) -> tuple[InstalledVersion, ...]:
    """The installed versions by slot, newest first, as the store lists them."""
    return context.open_store().versions()


def activate(context: Context, text: str, report: Report, cancel: Cancel) -> InstalledVersion:
    """Makes a version the one that its slot's aliases mean, in every runtime that knows it.

    Args:
        text: Its key, or a unique beginning of it.

    Raises:
        NotFoundError: No such version.
        EngineError: A runtime that knows it can't be reached; then nothing has changed.
    """
    store = context.open_store()
    version = store.find(text)
    cancel.check()
    report(Step("activate", f"Activating {version.key}"))
    return activate_version(context, store, version.key)


def activate_version(context: Context, store: Store, key: str) -> InstalledVersion:
    """The runtimes first, the store last: the store says active only what the runtimes obey."""
    version = store.get(key)
    for registration in version.registrations:
        runtime = context.runtime("ollama" if registration.runtime == "ollama" else "embedded")
        aliases = runtime.activate(version)
        version = store.register(key, registration.model_copy(update={"aliases": aliases}))
    return store.activate(key)


def remove(context: Context, text: str, report: Report, cancel: Cancel) -> Removed:
    """Removes a version from its runtimes and from the store. Its slot's aliases go to the newest version left.

    Raises:
        NotFoundError: No such version.
        InUseError: It can't be removed now.
    """
    store = context.open_store()
    version = store.find(text)
    successor = _successor(store, version)
    cancel.check()
    for registration in version.registrations:
        _forget(context, version, registration, successor, report)
    if not version.registrations:
        forget_unrecorded(context, version)
    if version.active and successor is not None:
        activate_version(context, store, successor.key)
    report(Step("remove", f"Removing {version.key}"))
    freed = store.remove(version.key)
    log.info("removed %s: %d bytes freed", version.key, freed.bytes)
    return Removed(key=version.key, freed_bytes=freed.bytes)


def _successor(store: Store, version: InstalledVersion) -> InstalledVersion | None:
    others = [each for each in store.versions() if each.slot == version.slot and each.key != version.key]
    return max(others, key=lambda each: each.installed_at, default=None)


def _forget(
    context: Context,
    version: InstalledVersion,
    registration: Registration,
    successor: InstalledVersion | None,
    report: Report,
) -> None:
    """A runtime that is gone keeps its tag, said aloud: removing a file must not depend on it."""
    runtime = context.runtime("ollama" if registration.runtime == "ollama" else "embedded")
    heir = successor if successor is not None and successor.registration(registration.runtime) else None
    try:
        runtime.unload(version)
        runtime.unregister(version, heir)
    except EngineError as error:
        report(Remark(f"{registration.tag} stays in {registration.runtime}: {error.message}", level="warning"))


def forget_unrecorded(context: Context, version: InstalledVersion) -> None:
    """Removes the tag that Ollama may have of a version whose registering was interrupted: made, but not recorded."""
    with suppress(EngineError):  # mostly there is no Ollama at all
        context.runtime("ollama").unregister(version, None)


def verify(context: Context, text: str, report: Report, cancel: Cancel) -> InstalledVersion:
    """Reads an installed version's file again and compares it with the signed digest.

    Raises:
        DigestError: It is damaged.
    """
    store = context.open_store()
    version = store.find(text)
    report(Step("verify", f"Reading {version.path.name}"))
    store.verify(version.key, report, cancel)
    return version
