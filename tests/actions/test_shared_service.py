"""Two users of one machine, whose Ollama is a service's: each has an installation, Ollama has the model once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions import chatting, repairing, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.drifting import find_drift
from bbj_desktop.core.chat import Finished
from bbj_desktop.core.errors import EngineMismatchError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.runtime.ollama_drift import DriftKind
from tests.actions.conftest import CHAT, install
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication, customer, trust
from tests.fakes.release_server import ReleaseServer

KEY = "bbj-coder:2026.1-7b-q4_0"


@pytest.fixture
def users(
    tmp_path: Path, server: ReleaseServer, service: FakeOllama, publication: Publication
) -> Iterator[tuple[Context, Context]]:
    """Änne and Björn."""
    both = [customer(tmp_path / name, ollama_host=service.address) for name in ("Änne", "Björn")]
    for each in both:
        trust(each, server.address, publication)
    yield both[0], both[1]
    for each in both:
        each.close()


def answers(context: Context) -> bool:
    *_, last = chatting.open_conversation(context, KEY).ask("Open a window.", Cancel())
    return isinstance(last, Finished)


def test_what_one_has_installed_the_other_doesnt_fetch(users: tuple[Context, Context], service: FakeOllama) -> None:
    anne, bjorn = users
    install(anne)
    written = service.written_bytes
    assert install(bjorn).fetched_bytes == 0
    assert service.written_bytes == written
    assert answers(anne)
    assert answers(bjorn)
    assert find_drift(anne) == find_drift(bjorn) == ()


def test_another_context_of_the_others_keeps_nobody_from_an_answer(
    users: tuple[Context, Context], service: FakeOllama
) -> None:
    anne, bjorn = users
    install(anne)
    install(bjorn, CHAT.model_copy(update={"context_length": 4096}))
    (drift,) = find_drift(anne)
    assert (drift.kind, drift.wrong_answer, drift.mendable) == (DriftKind.CONTEXT, False, True)
    assert find_drift(bjorn) == ()
    assert answers(anne)
    assert service.bodies["/api/chat"]["options"]["num_ctx"] == 2048
    assert answers(bjorn)
    assert service.bodies["/api/chat"]["options"]["num_ctx"] == 4096


def test_whoever_wants_it_can_have_the_name_back(users: tuple[Context, Context], service: FakeOllama) -> None:
    anne, bjorn = users
    install(anne)
    install(bjorn, CHAT.model_copy(update={"context_length": 4096}))
    written = service.written_bytes
    assert repairing.repair(anne, KEY, silent, Cancel()).mended
    assert find_drift(anne) == ()
    assert service.models["bbj-coder:latest"] == service.models[KEY]
    assert service.written_bytes <= written + 2_000  # texts
    assert answers(bjorn)


def test_what_one_removes_the_other_is_told_and_can_have_again(users: tuple[Context, Context]) -> None:
    anne, bjorn = users
    install(anne)
    length = install(bjorn).version.variant.length_bytes
    versions.remove(anne, KEY, silent, Cancel())
    with pytest.raises(EngineMismatchError, match=f"repair {KEY}"):
        answers(bjorn)
    assert repairing.repair(bjorn, KEY, silent, Cancel()).fetched_bytes == length
    assert answers(bjorn)
