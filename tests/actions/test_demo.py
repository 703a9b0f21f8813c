"""The demo against an Ollama: it registers, asks, and leaves what it found."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.demo import DemoResult, run_demo
from bbj_desktop.core.errors import Cancelled, InUseError
from bbj_desktop.core.progress import Cancel, Event, Report, Step, Transfer, silent
from tests.fakes.ollama import FakeOllama, Model
from tests.fakes.published import customer

pytestmark = pytest.mark.model

SOMEBODY_ELSES = Model(blob="sha256:" + "0" * 64, template="", system="", parameters={}, licences=())


@pytest.fixture
def context(tmp_path: Path, ollama: FakeOllama) -> Context:
    ollama.models["llama3:latest"] = SOMEBODY_ELSES
    return customer(tmp_path / "Kunde", ollama_host=ollama.address)


def demonstrate(context: Context, folder: Path, report: Report = silent, cancel: Cancel | None = None) -> DemoResult:
    return run_demo(
        context, folder, ollama=True, model=None, report=report, cancel=cancel or Cancel(), say=lambda _: None
    )


def test_it_answers_and_leaves_every_tag_as_it_was(context: Context, ollama: FakeOllama, tmp_path: Path) -> None:
    done = demonstrate(context, tmp_path / "demo")
    assert (done.key, done.runtime) == ("bbj-coder-demo:2026.1-135m-q4_1", "ollama")
    assert done.answer == 'PRINT "Hello BBj"'
    assert ollama.models == {"llama3:latest": SOMEBODY_ELSES}


def test_stopped_while_ollama_makes_the_model_it_leaves_no_tag(
    context: Context, ollama: FakeOllama, tmp_path: Path
) -> None:
    cancel = Cancel()
    steps: list[str] = []

    def stop_when_made() -> None:
        while len(ollama.models) == 1:
            time.sleep(0.005)
        cancel.cancel()

    def report(event: Event) -> None:
        if isinstance(event, Step):
            steps.append(event.name)
        whole = isinstance(event, Transfer) and event.done_bytes == event.total_bytes
        if whole and steps[-1] == "pull":  # only the small parts are still to come
            ollama.piece_s = 0.3
            threading.Thread(target=stop_when_made, daemon=True).start()

    with pytest.raises(Cancelled):
        demonstrate(context, tmp_path / "demo", report, cancel)
    assert ollama.models == {"llama3:latest": SOMEBODY_ELSES}


def test_a_tag_of_its_name_that_is_there_is_not_replaced(context: Context, ollama: FakeOllama, tmp_path: Path) -> None:
    ollama.models["bbj-coder-demo:latest"] = SOMEBODY_ELSES
    with pytest.raises(InUseError, match="ollama already has bbj-coder-demo:latest"):
        demonstrate(context, tmp_path / "demo")
    assert ollama.models.keys() == {"llama3:latest", "bbj-coder-demo:latest"}
