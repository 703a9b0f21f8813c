"""``ollama://`` mirrors: Ollama fetches the bytes, and only the signed digest counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bbj_desktop.actions import installing, recommending, registering, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import DigestError, EngineRefusedError, NotFoundError, UserInputError
from bbj_desktop.core.progress import Cancel, Event, Remark, silent
from bbj_desktop.services.registry.known import KnownRegistries
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from tests.actions.conftest import CHAT
from tests.fakes.installed import installed
from tests.fakes.ollama import FakeOllama, Fault, Model
from tests.fakes.ollama_library import OllamaLibrary
from tests.fakes.permissions import give_away
from tests.fakes.published import Publication, customer, trust
from tests.fakes.release_server import ReleaseServer

KEY = "bbj-coder:2026.1-7b-q4_0"
VERSIONS = ("0.24.0", "0.33.0")
THEIRS = Model(blob="sha256:" + "f" * 64, template="t", system="", parameters={}, licences=())


@pytest.fixture
def library() -> Iterator[OllamaLibrary]:
    with OllamaLibrary() as library:
        yield library


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    """This user's own Ollama."""
    folder = tmp_path / "Modelle ü"
    monkeypatch.setenv("OLLAMA_MODELS", str(folder))
    with FakeOllama(folder=folder, part_bytes=5_000) as fake:
        yield fake


@pytest.fixture
def context(tmp_path: Path, server: ReleaseServer, fake: FakeOllama, publication: Publication) -> Iterator[Context]:
    made = customer(tmp_path / "Kunde Müller", ollama_host=fake.address)
    trust(made, server.address, publication)
    yield made
    made.close()


@pytest.fixture
def model(publication: Publication) -> bytes:
    (path,) = publication.work.glob("*2026.1*.gguf")
    return path.read_bytes()


def add(context: Context, address: str) -> None:
    registering.add_mirror(context, address, silent, Cancel())


def plan_of(context: Context) -> installing.InstallPlan:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    return installing.plan_install(context, recommending.choose(recommended, CHAT), Cancel())


def install(context: Context, report: Callable[[Event], None] = silent) -> installing.Installed:
    return installing.install(context, plan_of(context), report, Cancel(), force=True)


def blobs_fetched(server: ReleaseServer, model: bytes) -> int:
    """Bytes of models that our own mirror sent."""
    from tests.fakes.ollama_library import digest_of

    return sum(each.sent_bytes for each in server.requests if each.path.endswith(digest_of(model)[7:]))


@pytest.mark.parametrize("version", VERSIONS)
def test_ollama_fetches_and_the_model_gets_our_name_without_further_bytes(
    version: str, context: Context, fake: FakeOllama, library: OllamaLibrary, server: ReleaseServer, model: bytes
) -> None:
    fake.version = version
    library.publish("team/bbj-coder:2026.1-7b-q4_0", ("model", model), ("template", b"another"))
    add(context, f"ollama://{library.host}/team/bbj-coder")
    plan = plan_of(context)
    assert plan.by_ollama == (f"{library.host}/team/bbj-coder:2026.1-7b-q4_0",)
    installed = install(context)
    assert blobs_fetched(server, model) == 0
    assert installed.fetched_bytes == len(model)
    assert library.sent_bytes <= 1.02 * len(model)
    assert {KEY, "bbj-coder:7b", "bbj-coder:latest"} == set(fake.models)
    registration = installed.version.registration("ollama")
    assert registration is not None
    assert registration.verified
    assert fake.models[KEY].template == installed.version.release.prompt.go_template


def test_the_file_is_kept_once(context: Context, fake: FakeOllama, library: OllamaLibrary, model: bytes) -> None:
    library.publish("team/x:1", ("model", model))
    add(context, f"ollama://{library.host}/team/x:1")
    version = install(context).version
    assert fake.folder is not None
    blob = fake.folder / "blobs" / version.variant.file.digest.replace(":", "-")
    assert version.path == context.open_store().blob_path(version.variant.file.digest)
    assert version.path.samefile(blob)
    registration = version.registration("ollama")
    assert registration is not None
    assert registration.route == "link"


