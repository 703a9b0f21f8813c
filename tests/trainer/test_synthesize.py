"""Synthetic examples: what is asked, what is taken, and what servers may do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bbj_desktop.core.errors import ConnectError, ServerError, StalledError, TransportError, UserInputError
from bbj_desktop.services.compiler import find_compiler
from tests.fakes.compiler import bbj_installation
from tests.fakes.instructing import InstructingServer, Reply
from trainer.cli.main import main
from trainer.data.endpoint import MAX_ANSWER_BYTES, Endpoint
from trainer.data.example import Example
from trainer.data.reading import read_examples
from trainer.data.review import reviewed, why_not_trained
from trainer.data.sources import Counted, read_sources
from trainer.data.synthesizing import LOG_NAME, Synthesized, synthesize

NOW = datetime(2026, 5, 1, tzinfo=UTC)
KINDS = ("cat", "dog", "cow", "hen", "pig", "owl")
ASKED = [json.dumps({"instruction": f"Print the word {kind} five times, each on its own line."}) for kind in KINDS]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "Quellen ä"
    folder.mkdir()
    for kind in KINDS[:3]:
        lines = [f'print "{kind} {number}"' for number in range(5)]
        (folder / f"{kind}.bbj").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return bbj_installation(tmp_path / "bbj")


class Scripted:
    """Answers one after the other, or fails as told."""

    def __init__(self, *answers: str | TransportError) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    def ask(self, system: str, question: str) -> str:
        assert "instruction" in system
        self.questions.append(question)
        answer = self.answers[min(len(self.questions), len(self.answers)) - 1]
        if isinstance(answer, TransportError):
            raise answer
        return answer


def made(sources: Path, queue: Path, endpoint: Scripted, home: Path | None, **more: object) -> Synthesized:
    read = read_sources([sources], lambda _: None, Counted())
    compiler = find_compiler(home) if home else None
    return synthesize(read, endpoint, queue, compiler, lambda: NOW, lambda _: None, by="m", **more)  # type: ignore[arg-type]


def queued(queue: Path) -> list[Example]:
    return list(reviewed(read_examples([queue], lambda _: None), [queue], lambda _: None))


def test_the_code_is_real_and_only_the_instruction_is_the_models(sources: Path, tmp_path: Path, home: Path) -> None:
    endpoint = Scripted(*ASKED)
    result = made(sources, tmp_path / "queue", endpoint, home)
    assert dict(result.outcomes) == {"queued": 3}
    first = queued(tmp_path / "queue")[0]
    assert (first.instruction, first.output) == (
        "Print the word cat five times, each on its own line.",
        (sources / "cat.bbj").read_text().rstrip(),
    )
    assert first.output in endpoint.questions[0]


def test_what_comes_waits_for_review(sources: Path, tmp_path: Path, home: Path) -> None:
    made(sources, tmp_path / "queue", Scripted(*ASKED), home)
    found = queued(tmp_path / "queue")
    assert {(each.origin, each.review, each.compiler) for each in found} == {("synthetic", "unreviewed", "compiles")}
    assert {why_not_trained(each) for each in found} == {"not-reviewed"}


def test_code_that_doesnt_compile_isnt_sent(sources: Path, tmp_path: Path, home: Path) -> None:
    (sources / "cat.bbj").write_text("BAD\n" * 5)
    (sources / "dog.bbj").write_text("LICENCE\n" * 5)
    endpoint = Scripted(*ASKED)
    result = made(sources, tmp_path / "queue", endpoint, home)
    assert dict(result.outcomes) == {"does-not-compile": 1, "not-judged": 1, "queued": 1}
    assert len(endpoint.questions) == 1


def test_without_a_compiler_nothing_is_asked(sources: Path, tmp_path: Path) -> None:
    endpoint = Scripted(*ASKED)
    with pytest.raises(UserInputError, match="no BBj compiler"):
        made(sources, tmp_path / "queue", endpoint, None)
    assert (endpoint.questions, (tmp_path / "queue").exists()) == ([], False)


def test_without_a_compiler_it_is_marked_so_where_that_is_wanted(sources: Path, tmp_path: Path) -> None:
    made(sources, tmp_path / "queue", Scripted(*ASKED), None, without_compiler=True)
    assert [each.compiler for each in queued(tmp_path / "queue")] == ["not-judged"] * 3


def test_secrets_and_what_is_too_short_or_long_isnt_sent(sources: Path, tmp_path: Path, home: Path) -> None:
    (sources / "cat.bbj").write_text('key$="ghp_' + "a1B2c3D4e5" * 3 + 'a1B2c3"\n' + "x=1\n" * 5)
    (sources / "dog.bbj").write_text("x=1\n")
    (sources / "cow.bbj").write_text("x=1\n" * 3000)
    endpoint = Scripted(*ASKED)
    assert dict(made(sources, tmp_path / "queue", endpoint, home).outcomes) == {
        "secret": 1, "too-short": 1, "too-long": 1,
    }  # fmt: skip
    assert endpoint.questions == []


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("", "no-instruction"),
        ("Print cats.", "no-instruction"),
        ("word " * 200, "no-instruction"),
        ("I'm sorry, I can't help with this program at all.", "no-instruction"),
        ('{"instruction": 7, "x": "a b c d e f g"}', "no-instruction"),
        ("Write this:\n```bbj\nprint 1\n```\nand nothing else please", "holds-code"),
        ('Set x$="a" and print it five times then', "holds-code"),
        (ASKED[0], "queued"),
        ("Print the word cat five times, each on its own line.", "queued"),
        (f"```json\n{ASKED[0]}\n```", "queued"),
    ],
)
def test_useless_answers_are_told_apart(sources: Path, tmp_path: Path, home: Path, answer: str, outcome: str) -> None:
    result = made(sources / "cat.bbj", tmp_path / "queue", Scripted(answer), home)
    assert dict(result.outcomes) == {outcome: 1}


def test_a_model_that_says_the_same_to_everything_fills_no_queue(sources: Path, tmp_path: Path, home: Path) -> None:
    result = made(sources, tmp_path / "queue", Scripted(ASKED[0]), home)
    assert dict(result.outcomes) == {"queued": 1, "repeated": 2}


def test_the_next_run_takes_up_where_the_last_one_ended(sources: Path, tmp_path: Path, home: Path) -> None:
    down = ConnectError("gone")
    first = made(sources, tmp_path / "queue", Scripted(ASKED[0], down), home)
    again = Scripted(ASKED[1], ASKED[2])
    second = made(sources, tmp_path / "queue", again, home)
    assert dict(first.outcomes) == {"queued": 1, "failed": 2}
    assert dict(second.outcomes) == {"done-before": 1, "queued": 2}
    assert len(queued(tmp_path / "queue")) == 3


def test_what_was_answered_is_kept_when_the_run_is_broken_off(sources: Path, tmp_path: Path, home: Path) -> None:
    class Broken(Scripted):
        def ask(self, system: str, question: str) -> str:
            if self.questions:
                raise KeyboardInterrupt
            return super().ask(system, question)

    with pytest.raises(KeyboardInterrupt):
        made(sources, tmp_path / "queue", Broken(ASKED[0]), home)
    assert len(queued(tmp_path / "queue")) == 1


def test_questions_that_fail_in_a_row_end_the_run(sources: Path, tmp_path: Path, home: Path) -> None:
    for number in range(9):
        (sources / f"{number}.bbj").write_text(f"print {number}\n" * 5)
    endpoint = Scripted(ConnectError("gone"))
    result = made(sources, tmp_path / "queue", endpoint, home)
    assert (len(endpoint.questions), result.stopped) == (5, "gone")


def test_the_oldest_log_can_be_read(sources: Path, tmp_path: Path, home: Path) -> None:
    source = next(read_sources([sources / "cat.bbj"], lambda _: None, Counted()))
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / LOG_NAME).write_text(
        '{"format": 1, "kind": "bbj-training-synthesis"}\n{"source": "%s", "outcome": "queued"}\n' % source.digest  # noqa: UP031 - braces
    )
    assert dict(made(sources / "cat.bbj", tmp_path / "queue", Scripted(), home).outcomes) == {"done-before": 1}


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def test_model_key_and_question_reach_the_server() -> None:
    with InstructingServer(["answer"]) as server:
        assert Endpoint(server.address, "m", "s3cret").ask("system", "question") == "answer"
    assert (server.asked[0]["model"], server.keys) == ("m", ["Bearer s3cret"])
    assert [each["content"] for each in server.asked[0]["messages"]] == ["system", "question"]


def test_the_key_is_in_no_description() -> None:
    assert "s3cret" not in repr(Endpoint("http://localhost", "m", "s3cret"))


def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    clock = Clock()
    busy = Reply(status=429, headers={"Retry-After": "7"})
    endless = Reply(status=503, headers={"Retry-After": "86400"})
    with InstructingServer([busy, endless, "answer"]) as server:
        assert Endpoint(server.address, "m", sleep=clock.sleep, clock=clock).ask("s", "q") == "answer"
    assert clock.waits == [7, 60]


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (Reply(b'{"error": "no such model"}', 404), ServerError, "HTTP 404"),
        (Reply(b"busy", 503), ServerError, "HTTP 503"),
        (Reply(b"<html>"), ServerError, "without a message"),
        (Reply(b"[]"), ServerError, "without a message"),
        (Reply(b'{"choices": []}'), ServerError, "without a message"),
        (Reply(b'{"choices": [{"message": {"content": null}}]}'), ServerError, "without a text"),
        (Reply(b"[" * 100_000), ServerError, "without a message"),
        (Reply(b"x" * (MAX_ANSWER_BYTES + 1)), ServerError, "more than"),
        (Reply(b'{"choices": [', headers={"Content-Encoding": "gzip"}), ConnectError, "can't be reached"),
    ],
)
def test_a_lying_server_ends_in_an_error_of_ours(reply: Reply, error: type[TransportError], said: str) -> None:
    clock = Clock()
    with InstructingServer([reply]) as server, pytest.raises(error, match=said):
        Endpoint(server.address, "m", sleep=clock.sleep, clock=clock).ask("s", "q")


def test_a_silent_server_is_given_up() -> None:
    clock = Clock()
    with InstructingServer([Reply(silent=True)]) as server, pytest.raises(StalledError, match="answer within"):
        Endpoint(server.address, "m", timeout_s=0.1, sleep=clock.sleep, clock=clock).ask("s", "q")
    assert len(server.asked) == 3


def test_no_server_is_said() -> None:
    with pytest.raises(ConnectError, match="can't be reached"):
        Endpoint("http://127.0.0.1:9/v1", "m").ask("s", "q")


@pytest.mark.parametrize("address", ["localhost:1", "ftp://x", "", "http://"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UserInputError, match="is no address"):
        Endpoint(address, "m")


def test_questions_keep_their_distance() -> None:
    clock = Clock()
    with InstructingServer(["answer"]) as server:
        endpoint = Endpoint(server.address, "m", interval_s=6, sleep=clock.sleep, clock=clock)
        endpoint.ask("s", "q")
        endpoint.ask("s", "q")
    assert clock.waits == [6]


def test_the_command_asks_filters_and_queues(
    sources: Path,
    tmp_path: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BBJ_TRAINER_API_KEY", "s3cret")
    queue = tmp_path / "queue"
    with InstructingServer([*ASKED[:2], "No."]) as server:
        arguments = ["data", "synthesize", str(sources), "--endpoint", server.address, "--model", "m"]
        assert main([*arguments, "--output", str(queue), "--compiler", str(home)]) == 0
    assert server.keys == ["Bearer s3cret"] * 3
    assert capsys.readouterr().out.splitlines() == [
        f"Waiting for review in {queue}: 2 examples",
        "  sources: no-instruction 1, queued 2",
    ]


def test_the_command_without_a_compiler_ends_with_2(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BBJ_HOME", raising=False)
    arguments = ["data", "synthesize", str(sources), "--endpoint", "http://127.0.0.1:9/v1", "--model", "m"]
    assert main([*arguments, "--output", str(tmp_path / "queue")]) == 2
