"""Where a value comes from, what it may be, and what a policy locks."""

from __future__ import annotations

import itertools
from dataclasses import fields
from pathlib import Path

import pytest

from bbj_desktop.core.errors import SettingsError
from bbj_desktop.core.settings import SETTINGS, Layer, OriginKind, Settings, as_text, resolve

PACKAGE = Path(__file__).parents[2] / "bbj_desktop"
RISING = (OriginKind.FILE, OriginKind.ENVIRONMENT, OriginKind.FLAG)


def layer(kind: OriginKind, place: str = "somewhere", **given: object) -> Layer:
    return Layer(kind, given, place=place)


def test_without_layers_every_value_is_its_default() -> None:
    resolved = resolve([])
    assert resolved.values == Settings()
    assert {resolved.origin(name).kind for name in SETTINGS} == {OriginKind.DEFAULT}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_can_be_set_has_an_effect_somewhere(name: str) -> None:
    used = f"values.{name}", f"{name}=self.{name}"  # by others, or handed on as part of ``Network``
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    assert any(use in text for use in used for text in texts)


@pytest.mark.parametrize(("lower", "higher"), list(itertools.combinations(RISING, 2)))
def test_the_higher_layer_wins_whatever_the_order(lower: OriginKind, higher: OriginKind) -> None:
    layers = [layer(higher, proxy="http://high:1"), layer(lower, proxy="http://low:1")]
    resolved = resolve(layers)
    assert resolved.values.proxy == "http://high:1"
    assert resolved.origin("proxy").kind is higher


@pytest.mark.parametrize("kind", [OriginKind.FILE, OriginKind.ENVIRONMENT])
def test_a_policy_wins_over_file_and_environment(kind: OriginKind) -> None:
    resolved = resolve([layer(OriginKind.POLICY, channel="stable"), layer(kind, channel="beta")])
    assert resolved.values.channel == "stable"
    assert resolved.origin("channel").locked


def test_a_flag_against_a_policy_is_refused_with_the_reason() -> None:
    layers = [
        layer(OriginKind.POLICY, "/etc/policy.toml", channel="stable"),
        Layer(OriginKind.FLAG, {"channel": "beta"}, places={"channel": "--channel"}),
    ]
    with pytest.raises(SettingsError) as caught:
        resolve(layers)
    assert caught.value.message == "--channel can't be used: a policy locks channel to stable."
    assert "/etc/policy.toml" in caught.value.hint


def test_a_flag_that_agrees_with_the_policy_is_harmless() -> None:
    layers = [layer(OriginKind.POLICY, channel="beta"), layer(OriginKind.FLAG, channel="beta")]
    assert resolve(layers).origin("channel").locked


def test_each_value_knows_the_place_it_came_from() -> None:
    layers = [
        layer(OriginKind.FILE, "/home/x/settings.toml", theme="dark"),
        Layer(OriginKind.ENVIRONMENT, {"channel": "beta"}, places={"channel": "BBJ_DESKTOP_CHANNEL"}),
    ]
    resolved = resolve(layers)
    assert resolved.origin("theme").place == "/home/x/settings.toml"
    assert resolved.origin("channel").place == "BBJ_DESKTOP_CHANNEL"


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve([layer(OriginKind.FILE, "settings.toml", chanel="beta")])
    assert caught.value.message == 'settings.toml: there is no setting "chanel".'
    assert caught.value.hint == 'Did you mean "channel"?'


def test_a_wrong_value_is_refused_even_where_a_higher_layer_overrides_it() -> None:
    with pytest.raises(SettingsError, match=r"settings\.toml: channel must be one of stable, beta"):
        resolve([layer(OriginKind.FILE, "settings.toml", channel="nightly"), layer(OriginKind.FLAG, channel="beta")])


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("context_length", "4096"),
        ("context_length", 4096.5),
        ("context_length", True),
        ("context_length", 12),
        ("connect_timeout_s", "10"),
        ("connect_timeout_s", 0),
        ("connect_timeout_s", float("nan")),
        ("update_checks", "perhaps"),
        ("update_checks", 1),
        ("proxy", 8080),
        ("ca_file", ["a.pem"]),
        ("theme", "pink"),
    ],
)
def test_a_value_of_the_wrong_type_in_a_file_is_refused_by_name(name: str, raw: object) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve([Layer(OriginKind.FILE, {name: raw}, place="settings.toml")])
    assert caught.value.message.startswith(f"settings.toml: {name} must be ")


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("context_length", 8192, 8192),
        ("connect_timeout_s", 5, 5.0),
        ("update_checks", False, False),
        ("update_checks", "off", False),
        ("proxy", "http://proxy:3128", "http://proxy:3128"),
        ("proxy", "", None),
        ("ca_file", "/etc/ssl/Haus Prüfung.pem", Path("/etc/ssl/Haus Prüfung.pem")),
        ("theme", "dark", "dark"),
    ],
)
def test_files_give_values_in_toml_types(name: str, raw: object, value: object) -> None:
    assert getattr(resolve([Layer(OriginKind.FILE, {name: raw})]).values, name) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("context_length", "8192", 8192),
        ("stall_timeout_s", "2.5", 2.5),
        ("update_checks", "off", False),
        ("data_folder", "modelle", Path("modelle")),
    ],
)
def test_flags_and_variables_give_text(name: str, text: str, value: object) -> None:
    assert getattr(resolve([Layer(OriginKind.FLAG, {name: text})]).values, name) == value


@pytest.mark.parametrize(("name", "text"), [("context_length", "8k"), ("stall_timeout_s", "soon"), ("channel", "")])
def test_text_that_does_not_fit_is_refused_naming_the_flag(name: str, text: str) -> None:
    flag = Layer(OriginKind.FLAG, {name: text}, places={name: SETTINGS[name].flag})
    with pytest.raises(SettingsError, match=f"{SETTINGS[name].flag} must be "):
        resolve([flag])


def test_every_setting_is_declared_once_with_a_variable_a_flag_and_a_help() -> None:
    assert list(SETTINGS) == [entry.name for entry in fields(Settings)]
    flags = [setting.flag for setting in SETTINGS.values()]
    variables = [variable for setting in SETTINGS.values() for variable in setting.environment]
    assert len(set(flags)) == len(flags)
    assert len(set(variables)) == len(variables)
    assert all(setting.help and setting.environment for setting in SETTINGS.values())


def test_numbers_have_units() -> None:
    assert all(setting.unit for setting in SETTINGS.values() if setting.kind in ("count", "seconds"))


def test_defaults_keep_to_their_own_rules() -> None:
    given = {name: setting.default for name, setting in SETTINGS.items() if setting.default is not None}
    assert resolve([Layer(OriginKind.FILE, given)]).values == Settings()


def test_the_network_is_built_from_the_settings() -> None:
    given = {"proxy": "http://proxy:3128", "connect_timeout_s": 3, "stall_timeout_s": 7}
    network = resolve([Layer(OriginKind.FILE, given)]).values.network()
    assert (network.proxy, network.connect_timeout_s, network.stall_timeout_s) == ("http://proxy:3128", 3.0, 7.0)


def test_a_proxy_that_is_no_address_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="proxy"):
        resolve([layer(OriginKind.FILE, proxy="proxy:3128")]).values.network()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("update_checks", False, "off"),
        ("proxy", None, "-"),
        ("connect_timeout_s", 10.0, "10"),
        ("theme", "dark", "dark"),
    ],
)
def test_values_are_written_as_in_the_environment(name: str, value: object, text: str) -> None:
    assert as_text(name, value) == text
