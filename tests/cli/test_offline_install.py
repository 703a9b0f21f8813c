"""Without a network, what is recommended and installed is what bundles brought."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bbj_desktop.cli.results.installing import InstallResult
from bbj_desktop.cli.results.recommending import RecommendResult
from tests.cli.conftest import Call
from tests.fakes.published import Publication

KEY, BETTER = "bbj-coder:2026.1-7b-q8_0", "bbj-coder:2026.1-7b-q4_0"


@pytest.fixture
def hospital(customer: Call, call: Call, identity: str, tmp_path: Path) -> tuple[str | Path, ...]:
    """Options of a machine to which one variant was brought, though another one is better for it."""
    stick = tmp_path / "Stick für Süd"
    assert customer("bundle", "export", stick, "7b-q8_0").code == 0
    there: tuple[str | Path, ...] = ("--data", tmp_path / "Krankenhaus Süd")
    imported = call("bundle", "import", stick, "--fingerprint", identity, *there)
    assert imported.code == 0, imported.err
    shutil.rmtree(stick)
    return there


def test_what_was_brought_is_installed_and_the_better_one_named(call: Call, hospital: tuple[str | Path, ...]) -> None:
    installed = call("install", "--json", *hospital)
    assert installed.code == 0, installed.err
    result = InstallResult.model_validate(installed.result)
    assert [each.version.key for each in result.installed] == [KEY]
    assert f"ask for a bundle with {BETTER}" in " ".join(reason.text for reason in result.plans[0].candidate.reasons)


@pytest.mark.parametrize("more", [(), ("--force",), ("--dry-run",)])
def test_what_nobody_brought_is_refused_with_the_bundle_to_ask_for(
    call: Call, hospital: tuple[str | Path, ...], more: tuple[str, ...]
) -> None:
    refused = call("install", "7b-q4_0", *more, *hospital)
    assert refused.code != 0
    assert f"7B Q4_0 isn't here, and no network leads to it: ask for a bundle with {BETTER}." in refused.err


@pytest.mark.parametrize("more", [(), ("--force",)])
def test_where_nothing_was_brought_the_best_one_is_asked_for(
    customer: Call, publication: Publication, more: tuple[str, ...]
) -> None:
    shutil.rmtree(publication.folder / "blobs")
    refused = customer("install", *more)
    assert refused.code == 3
    wanted = "7B Q4_0 would suit this machine best and isn't here, and no network leads to it"
    assert f"{wanted}: ask for a bundle with {BETTER}." in refused.err


def test_an_installed_version_counts_as_here(call: Call, hospital: tuple[str | Path, ...]) -> None:
    assert call("install", *hospital).code == 0
    again = InstallResult.model_validate(call("install", "--json", *hospital).result)
    assert [each.already for each in again.installed] == [True]


def test_with_the_registry_in_reach_nothing_is_said_of_bundles(customer: Call) -> None:
    assert "bundle" not in customer("recommend").out


def test_a_registrys_network_that_is_gone_leaves_what_was_brought(
    customer: Call, publication: Publication, tmp_path: Path
) -> None:
    stick = tmp_path / "Stick"
    assert customer("bundle", "export", stick, "7b-q8_0").code == 0
    assert customer("bundle", "import", stick).code == 0
    publication.folder.rename(tmp_path / "unerreichbar")
    found = RecommendResult.model_validate(customer("recommend", "--json").result)
    assert [role.choice.key for role in found.roles if role.choice is not None] == [KEY]
