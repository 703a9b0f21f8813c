"""Who will own the bytes of a model, and what that costs."""

from __future__ import annotations

import pytest

from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.ownership import OwnershipKind, decide_ownership


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
