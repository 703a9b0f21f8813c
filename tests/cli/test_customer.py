"""From a trusted registry to an answer, with real parts but for Ollama, whose stand-in behaves as it is documented."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from bbj_desktop.cli.results.answers import AskResult
from bbj_desktop.cli.results.installing import InstallResult, UpdateResult
from bbj_desktop.cli.results.machine import DoctorResult
from bbj_desktop.cli.results.purging import PurgeResult
from bbj_desktop.cli.results.recommending import RecommendResult
from bbj_desktop.cli.results.versions import ActivateResult, RemoveResult, VersionsResult
from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication

KEY = "bbj-coder:2026.1-7b-q4_0"
NEWER = "bbj-coder:2026.2-7b-q4_0"


def versions(call: Call) -> dict[str, bool]:
    """Whether each installed version is active."""
    result = VersionsResult.model_validate(call("versions", "--json").result)
    return {each.key: each.active for each in result.versions}


def test_the_envelope_names_format_and_command(customer: Call) -> None:
    document = customer("versions", "--json").document
    assert {key: document[key] for key in ("format", "command")} == {"format": 1, "command": "versions"}


def test_a_recommendation_comes_with_its_reasons(customer: Call) -> None:
    result = RecommendResult.model_validate(customer("recommend", "--json").result)
    chat = next(role for role in result.roles if role.role == "chat")
    assert chat.choice is not None
    assert chat.choice.release.model == "bbj-coder"
    assert chat.choice.reasons


def test_a_recommendation_for_a_person_names_the_next_step(customer: Call) -> None:
    called = customer("recommend")
    assert called.code == 0
    assert "bbj-coder 7B" in called.out
    assert "bbj-desktop install" in called.out


def test_a_saved_profile_gets_what_its_machine_would_get(customer: Call, tmp_path: Path) -> None:
    profile = tmp_path / "Maschine.json"
    assert customer("recommend", "--save-profile", profile).code == 0
    document = json.loads(profile.read_text(encoding="utf-8"))
    document["cpu"]["model"] = "Another processor"
    profile.write_text(json.dumps(document), encoding="utf-8")
    result = RecommendResult.model_validate(customer("recommend", "--profile", profile, "--json").result)
    assert result.profile.cpu.model == "Another processor"
    shown = customer("recommend", "--profile", profile).out
    assert "Another processor" in shown
    assert "bbj-desktop install" not in shown


def test_a_profile_that_is_not_there_is_not_found(customer: Call, tmp_path: Path) -> None:
    assert customer("recommend", "--profile", tmp_path / "none.json").code == 3


def test_a_proxy_that_is_no_address_is_wrong_input(customer: Call) -> None:
    called = customer("recommend", "--proxy", "nonsense", "--json")
    assert (called.code, called.error["code"]) == (2, "SettingsError")


def test_install_downloads_verifies_registers_and_activates(customer: Call, ollama: FakeOllama) -> None:
    called = customer("install", "7b-q4_0", "--json")
    result = InstallResult.model_validate(called.result)
    (installed,) = result.installed
    assert installed.version.key == KEY
    assert installed.version.active
    assert installed.fetched_bytes == result.plans[0].candidate.download_bytes
    assert {KEY, "bbj-coder:7b", "bbj-coder:latest"} <= ollama.models.keys()


def test_the_plan_is_told_before_the_download(customer: Call) -> None:
    called = customer("install", "7b-q4_0", "--dry-run")
    assert called.code == 0
    assert "to fetch" in called.out
    assert versions(customer) == {}


def test_installing_again_fetches_nothing(installed: Call) -> None:
    result = InstallResult.model_validate(installed("install", "7b-q4_0", "--json").result)
    assert (result.installed[0].already, result.installed[0].fetched_bytes) == (True, 0)


def test_without_a_name_the_recommended_model_is_installed(customer: Call) -> None:
    assert customer("install").code == 0
    assert len(versions(customer)) == 1


@pytest.mark.parametrize("name", ["7b-q8_0", "bbj-coder:7b-q8_0", "bbj-coder:2026.1-7b-q8_0"])
def test_a_variant_of_ones_own_choice_is_installed(name: str, customer: Call) -> None:
    assert customer("install", name).code == 0
    assert list(versions(customer)) == ["bbj-coder:2026.1-7b-q8_0"]


def test_too_old_an_ollama_is_refused_with_the_reason(
    call: Call, publication: Publication, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeOllama(version="0.5.7") as old:
        monkeypatch.setenv("OLLAMA_HOST", old.address)
        monkeypatch.setenv("BBJ_DESKTOP_RUNTIME", "ollama")
        assert call("registry", "add", publication.folder, "--fingerprint", identity).code == 0
        called = call("install")
    assert called.code == 9
    assert "Ollama 0.5.7 is too old: 0.9.0 or newer is needed." in called.err
    assert "missing" not in called.err


def test_what_is_not_offered_is_not_found_and_the_offer_is_listed(customer: Call) -> None:
    called = customer("install", "70b", "--json")
    assert (called.code, called.error["code"]) == (3, "NotFoundError")
    assert "7b" in called.error["hint"]


def test_a_name_that_is_none_is_wrong_input(customer: Call) -> None:
    assert customer("install", "the big one!").code == 2


def test_progress_is_plain_lines_on_stderr_when_there_is_no_terminal(customer: Call) -> None:
    called = customer("install", "7b-q4_0")
    assert "Downloading and verifying bbj-coder 7B Q4_0 …" in called.err
    assert "100 %" in called.err
    assert "\x1b" not in called.err + called.out


def test_versions_are_listed_for_a_person(installed: Call) -> None:
    lines = installed("versions").out.splitlines()
    assert lines[0].split() == ["Size", "Version", "Context", "Runtime", "Installed"]
    assert KEY in lines[1]
    assert " active " in lines[1]


def test_without_versions_the_next_step_is_said_and_stdout_stays_empty(customer: Call) -> None:
    called = customer("versions")
    assert (called.code, called.out) == (0, "")
    assert "bbj-desktop install" in called.err


def test_update_check_tells_by_exit_code(installed: Call, publication: Publication) -> None:
    before = installed("update", "--check")
    publication.publish("2026.2")
    after = installed("update", "--check", "--json")
    assert (before.code, after.code) == (0, 20)
    (update,) = UpdateResult.model_validate(after.result).updates
    assert (update.installed.key, update.available.version) == (KEY, "2026.2")


def test_a_newer_release_that_needs_a_newer_program_is_told(installed: Call, publication: Publication) -> None:
    publication.publish("2026.2", min_app_version="99.0")
    checked = installed("update", "--check")
    assert checked.code == 0
    assert "2026.2 needs BBj Desktop 99.0 or newer" in checked.out
    assert "2026.2 needs BBj Desktop 99.0 or newer" in installed("recommend").out


def test_update_installs_beside_and_activates(installed: Call, publication: Publication) -> None:
    publication.publish("2026.2")
    result = UpdateResult.model_validate(installed("update", "--json").result)
    assert [each.version.key for each in result.installed] == [NEWER]
    assert versions(installed) == {KEY: False, NEWER: True}


def test_a_withdrawn_version_is_flagged(installed: Call, publication: Publication) -> None:
    publication.publish("2026.2")
    publication.withdraw("2026.1", "It wrote wrong file names.")
    assert "It wrote wrong file names." in installed("update", "--check").out
    publication.withdraw("2026.2", "So did this.")
    assert "Everything else is up to date" in installed("update", "--check").out


def test_an_older_version_can_be_activated_again(installed: Call, publication: Publication, ollama: FakeOllama) -> None:
    publication.publish("2026.2")
    installed("update")
    result = ActivateResult.model_validate(installed("activate", "2026.1", "--json").result)
    assert result.version.key == KEY
    assert versions(installed) == {KEY: True, NEWER: False}
    assert ollama.models["bbj-coder:7b"] == ollama.models[KEY]


@pytest.mark.parametrize("name", ["7b", "7b-q4_0", "bbj-coder:7b", "2026.1"])
def test_an_installed_version_may_be_named_as_for_install(name: str, installed: Call) -> None:
    assert installed("activate", name).code == 0


def test_an_unknown_version_is_not_found(installed: Call) -> None:
    assert installed("activate", "2031.1").code == 3


def test_removing_needs_a_yes(installed: Call) -> None:
    called = installed("remove", KEY)
    assert called.code == 2
    assert versions(installed) == {KEY: True}


def test_removing_frees_the_space_and_the_tags(installed: Call, ollama: FakeOllama) -> None:
    result = RemoveResult.model_validate(installed("remove", KEY, "--yes", "--json").result)
    assert result.removed[0].freed_bytes > 0
    assert versions(installed) == {}
    assert ollama.models == {}


def test_ask_prints_the_answer_alone_and_its_figures_beside_it(installed: Call) -> None:
    called = installed("ask", "Say", "hello")
    assert called.out == 'PRINT "Hello BBj"\n'
    assert "TTFT" in called.err
    assert "tokens/s" in called.err


def test_ask_with_json_gives_answer_and_statistics(installed: Call, ollama: FakeOllama) -> None:
    called = installed("ask", "Hello?", "--json", "--seed", "7", "--max-tokens", "12")
    result = AskResult.model_validate(called.result)
    assert (result.answer, result.runtime, result.version) == ('PRINT "Hello BBj"', "ollama", KEY)
    assert result.statistics.ttft_s >= 0
    options = ollama.bodies["/api/chat"]["options"]
    assert (options["seed"], options["num_predict"]) == (7, 12)


def test_ask_reads_stdin(installed: Call, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    from_pipe(monkeypatch, "What is\na mnemonic?\n")
    assert installed("ask").code == 0
    assert ollama.bodies["/api/chat"]["messages"][-1]["content"] == "What is\na mnemonic?"


def test_ask_without_a_question_is_wrong_input(installed: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from_pipe(monkeypatch, " \n")
    assert installed("ask").code == 2


def test_ask_without_a_model_says_what_to_type(customer: Call) -> None:
    called = customer("ask", "Hello?", "--json")
    assert called.error["code"] == "NotFoundError"
    assert "bbj-desktop install" in called.error["hint"]


def test_chat_answers_each_line_and_ends_with_the_input(installed: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from_pipe(monkeypatch, "one\n\ntwo\n")
    called = installed("chat")
    assert called.code == 0
    assert called.out == 'PRINT "Hello BBj"\n' * 2
    assert called.err.count("TTFT") == 2


def test_chat_remembers_until_it_is_reset(installed: Call, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    from_pipe(monkeypatch, "one\ntwo\n")
    installed("chat")
    assert [each["content"] for each in ollama.bodies["/api/chat"]["messages"] if each["role"] == "user"] == [
        "one",
        "two",
    ]
    from_pipe(monkeypatch, "one\n/reset\ntwo\n")
    installed("chat")
    assert [each["content"] for each in ollama.bodies["/api/chat"]["messages"] if each["role"] == "user"] == ["two"]


def test_a_full_context_ends_a_chat_without_anybody_to_ask(
    installed: Call, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    ollama.answer = ["a " * 1500]
    from_pipe(monkeypatch, "one\ntwo\nthree\n")
    called = installed("chat")
    assert called.code == 9
    assert "too long" in called.err


def test_a_script_says_beforehand_that_the_oldest_may_go(
    installed: Call, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    ollama.answer = ["a " * 1500]
    from_pipe(monkeypatch, "one\ntwo\nthree\n")
    *answers, _end = (json.loads(line) for line in installed("chat", "--drop-oldest", "--json").out.splitlines())
    assert [AskResult.model_validate(each["result"]).left_out for each in answers] == [0, 0, 1]
    asked = [each["content"] for each in ollama.bodies["/api/chat"]["messages"] if each["role"] == "user"]
    assert asked == ["two", "three"]


def test_chat_ends_with_quit(installed: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from_pipe(monkeypatch, "/quit\nnever asked\n")
    called = installed("chat")
    assert (called.code, called.out) == (0, "")


def test_chat_with_json_writes_a_document_a_line(installed: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from_pipe(monkeypatch, "one\ntwo\n")
    *answers, end = (json.loads(line) for line in installed("chat", "--json").out.splitlines())
    assert [AskResult.model_validate(each["result"]).answer for each in answers] == ['PRINT "Hello BBj"'] * 2
    assert end["result"] == {"version": KEY, "answers": 2}


def test_doctor_finds_everything_in_order(installed: Call) -> None:
    called = installed("doctor", "--json")
    result = DoctorResult.model_validate(called.result)
    assert called.code == 0
    areas = {finding.area for finding in result.findings}
    assert areas == {"machine", "registry", "store", "runtime", "models", "compiler"}


def test_doctor_ends_with_1_when_something_is_broken(installed: Call, ollama: FakeOllama) -> None:
    ollama.stop()
    called = installed("doctor")
    assert called.code == 1
    assert "Nothing here can run a model." in called.out


def test_purge_lists_then_asks(installed: Call, data: Path) -> None:
    called = installed("purge")
    assert called.code == 2
    assert str(data / "store") in called.err
    assert KEY in called.err
    assert (data / "store").exists()


def test_purge_leaves_nothing(installed: Call, data: Path, ollama: FakeOllama) -> None:
    result = PurgeResult.model_validate(installed("purge", "--yes", "--json").result)
    assert result.removed
    assert not data.exists()
    assert ollama.models == {}


def test_purge_leaves_what_is_not_ours(installed: Call, data: Path) -> None:
    (data / "mine.txt").write_text("keep me")
    assert installed("purge", "--yes").code == 0
    assert [path.name for path in data.iterdir()] == ["mine.txt"]


def test_purge_says_what_an_unreachable_runtime_keeps_and_how_to_remove_it(installed: Call, ollama: FakeOllama) -> None:
    ollama.stop()
    called = installed("purge", "--yes", "--json")
    result = PurgeResult.model_validate(called.document["result"])
    assert called.code == 9
    assert [each.name for each in result.kept] == [KEY, "bbj-coder:7b", "bbj-coder:latest"]
    assert {each.kind for each in result.removed} == {"folder"}
    assert f"ollama rm {KEY} bbj-coder:7b bbj-coder:latest" in called.err


def test_purge_says_only_when_it_is_so_that_nothing_is_left(installed: Call, ollama: FakeOllama) -> None:
    ollama.stop()
    assert f"Left: {KEY}, " in installed("purge", "--yes").out


def test_no_question_and_no_answer_is_in_the_log(installed: Call, data: Path) -> None:
    installed("ask", "Wie heißt der geheime Kunde?", "--verbose")
    text = "".join(path.read_text(encoding="utf-8") for path in (data / "logs").iterdir())
    assert "ask begins" in text
    assert "geheime Kunde" not in text
    assert "Hello BBj" not in text


def from_pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Gives the program this standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
