"""How a model gets into Ollama: the choice, and its reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.routes import ModelsPlace, Route, RouteFacts, choose_route, rewrites

OURS = ModelsPlace(
    path=Path("/home/jürgen/.ollama/models"),
    exists=True,
    writable=True,
    readable=True,
    owner="jürgen",
    ours=True,
    same_volume=True,
)
SERVICES = ModelsPlace(
    path=Path("/usr/share/ollama/models"), exists=True, readable=True, owner="ollama", ours=False, same_volume=True
)


def facts(**changes: Any) -> RouteFacts:
    return RouteFacts(**{"version": "0.33.0", "local": True, "server_is_ours": True, "place": OURS} | changes)


def against(route: Route, **changes: Any) -> str:
    decision = choose_route(facts(**changes))
    return next(each.reason for each in decision.declined if each.route is route)


def test_a_folder_of_ours_on_the_stores_volume_is_linked_into() -> None:
    decision = choose_route(facts())
    assert decision.best is Route.LINK
    assert decision.keeps_our_file
    assert decision.their_share() == pytest.approx(0.02)


def test_what_the_next_routes_are_is_known_in_case_the_first_one_fails() -> None:
    assert choose_route(facts()).routes == (Route.LINK, Route.PULL, Route.CREATE)


def test_the_services_ollama_pulls_while_we_fetch_and_keep_no_copy() -> None:
    decision = choose_route(facts(place=SERVICES, server_is_ours=False))
    assert decision.best is Route.STREAM
    assert not decision.keeps_our_file
    assert decision.their_share() == pytest.approx(1.02)


def test_a_file_that_is_here_already_is_pulled_from_here() -> None:
    assert choose_route(facts(place=SERVICES, server_is_ours=False, file_here=True)).best is Route.PULL


def test_what_couldnt_be_read_afterwards_isnt_kept_by_ollama_alone() -> None:
    hidden = SERVICES.model_copy(update={"readable": False})
    assert choose_route(facts(place=hidden, server_is_ours=False)).best is Route.PULL


def test_where_whose_ollama_it_is_isnt_known_our_copy_is_kept() -> None:
    assert choose_route(facts(place=None, server_is_ours=None)).best is Route.PULL


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"writable": False}, "can't be written"),
        ({"same_volume": False}, "another volume"),
        ({"ours": False, "owner": "ollama"}, "belongs to ollama"),
        ({"exists": False}, "can't be seen"),
    ],
)
def test_why_nothing_is_linked_is_said(changes: dict[str, Any], said: str) -> None:
    assert said in against(Route.LINK, place=OURS.model_copy(update=changes))


def test_files_of_ours_arent_given_to_another_users_ollama() -> None:
    assert "another user" in against(Route.LINK, server_is_ours=False)


def test_an_ollama_elsewhere_takes_uploads_only() -> None:
    decision = choose_route(facts(local=False, place=None))
    assert decision.routes == (Route.CREATE,)
    assert not decision.here
    assert "another machine" in against(Route.PULL, local=False)


def test_a_container_reaches_neither_files_nor_loopback() -> None:
    assert choose_route(facts(contained=True)).routes == (Route.CREATE,)


def test_windows_pulls_nothing_from_a_host_and_port() -> None:
    assert choose_route(facts(platform="win32", place=None)).routes == (Route.CREATE,)
    assert choose_route(facts(platform="win32")).best is Route.LINK


def test_new_versions_create_no_adapters() -> None:
    assert "adapters" in against(Route.CREATE, version="0.34.1", adapter=True)
    assert Route.CREATE in choose_route(facts(version="0.33.0", adapter=True)).routes


def test_without_any_way_that_is_said() -> None:
    decision = choose_route(facts(version="0.34.1", adapter=True, local=False))
    assert decision.best is None
    assert "No way" in decision.explained()[0]


@pytest.mark.parametrize(("version", "copies", "said"), [("0.24.0", 1.0, "one copy"), ("0.33.0", 3.0, "three copies")])
def test_what_create_writes_is_known(version: str, copies: float, said: str) -> None:
    decision = choose_route(facts(version=version, local=False))
    assert decision.their_share() == copies
    assert said in decision.reason


def test_every_route_is_either_taken_or_declined_with_a_reason() -> None:
    decision = choose_route(facts())
    assert {decision.best, *(each.route for each in decision.declined)} == set(Route)
    assert all(each.reason for each in decision.declined)
    assert decision.explained()[0].startswith("link: ")


def test_a_build_without_a_number_counts_as_new() -> None:
    assert rewrites("0.0.0")
