"""Reads the settings' layers: the policy, the flags, the environment and the settings file.

The settings file is ``settings.toml`` in the platform's configuration folder, or in ``config`` below the data folder
when ``--data`` or ``BBJ_DESKTOP_DATA`` names one. A policy is a file that only an administrator can write; whatever it
sets is locked.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bbj_desktop.core.errors import SettingsError
from bbj_desktop.core.settings import SETTINGS, Layer, OriginKind, ResolvedSettings, resolve

APP_NAME = "bbj-desktop"
SETTINGS_FILE = "settings.toml"
POLICY_FILE = "policy.toml"
MAX_FILE_BYTES = 256 * 1024  # bytes

_PORTABLE = frozenset({OriginKind.FLAG, OriginKind.ENVIRONMENT})


def policy_path(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Path:
    """Where an administrator's policy lies.

    Args:
        platform: As ``sys.platform`` says it.
        environ: For ``ProgramData`` on Windows.
    """
    if platform == "win32":
        return Path(environ.get("PROGRAMDATA", r"C:\ProgramData")) / APP_NAME / POLICY_FILE
    if platform == "darwin":
        return Path("/Library/Application Support") / APP_NAME / POLICY_FILE
    return Path("/etc") / APP_NAME / POLICY_FILE


def load_settings(
    flags: Mapping[str, str], *, environ: Mapping[str, str] = os.environ, policy: Path | None = None
) -> ResolvedSettings:
    """Reads every layer and resolves them.

    Args:
        flags: Texts of the command line by the setting's name; only those given.
        environ: The environment.
        policy: The policy file; None for the platform's.

    Raises:
        SettingsError: A file can't be read, a name is unknown, a value is wrong, or a flag contradicts the policy.
    """
    layers = [
        _file_layer(OriginKind.POLICY, policy or policy_path()),
        Layer(OriginKind.FLAG, dict(flags), places={name: SETTINGS[name].flag for name in flags}),
        _environment_layer(environ),
    ]
    place = config_folder(resolve(layers)) / SETTINGS_FILE
    return _with_full_paths(resolve([*layers, _file_layer(OriginKind.FILE, place)]))


def portable_folder(settings: ResolvedSettings) -> Path | None:
    """The folder below which everything lies, settings and logs included: the data folder when a flag or a variable
    names it. None when the platform's folders are used."""
    if settings.origin("data_folder").kind in _PORTABLE and settings.values.data_folder is not None:
        return _full(settings.values.data_folder)
    return None


def config_folder(settings: ResolvedSettings) -> Path:
    """Where the settings file lies."""
    portable = portable_folder(settings)
    if portable is not None:
        return portable / "config"
    import platformdirs

    return platformdirs.user_config_path(APP_NAME, appauthor=False)


def _environment_layer(environ: Mapping[str, str]) -> Layer:
    given: dict[str, object] = {}
    places: dict[str, str] = {}
    for name, setting in SETTINGS.items():
        variable = next((each for each in setting.environment if environ.get(each)), None)
        if variable is not None:
            given[name] = environ[variable]
            places[name] = variable
    return Layer(OriginKind.ENVIRONMENT, given, places=places)


def _file_layer(kind: OriginKind, path: Path) -> Layer:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Layer(kind, {}, place=str(path))
    except OSError as error:
        raise SettingsError(
            f"The settings file {path} can't be read: {error.strerror or error}.", hint="Check its permissions."
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise SettingsError(f"{path} is longer than {MAX_FILE_BYTES // 1024} KB: that isn't a settings file.")
    try:
        return Layer(kind, tomllib.loads(data.decode("utf-8")), place=str(path))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise SettingsError(
            f"The settings file {path} isn't valid TOML: {error}.", hint="Correct that line."
        ) from error


def _with_full_paths(settings: ResolvedSettings) -> ResolvedSettings:
    """Flags and variables may name folders relative to the current one; a file's must be full, because where the
    program is started from means nothing to it."""
    values = settings.values
    changes: dict[str, object] = {}
    if values.registry is not None and settings.origin("registry").kind in _PORTABLE:
        changes["registry"] = full_address(values.registry)
    for name, setting in SETTINGS.items():
        path = getattr(values, name)
        if setting.kind != "path" or path is None:
            continue
        origin = settings.origin(name)
        if origin.kind not in _PORTABLE and not path.expanduser().is_absolute():
            raise SettingsError(f"{origin.place}: {name} must be a full path, not {str(path)!r}.", hint="Correct it.")
        changes[name] = _full(path)
    return replace(settings, values=replace(values, **changes))  # type: ignore[arg-type]


def full_address(address: str) -> str:
    """A registry's address; a bare folder is made a full path, so that it means the same from everywhere."""
    address = address.strip().rstrip("/")
    return address if "://" in address else str(_full(Path(address)))


def _full(path: Path) -> Path:
    return path.expanduser().absolute()
