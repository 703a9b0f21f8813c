"""How the trainer's command line ends."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from trainer.cli.main import main


def test_without_a_command_it_says_how() -> None:
    assert main([]) == 2


def test_a_mistyped_command_gets_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["date"]) == 2
    assert "Did you mean bbj-trainer data?" in capsys.readouterr().err


def test_errors_are_json_where_it_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "nothing"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["format"], document["error"]["exit_code"]) == (1, 2)


def test_python_m_trainer_is_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "trainer", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("bbj-trainer ")


def test_the_command_leads_to_it() -> None:
    (command,) = entry_points(group="console_scripts", name="bbj-trainer")
    assert command.load() is main
