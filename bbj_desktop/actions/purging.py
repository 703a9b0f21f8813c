"""Removing all that is ours: seen first, then gone."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.engine import stop_engine
from bbj_desktop.actions.login import log_out, logged_in
from bbj_desktop.actions.ollama import stop_ollama
from bbj_desktop.actions.versions import forget_unrecorded
from bbj_desktop.core.errors import EngineError, StoreAccessError, UserInputError
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.transfer.credentials import SERVICE


class Ours(BaseModel):
    """One thing of ours on this machine.

    Attributes:
        kind: A folder, a tag in a runtime, or a credential in the keyring.
        name: Path, tag or server.
        size_bytes: What removing it frees; 0 for tags, whose bytes the runtime owns.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["folder", "tag", "credential"]
    name: str
    runtime: str = ""
    size_bytes: int = 0


class Purged(BaseModel):
    """Attributes:
    removed: What is gone.
    kept: Tags of a runtime that couldn't be reached, and credentials in a keyring that can't be used; they are their
        user's to remove.
    """

    model_config = ConfigDict(frozen=True)

    removed: tuple[Ours, ...]
    kept: tuple[Ours, ...] = ()


def list_ours(context: Context) -> tuple[Ours, ...]:
    """Every folder, tag and credential that this program made."""
    tags = [tag for version in context.open_store().versions() for tag in _tags(version)]
    folders = [
        Ours(kind="folder", name=str(folder), size_bytes=_size(folder))
        for folder in context.paths.all_folders()
        if folder.exists()
    ]
    logins = [Ours(kind="credential", name=origin) for origin in logged_in(context)]
    return (*dict.fromkeys(tags), *logins, *folders)


def _tags(version: InstalledVersion) -> tuple[Ours, ...]:
    """The names of a version in its runtimes; versions of several sizes share some."""
    return tuple(
        Ours(kind="tag", name=name, runtime=registration.runtime)
        for registration in version.registrations
        if registration.runtime != "embedded"
        for name in (registration.tag, *(registration.aliases if version.active else ()))
    )


def purge(context: Context, report: Report, cancel: Cancel) -> Purged:
    """Removes it all. A runtime that can't be reached keeps its tags, said aloud; folders go last.

    Raises:
        StoreAccessError: A folder can't be removed; what was removed stays removed.
        StoreBusyError: Another process writes to the store.
    """
    ours = list_ours(context)
    store = context.open_store()
    cancel.check()
    kept: list[Ours] = []
    with store.lock():
        for version in store.versions():
            kept.extend(_unregister(context, version, report))
            if not version.registrations:
                forget_unrecorded(context, version)
    kept.extend(_log_out(context, report))
    stop_ollama(context)
    context.close()
    stop_engine(context, cancel)
    for folder in context.paths.all_folders():
        _remove(folder, report)
    for shell in context.paths.shells():
        with suppress(OSError):  # not empty: something of somebody else's is in it
            shell.rmdir()
    return Purged(removed=tuple(each for each in ours if each not in kept), kept=tuple(dict.fromkeys(kept)))


def _unregister(context: Context, version: InstalledVersion, report: Report) -> tuple[Ours, ...]:
    """Removes a version's tags; what can't be removed is returned."""
    kept: list[Ours] = []
    for registration in version.registrations:
        report(Step("purge", f"Removing {registration.tag} from {registration.runtime}"))
        runtime = context.runtime("ollama" if registration.runtime == "ollama" else "embedded")
        try:
            runtime.unregister(version, None)
        except EngineError as error:
            left = [tag for tag in _tags(version) if tag.runtime == registration.runtime]
            command = f"ollama rm {' '.join(tag.name for tag in left)}"
            text = f"{registration.tag} stays in {registration.runtime}: {error.message} Remove it yourself: {command}"
            report(Remark(text, level="warning"))
            kept.extend(left)
    return tuple(kept)


def _log_out(context: Context, report: Report) -> tuple[Ours, ...]:
    """Removes the credentials; what can't be removed is returned."""
    kept: list[Ours] = []
    for origin in logged_in(context):
        report(Step("purge", f"Removing the credential for {origin}"))
        try:
            log_out(context, origin)
        except UserInputError as error:
            text = f"The credential for {origin} stays in the keyring, under {SERVICE}: {error.message}"
            report(Remark(text, level="warning"))
            kept.append(Ours(kind="credential", name=origin))
    return tuple(kept)


def _remove(folder: Path, report: Report) -> None:
    if not folder.exists():
        return
    report(Step("purge", f"Removing {folder}"))
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StoreAccessError(f"{folder} can't be removed whole: {error}.", hint="Remove the rest by hand.") from error


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
