"""``verify`` and ``repair`` as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.cli.results.installing import InstallResult
from bbj_desktop.cli.results.versions import RepairResult, VerifyResult
from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication

KEY = "bbj-coder:2026.1-7b-q4_0"


@pytest.fixture
def file(customer: Call) -> Path:
    """The installed file."""
    installed = InstallResult.model_validate(customer("install", "7b-q4_0", "--json").result)
    return installed.installed[0].version.path


def test_a_whole_version_is_said_to_be_so(customer: Call, file: Path) -> None:
    result = VerifyResult.model_validate(customer("verify", "2026.1", "--json").result)
    assert result.version.path == file
    assert file.name == result.digest.replace(":", "-")
    assert "is as it was signed" in customer("verify", KEY).out
    assert "nothing was fetched" in customer("repair", KEY).out


@pytest.mark.parametrize(
    ("ollama_version", "check", "said"),
    [
        ("0.33.0", "equal", "compared with the training's: it is the same"),
        ("0.24.0", "not-shown", "wasn't compared with the training's: Ollama doesn't show it"),
    ],
)
def test_it_is_said_whether_the_prompt_was_compared(
    customer: Call, ollama: FakeOllama, ollama_version: str, check: str, said: str
) -> None:
    ollama.version = ollama_version
    installed = customer("install", "7b-q4_0")
    assert ("very prompt" if check == "equal" else "can't be shown there") in installed.err
    result = VerifyResult.model_validate(customer("verify", "2026.1", "--json").result)
    assert [(each.runtime, each.check) for each in result.prompts] == [("ollama", check)]
    assert said in customer("verify", KEY).out


def test_an_ollama_that_makes_another_prompt_does_not_get_the_version(customer: Call, ollama: FakeOllama) -> None:
    ollama.rendered = "### User: …"
    called = customer("install", "7b-q4_0")
    assert called.code != 0
    assert "another prompt of a conversation" in called.err
    assert "They part at character 1:" in called.err
    assert not ollama.models


def test_a_damaged_version_is_found_and_mended(customer: Call, file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(b"damage" + content[6:])
    called = customer("verify", KEY)
    assert called.code == 5
    assert f"bbj-desktop repair {KEY}" in called.err
    result = RepairResult.model_validate(customer("repair", KEY, "--json").result)
    assert 0 < result.fetched_bytes == result.damaged_bytes < len(content)
    assert file.read_bytes() == content
    assert customer("verify", KEY).code == 0


def test_an_update_says_beforehand_what_it_will_fetch(customer: Call, file: Path, publication: Publication) -> None:
    publication.publish("2026.2", seed=2, hidden=256)
    told = customer("update", "--yes").err
    assert f"{KEY} → bbj-coder 7B 2026.2: " in told
    assert " to fetch, " in told
    assert "are here already" in told
    assert file.exists()


def test_a_limit_of_the_speed_is_accepted_where_a_download_may_follow(customer: Call, file: Path) -> None:
    file.unlink()
    assert customer("repair", KEY, "--bandwidth-limit", "100000000").code == 0
    assert customer("repair", KEY, "--bandwidth-limit", "fast").code == 2
    assert file.exists()
