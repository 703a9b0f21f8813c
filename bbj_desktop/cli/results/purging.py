"""Results of removing everything."""

from __future__ import annotations

from bbj_desktop.actions.purging import Ours
from bbj_desktop.cli.results.base import ResultModel


class PurgeResult(ResultModel):
    removed: tuple[Ours, ...]
    kept: tuple[Ours, ...] = ()
