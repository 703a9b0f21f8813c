"""Results about registries, bundles and extras."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from bbj_desktop.actions.bundling import ImportedModel
from bbj_desktop.actions.extras import FetchedExtra, ImportedExtra
from bbj_desktop.actions.login import Login
from bbj_desktop.actions.registering import RegistryView
from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.cli.results.models import InstalledView, ReleaseView
from bbj_desktop.core.release import Extra
from bbj_desktop.services.registry.bundle import BundleContent
from bbj_desktop.services.registry.findings import RoleLife, StageView, Verified
from bbj_desktop.services.registry.root import RootDescription


class RegistryAddResult(ResultModel):
    registry: RegistryView
    root: RootDescription


class RegistryShowResult(ResultModel):
    registries: tuple[RegistryView, ...]


class RegistryRootResult(ResultModel):
    root: RootDescription


class RegistryForgetResult(ResultModel):
    registry: RegistryView


class RegistryMirrorResult(ResultModel):
    """Of ``mirror add`` and ``mirror remove``."""

    registry: RegistryView


class RegistryLoginResult(ResultModel):
    login: Login


class RegistryLogoutResult(ResultModel):
    """Attributes:
    removed: Whether there was one.
    """

    origin: str
    removed: bool


class RegistryCreateResult(ResultModel):
    folder: Path
    keys: Path
    root: RootDescription


class RegistryReleaseResult(ResultModel):
    """Of ``publish`` and ``promote``.

    Attributes:
        name: What ``promote`` and ``withdraw`` call it.
    """

    channel: str
    name: str
    release: ReleaseView
    quantisations: tuple[str, ...]
    stage: StageView | None = None


class RegistryWithdrawResult(ResultModel):
    channel: str
    name: str
    reason: str
    stage: StageView | None = None


class RegistryRenewResult(ResultModel):
    folder: Path
    roles: tuple[str, ...]
    stage: StageView | None = None


class RegistryStageResult(ResultModel):
    """Of ``stage`` and ``rotate``."""

    stage: StageView


class SignatureView(ResultModel):
    role: str
    keyid: str


class RegistrySignResult(ResultModel):
    """Attributes:
    signed: Signatures that weren't there before.
    """

    signed: tuple[SignatureView, ...]
    stage: StageView


class RegistryMergeResult(ResultModel):
    """Attributes:
    added: Signatures that weren't there before.
    """

    added: tuple[SignatureView, ...]
    stage: StageView


class RegistryPublishStagedResult(ResultModel):
    folder: Path
    roles: tuple[str, ...]


class RegistryKeyResult(ResultModel):
    """Attributes:
    private: Its sealed file.
    public: What its owner hands out.
    """

    role: str
    keyid: str
    private: Path
    public: Path


class RegistryStatusResult(ResultModel):
    """Attributes:
    fine: There is nothing to do.
    """

    folder: Path
    roles: tuple[RoleLife, ...]
    fine: bool


class RegistryVerifyResult(ResultModel):
    """Attributes:
    sound: Everything that customers may ask for is there, right and in time.
    """

    mirror: Verified
    sound: bool


class RegistryRefreshResult(ResultModel):
    """Attributes:
    expires: Until when the new timestamp is good.
    """

    folder: Path
    expires: datetime


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


class RegistryExtraResult(ResultModel):
    """Attributes:
    extra: As it was signed, or removed.
    stage: The stage that waits for signatures; null when it is live.
    """

    channel: str
    extra: Extra
    stage: StageView | None


class BundleExportResult(ResultModel):
    """Attributes:
    extras: Installers and the like that went along.
    registry: Identity of the registry.
    volumes: Folders ``volume-1`` … in ``folder``; 0 when ``folder`` itself is the bundle.
    fetched_bytes: Written by this call; the rest was there.
    """

    folder: Path
    registry: str
    channel: str
    contents: tuple[BundleContent, ...]
    extras: tuple[BundleContent, ...] = ()
    volumes: int
    size_bytes: int
    fetched_bytes: int
    seconds: float


class BundleImportResult(ResultModel):
    """Attributes:
    models: What the bundle has and the registry offers; ``missing`` names the pieces still to be brought.
    extras: Installers and the like: where they were put, and what to do with them.
    newer_known: This machine knew newer metadata than the bundle, and judged by it.
    refused: What the bundle has and the newest metadata known here doesn't offer.
    installed: With ``--install``.
    """

    registry: RegistryView
    channel: str
    models: tuple[ImportedModel, ...]
    extras: tuple[ImportedExtra, ...] = ()
    newer_known: bool
    refused: tuple[str, ...]
    copied_bytes: int
    seconds: float
    installed: tuple[InstalledView, ...] = ()
