"""What can be typed, and what is said when it can't."""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Iterator
from importlib import import_module

import pytest

from bbj_desktop import __version__
from bbj_desktop.cli.parser import build_parser, given_flags
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.settings import SETTINGS
from tests.cli.conftest import PROGRAM, Call

HEAVY = ("pydantic", "httpx", "rich", "tuf", "PySide6", "ollama", "xllamacpp", "psutil", "platformdirs")


def every_command(parser: argparse.ArgumentParser | None = None) -> Iterator[argparse.ArgumentParser]:
    """Every parser that ends in a command."""
    parser = parser or build_parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from every_command(each)
    if parser.get_default("run"):
        yield parser


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["install", "--help"], ["registry", "publish", "-h"]])
def test_help_needs_nothing_but_the_standard_library(arguments: list[str]) -> None:
    command = [PROGRAM[0], "-X", "importtime", *PROGRAM[1:], *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "argparse" in imported
    assert imported.isdisjoint(HEAVY)


def test_the_version_is_the_packages(call: Call) -> None:
    called = call("--version")
    assert (called.code, called.out) == (0, f"bbj-desktop {__version__}\n")


def test_every_command_is_in_the_help(call: Call) -> None:
    text = call("--help").out
    for name in ("doctor", "recommend", "install", "update", "versions", "activate", "remove", "chat", "ask"):
        assert f"  {name} " in text
    for name in ("registry", "settings", "purge", "demo"):
        assert f"  {name} " in text


def test_every_command_names_a_function_that_exists() -> None:
    for parser in every_command():
        module, function = parser.get_default("run").split(":")
        assert callable(getattr(import_module(f"bbj_desktop.cli.{module}"), function))


def test_every_setting_has_a_flag_on_every_command() -> None:
    for parser in every_command():
        known = {option for action in parser._actions for option in action.option_strings}
        assert {setting.flag for setting in SETTINGS.values()} <= known


@pytest.mark.parametrize(
    "arguments", [["--channel", "beta", "versions"], ["versions", "--channel", "beta"]], ids=["before", "after"]
)
def test_a_setting_may_stand_before_or_after_the_command(arguments: list[str]) -> None:
    assert given_flags(build_parser().parse_args(arguments)) == {"channel": "beta"}


def test_no_option_of_a_command_is_taken_for_the_beginning_of_a_setting() -> None:
    whole, ambiguous = build_parser(), []
    for parser in every_command():
        for option in parser._option_string_actions.keys() - {"--help", "-h"}:
            try:
                whole.parse_args([*parser.prog.split()[1:], option])
            except UserInputError as error:  # mostly its value is missing
                ambiguous += [error.message] if "mbiguous" in error.message else []
    assert ambiguous == []


def test_a_mistyped_command_is_answered_with_the_nearest_one(call: Call) -> None:
    called = call("instal")
    assert called.code == 2
    assert called.err == "There is no command 'instal'.\nDid you mean bbj-desktop install?\n"


def test_a_mistyped_action_is_answered_with_the_nearest_one(call: Call) -> None:
    assert "Did you mean bbj-desktop registry publish?" in call("registry", "publsh").err


def test_a_missing_argument_is_wrong_input(call: Call) -> None:
    called = call("activate")
    assert called.code == 2
    assert "VERSION" in called.err


@pytest.mark.parametrize(
    ("wrong", "limits"),
    [
        ("ask --temperature 9 x", "a number between 0 and 2"),
        ("ask --temperature nan x", "a number between 0 and 2"),
        ("ask --max-tokens 0 x", "a whole number between 1 and 1048576"),
        ("chat --seed -3", "a whole number between 0 and 2147483647"),
        ("chat --seed x", "a whole number between 0 and 2147483647"),
        ("recommend --concurrency 0", "a whole number between 1 and 64"),
    ],
)
def test_a_number_outside_its_limits_is_wrong_input(call: Call, wrong: str, limits: str) -> None:
    called = call(*wrong.split())
    assert called.code == 2
    assert f"must be {limits}" in called.err


def test_wrong_usage_is_json_too_when_json_was_asked_for(call: Call) -> None:
    called = call("activate", "--json")
    assert called.error["exit_code"] == called.code == 2
    assert called.error["code"] == "UserInputError"


def test_the_engine_host_is_started_by_a_hidden_first_argument() -> None:
    """It ends at once when nobody sends it a line."""
    done = subprocess.run(
        [*PROGRAM, "--engine-host"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_without_pyside_the_window_says_what_to_type(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    called = call()
    assert called.code == 2
    assert 'pip install "bbj-desktop[ui]"' in called.err


def test_without_a_screen_the_window_points_to_the_command_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    called = call()
    assert called.code == 2
    assert "bbj-desktop --help" in called.err


def test_a_probe_child_is_started_by_a_hidden_first_argument() -> None:
    command = [*PROGRAM, "--probe-child", "nobody"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (1, "There is no reader 'nobody'.\n")
