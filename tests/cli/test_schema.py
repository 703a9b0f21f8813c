"""The documented schema is the one that the program keeps to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.cli.results import RESULTS
from bbj_desktop.cli.results.schema import command_schemas, result_class
from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.core.settings import SETTINGS
from tests.cli.conftest import Call
from tests.cli.test_grammar import every_command

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def commands_page() -> str:
    return (DOCS / "commands.md").read_text(encoding="utf-8")


def test_the_schema_in_the_docs_is_current() -> None:
    """If not: python -m bbj_desktop.cli.results > docs/commands.schema.json."""
    written = json.loads((DOCS / "commands.schema.json").read_text(encoding="utf-8"))
    assert written == command_schemas()


def test_every_command_has_a_schema() -> None:
    assert {parser.get_default("command") for parser in every_command()} == RESULTS.keys()


def test_wrong_usage_has_a_schema_too(call: Call) -> None:
    documents: list[dict[str, Any]] = command_schemas()["anyOf"]  # type: ignore[assignment]
    known = {document["properties"]["command"]["const"] for document in documents}
    assert {call(*wrong, "--json").document["command"] for wrong in (["activate"], ["versions", "x"], ["nix"])} <= known


@pytest.mark.parametrize("command", RESULTS)
def test_every_field_of_a_result_is_documented_at_its_command(command: str, commands_page: str) -> None:
    chapter = commands_page.partition(f"## `{command}`")[2].partition("\n## ")[0]
    assert [name for name in result_class(command).model_fields if f"`{name}`" not in chapter] == []


def test_every_exit_code_of_an_error_is_documented(commands_page: str) -> None:
    codes = {error.exit_code for error in _all_errors()}
    assert [code for code in sorted(codes) if f"| {code} |" not in commands_page] == []


def test_every_setting_is_documented(commands_page: str) -> None:
    missing = [
        name
        for name, setting in SETTINGS.items()
        if not all(f"`{text}`" in commands_page for text in (name, setting.flag, setting.environment[0]))
    ]
    assert missing == []


def _all_errors(root: type[BBjDesktopError] = BBjDesktopError) -> list[type[BBjDesktopError]]:
    return [root, *(error for each in root.__subclasses__() for error in _all_errors(each))]
