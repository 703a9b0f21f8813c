"""The versions on this machine: list, activate, roll back, pin, remove, verify."""

from __future__ import annotations

import logging
from contextlib import suppress

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.drifting import find_drift, mend
from bbj_desktop.actions.serving_bytes import Verified, look_at_files, look_at_served
from bbj_desktop.core.errors import EngineError, InUseError, NotFoundError, UserInputError
from bbj_desktop.core.progress import Cancel, Remark, Report, Step, silent
from bbj_desktop.core.versions import InstalledVersion, Registration, aliases_of, model_name, previous_of
from bbj_desktop.services.runtime.ollama_drift import Drift
from bbj_desktop.services.store.blobs import check_files, size_on_disk
from bbj_desktop.services.store.rebuilding import Rebuilt
from bbj_desktop.services.store.store import Store

log = logging.getLogger(__name__)


class Removed(BaseModel):
    """Attributes:
    freed_bytes: Room that the store gave back, and Ollama of a version that was streamed into it.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    freed_bytes: int


def list_shared(context: Context) -> tuple[InstalledVersion, ...]:
    """What the shared store of the settings has besides; ``install`` takes it from there without fetching."""
    return context.open_store().shared_versions()


class RolledBack(BaseModel):
    """Attributes:
    version: Active now.
    before: Key of the version that was, and that rolling back again leads to; None when none was.
    """

    model_config = ConfigDict(frozen=True)

    version: InstalledVersion
    before: str | None


def list_versions(context: Context) -> tuple[InstalledVersion, ...]:
    """The installed versions by slot, newest first, as the store lists them."""
    return context.open_store().versions()


def activate(context: Context, text: str, report: Report, cancel: Cancel) -> InstalledVersion:
    """Makes a version the one that its slot's aliases mean, in every runtime that knows it.

    Args:
        text: Its key, or a unique beginning of it.

    Raises:
        NotFoundError: No such version.
        EngineError: The runtime that would answer can't be reached; then nothing has changed.
    """
    store = context.open_store()
    version = store.find(text)
    cancel.check()
    report(Step("activate", f"Activating {version.key}"))
    return activate_version(context, store, version.key, report, cancel)


def rollback(context: Context, text: str | None, report: Report, cancel: Cancel) -> RolledBack:
    """Makes the version active that was so before, without any network. Doing it again undoes it.

    Args:
        text: A slot (``bbj-coder:7b``), a model's name, or a version of the slot; None where only one slot can
            go back.

    Raises:
        NotFoundError: There is nothing to go back to.
        UserInputError: Several slots could be meant.
        EngineError: The runtime that would answer can't be reached; then nothing has changed.
    """
    store = context.open_store()
    target = _previous(store, text)
    cancel.check()
    report(Step("activate", f"Going back to {target.key}"))
    now = store.active(target.slot)
    version = activate_version(context, store, target.key, report, cancel)
    log.info("rolled back %s to %s", target.slot, target.key)
    return RolledBack(version=version, before=None if now is None else now.key)


def _previous(store: Store, text: str | None) -> InstalledVersion:
    versions = store.versions()
    slots = dict.fromkeys(version.slot for version in versions if _meant(version, text))
    if not slots and text is not None:
        slots = {store.find(text).slot: None}
    found = [version for slot in slots if (version := previous_of(versions, slot)) is not None]
    if not found:
        what = "" if text is None else f" of {text}"
        raise NotFoundError(
            f"No other version{what} was active before.",
            hint="bbj-desktop activate VERSION takes any that is installed.",
        )
    if len(found) > 1:
        raise UserInputError(
            f"{len(found)} models could go back.", hint=f"Say which: {', '.join(version.slot for version in found)}."
        )
    return found[0]


def _meant(version: InstalledVersion, text: str | None) -> bool:
    name = None if text is None else text.strip().lower().removesuffix(":latest")
    return name in (None, version.slot, model_name(version.release))


def pin(context: Context, text: str, *, pinned: bool = True) -> InstalledVersion:
    """Pins a version, or lifts the pin: a pinned one isn't removed, and while it is active no update replaces it.

    Raises:
        NotFoundError: No such version.
    """
    store = context.open_store()
    return store.pin(store.find(text).key, pinned=pinned)


def activate_version(
    context: Context, store: Store, key: str, report: Report = silent, cancel: Cancel | None = None
) -> InstalledVersion:
    """The runtimes first, the store last and at once: the store says active only what the runtimes obey. A name in
    Ollama that somebody changed is put right. An Ollama that doesn't run may follow later where the embedded engine
    answers for the version; what its names mean until then is drift."""
    version = store.get(key)
    asleep = version.registration("ollama") if _may_wait(context, version) else None
    if asleep is None:
        version, _ = mend(context, store, version, report, cancel or Cancel())
    else:
        report(Remark(f"No Ollama answers; when it does again: bbj-desktop repair {key}", "warning"))
    changed = []
    for registration in version.registrations:
        if registration == asleep:
            aliases = aliases_of(version.release)  # what they shall mean, for the repair
        else:
            if registration.runtime == "embedded":  # reads our file; Ollama has its own
                check_files(version)
            aliases = context.runtime("ollama" if registration.runtime == "ollama" else "embedded").activate(version)
        changed.append(registration.model_copy(update={"aliases": aliases}))
    return store.activate(key, changed)


def _may_wait(context: Context, version: InstalledVersion) -> bool:
    """Whether the version answers without the Ollama that knows it, which doesn't run now."""
    if version.registration("embedded") is None or context.settings.values.runtime == "ollama":
        return False
    asleep = context.runtime("ollama").status()
    return not asleep.available and asleep.version is None and context.runtime("embedded").status().available


