"""``settings show``: each value, where it comes from, and what is locked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.cli.results.settings import SettingsResult
from bbj_desktop.core.settings import SETTINGS
from tests.cli.conftest import Call


def by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in result["settings"]}


def test_every_setting_is_listed(call: Call) -> None:
    result = call("settings", "show", "--json").result
    assert list(by_name(result)) == list(SETTINGS)
    SettingsResult.model_validate(result)


def test_a_value_comes_with_its_origin(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_CHANNEL", "beta")
    settings = by_name(call("settings", "show", "--json", "--runtime", "ollama").result)
    assert (settings["channel"]["value"], settings["channel"]["origin"]) == ("beta", "environment")
    assert (settings["runtime"]["origin"], settings["runtime"]["place"]) == ("flag", "--runtime")
    assert (settings["theme"]["origin"], settings["theme"]["locked"]) == ("default", False)


def test_what_a_policy_locks_is_said(call: Call, policy: Path) -> None:
    policy.write_text("update_checks = false\n")
    setting = by_name(call("settings", "show", "--json").result)["update_checks"]
    assert (setting["value"], setting["locked"], setting["place"]) == (False, True, str(policy))
    assert f"policy {policy} (locked)" in call("settings", "show").out


def test_a_flag_against_the_policy_is_refused_with_the_reason(call: Call, policy: Path) -> None:
    policy.write_text('channel = "stable"\n')
    called = call("settings", "show", "--channel", "beta")
    assert called.code == 2
    assert "--channel can't be used: a policy locks channel to stable." in called.err


def test_credentials_of_a_proxy_are_not_shown(call: Call) -> None:
    called = call("settings", "show", "--proxy", "http://anna:geheim@proxy:3128")
    assert "proxy:3128" in called.out
    assert "geheim" not in called.out


def test_plain_output_is_aligned(call: Call) -> None:
    lines = call("settings", "show").out.splitlines()
    column = lines[0].index("Value")
    assert all(line[column - 1] == " " and line[column] != " " for line in lines[1 : len(SETTINGS) + 1])


def test_verbose_does_not_quarrel_with_a_locked_log_level(call: Call, policy: Path, data: Path) -> None:
    policy.write_text('log_level = "error"\n')
    assert call("versions", "--verbose").code == 0
    assert (data / "logs" / "bbj-desktop.log").read_text(encoding="utf-8") == ""


def test_a_port_is_a_number_alone(call: Call) -> None:
    out = call("settings", "show").out
    assert "11435 port" not in out
    assert "300 seconds" in out
