"""Who will own the bytes of a model, and what that costs."""

from __future__ import annotations

import pytest

from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.ownership import OwnershipKind, decide_ownership
from bbj_desktop.core.routes import Route, RouteDecision


def test_the_embedded_engine_reads_our_verified_file() -> None:
    decided = decide_ownership(RuntimeStatus(name="embedded", available=True))
    assert (decided.kind, decided.copies, decided.verified) == (OwnershipKind.OURS, 0, True)


@pytest.mark.parametrize(("copies", "said"), [(1, "one copy"), (3, "up to 3 copies")])
def test_what_ollama_makes_of_it_is_told_beforehand_and_not_called_verified(copies: int, said: str) -> None:
    decided = decide_ownership(RuntimeStatus(name="ollama", available=True, copies=copies))
    assert (decided.kind, decided.copies, decided.verified) == (OwnershipKind.OLLAMAS, copies, False)
    assert said in decided.reason
    assert "as named by Ollama" in decided.reason


def test_copies_on_another_machine_take_no_room_here() -> None:
    status = RuntimeStatus(name="ollama", available=True, copies=3, local=False, address="http://gpu.example:11434")
    decided = decide_ownership(status)
    assert not decided.here
    assert "at http://gpu.example:11434" in decided.reason


def test_a_file_that_is_linked_is_still_ours_and_verified() -> None:
    route = RouteDecision(routes=(Route.LINK, Route.PULL), reason="It is near.")
    decided = decide_ownership(RuntimeStatus(name="ollama", available=True, copies=3), route)
    assert (decided.kind, decided.copies, decided.verified, decided.route) == (OwnershipKind.OURS, 0, True, "link")


@pytest.mark.parametrize("way", [Route.PULL, Route.STREAM])
def test_what_ollama_pulls_is_its_own_one_copy(way: Route) -> None:
    decided = decide_ownership(
        RuntimeStatus(name="ollama", available=True, copies=3), RouteDecision(routes=(way,), reason="It is far.")
    )
    assert (decided.kind, decided.copies, decided.verified) == (OwnershipKind.OLLAMAS, 1, False)
    assert "as named by Ollama" in decided.reason