def test_another_users_ollama_keeps_what_it_fetched(
    tmp_path: Path,
    context: Context,
    fake: FakeOllama,
    library: OllamaLibrary,
    server: ReleaseServer,
    model: bytes,
) -> None:
    assert fake.folder is not None
    give_away(fake.folder)
    fake.service_user = True
    library.publish("team/x:1", ("model", model))
    add(context, f"ollama://{library.host}/team/x:1")
    version = install(context).version
    assert blobs_fetched(server, model) == 0
    assert not context.open_store().blob_path(version.variant.file.digest).exists()
    assert f"{library.host}/team/x:1" not in fake.models
    assert (tmp_path / "Modelle ü") in version.path.parents


def test_what_nobody_can_hash_isnt_taken(tmp_path: Path, library: OllamaLibrary, model: bytes) -> None:
    elsewhere = tmp_path / "wo die Blobs nicht zu sehen sind"
    elsewhere.mkdir()
    library.publish("team/x:1", ("model", model))
    (tmp_path / "m.gguf").write_bytes(model)
    with FakeOllama() as service:
        runtime = OllamaRuntime(
            service.address, environment={"OLLAMA_MODELS": str(elsewhere)}, notes=tmp_path / "notes"
        )
        with pytest.raises(EngineRefusedError, match="nobody can verify"):
            runtime.fetch_named(f"{library.host}/team/x:1", installed(tmp_path / "m.gguf"), silent, Cancel())
        runtime.close()
        assert dict(service.models) == {}


def test_other_weights_are_dropped_and_the_other_mirrors_asked(
    context: Context, fake: FakeOllama, library: OllamaLibrary, server: ReleaseServer, model: bytes
) -> None:
    library.publish("team/x:1", ("model", b"GGUF" + bytes(3000)))
    add(context, f"ollama://{library.host}/team/x:1")
    remarks: list[Event] = []
    version = install(context, remarks.append).version
    assert any(isinstance(each, Remark) and "isn't what was signed" in each.text for each in remarks)
    assert blobs_fetched(server, model) >= len(model)
    assert f"{library.host}/team/x:1" not in fake.models
    assert set(fake.blobs) >= {version.variant.file.digest}
    assert not any(len(content) == 3004 for content in fake.blobs.values())


