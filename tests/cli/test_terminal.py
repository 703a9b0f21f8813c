"""What a person at a terminal sees and is asked, through a real pseudo-terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bbj_desktop.services.registry.keys import KeyFolder
from tests.cli.conftest import PROGRAM, Call
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication

if sys.platform == "win32":
    pytest.skip("needs pseudo-terminals", allow_module_level=True)

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


def at_terminal(*arguments: str, typed: str = "", **environment: str) -> tuple[int, str]:
    """Runs the program at a terminal of 100 columns; returns exit code and everything that was shown."""
    ours, theirs = os.openpty()
    os.write(ours, typed.encode())
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment}
    with subprocess.Popen([*PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
        code = process.wait(timeout=30)
    os.close(ours)
    return code, shown.decode().replace("\r\n", "\n")


def asked_at_terminal(*arguments: str, answers: Sequence[tuple[str, str]]) -> tuple[int, str]:
    """As ``at_terminal``, but each answer is typed once its question stands there: what comes before is dropped."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown, seen, left = b"", 0, list(answers)
        while piece := _read(ours):
            shown += piece
            if left and left[0][0].encode() in shown[seen:]:
                seen = len(shown)
                os.write(ours, left.pop(0)[1].encode())
        code = process.wait(timeout=30)
    os.close(ours)
    return code, shown.decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way of saying that the other end is closed
        return b""


def test_errors_are_coloured() -> None:
    code, shown = at_terminal("activate", "7b")
    assert code == 3
    assert COLOUR.search(shown)


def test_no_color_is_honoured() -> None:
    code, shown = at_terminal("activate", "7b", NO_COLOR="1")
    assert code == 3
    assert not COLOUR.search(shown)


def test_a_dumb_terminal_gets_plain_text() -> None:
    _code, shown = at_terminal("settings", "show", TERM="dumb")
    assert "\x1b" not in shown


def test_steps_are_ticked_off_and_the_cursor_comes_back(customer: Call) -> None:
    assert customer("versions").code == 0
    code, shown = at_terminal("install", "7b-q4_0", "--yes")
    assert code == 0
    assert "✓ Downloading and verifying bbj-coder 7B Q4_0" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


def test_an_install_is_asked_for_after_its_plan(customer: Call) -> None:
    code, shown = at_terminal("install", "7b-q4_0", typed="n\n")
    assert code == 130
    assert shown.index("to fetch") < shown.index("Install it? [Y/n]")
    assert customer("versions", "--json").result["versions"] == []


def test_a_removal_that_is_not_confirmed_does_not_happen(installed: Call) -> None:
    code, shown = at_terminal("remove", "2026.1", typed="\n")
    assert code == 130
    assert "Remove it? [y/N]" in shown
    assert len(installed("versions", "--json").result["versions"]) == 1


def test_a_confirmed_removal_happens(installed: Call) -> None:
    code, _shown = at_terminal("remove", "2026.1", typed="y\n")
    assert code == 0
    assert installed("versions", "--json").result["versions"] == []


def test_the_first_start_asks_for_a_registry_and_shows_its_fingerprint(
    publication: Publication, identity: str, ollama: FakeOllama
) -> None:
    assert ollama.models == {}
    code, shown = at_terminal("recommend", typed=f"{publication.folder}\n\ny\n")
    assert code == 0, shown
    assert identity[7:11] in shown
    assert "bbj-coder 7B" in shown


def test_a_fingerprint_that_is_not_the_one_given_trusts_nothing(call: Call, publication: Publication) -> None:
    code, _shown = at_terminal("registry", "add", str(publication.folder), typed="n\n")
    assert code == 130
    assert call("registry", "show", "--json").result["registries"] == []


def test_a_chat_says_how_much_room_is_left_when_it_gets_little(installed: Call, ollama: FakeOllama) -> None:
    assert installed("versions").code == 0
    ollama.answer = ["a long answer " * 2000]
    _code, shown = at_terminal("chat", typed="Hello?\n/reset\nHello?\n/quit\n")
    assert "Room for about" in shown
    assert (
        shown.count("Room for about 0 of 2,048 tokens (estimated). /drop leaves out the oldest, /reset begins anew.")
        == 2
    )


