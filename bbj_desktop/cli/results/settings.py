"""Results about settings."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.core.settings import OriginKind


class SettingView(ResultModel):
    """Attributes:
    value: In force; credentials are blotted out.
    origin: The layer that gave it.
    place: File, variable or flag; empty for the default.
    locked: A policy gave it: nothing else can change it.
    environment: The variables that set it.
    """

    name: str
    value: str | int | float | bool | None
    default: str | int | float | bool | None
    unit: str
    origin: OriginKind
    place: str
    locked: bool
    environment: tuple[str, ...]
    flag: str
    help: str


class SettingsResult(ResultModel):
    """Attributes:
    file: The settings file; need not exist.
    policy: The policy file; need not exist.
    """

    settings: tuple[SettingView, ...]
    file: Path
    policy: Path