def test_that_it_lied_is_said_when_the_others_dont_have_it(
    context: Context, library: OllamaLibrary, publication: Publication, model: bytes
) -> None:
    library.publish("team/x:1", ("model", b"GGUF" + bytes(3000)))
    add(context, f"ollama://{library.host}/team/x:1")
    plan = plan_of(context)
    for path in (publication.folder / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() == model:
            path.unlink()
    with pytest.raises(DigestError, match="isn't what was signed"):
        installing.install(context, plan, silent, Cancel(), force=True)


def test_a_missing_tag_an_unreachable_host_and_an_error_in_the_stream_lead_to_the_other_mirrors(
    context: Context, fake: FakeOllama, library: OllamaLibrary, server: ReleaseServer, model: bytes
) -> None:
    library.publish("team/x:1", ("model", model))
    add(context, f"ollama://{library.host}/team/missing:1")
    add(context, "ollama://127.0.0.1:9/team/x:1")
    add(context, f"ollama://{library.host}/team/x:1")
    fake.faults["/api/pull"] = Fault("error", after=1, text="max retries exceeded: unexpected EOF", times=3)
    remarks: list[Event] = []
    install(context, remarks.append)
    assert sum(isinstance(each, Remark) and each.text.startswith("Not from ") for each in remarks) == 3
    assert blobs_fetched(server, model) >= len(model)


def test_a_pull_that_broke_off_goes_on_where_it_ended(
    context: Context, fake: FakeOllama, library: OllamaLibrary, server: ReleaseServer, model: bytes
) -> None:
    library.publish("team/x:1", ("model", model))
    add(context, f"ollama://{library.host}/team/x:1")
    library.break_after = len(model) // 2
    version = install(context).version  # from our own mirror, in the end
    assert blobs_fetched(server, model) >= len(model)
    versions.remove(context, version.key, silent, Cancel())
    assert fake.partials
    held = sum(partial.completed for partial in fake.partials.values())
    library.break_after = None
    before, ours = library.sent_bytes, blobs_fetched(server, model)
    install(context)
    assert library.sent_bytes - before <= len(model) - held + 30  # and the little config
    assert blobs_fetched(server, model) == ours


def test_a_model_of_the_users_own_is_neither_replaced_nor_removed(
    context: Context, fake: FakeOllama, library: OllamaLibrary, server: ReleaseServer, model: bytes
) -> None:
    name = f"{library.host}/team/x:1"
    fake.models[name] = THEIRS
    library.publish("team/x:1", ("model", model))
    add(context, f"ollama://{name}")
    install(context)
    assert fake.models[name] == THEIRS
    assert library.requests == []
    assert blobs_fetched(server, model) >= len(model)


def test_what_the_user_pulled_already_is_used_and_stays(
    context: Context, fake: FakeOllama, library: OllamaLibrary, server: ReleaseServer, model: bytes
) -> None:
    name = f"{library.host}/team/x:1"
    library.publish("team/x:1", ("model", model))
    add(context, f"ollama://{name}")
    runtime = context.runtime("ollama")
    list(runtime._api.pull(name, Cancel()))  # type: ignore[attr-defined]  # as the user's own pull
    assert install(context).fetched_bytes == 0
    assert blobs_fetched(server, model) == 0
    assert name in fake.models


def test_with_update_checks_off_ollama_is_told_to_fetch_nothing(
    context: Context, fake: FakeOllama, library: OllamaLibrary, model: bytes
) -> None:
    library.publish("team/x:1", ("model", model))
    add(context, f"ollama://{library.host}/team/x:1")
    values = dataclasses.replace(context.settings.values, update_checks=False)
    context.settings = type(context.settings)(values, context.settings.origins)
    assert plan_of(context).by_ollama == ()
    install(context)
    assert library.requests == []
    assert set(fake.models) >= {KEY}


def test_nothing_is_asked_before_an_install(context: Context, fake: FakeOllama, library: OllamaLibrary) -> None:
    add(context, f"ollama://{library.host}/team/x:1")
    plan_of(context)
    assert library.requests == []
    assert "POST /api/pull" not in fake.requests


@pytest.mark.parametrize(
    "address",
    [
        "ollama://",
        "ollama://x",
        "ollama://host/a/../b:1",
        "ollama://user:pw@host/a/b:1",
        "ollama://team/gpt:120b-cloud",
        "ollama://library/kimi-cloud",
        "ollama://team/x:cloud",
        "ollama://h/a/b/c/d:1",
    ],
)
def test_what_ollama_cant_pull_as_a_mirror_is_refused(context: Context, address: str) -> None:
    with pytest.raises(UserInputError):
        add(context, address)


def test_a_mirror_is_listed_and_can_be_removed(context: Context) -> None:
    add(context, "ollama://team/bbj-coder")
    assert registering.list_registries(context)[0].mirrors == ("ollama://team/bbj-coder",)
    with pytest.raises(UserInputError):
        add(context, "ollama://team/bbj-coder")
    registering.remove_mirror(context, "ollama://team/bbj-coder")
    assert KnownRegistries(context.paths.registries).all()[0].ollama == ()
    with pytest.raises(NotFoundError):
        registering.remove_mirror(context, "ollama://team/bbj-coder")
