"""Removing all that is ours: seen first, then gone."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import EngineError, StoreAccessError
from bbj_desktop.core.progress import Cancel, Remark, Report, Step


class Ours(BaseModel):
    """One thing of ours on this machine.

    Attributes:
        kind: A folder, or a tag in a runtime.
        name: Path or tag.
        size_bytes: What removing it frees; 0 for tags, whose bytes the runtime owns.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["folder", "tag"]
    name: str
    runtime: str = ""
    size_bytes: int = 0


def list_ours(context: Context) -> tuple[Ours, ...]:
    """Every folder and tag that this program made."""
    tags = [
        Ours(kind="tag", name=name, runtime=registration.runtime)
        for version in context.open_store().versions()
        for registration in version.registrations
        if registration.runtime != "embedded"
        for name in (registration.tag, *(registration.aliases if version.active else ()))
    ]
    folders = [
        Ours(kind="folder", name=str(folder), size_bytes=_size(folder))
        for folder in context.paths.all_folders()
        if folder.exists()
    ]
    return (*tags, *folders)


def purge(context: Context, report: Report, cancel: Cancel) -> tuple[Ours, ...]:
    """Removes it all. A runtime that can't be reached keeps its tags, said aloud; folders go last.

    Raises:
        StoreAccessError: A folder can't be removed; what was removed stays removed.
        StoreBusyError: Another process writes to the store.
    """
    ours = list_ours(context)
    store = context.open_store()
    cancel.check()
    with store.lock():
        for version in store.versions():
            for registration in version.registrations:
                report(Step("purge", f"Removing {registration.tag} from {registration.runtime}"))
                runtime = context.runtime("ollama" if registration.runtime == "ollama" else "embedded")
                try:
                    runtime.unregister(version, None)
                except EngineError as error:
                    text = f"{registration.tag} stays in {registration.runtime}: {error.message}"
                    report(Remark(text, level="warning"))
    context.close()
    for folder in context.paths.all_folders():
        report(Step("purge", f"Removing {folder}"))
        _remove(folder)
    for shell in context.paths.shells():
        with suppress(OSError):  # not empty: something of somebody else's is in it
            shell.rmdir()
    return ours


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StoreAccessError(f"{folder} can't be removed whole: {error}.", hint="Remove the rest by hand.") from error


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
