"""A command loads what it needs and no more: what isn't loaded can't make anybody wait for a prompt."""

from __future__ import annotations

import subprocess
import sys

import pytest

NETWORK = {"httpx", "ollama", "huggingface_hub"}
TRUST = {"tuf", "securesystemslib", "cryptography", "keyring"}
TEXT = {"ruamel", "markdown_it", "pygments"}
ENGINES = {"xllamacpp", "pynvml", "PySide6", "mcp"}
HEAVY = NETWORK | TRUST | TEXT | ENGINES
DRAWING = {"pydantic", "rich"}

_LIST_LOADED = """
import sys
from bbj_desktop.__main__ import main
main(sys.argv[1:])
print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def loaded_by(command: str) -> set[str]:
    """The top-level packages that a command has loaded when it ends, whatever it came to."""
    run = [sys.executable, "-c", _LIST_LOADED, *command.split()]
    end = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    return set(end.stderr.splitlines()[-1].removeprefix("loaded: ").split())


@pytest.mark.parametrize("command", ["--version", "--help", "registry publish --help", "no-such-command"])
def test_the_grammar_loads_the_standard_library_alone(command: str) -> None:
    drawn = {"rich"} if command == "no-such-command" else set()
    assert loaded_by(command) & (HEAVY | DRAWING) <= drawn


@pytest.mark.parametrize(
    "command",
    [
        "versions",
        "pin 7b",
        "remove 7b --yes",
        "rollback",
        "rebuild",
        "settings show",
        "registry show",
        "registry forget https://models.example.com --yes",
        "engine status",
        "gateway status",
    ],
)
def test_what_asks_nobody_else_loads_neither_network_nor_cryptography_nor_engine(command: str) -> None:
    assert loaded_by(command) & HEAVY == set()


@pytest.mark.parametrize("command", ["ollama status", "connect"])
def test_what_asks_ollama_alone_loads_no_cryptography(command: str) -> None:
    assert loaded_by(command) & (TRUST | ENGINES) == set()


def test_the_listing_sees_what_is_loaded() -> None:
    """Else the tests above could not fail."""
    assert {"bbj_desktop", "httpx", "ollama", "pydantic"} <= loaded_by("ollama status")
