"""``settings show``."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.cli.results.settings import SettingsResult, SettingView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.settings import SETTINGS, ResolvedSettings, as_text
from bbj_desktop.services.configuration import SETTINGS_FILE, policy_path
from bbj_desktop.services.logs import redacted


def show(session: Session) -> Outcome:
    """Every setting, its value and where that comes from."""
    result = SettingsResult(
        settings=tuple(_view(session.settings, name) for name in SETTINGS),
        file=session.paths.config / SETTINGS_FILE,
        policy=session.policy or policy_path(),
    )
    return Outcome(result, lambda screen: _show(screen, result))


def _view(settings: ResolvedSettings, name: str) -> SettingView:
    setting, origin = SETTINGS[name], settings.origin(name)
    return SettingView(
        name=name,
        value=_plain(getattr(settings.values, name)),
        default=_plain(setting.default),
        unit=setting.unit,
        origin=origin.kind,
        place=origin.place,
        locked=origin.locked,
        environment=setting.environment,
        flag=setting.flag,
        help=setting.help,
    )


def _plain(value: object) -> str | int | float | bool | None:
    """The value as JSON knows it, without credentials."""
    if isinstance(value, int | float) or value is None:
        return value
    return redacted(str(value))


def _show(screen: Screen, result: SettingsResult) -> None:
    rows = [
        (each.name, f"{as_text(each.name, each.value)} {_unit(each)}".rstrip(), _origin(each))
        for each in result.settings
    ]
    screen.table(("Setting", "Value", "From"), rows)
    screen.line()
    for title, path in (("Settings file", result.file), ("Policy", result.policy)):
        screen.line(f"{title}: {path}{_absent(path)}", "dim")


def _unit(each: SettingView) -> str:
    """A port's number says all."""
    return each.unit if each.value is not None and each.unit != "port" else ""


def _origin(each: SettingView) -> str:
    if each.locked:
        return f"policy {each.place} (locked)"
    return f"{each.origin.value} {each.place}".strip()


def _absent(path: Path) -> str:
    return "" if path.exists() else " (doesn't exist)"
