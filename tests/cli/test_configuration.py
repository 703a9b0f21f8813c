"""Settings from real files and the real environment, and the folders that they lead to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pytest

from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.errors import SettingsError
from bbj_desktop.core.settings import OriginKind, ResolvedSettings
from bbj_desktop.services.configuration import load_settings, policy_path

Load = Callable[..., ResolvedSettings]


@pytest.fixture
def load(policy: Path) -> Load:
    def load(**flags: str) -> ResolvedSettings:
        return load_settings(flags, environ=os.environ, policy=policy)

    return load


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_policy_beats_flag_beats_environment_beats_file_beats_default(
    load: Load, data: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [load().values.channel, load().values.context_length]
    write(data / "config" / "settings.toml", 'channel = "beta"\ncontext_length = 1024\n')
    seen.append(load().values.context_length)
    monkeypatch.setenv("BBJ_DESKTOP_CONTEXT_LENGTH", "2048")
    seen.append(load().values.context_length)
    seen.append(load(context_length="4096").values.context_length)
    write(policy, "context_length = 8192\n")
    seen.append(load().values.context_length)
    assert seen == ["stable", None, 1024, 2048, 4096, 8192]


def test_origins_name_file_and_variable(load: Load, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(data / "config" / "settings.toml", 'theme = "dark"\n')
    monkeypatch.setenv("BBJ_DESKTOP_CHANNEL", "beta")
    resolved = load()
    assert resolved.origin("theme").place == str(file)
    assert resolved.origin("channel").place == "BBJ_DESKTOP_CHANNEL"


def test_an_empty_variable_is_none(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_CHANNEL", "")
    assert load().origin("channel").kind is OriginKind.DEFAULT


def test_our_own_variable_comes_before_ollamas(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "there:11434")
    monkeypatch.setenv("BBJ_DESKTOP_OLLAMA_HOST", "here:11434")
    assert load().values.ollama_host == "here:11434"


def test_invalid_toml_is_refused_with_file_and_line(load: Load, data: Path) -> None:
    file = write(data / "config" / "settings.toml", 'channel = "beta"\ntheme = \n')
    with pytest.raises(SettingsError, match=r"isn't valid TOML.*line 2") as caught:
        load()
    assert str(file) in caught.value.message


def test_a_file_that_is_not_utf_8_is_refused(load: Load, data: Path) -> None:
    write(data / "config" / "settings.toml", "").write_bytes(b'proxy = "\xff"\n')
    with pytest.raises(SettingsError, match="isn't valid TOML"):
        load()


def test_an_endless_file_is_refused(load: Load, data: Path) -> None:
    write(data / "config" / "settings.toml", "#" * 300_000)
    with pytest.raises(SettingsError, match="longer than 256 KB"):
        load()


def test_a_file_that_is_a_folder_is_refused(load: Load, policy: Path) -> None:
    policy.mkdir()
    with pytest.raises(SettingsError, match="can't be read"):
        load()


def test_a_relative_folder_in_a_file_is_refused(load: Load, data: Path) -> None:
    write(data / "config" / "settings.toml", 'ca_file = "certs/house.pem"\n')
    with pytest.raises(SettingsError, match="ca_file must be a full path"):
        load()


def test_a_relative_folder_of_a_flag_counts_from_here(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(data_folder="da").values.data_folder == tmp_path / "da"


def test_a_named_data_folder_holds_everything(load: Load, data: Path) -> None:
    paths = paths_for(load())
    assert paths.data == data
    assert all(folder.is_relative_to(data) for folder in paths.all_folders())


def test_the_data_folder_itself_is_not_among_what_a_purge_removes(load: Load, data: Path) -> None:
    assert data not in paths_for(load()).all_folders()


def test_a_data_folder_from_the_settings_file_moves_only_what_is_kept(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BBJ_DESKTOP_DATA")
    plain = paths_for(load())
    elsewhere = tmp_path / "Große Platte"
    write(plain.config / "settings.toml", f'data_folder = "{elsewhere.as_posix()}"\n')
    moved = paths_for(load())
    assert moved.store == elsewhere / "store"
    assert (moved.config, moved.logs, moved.cache) == (plain.config, plain.logs, plain.cache)


def test_without_a_named_folder_the_platforms_are_used(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BBJ_DESKTOP_DATA")
    paths = paths_for(load())
    assert all(folder.is_relative_to(tmp_path / "home") for folder in paths.all_folders())
    assert len(set(paths.all_folders())) == 9


@pytest.mark.parametrize(
    ("platform", "path"),
    [
        ("linux", "/etc/bbj-desktop/policy.toml"),
        ("darwin", "/Library/Application Support/bbj-desktop/policy.toml"),
    ],
)
def test_a_policy_lies_where_only_administrators_write(platform: str, path: str) -> None:
    assert policy_path(platform, {}).as_posix() == path


def test_on_windows_the_policy_lies_in_program_data() -> None:
    found = policy_path("win32", {"PROGRAMDATA": r"D:\ProgramData"})
    assert PureWindowsPath(str(found)) == PureWindowsPath(r"D:\ProgramData\bbj-desktop\policy.toml")
