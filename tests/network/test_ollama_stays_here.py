"""Nothing that this program does makes Ollama reach out: the fake writes down every request of a version's life."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bbj_desktop.actions import installing, recommending, repairing, versions
from bbj_desktop.actions.chatting import open_conversation
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.doctoring import diagnose
from bbj_desktop.actions.ollama import look_at_ollama
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.services.runtime.ollama_starting import OllamaStarter
from tests.fakes.ollama import FakeOllama, Model
from tests.fakes.ollama_program import write_program

KNOWN = ("version", "tags", "ps", "show", "blobs", "create", "copy", "delete", "chat", "generate", "pull")
"""What is asked of Ollama at all. ``push``, ``web_search``, ``web_fetch``, ``signin`` … aren't among it."""
CLOUD = "gpt-oss:120b-cloud"


@pytest.fixture
def lived(installed: Context, ollama: FakeOllama) -> FakeOllama:
    """A version was installed, asked, verified, changed by somebody, repaired, looked at and removed."""
    context = installed
    ollama.models[CLOUD] = Model(blob="", template="", system="", parameters={}, licences=())
    recommended = recommending.recommend(context, Wishes(runtime="ollama"), silent, Cancel())
    candidate = recommending.choose(recommended, Wishes(runtime="ollama"))
    plan = installing.plan_install(context, candidate, Cancel())
    key = installing.install(context, plan, silent, Cancel(), force=True).version.key
    list(open_conversation(context).ask("What is BBj?", Cancel()))
    versions.verify(context, key, silent, Cancel())
    del ollama.models[key]
    repairing.repair(context, key, silent, Cancel())
    diagnose(context, silent, Cancel(), online=True)
    look_at_ollama(context)
    versions.remove(context, key, silent, Cancel())
    return ollama


def test_only_calls_that_work_here_are_made(lived: FakeOllama) -> None:
    calls = {request.partition("/api/")[2].partition("/")[0] for request in lived.requests}
    assert calls
    assert calls <= set(KNOWN)
    assert not [request for request in lived.requests if "/api/" not in request]


def test_nothing_is_pulled_but_from_this_machine_and_no_cloud_model_is_named(lived: FakeOllama) -> None:
    pulled = lived.bodies.get("/api/pull", {"model": "127.0.0.1:1/none"})
    assert pulled["model"].startswith("127.0.0.1:")
    named = {str(body.get(field)) for body in lived.bodies.values() for field in ("model", "source", "destination")}
    assert CLOUD not in named
    assert CLOUD in lived.models


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX scripts and signals")
def test_a_server_that_we_start_is_kept_off_the_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = tmp_path / "notes.json"
    monkeypatch.setenv("STAND_IN_NOTES", str(notes))
    monkeypatch.setenv("OLLAMA_NO_CLOUD", "0")
    with FakeOllama() as finder:
        address = finder.address  # its port is free when it has gone
    starter = OllamaStarter(tmp_path / "state", tmp_path / "logs")
    starter.start(write_program(tmp_path / "bin"), address, silent, Cancel())
    starter.stop()
    assert json.loads(notes.read_text(encoding="utf-8"))["OLLAMA_NO_CLOUD"] == "1"
