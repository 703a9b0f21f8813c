"""The room that an install takes, by volume, known before its first byte."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.errors import NoSpaceError
from bbj_desktop.core.ownership import Ownership
from bbj_desktop.core.routes import SMALL_PARTS, Route
from bbj_desktop.core.units import format_bytes
from bbj_desktop.services.store.disk import Disk, existing_folder

STORE, OLLAMA, BOTH = "the verified file", "Ollama's copies", "the verified file and Ollama's copies"


class VolumeNeed(BaseModel):
    """Room that is needed on one volume.

    Attributes:
        path: A folder on it.
        bytes: What is needed at the peak.
        free_bytes: What is free now.
        purpose: What for, for a person.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    bytes: int
    free_bytes: int
    purpose: str

    @property
    def short_bytes(self) -> int:
        """How much is missing."""
        return max(0, self.bytes - self.free_bytes)


def needs_of(
    store: Path, missing_bytes: int, status: RuntimeStatus, ownership: Ownership, length_bytes: int, *, registered: bool
) -> tuple[VolumeNeed, ...]:
    """What an install takes on each volume; two folders on one volume are one need.

    Args:
        store: The store's folder.
        missing_bytes: What the store doesn't have yet of the file.
        status: The runtime that is to know the model.
        length_bytes: Length of the file.
        registered: The runtime knows the model already, so that it copies nothing.

    Raises:
        StoreAccessError: A folder can't be looked at.
    """
    copies = 0 if registered or not ownership.here else length_bytes * ownership.copies
    if copies and ownership.route in (Route.STREAM, Route.PULL):  # the release's texts come beside the file
        copies += int(length_bytes * SMALL_PARTS)
    ours = _need(store, missing_bytes, STORE)
    if not copies or status.models_folder is None:
        return (ours,)
    theirs = _need(status.models_folder, copies, OLLAMA)
    if _device(store) != _device(status.models_folder):
        return (ours, theirs)
    return (ours.model_copy(update={"bytes": missing_bytes + copies, "purpose": BOTH}),)


def check_needs(needs: Sequence[VolumeNeed]) -> None:
    """Raises NoSpaceError, naming the volume, what for, and by how much it is too small."""
    for need in needs:
        if need.short_bytes:
            raise NoSpaceError(
                f"{format_bytes(need.bytes)} are needed on the volume of {need.path} for {need.purpose}; "
                f"{format_bytes(need.free_bytes)} are free: {format_bytes(need.short_bytes)} too few.",
                needed_bytes=need.bytes,
                free_bytes=need.free_bytes,
                path=need.path,
                hint="Make room there, or choose another folder in the settings.",
            )


def _need(folder: Path, needed_bytes: int, purpose: str) -> VolumeNeed:
    return VolumeNeed(path=folder, bytes=needed_bytes, free_bytes=Disk().free_bytes(folder), purpose=purpose)


def _device(folder: Path) -> int:
    """The volume's number; equal for folders that share their free room."""
    try:
        return os.stat(existing_folder(folder)).st_dev  # noqa: PTH116 - the number alone is wanted
    except OSError:
        return -1
