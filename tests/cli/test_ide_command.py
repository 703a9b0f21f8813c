"""``ide``: from an installed model to the editor."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bbj_desktop.services.local_key import local_key
from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama
from tests.fakes.openai_api import IdeServer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Ada Lübeck" / "config.yaml"
    path.parent.mkdir()
    path.write_text("# mine\nname: Mine\nversion: 1.0.0\nschema: v1\n", encoding="utf-8")
    return path


def test_the_addresses_and_the_configuration_are_shown(installed: Call, ollama: FakeOllama) -> None:
    called = installed("ide", "show")
    assert f"Ollama: {ollama.address}" in called.out
    assert f"OpenAI-compatible: {ollama.address}/v1" in called.out
    assert "model: bbj-coder:7b" in called.out


def test_the_configuration_names_limits_that_continue_can_live_with(installed: Call) -> None:
    (model,) = installed("ide", "show", "--json").result["models"]
    assert 0 < model["max_tokens"] < model["context_length"]
    config = YAML(typ="safe", pure=True).load(installed("ide", "show", "--json").result["config"])
    options = config["models"][0]["defaultCompletionOptions"]
    assert options == {"contextLength": model["context_length"], "maxTokens": model["max_tokens"]}


def test_a_dry_run_shows_the_difference_and_writes_nothing(installed: Call, file: Path) -> None:
    before = file.read_bytes()
    called = installed("ide", "apply", "--dry-run", "--file", file)
    assert "+  - name: bbj-coder:7b (BBj Desktop)" in called.out
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_what_is_applied_can_be_undone(installed: Call, file: Path) -> None:
    before = file.read_bytes()
    result = installed("ide", "apply", "--json", "--file", file).result
    assert result["written"] is True
    assert Path(result["backup"]).read_bytes() == before
    assert file.read_text().startswith("# mine\n")
    assert installed("ide", "undo").code == 0
    assert file.read_bytes() == before


def test_purging_says_that_an_ide_keeps_our_models(installed: Call, file: Path) -> None:
    installed("ide", "apply", "--file", file)
    assert "ide undo" in installed("purge", "--yes").err


def test_applying_again_writes_nothing(installed: Call, file: Path) -> None:
    installed("ide", "apply", "--file", file)
    called = installed("ide", "apply", "--file", file)
    assert "has these models already" in called.out
    assert len(list(file.parent.iterdir())) == 2


def test_without_a_file_continues_own_is_made(installed: Call) -> None:
    result = installed("ide", "apply", "--json").result
    assert Path(result["path"]) == Path.home() / ".continue" / "config.yaml"
    assert installed("ide", "undo", "--json").result["removed"] is True


def test_a_configuration_of_an_older_continue_is_not_passed_over_in_silence(installed: Call) -> None:
    older = Path.home() / ".continue" / "config.json"
    older.parent.mkdir(parents=True)
    older.write_text('{"models": []}', encoding="utf-8")
    called = installed("ide", "apply", "--yes")
    assert called.code == 0
    assert "won't read" in called.err
    refused = installed("ide", "apply", "--json", "--file", older)
    assert refused.error["code"] == "FormatError"
    assert older.read_text(encoding="utf-8") == '{"models": []}'


def test_a_file_that_is_no_yaml_is_refused_and_stays(installed: Call, file: Path) -> None:
    file.write_text("name: [\n")
    called = installed("ide", "apply", "--json", "--file", file)
    assert called.error["code"] == "FormatError"
    assert file.read_text() == "name: [\n"


def test_without_a_model_the_next_step_is_said(customer: Call) -> None:
    called = customer("ide", "show")
    assert called.code == 3
    assert "bbj-desktop install" in called.err


def test_the_model_is_asked_as_an_ide_would(installed: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    with IdeServer({"tools": (200, {"choices": []})}) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        called = installed("ide", "test")
    assert "chat                    works" in called.out
    assert "tool calling            doesn't here. The answer has no choice with a message." in called.out
    assert server.asked["suffix"]["model"] == "bbj-coder:7b"


@pytest.fixture
def embedded(customer: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The release for the engine of our own, whose gateway is closed."""
    monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", "embedded")
    called = customer("install", "7b-q4_0", "--force")
    assert called.code == 0, called.err
    return customer


@pytest.mark.parametrize("action", ["show", "apply", "test"])
def test_a_closed_gateway_is_said(embedded: Call, action: str) -> None:
    called = embedded("ide", action)
    assert called.code == 0
    assert "bbj-desktop gateway start" in called.err


@pytest.mark.parametrize("action", [("show",), ("apply", "--dry-run"), ("apply", "--yes")])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_the_gateways_key_is_hidden_unless_it_is_wanted(
    embedded: Call, file: Path, data: Path, action: tuple[str, ...], form: tuple[str, ...]
) -> None:
    key = local_key(data / "config" / "gateway.key")
    called = embedded("ide", *action, *form, "--file", file)
    said = called.out + called.err
    assert key not in said
    assert "apiKey: bbj-…" in said
    assert (key in file.read_text(encoding="utf-8")) == ("--yes" in action)


@pytest.mark.parametrize("action", [("show",), ("apply", "--dry-run")])
def test_the_gateways_key_is_shown_on_request(embedded: Call, file: Path, data: Path, action: tuple[str, ...]) -> None:
    key = local_key(data / "config" / "gateway.key")
    assert f"apiKey: {key}" in embedded("ide", *action, "--show-key", "--file", file).out


def test_a_renewed_key_is_a_change_and_neither_is_shown(embedded: Call, file: Path, data: Path) -> None:
    path = data / "config" / "gateway.key"
    old = local_key(path)
    embedded("ide", "apply", "--yes", "--file", file)
    new = local_key(path, renew=True)
    called = embedded("ide", "apply", "--yes", "--file", file)
    assert new in file.read_text(encoding="utf-8")
    assert [key for key in (old, new) if key in called.out + called.err] == []


def test_nothing_is_asked_of_a_closed_gateway(embedded: Call) -> None:
    (model,) = embedded("ide", "test", "--json").result["models"]
    assert {tried["reason"] for tried in model["tried"]} == {"The gateway is closed."}


def test_an_ollama_that_is_away_is_not_named_where_the_embedded_engine_answers(
    installed: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", "embedded")
    assert installed("install", "7b-q4_0", "--force").code == 0
    monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", "auto")
    (model,) = installed("ide", "show", "--json").result["models"]
    assert model["provider"] == "ollama"
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    (model,) = installed("ide", "show", "--json").result["models"]
    assert (model["provider"], model["needs_key"]) == ("openai", True)


def test_of_ollama_no_gateway_is_asked_for(installed: Call) -> None:
    assert "gateway" not in installed("ide", "show").err