def remove(context: Context, text: str, report: Report, cancel: Cancel) -> Removed:
    """Removes a version from its runtimes and from the store. Its slot's aliases go to the version that was active
    before, else to the newest one left.

    Raises:
        NotFoundError: No such version.
        InUseError: It is pinned.
    """
    store = context.open_store()
    version = store.find(text)
    refuse_pinned(version)
    successor = _successor(store, version)
    cancel.check()
    theirs = {path: size_on_disk(path) for _, path in version.files} if version.streamed else {}
    if version.active and successor is not None:
        activate_version(context, store, successor.key)  # first: ended anywhere, what is active answers
    for registration in version.registrations:
        _forget(context, version, registration, successor, report)
    if not version.registrations:
        forget_unrecorded(context, version)
    report(Step("remove", f"Removing {version.key}"))
    freed_bytes = store.remove(version.key).bytes + sum(size - size_on_disk(path) for path, size in theirs.items())
    log.info("removed %s: %d bytes freed", version.key, freed_bytes)
    return Removed(key=version.key, freed_bytes=freed_bytes)


def refuse_pinned(version: InstalledVersion) -> None:
    """Raises InUseError when a version is pinned."""
    if version.pinned:
        raise InUseError(f"{version.key} is pinned.", hint=f"To remove it: bbj-desktop unpin {version.key}")


def _successor(store: Store, version: InstalledVersion) -> InstalledVersion | None:
    before = store.previous(version.slot)
    if version.active and before is not None:
        return before
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


def rebuild(context: Context, report: Report, cancel: Cancel) -> Rebuilt:
    """Restores the store's records that were lost or damaged, where the model's file verifies.

    Raises:
        StoreError: The store can't be read or written.
    """
    report(Step("rebuild", "Reading the model files of lost records"))
    return context.open_store().rebuild(report, cancel)


def drift_of(context: Context, version: InstalledVersion) -> tuple[Drift, ...]:
    """What somebody changed of a version in Ollama since it was registered; empty where no Ollama answers.

    Raises:
        EngineError: Ollama fails.
    """
    return find_drift(context, (version,))


def verify(context: Context, text: str, report: Report, cancel: Cancel) -> Verified:
    """Reads an installed version's file again and compares it with the signed digest; then Ollama's copy, if it has
    one of its own that can be read.

    Raises:
        DigestError: One of them is damaged.
        NotFoundError: Only Ollama had it, and it is gone there.
        StoreAccessError: It can't be read, and nobody says that it is there.
    """
    store = context.open_store()
    version = store.find(text)
    report(Step("verify", f"Reading {' and '.join(path.name for _, path in version.files)}"))
    files = look_at_files(context, store, version, report, cancel)
    served = look_at_served(context, store, version, files, report, cancel)
    return Verified(version=version, files=files, served=served)
