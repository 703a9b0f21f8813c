"""Each route into Ollama: both behaviours of the fake with a real folder, and a real server where one is named.

``BBJ_TEST_OLLAMA`` names it; with ``OLLAMA_MODELS`` its folder is linked into, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.chat import ChatRequest, Finished, Message
from bbj_desktop.core.errors import EngineError, EngineMismatchError, EngineRefusedError
from bbj_desktop.core.progress import Cancel, Event, Remark, Transfer, silent
from bbj_desktop.core.release import Prompt, RenderedMessage, Rendering
from bbj_desktop.core.routes import Route
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_drift import tag_drift
from tests.fakes.contract import (
    KEEP_ALIVE_S,
    REAL,
    contract_model,
    left_as_found,
    real_models_folder,
    skip_unless_possible,
)
from tests.fakes.installed import GO_TEMPLATE, JINJA_TEMPLATE, installed
from tests.fakes.ollama import FakeOllama, Fault

pytestmark = pytest.mark.ollama

WAYS = (Route.LINK, Route.PULL, Route.CREATE)
TARGETS = [("real", way) for way in WAYS] if REAL else [(v, w) for v in ("0.24.0", "0.33.0") for w in WAYS]
RENDERING = Rendering(
    messages=(RenderedMessage(role="system", content="S"), RenderedMessage(role="user", content="U")),
    prompt="<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n",
)


@dataclass
class Target:
    """A server, a way into it, and a version to bring there."""

    runtime: OllamaRuntime
    api: OllamaApi
    version: InstalledVersion
    way: Route
    fake: FakeOllama | None
    models: Path | None

    def blob(self, digest: str) -> Path:
        assert self.models is not None
        return self.models / "blobs" / digest.replace(":", "-")


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return contract_model(tmp_path)


@pytest.fixture(params=TARGETS, ids=lambda each: f"{each[0]}-{each[1]}")
def target(request: pytest.FixtureRequest, gguf: Path, tmp_path: Path) -> Iterator[Target]:
    version, way = request.param
    if REAL:
        models = real_models_folder()
        if way is Route.LINK and models is None:
            pytest.skip("needs OLLAMA_MODELS, the folder of the server that BBJ_TEST_OLLAMA names")
        yield from _target(REAL, way, gguf, models, tmp_path, None)
        return
    models = tmp_path / "Ollama Modelle ü"
    with FakeOllama(version=version, folder=models, part_bytes=300_000) as fake:
        yield from _target(fake.address, way, gguf, models, tmp_path, fake)


def _target(
    address: str, way: Route, gguf: Path, models: Path | None, tmp_path: Path, fake: FakeOllama | None
) -> Iterator[Target]:
    environment = {**os.environ, "OLLAMA_MODELS": str(models)} if models is not None else dict(os.environ)
    runtime = OllamaRuntime(
        address,
        options={"num_thread": 1},
        environment=environment,
        notes=tmp_path / "notes",
        routes=[way],
        keep_alive_s=KEEP_ALIVE_S,
    )
    api = OllamaApi(runtime.address)
    with closing(runtime), closing(api):
        skip_unless_possible(runtime, way, gguf)
        with left_as_found(api):
            yield Target(runtime, api, installed(gguf), way, fake, models)


def _prompt(**changes: Any) -> Prompt:
    return Prompt(**{"go_template": GO_TEMPLATE, "jinja_template": JINJA_TEMPLATE} | changes)


def test_it_is_registered_by_that_way(target: Target) -> None:
    registration = target.runtime.register(target.version, silent, Cancel())
    assert registration.route == target.way
    assert target.version.key in target.runtime.tags()
    assert all("/" not in tag for tag in target.runtime.tags() if "bbj-desktop" in tag)


def test_the_signed_digest_is_served_where_the_way_allows_it(target: Target) -> None:
    registration = target.runtime.register(target.version, silent, Cancel())
    signed = target.version.variant.file.digest
    if target.way is Route.CREATE:
        assert registration.served_digest is not None
    else:
        assert registration.served_digest == signed


def test_verified_is_said_of_bytes_that_were_hashed_only(target: Target) -> None:
    registration = target.runtime.register(target.version, silent, Cancel())
    signed_digest = target.version.variant.file.digest
    signed = registration.served_digest == signed_digest
    blob = target.runtime.blob_path(signed_digest)
    readable = blob is not None and os.access(blob, os.R_OK)  # a service's blobs may not be
    assert registration.verified is (signed and readable)


def test_template_system_prompt_parameters_and_licences_arrive(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    with target.api._wire.open("POST", "/api/show", body={"model": target.version.key}) as response:
        response.read()
        shown = response.json()
    assert shown["template"] == GO_TEMPLATE
    assert shown["system"] == target.version.release.prompt.system
    assert "The base's licence" in shown["license"]
    assert "The release's licence" in shown["license"]


def test_it_answers(target: Target) -> None:
    target.runtime.register(target.version, silent, Cancel())
    request = ChatRequest(messages=(Message(role="user", content="Hi"),), max_tokens=2)
    assert isinstance(list(target.runtime.chat(target.version, request, Cancel()))[-1], Finished)


def test_registering_again_changes_nothing(target: Target) -> None:
    first = target.runtime.register(target.version, silent, Cancel())
    before = target.api.tags()
    known = target.version.model_copy(update={"registrations": (first,)})
    assert target.runtime.register(known, silent, Cancel()) == first
    assert target.api.tags() == before


def test_aliases_and_removal_work_as_with_every_other_way(target: Target) -> None:
    before = target.api.tags()
    target.runtime.register(target.version, silent, Cancel())
    assert target.runtime.activate(target.version)
    target.runtime.unregister(target.version, None)
    assert target.api.tags() == before
    assert target.version.path.exists()


def test_what_was_registered_isnt_called_changed_later(target: Target) -> None:
    registration = target.runtime.register(target.version, silent, Cancel())
    known = target.version.model_copy(update={"registrations": (registration,)})
    shown = target.api.show(known.key)
    assert tag_drift(known, registration, shown, lambda digest: target.api.has_blob(digest, Cancel())) == ()


def test_a_name_means_another_version_at_once_while_the_former_is_loaded(target: Target) -> None:
    newer = installed(target.version.path, version="2026.2", prompt=_prompt(system="Another prompt."))
    for version in (target.version, newer):
        target.runtime.register(version, silent, Cancel())
        _ask(target, version)
        (alias, *_) = target.runtime.activate(version)
        shown = target.api.show(alias)
        assert shown is not None
        assert shown["system"] == version.release.prompt.system
    target.runtime.activate(target.version)  # back again, both loaded
    tags = target.api.tags()
    assert tags[alias] == tags[target.version.key] != tags[newer.key]


def _ask(target: Target, version: InstalledVersion) -> None:
    question = ChatRequest(messages=(Message(role="user", content="REM"),), max_tokens=1)
    *_, last = target.runtime.chat(version, question, Cancel())
    assert isinstance(last, Finished)


def test_the_prompt_is_the_one_of_the_training(target: Target) -> None:
    version = installed(target.version.path, prompt=_prompt(rendering=RENDERING))
    target.runtime.register(version, silent, Cancel())


# -- what only the fake can show


@pytest.fixture
def fake(target: Target) -> FakeOllama:
    if target.fake is None:
        pytest.skip("needs a server that can be told to fail: the fake")
    return target.fake


def test_what_is_written_is_what_was_said(target: Target, fake: FakeOllama) -> None:
    target.runtime.register(target.version, silent, Cancel())
    length = target.version.variant.file.length_bytes
    copies = fake.written_bytes / length
    expected = {Route.LINK: 0, Route.PULL: 1.02, Route.CREATE: 2 if fake.rewrites else 1}[target.way]
    assert copies <= expected


def test_another_prompt_than_the_trainings_is_a_mismatch(target: Target, fake: FakeOllama) -> None:
    if not fake.rewrites:
        pytest.skip("needs a version that shows the prompt")
    fake.rendered = "USER: U"
    version = installed(target.version.path, prompt=_prompt(rendering=RENDERING))
    with pytest.raises(EngineMismatchError, match="trained"):
        target.runtime.register(version, silent, Cancel())
    assert version.key not in fake.models


def test_a_first_question_that_fails_is_an_error_and_nothing_points_to_it(target: Target, fake: FakeOllama) -> None:
    fake.faults["/api/chat"] = Fault("error", text="llama runner process has terminated: signal: killed")
    with pytest.raises(EngineError):
        target.runtime.register(target.version, silent, Cancel())
    assert set(fake.models) <= {target.version.key}
    target.runtime.register(target.version, silent, Cancel())


def test_other_models_are_untouched(target: Target, fake: FakeOllama) -> None:
    other = installed(target.version.path, model="somebody-elses")
    target.runtime.register(other, silent, Cancel())
    before = {name: fake.models[name] for name in fake.models}
    target.runtime.register(target.version, silent, Cancel())
    target.runtime.unregister(target.version, None)
    assert {name: fake.models[name] for name in fake.models} == before
    assert other.variant.file.digest in fake.blobs or target.way is Route.CREATE
    target.runtime.unregister(other, None)


# -- link


@pytest.fixture
def linking(tmp_path: Path, gguf: Path) -> Iterator[Target]:
    if REAL:
        pytest.skip("needs the fake")
    models = tmp_path / "Ollama Modelle ü"
    with FakeOllama(folder=models) as fake:
        yield from _target(fake.address, Route.LINK, gguf, models, tmp_path, fake)


def test_ollama_reads_our_very_file(linking: Target) -> None:
    linking.runtime.register(linking.version, silent, Cancel())
    assert linking.blob(linking.version.variant.file.digest).samefile(linking.version.path)


def test_nothing_is_left_pending(linking: Target, tmp_path: Path) -> None:
    linking.runtime.register(linking.version, silent, Cancel())
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["lock"]
    assert linking.models is not None
    assert {path.name for path in linking.models.iterdir()} == {"blobs", "manifests"}


def test_a_damaged_blob_of_that_name_is_replaced(linking: Target) -> None:
    blob = linking.blob(linking.version.variant.file.digest)
    blob.write_bytes(b"GGUF damaged")
    assert linking.runtime.register(linking.version, silent, Cancel()).verified


def test_a_folder_that_isnt_this_servers_stays_as_it_was(linking: Target, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another Ollama's"
    (elsewhere / "blobs").mkdir(parents=True)
    runtime = OllamaRuntime(
        linking.runtime.address,
        environment={**os.environ, "OLLAMA_MODELS": str(elsewhere)},
        notes=tmp_path / "notes",
    )
    events: list[Event] = []
    registration = runtime.register(linking.version, events.append, Cancel())
    runtime.close()
    assert registration.route == Route.PULL
    assert any(isinstance(event, Remark) and "isn't the folder" in event.text for event in events)
    assert list(elsewhere.rglob("*")) == [elsewhere / "blobs"]


def test_a_volume_without_links_takes_the_next_way(linking: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    runtime = OllamaRuntime(
        linking.runtime.address,
        environment={**os.environ, "OLLAMA_MODELS": str(linking.models)},
        notes=linking.version.path.parent / "notes",
    )
    assert runtime.register(linking.version, silent, Cancel()).route == Route.PULL
    runtime.close()


# -- pull


@pytest.fixture
def pulling(tmp_path: Path, gguf: Path) -> Iterator[Target]:
    if REAL:
        pytest.skip("needs the fake")
    models = tmp_path / "Ollama Modelle ü"
    with FakeOllama(folder=models, part_bytes=300_000) as fake:
        yield from _target(fake.address, Route.PULL, gguf, models, tmp_path, fake)


def test_a_pull_tells_how_far_it_is(pulling: Target) -> None:
    events: list[Event] = []
    pulling.runtime.register(pulling.version, events.append, Cancel())
    length = pulling.version.variant.file.length_bytes
    transfers = [event for event in events if isinstance(event, Transfer) and event.total_bytes == length]
    assert transfers[-1].done_bytes == length


def test_an_error_inside_the_stream_is_an_error(pulling: Target) -> None:
    assert pulling.fake is not None
    pulling.fake.faults["/api/pull"] = Fault("error", after=2, text="no space left on device")
    with pytest.raises(EngineRefusedError, match=r"has no room .* no space left.*Make room"):
        pulling.runtime.register(pulling.version, silent, Cancel())
    assert not pulling.fake.models


def test_an_ollama_that_does_not_reach_this_machines_own_address_takes_the_next_way(pulling: Target) -> None:
    """As in a container, in a virtual machine, or at the other end of a tunnel."""
    assert pulling.fake is not None
    refused = 'pull model manifest: Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'
    pulling.fake.faults["/api/pull"] = Fault("error", text=refused)
    runtime = OllamaRuntime(pulling.runtime.address, environment={}, routes=[Route.PULL, Route.CREATE])
    events: list[Event] = []
    registration = runtime.register(pulling.version, events.append, Cancel())
    runtime.close()
    assert registration.route == Route.CREATE
    assert any(isinstance(event, Remark) and "doesn't reach" in event.text for event in events)


def test_a_blob_that_was_there_and_is_damaged_is_found_out(pulling: Target) -> None:
    pulling.blob(pulling.version.variant.file.digest).write_bytes(b"GGUF damaged")
    with pytest.raises(EngineMismatchError, match="damaged"):
        pulling.runtime.register(pulling.version, silent, Cancel())
    assert pulling.fake is not None
    assert pulling.version.key not in pulling.fake.models


def test_what_an_interrupted_pull_left_goes_with_the_next_one(pulling: Target) -> None:
    assert pulling.fake is not None
    pulling.fake.faults["/api/copy"] = Fault("status")
    with pytest.raises(EngineRefusedError):
        pulling.runtime.register(pulling.version, silent, Cancel())
    assert any("bbj-desktop-" in name for name in pulling.fake.models)
    written = pulling.fake.written_bytes
    pulling.runtime.register(pulling.version, silent, Cancel())
    assert set(pulling.fake.models) == {pulling.version.key}
    assert pulling.fake.written_bytes == written


def test_a_service_user_serves_what_it_pulled(tmp_path: Path, gguf: Path) -> None:
    if REAL:
        pytest.skip("needs the fake")
    with FakeOllama(folder=tmp_path / "models", service_user=True) as fake:
        runtime = OllamaRuntime(fake.address, routes=[Route.PULL])
        runtime.register(installed(gguf), silent, Cancel())
        assert runtime.activate(installed(gguf))
        runtime.close()
