"""What somebody else did to our names in Ollama is noticed, said, and put right when told to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bbj_desktop.cli.results.versions import RepairResult, VerifyResult, VersionsResult
from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama, Fault, Model
from tests.fakes.published import Publication

KEY = "bbj-coder:2026.1-7b-q4_0"
FOREIGN = Model(blob="sha256:" + "f" * 64, template="x", system="", parameters={}, licences=())


@pytest.fixture
def installed(customer: Call) -> Call:
    called = customer("install", "7b-q4_0")
    assert called.code == 0, called.err
    return customer


def deleted(server: FakeOllama) -> None:
    del server.models[KEY]


def changed(server: FakeOllama) -> None:
    server.models[KEY] = replace(server.models[KEY], system="You write COBOL.")


def recreated(server: FakeOllama) -> None:
    server.blobs[FOREIGN.blob] = b"GGUF of another tool"
    server.models[KEY] = replace(server.models[KEY], blob=FOREIGN.blob)


def pruned(server: FakeOllama) -> None:
    del server.blobs[server.models[KEY].blob]


def alias_deleted(server: FakeOllama) -> None:
    del server.models["bbj-coder:7b"]


def alias_moved(server: FakeOllama) -> None:
    server.models["my-model:latest"] = server.models["bbj-coder:7b"] = FOREIGN


def alias_taken(server: FakeOllama) -> None:
    server.models["bbj-coder:7b"] = FOREIGN


WRONG_ANSWERS = {"gone": deleted, "changed": changed, "other-weights": recreated, "no-weights": pruned}
MENDABLE = {**WRONG_ANSWERS, "alias-gone": alias_deleted, "alias-moved": alias_moved}
EVERY = {**MENDABLE, "alias-taken": alias_taken}

some = pytest.mark.parametrize("kind", ["gone", "alias-taken"])
every = pytest.mark.parametrize("kind", EVERY)
mendable = pytest.mark.parametrize("kind", MENDABLE)
wrong_answers = pytest.mark.parametrize("kind", WRONG_ANSWERS)


def as_it_was(server: FakeOllama) -> bool:
    ours = server.models.get(KEY)
    good = ours is not None and ours.blob in server.blobs and ours.blob != FOREIGN.blob and "BBj" in ours.system
    return good and server.models.get("bbj-coder:7b") == ours and server.models.get("bbj-coder:latest") == ours


@every
def test_versions_shows_it(kind: str, installed: Call, ollama: FakeOllama) -> None:
    EVERY[kind](ollama)
    drift = VersionsResult.model_validate(installed("versions", "--json").result).drift
    assert kind in [each.kind for each in drift]


@some
def test_verify_shows_it_and_ends_with_1(kind: str, installed: Call, ollama: FakeOllama) -> None:
    EVERY[kind](ollama)
    called = installed("verify", KEY, "--json")
    assert called.code == 1
    assert kind in [each.kind for each in VerifyResult.model_validate(called.result).drift]


@some
def test_doctor_warns_of_it(kind: str, installed: Call, ollama: FakeOllama) -> None:
    EVERY[kind](ollama)
    findings = installed("doctor", "--json").result["findings"]
    assert [each for each in findings if each["area"] == "models" and each["state"] == "warning"]


@wrong_answers
def test_nothing_else_answers_in_its_name(kind: str, installed: Call, ollama: FakeOllama) -> None:
    WRONG_ANSWERS[kind](ollama)
    called = installed("ask", "PRINT?")
    assert called.code == 9
    assert f"bbj-desktop repair {KEY}" in called.err
    assert called.out == ""


def test_a_moved_alias_keeps_nobody_from_chatting(installed: Call, ollama: FakeOllama) -> None:
    alias_moved(ollama)
    assert installed("ask", "PRINT?").code == 0


@mendable
def test_repair_puts_it_right(kind: str, installed: Call, ollama: FakeOllama) -> None:
    MENDABLE[kind](ollama)
    result = RepairResult.model_validate(installed("repair", KEY, "--json").result)
    assert kind in [each.kind for each in result.mended]
    assert as_it_was(ollama)
    assert installed("verify", KEY).code == 0


@pytest.mark.parametrize("kind", ["gone", "alias-moved", "alias-taken"])
def test_repair_says_each_change_once(kind: str, installed: Call, ollama: FakeOllama) -> None:
    EVERY[kind](ollama)
    (text,) = (each["text"] for each in installed("versions", "--json").result["drift"] if each["kind"] == kind)
    called = installed("repair", KEY)
    assert (called.err + called.out).count(text) == 1


@pytest.mark.parametrize("kind", ["gone", "no-weights", "alias-moved"])
def test_activation_puts_it_right(kind: str, installed: Call, ollama: FakeOllama) -> None:
    MENDABLE[kind](ollama)
    assert installed("activate", KEY).code == 0
    assert as_it_was(ollama)


def test_repair_needs_no_registry_for_that(installed: Call, ollama: FakeOllama, publication: Publication) -> None:
    deleted(ollama)
    publication.folder.rename(publication.folder.with_name("gone"))
    assert installed("repair", KEY).code == 0
    assert as_it_was(ollama)


@pytest.mark.parametrize("kind", ["gone", "changed", "other-weights"])
def test_an_alias_that_still_means_what_was_registered_is_not_blamed(
    kind: str, installed: Call, ollama: FakeOllama
) -> None:
    WRONG_ANSWERS[kind](ollama)
    del ollama.models["bbj-coder:latest"]
    drift = VersionsResult.model_validate(installed("versions", "--json").result).drift
    assert {each.kind for each in drift} == {kind, "alias-gone"}
    mended = RepairResult.model_validate(installed("repair", KEY, "--json").result).mended
    assert {each.kind for each in mended} == {kind, "alias-gone"}
    assert as_it_was(ollama)


def test_a_repair_that_failed_is_done_by_the_next(installed: Call, ollama: FakeOllama) -> None:
    changed(ollama)
    for path in ("/api/create", "/api/pull"):
        ollama.faults[path] = Fault("status", times=3)
    assert installed("repair", KEY).code == 9
    ollama.faults.clear()
    assert installed("repair", KEY).code == 0
    assert as_it_was(ollama)


def test_somebodys_only_name_is_left_alone(installed: Call, ollama: FakeOllama) -> None:
    alias_taken(ollama)
    called = installed("repair", KEY)
    assert called.code == 0
    assert "ollama cp bbj-coder:7b" in called.err + called.out
    assert ollama.models["bbj-coder:7b"] == FOREIGN


def test_models_of_others_are_not_touched(installed: Call, ollama: FakeOllama) -> None:
    alias_moved(ollama)
    installed("repair", KEY)
    assert ollama.models["my-model:latest"] == FOREIGN


def test_what_is_as_it_was_is_not_mentioned(installed: Call) -> None:
    assert VersionsResult.model_validate(installed("versions", "--json").result).drift == ()
    assert installed("verify", KEY).code == 0
    assert RepairResult.model_validate(installed("repair", KEY, "--json").result).mended == ()


def test_without_ollama_nothing_is_claimed(installed: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert VersionsResult.model_validate(installed("versions", "--json").result).drift == ()


def test_an_older_version_is_registered_again_when_it_is_rolled_back_to(
    installed: Call, publication: Publication, ollama: FakeOllama
) -> None:
    publication.publish("2026.2", quantisations=("Q4_0",), hidden=256)
    assert installed("update").code == 0
    deleted(ollama)
    assert installed("rollback").code == 0
    assert as_it_was(ollama)


def test_several_sizes_may_share_an_alias(installed: Call, ollama: FakeOllama, publication: Publication) -> None:
    publication.publish("2026.1", quantisations=("Q4_0",), hidden=256, size="14b")
    assert installed("install", "14b-q4_0", "--force").code == 0
    assert ollama.models["bbj-coder:latest"] == ollama.models["bbj-coder:2026.1-14b-q4_0"]
    assert VersionsResult.model_validate(installed("versions", "--json").result).drift == ()
