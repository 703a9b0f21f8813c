"""Results about a registry of one's own: publishing, staging, signing, keys."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.cli.results.views import ReleaseView
from bbj_desktop.core.release import Extra
from bbj_desktop.services.registry.findings import RoleLife, StageView, Verified
from bbj_desktop.services.registry.root import RootDescription


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


class RegistryExtraResult(ResultModel):
    """Attributes:
    extra: As it was signed, or removed.
    stage: The stage that waits for signatures; null when it is live.
    """

    channel: str
    extra: Extra
    stage: StageView | None