LONG = ["a " * 1500]
"""An answer that takes more than half of the context."""


def test_a_full_context_is_said_and_the_oldest_question_left_out_on_request(
    installed: Call, ollama: FakeOllama
) -> None:
    assert installed("versions").code == 0
    ollama.answer = LONG
    typed = [("> ", "first\n"), ("> ", "second\n"), ("> ", "third\n"), ("[Y/n] ", "\n"), ("> ", "/quit\n")]
    code, shown = asked_at_terminal("chat", answers=typed)
    assert code == 0
    assert "The context is full: with this question the conversation has about " in shown
    assert "Leave out the oldest question with its answer and go on? [Y/n]" in shown
    assert "The oldest question was left out with its answer." in shown
    assert _asked(ollama) == ["second", "third"]


def test_whoever_wants_nothing_left_out_can_do_it_later(installed: Call, ollama: FakeOllama) -> None:
    assert installed("versions").code == 0
    ollama.answer = LONG
    typed = [("> ", "first\n"), ("> ", "second\n"), ("> ", "third\n"), ("[Y/n] ", "n\n"), ("> ", "/room\n")]
    code, shown = asked_at_terminal("chat", answers=[*typed, ("> ", "/drop\n"), ("> ", "4\n"), ("> ", "/quit\n")])
    assert code == 0
    assert "The conversation is too long" in shown
    assert "Begin a new conversation or shorten the question" in shown
    assert _asked(ollama) == ["second", "4"]


def _asked(ollama: FakeOllama) -> list[str]:
    """The first word of each question of the last request."""
    said = ollama.bodies["/api/chat"]["messages"]
    return [each["content"].split()[0] for each in said if each["role"] == "user"]


def test_a_slip_of_a_command_isnt_asked(installed: Call, ollama: FakeOllama) -> None:
    assert installed("versions").code == 0
    _code, shown = at_terminal("chat", typed="/halp\n/help\n/clear\n/quit\n")
    assert "There is no /halp here" in shown
    assert shown.count("/drop [N]") == 2
    assert "A new conversation." in shown
    assert "POST /api/chat" not in ollama.requests[-3:]


def test_a_chat_greets_answers_and_leaves_with_quit(installed: Call) -> None:
    assert installed("versions").code == 0
    code, shown = at_terminal("chat", typed="Hello?\n/quit\n")
    assert code == 0
    assert "A tiny stand-in for tests." in shown
    assert 'PRINT "Hello BBj"' in shown
    assert "TTFT" in shown


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_the_code_of_an_answer_is_coloured(ollama: FakeOllama, no_color: str, coloured: bool) -> None:
    ollama.answer = ("Here:\n\n```bbj\n", "print", ' "Hi"\n```\n')
    code, shown = at_terminal("ask", "Say hi.", NO_COLOR=no_color)
    assert code == 0
    line = next(line for line in shown.splitlines() if "Hi" in line)
    assert (line != 'print "Hi"') is coloured


ONCE, AGAIN = "Passphrase of the keys: ", "The same once more: "


def test_a_slip_in_a_new_passphrase_makes_no_keys(tmp_path: Path) -> None:
    where = ("--folder", str(tmp_path / "registry"), "--keys", str(tmp_path / "Schlüssel"))
    answers = [(ONCE, "a good sentence\n"), (AGAIN, "a good sentense\n")]
    code, shown = asked_at_terminal("registry", "create", *where, answers=answers)
    assert code == 2, shown
    assert "two passphrases" in shown
    assert list(tmp_path.glob("Schlüssel*")) == []


def test_a_new_passphrase_that_was_typed_twice_opens_the_key(tmp_path: Path) -> None:
    keys = tmp_path / "Schlüssel"
    answers = [(ONCE, "a good sentence\n"), (AGAIN, "a good sentence\n")]
    code, shown = asked_at_terminal("registry", "key", "stable", "--keys", str(keys), answers=answers)
    assert code == 0, shown
    assert len(KeyFolder(keys, "a good sentence").signers("stable")) == 1
