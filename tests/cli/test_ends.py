"""The three ends of a command: said to the user, stopped without a word, and a bug."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.core.errors import BBjDesktopError, Cancelled, NoSpaceError, StalledError
from bbj_desktop.services.logs import LOG_FILE
from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama, Fault

ENDS: list[BBjDesktopError] = [
    StalledError("The registry gives no bytes.", hint="Try again later."),
    NoSpaceError("Too little room.", needed_bytes=2, free_bytes=1, path=Path("/"), hint="Make some."),
]


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Makes the command ``versions`` end with an exception."""

    def fail(_session: object) -> None:
        raise error

    monkeypatch.setattr("bbj_desktop.cli.versions.versions", fail)


@pytest.mark.parametrize("error", ENDS, ids=lambda error: error.code)
def test_an_error_is_its_message_and_hint_on_stderr_and_its_exit_code(
    error: BBjDesktopError, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, error)
    called = call("versions")
    assert (called.code, called.out, called.err) == (error.exit_code, "", f"{error.message}\n{error.hint}\n")


@pytest.mark.parametrize("error", ENDS, ids=lambda error: error.code)
def test_with_json_an_error_is_a_document_on_stdout(
    error: BBjDesktopError, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, error)
    called = call("versions", "--json")
    assert called.document == {
        "format": 1,
        "command": "versions",
        "error": {"code": error.code, "message": error.message, "hint": error.hint, "exit_code": error.exit_code},
    }


def test_a_stop_is_silent(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, Cancelled())
    called = call("versions")
    assert (called.code, called.out, called.err) == (130, "", "")


def test_a_bug_is_one_line_that_tells_where_its_report_is(
    call: Call, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    fail_with(monkeypatch, ZeroDivisionError("so it goes"))
    called = call("versions")
    log_file = data / "logs" / LOG_FILE
    assert called.code == 70
    assert (
        called.err == f"BBj Desktop failed unexpectedly (ZeroDivisionError). The report is at the end of {log_file}.\n"
    )
    assert "Traceback" in log_file.read_text(encoding="utf-8")


def test_with_json_a_bug_is_a_document_too(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError())
    called = call("versions", "--json")
    assert (called.error["code"], called.error["exit_code"], called.code) == ("Bug", 70, 70)


def test_an_expected_error_leaves_no_traceback_in_the_log(
    call: Call, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    fail_with(monkeypatch, ENDS[0])
    call("versions")
    text = (data / "logs" / LOG_FILE).read_text(encoding="utf-8")
    assert "StalledError" in text
    assert "Traceback" not in text


def test_a_settings_file_with_an_error_ends_every_command(call: Call, data: Path) -> None:
    (data / "config").mkdir(parents=True)
    (data / "config" / "settings.toml").write_text("chanel = 1\n")
    called = call("versions", "--json")
    assert called.error["code"] == "SettingsError"
    assert "chanel" in called.error["message"]
    assert called.error["hint"] == 'Did you mean "channel"?'


def test_an_error_behind_half_an_answer_begins_a_line_of_its_own(installed: Call, ollama: FakeOllama) -> None:
    ollama.answer = ["half", " of", " it"]
    ollama.faults["/api/chat"] = Fault("error", after=2, text="out of luck")
    called = installed("ask", "anything")
    assert called.code != 0
    assert called.out == "half of\n"
    assert "out of luck" in called.err
