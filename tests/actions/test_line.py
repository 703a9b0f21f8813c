"""From the registry to the answer, over the real services and a fake Ollama."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bbj_desktop.actions import chatting, doctoring, installing, purging, recommending, updating, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.demo import run_demo
from bbj_desktop.core.chat import Delta, Finished
from bbj_desktop.core.errors import (
    DigestError,
    EngineCrashedError,
    EngineMissingError,
    InUseError,
    NotFoundError,
    NoTrustedRootError,
    PublishError,
    TransportError,
    TrustError,
)
from bbj_desktop.core.progress import Cancel, Event, Step, silent
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import Role
from tests.actions.conftest import CHAT, install
from tests.fakes.ollama import FakeOllama
from tests.fakes.ollama import Fault as OllamaFault
from tests.fakes.published import Publication, customer, trust
from tests.fakes.release_server import Fault, ReleaseServer

KEY = "bbj-coder:2026.1-7b-q4_0"


def test_a_customer_installs_and_gets_an_answer(context: Context, ollama: FakeOllama) -> None:
    installed = install(context)
    assert installed.version.key == KEY
    assert installed.version.active
    assert installed.fetched_bytes == installed.version.variant.file.length_bytes
    assert {KEY, "bbj-coder:7b", "bbj-coder:latest"} <= set(ollama.models)
    conversation = chatting.open_conversation(context)
    events = list(conversation.ask("Open a window.", Cancel()))
    assert "".join(event.text for event in events if isinstance(event, Delta)) == 'PRINT "Hello BBj"'
    assert isinstance(events[-1], Finished)


def test_the_next_question_carries_the_conversation(context: Context, ollama: FakeOllama) -> None:
    install(context)
    conversation = chatting.open_conversation(context)
    list(conversation.ask("One.", Cancel()))
    list(conversation.ask("Two.", Cancel()))
    roles = [message["role"] for message in ollama.bodies["/api/chat"]["messages"]]
    assert roles[-3:] == ["user", "assistant", "user"]
    conversation.reset()
    assert conversation.messages == ()


def test_a_plan_says_what_will_be_fetched_and_changes_nothing(context: Context) -> None:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    candidate = recommending.choose(recommended, CHAT)
    plan = installing.plan_install(context, candidate, Cancel())
    assert plan.key == KEY
    assert plan.to_fetch_bytes == candidate.variant.file.length_bytes
    assert versions.list_versions(context) == ()


def test_installing_again_fetches_nothing(context: Context) -> None:
    install(context)
    again = install(context)
    assert again.already
    assert again.fetched_bytes == 0


def test_the_steps_of_an_install_are_told_in_order(context: Context) -> None:
    events: list[Event] = []
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    plan = installing.plan_install(context, recommending.choose(recommended, CHAT), Cancel())
    installing.install(context, plan, events.append, Cancel(), force=True)
    steps = [event.name for event in events if isinstance(event, Step)]
    assert [step for step in steps if step in {"plan", "download", "store", "register", "activate"}] == [
        "plan",
        "download",
        "store",
        "register",
        "activate",
    ]


def test_a_tampered_model_is_never_installed(context: Context, publication: Publication) -> None:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    candidate = recommending.choose(recommended, CHAT)
    blob = next(
        path for path in publication.folder.glob("blobs/sha256/*/*") if path.name in candidate.variant.file.digest
    )
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.unlink()
    blob.write_bytes(data)
    plan = installing.plan_install(context, candidate, Cancel())
    with pytest.raises(DigestError):
        installing.install(context, plan, silent, Cancel(), force=True)
    assert versions.list_versions(context) == ()


def test_without_a_registry_the_customer_is_told_how_to_add_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    nobody = customer(tmp_path_factory.mktemp("nobody"))
    with pytest.raises(NoTrustedRootError) as caught:
        recommending.recommend(nobody, CHAT, silent, Cancel())
    assert "bbj-desktop registry add" in caught.value.hint


def test_a_registry_that_is_down_is_a_transport_error(context: Context, server: ReleaseServer) -> None:
    server.close()
    with pytest.raises(TransportError):
        recommending.recommend(context, CHAT, silent, Cancel())


def test_an_update_is_found_and_installed_beside_the_old_version(
    context: Context, publication: Publication, ollama: FakeOllama
) -> None:
    install(context)
    assert updating.check(context, silent, Cancel()).updates == ()
    publication.publish("2026.2", seed=7)
    found = updating.check(context, silent, Cancel())
    assert [each.offer.release.version for each in found.updates] == ["2026.2"]
    updating.update(context, found, silent, Cancel(), force=True)
    active = {version.key: version.active for version in versions.list_versions(context)}
    assert active == {"bbj-coder:2026.2-7b-q4_0": True, KEY: False}
    assert ollama.models["bbj-coder:latest"] == ollama.models["bbj-coder:2026.2-7b-q4_0"]


def test_rolling_back_points_the_aliases_to_the_old_version(
    context: Context, publication: Publication, ollama: FakeOllama
) -> None:
    install(context)
    publication.publish("2026.2", seed=7)
    updating.update(context, updating.check(context, silent, Cancel()), silent, Cancel(), force=True)
    versions.activate(context, KEY, silent, Cancel())
    assert ollama.models["bbj-coder:7b"] == ollama.models[KEY]
    assert [version.key for version in versions.list_versions(context) if version.active] == [KEY]


def test_removing_the_active_version_hands_the_aliases_on(
    context: Context, publication: Publication, ollama: FakeOllama
) -> None:
    install(context)
    publication.publish("2026.2", seed=7)
    updating.update(context, updating.check(context, silent, Cancel()), silent, Cancel(), force=True)
    removed = versions.remove(context, "bbj-coder:2026.2-7b-q4_0", silent, Cancel())
    assert removed.freed_bytes > 0
    assert "bbj-coder:2026.2-7b-q4_0" not in ollama.models
    assert ollama.models["bbj-coder:latest"] == ollama.models[KEY]


def test_the_heir_is_active_before_the_removed_version_goes(
    context: Context, publication: Publication, ollama: FakeOllama
) -> None:
    install(context)
    publication.publish("2026.2", seed=7)
    updating.update(context, updating.check(context, silent, Cancel()), silent, Cancel(), force=True)
    ollama.requests.clear()
    versions.remove(context, "bbj-coder:2026.2-7b-q4_0", silent, Cancel())
    assert ollama.requests.index("POST /api/copy") < ollama.requests.index("DELETE /api/delete")


def test_removing_the_last_version_leaves_nothing_in_ollama(context: Context, ollama: FakeOllama) -> None:
    install(context)
    versions.remove(context, KEY, silent, Cancel())
    assert ollama.models == {}
    assert versions.list_versions(context) == ()


def test_removing_works_although_ollama_is_gone(context: Context, ollama: FakeOllama) -> None:
    install(context)
    context.close()
    ollama.stop()
    events: list[Event] = []
    versions.remove(context, KEY, events.append, Cancel())
    assert versions.list_versions(context) == ()
    assert any("stays in ollama" in getattr(event, "text", "") for event in events)


def test_a_withdrawn_version_is_flagged_and_not_offered(context: Context, publication: Publication) -> None:
    install(context)
    publication.withdraw("2026.1", "It answers in Pascal.")
    found = updating.check(context, silent, Cancel())
    assert [each.reason for each in found.withdrawn] == ["It answers in Pascal."]
    with pytest.raises(NotFoundError):
        recommending.choose(recommending.recommend(context, CHAT, silent, Cancel()), CHAT)


def test_a_version_that_was_withdrawn_meanwhile_is_refused(context: Context, publication: Publication) -> None:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    candidate = recommending.choose(recommended, CHAT)
    publication.withdraw("2026.1", "It answers in Pascal.")
    with pytest.raises(PublishError, match="Pascal"):
        installing.install(context, installing.plan_install(context, candidate, Cancel()), silent, Cancel(), force=True)


def test_an_older_version_can_be_chosen(context: Context, publication: Publication) -> None:
    publication.publish("2026.2", seed=7)
    installed = install(context, Wishes(roles=(Role.CHAT,), version="2026.1"))
    assert installed.version.key == KEY


def test_a_version_that_does_not_exist_names_those_that_do(context: Context) -> None:
    with pytest.raises(NotFoundError, match=r"no version 1999\.1") as caught:
        recommending.recommend(context, Wishes(roles=(Role.CHAT,), version="1999.1"), silent, Cancel())
    assert "2026.1" in caught.value.hint


def test_a_dropped_connection_is_taken_up_and_the_install_completes(context: Context, server: ReleaseServer) -> None:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    candidate = recommending.choose(recommended, CHAT)
    digest = candidate.variant.file.digest.removeprefix("sha256:")
    server.script(f"blobs/sha256/{digest[:2]}/{digest}", Fault(drop_after=1000))
    plan = installing.plan_install(context, candidate, Cancel())
    assert installing.install(context, plan, silent, Cancel(), force=True).version.key == KEY


def test_when_ollama_stops_the_download_is_kept_and_registering_goes_on_later(
    context: Context, ollama: FakeOllama
) -> None:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    plan = installing.plan_install(context, recommending.choose(recommended, CHAT), Cancel())
    ollama.stop()
    with pytest.raises(EngineMissingError):
        installing.install(context, plan, silent, Cancel())
    assert [version.registrations for version in versions.list_versions(context)] == [()]
    with FakeOllama() as another, closing(customer(context.paths.data, ollama_host=another.address)) as later:
        assert install(later).fetched_bytes == 0
        assert KEY in another.models


@pytest.mark.parametrize(
    "leave",
    [
        lambda context: versions.remove(context, KEY, silent, Cancel()),
        lambda context: purging.purge(context, silent, Cancel()),
    ],
    ids=["remove", "purge"],
)
def test_a_tag_that_was_made_but_not_recorded_is_removed_too(
    context: Context, ollama: FakeOllama, leave: Callable[[Context], object]
) -> None:
    # The first question: the tag is there, and nobody noted it. Twice, for a release with an example of its prompt asks
    # for that to be rendered before, at the same address.
    ollama.faults["/api/chat"] = OllamaFault("drop", times=2)
    with pytest.raises(EngineCrashedError):
        install(context)
    assert list(ollama.models) == [KEY]
    leave(context)
    assert ollama.models == {}


def test_chatting_without_a_model_says_what_to_type(context: Context) -> None:
    with pytest.raises(NotFoundError) as caught:
        chatting.open_conversation(context)
    assert "bbj-desktop install" in caught.value.hint


def test_the_diagnosis_covers_every_area(context: Context) -> None:
    install(context)
    diagnosis = doctoring.diagnose(context, silent, Cancel())
    assert {finding.area for finding in diagnosis.findings} == {
        "machine",
        "registry",
        "network",
        "compiler",
        "store",
        "runtime",
        "models",
    }
    assert not [finding for finding in diagnosis.findings if finding.state == "error"]


def test_the_diagnosis_says_what_to_do_about_a_registry_that_is_down(context: Context, server: ReleaseServer) -> None:
    server.close()
    findings = doctoring.diagnose(context, silent, Cancel()).findings
    registry = [finding for finding in findings if finding.area == "registry"]
    assert [finding.state for finding in registry] == ["error"]
    assert server.address in registry[0].text


def test_purging_removes_every_tag_and_folder_of_ours_and_nothing_else(context: Context, ollama: FakeOllama) -> None:
    install(context)
    foreign = context.paths.data / "notes.txt"
    foreign.write_text("mine")
    listed = {each.name for each in purging.list_ours(context)}
    assert {KEY, "bbj-coder:7b", "bbj-coder:latest", str(context.paths.store)} <= listed
    purging.purge(context, silent, Cancel())
    assert ollama.models == {}
    assert sorted(path.name for path in context.paths.data.iterdir()) == ["notes.txt"]


def test_a_registry_of_another_root_at_the_same_address_is_refused(
    context: Context, server: ReleaseServer, tmp_path: Path
) -> None:
    other = Publication.create(tmp_path / "other")
    other.publish("2026.1")
    server.files = other.folder
    with pytest.raises(TrustError):
        recommending.recommend(context, CHAT, silent, Cancel())


def test_trusting_a_wrong_root_keeps_nothing(tmp_path_factory: pytest.TempPathFactory, server: ReleaseServer) -> None:
    stranger = Publication.create(tmp_path_factory.mktemp("stranger") / "made")
    nobody = customer(tmp_path_factory.mktemp("nobody"))
    with pytest.raises(TrustError):
        trust(nobody, server.address, stranger)
    with pytest.raises(NoTrustedRootError):
        nobody.known_registry()


def test_the_demo_refuses_a_folder_that_holds_something_else(context: Context, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    model = tmp_path / "x.Q4_0.gguf"
    model.write_bytes(b"GGUF")
    with pytest.raises(InUseError):
        run_demo(context, folder, ollama=False, model=model, report=silent, cancel=Cancel(), say=lambda _: None)
    assert (folder / "thesis.txt").read_text() == "years of work"
