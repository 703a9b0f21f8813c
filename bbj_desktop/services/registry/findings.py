"""What the makers are told about a stage, lifetimes and a mirror. Importing this is cheap: no python-tuf."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Demand(BaseModel):
    """Whose signatures one role needs. A root needs two of these: the old root's keys and its own.

    Attributes:
        by: Who demands them: ``root 1``, ``targets 3``, …
        threshold: How many of the keys.
        signed: Key ids whose signatures are there and right.
        missing: The other keys that may sign.
    """

    model_config = ConfigDict(frozen=True)

    role: str
    version: int
    expires: datetime
    by: str
    threshold: int
    signed: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def met(self) -> bool:
        return len(self.signed) >= self.threshold


class StageView(BaseModel):
    """A stage as its signers want to see it.

    Attributes:
        registry: Identity of the registry that it is for.
        purpose: What its maker says that it does; nobody signs that.
        changes: What the files in it do, in words.
        demands: Whose signatures it needs.
        complete: They are there.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    registry: str
    purpose: str
    changes: tuple[str, ...]
    demands: tuple[Demand, ...]
    complete: bool


class RoleLife(BaseModel):
    """How long one role is still good.

    Attributes:
        days_left: Whole days, rounded down; negative when it is over.
        warn_below: Days.
        threshold: How many of the keys must sign.
        keys: Their ids.
        what_to_do: Empty while there is nothing to do.
    """

    model_config = ConfigDict(frozen=True)

    role: str
    version: int
    expires: datetime
    days_left: int
    warn_below: int
    threshold: int
    keys: tuple[str, ...]
    what_to_do: str = ""

    @property
    def fine(self) -> bool:
        return not self.what_to_do


class Trouble(StrEnum):
    """What is wrong with a file. ``superfluous`` is no fault: nothing that is signed names it."""

    MISSING = "missing"
    DAMAGED = "damaged"
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    SUPERFLUOUS = "superfluous"


class MirrorProblem(BaseModel):
    """Attributes:
    path: Relative to the registry.
    text: For a person.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    trouble: Trouble
    text: str


class Verified(BaseModel):
    """What a mirror holds.

    Attributes:
        identity: Of the first root that the check began with.
        releases: How many were found, over all channels.
        files: How many were read whole.
        read_bytes: How many bytes.
        problems: In the order in which they were found.
        searched: Whether files that nobody names were looked for: in a folder whose metadata is whole.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    identity: str
    timestamp_version: int | None
    releases: int
    files: int
    read_bytes: int
    problems: tuple[MirrorProblem, ...]
    searched: bool

    @property
    def sound(self) -> bool:
        """Everything that customers may ask for is there, right and in time."""
        return all(each.trouble is Trouble.SUPERFLUOUS for each in self.problems)
