"""Results about extras."""

from __future__ import annotations

from bbj_desktop.actions.extras import FetchedExtra
from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.core.release import Extra


class ExtrasListResult(ResultModel):
    """Attributes:
    extras: Newest ones and older ones, by key.
    """

    channel: str
    extras: tuple[Extra, ...]


class ExtrasFetchResult(ResultModel):
    """Attributes:
    extras: Where each was put, and what to do with it.
    """

    extras: tuple[FetchedExtra, ...]
