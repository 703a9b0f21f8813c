"""Results about the registries that this machine knows."""

from __future__ import annotations

from bbj_desktop.actions.login import Login
from bbj_desktop.actions.registering import RegistryView
from bbj_desktop.cli.results.base import ResultModel
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
