"""What several results show: releases and installed versions."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Self

from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.core.measuring import MeasuredSpeed
from bbj_desktop.core.release import Release, Role
from bbj_desktop.core.versions import InstalledVersion


class ReleaseView(ResultModel):
    """A release without its texts.

    Attributes:
        notice: e.g. that it is a stand-in; empty when there is nothing to say.
    """

    model: str
    role: Role
    size: str
    version: str
    released: date
    title: str
    notice: str

    @classmethod
    def of(cls, release: Release) -> Self:
        return cls(**{name: getattr(release, name) for name in cls.model_fields})


class VersionView(ResultModel):
    """An installed version.

    Attributes:
        runtimes: What knows it.
        tags: The names by which the runtimes know it.
        adapter_path: The adapter over the file at ``path``; null where that is the whole model.
        activated_at: When it became the active one last; null when it never was.
        pinned: It isn't removed, and while it is active no update replaces it.
        measured: How fast it was here, where ``versions`` asks; null when nothing was measured.
    """

    key: str
    slot: str
    release: ReleaseView
    quantisation: str
    context_length: int
    active: bool
    channel: str
    registry: str
    path: Path
    size_bytes: int
    installed_at: datetime
    runtimes: tuple[str, ...]
    tags: tuple[str, ...]
    activated_at: datetime | None = None
    pinned: bool = False
    adapter_path: Path | None = None
    measured: MeasuredSpeed | None = None

    @classmethod
    def of(cls, version: InstalledVersion) -> Self:
        return cls(
            key=version.key,
            slot=version.slot,
            release=ReleaseView.of(version.release),
            quantisation=version.quantisation,
            context_length=version.context_length,
            active=version.active,
            channel=version.channel,
            registry=version.registry,
            path=version.path,
            size_bytes=version.variant.length_bytes,
            installed_at=version.installed_at,
            runtimes=tuple(each.runtime for each in version.registrations),
            tags=tuple(tag for each in version.registrations for tag in (each.tag, *each.aliases)),
            activated_at=version.activated_at,
            pinned=version.pinned,
            adapter_path=version.adapter_path,
        )
