"""Results about editors."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.actions.ide import IdeModel, TriedModel
from bbj_desktop.cli.results.base import ResultModel


class IdeShowResult(ResultModel):
    """Attributes:
    path: Continue's file.
    config: What it would hold, or holds, with these models; the gateway's key as ``bbj-…`` unless ``--show-key``.
    """

    models: tuple[IdeModel, ...]
    path: Path
    config: str


class IdeApplyResult(ResultModel):
    """Attributes:
    difference: Unified diff, with keys hidden likewise; empty when there is nothing to change.
    backup: What the file was before.
    """

    path: Path
    difference: str
    written: bool
    backup: Path | None = None


class IdeUndoResult(ResultModel):
    """Attributes:
    removed: The file wasn't there before, and isn't any more.
    """

    path: Path
    removed: bool


class IdeTestResult(ResultModel):
    models: tuple[TriedModel, ...]
