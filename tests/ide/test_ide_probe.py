"""What works with a model, asked as IDEs ask."""

from __future__ import annotations

import pytest

from bbj_desktop.core.errors import Cancelled
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.ide_probe import Address, Tried, try_out
from tests.fakes.openai_api import CHAT, IdeServer


def tried(
    server: IdeServer, *, completes: bool = False, ollama: bool = True, key: str | None = None
) -> dict[str, Tried]:
    base = server.address if ollama else None
    address = Address("bbj-coder:7b", f"{server.address}/v1", base, key)
    return {each.ability: each for each in try_out(address, completes=completes, cancel=Cancel())}


def test_everything_works_where_everything_is_there() -> None:
    with IdeServer() as server:
        found = tried(server)
    assert [each.ability for each in found.values() if not each.works] == []
    assert list(found) == [
        "chat",
        "streamed chat",
        "completion with suffix",
        "structured JSON",
        "tool calling",
        "Anthropic's format",
    ]


@pytest.mark.parametrize(
    ("kind", "ability", "answer", "reason"),
    [
        ("chat", "chat", (404, {"error": {"message": "model not found"}}), "HTTP 404: model not found"),
        ("chat", "chat", (200, {"choices": []}), "no choice"),
        ("chat", "chat", (200, {"choices": [{"message": {"content": " "}}]}), "empty"),
        ("chat", "chat", (200, "<html>"), "isn't JSON"),
        ("chat", "chat", (200, "[]"), "isn't an object"),
        ("stream", "streamed chat", (200, 'data: {"choices": []}\n\n'), "doesn't end with"),
        ("stream", "streamed chat", (500, {"error": "out of memory"}), "HTTP 500: out of memory"),
        ("suffix", "completion with suffix", (400, {"error": "does not support insert"}), "does not support insert"),
        ("suffix", "completion with suffix", (200, {}), "no text"),
        ("json", "structured JSON", (200, CHAT), "isn't JSON"),
        ("json", "structured JSON", (200, {"choices": [{"message": {"content": "{}"}}]}), "schema"),
        ("tools", "tool calling", (200, CHAT), "called no tool"),
        ("anthropic", "Anthropic's format", (404, "page not found"), "HTTP 404"),
        ("anthropic", "Anthropic's format", (200, {"content": "yes"}), "no content"),
    ],
)
def test_what_is_missing_is_said(
    kind: str, ability: str, answer: tuple[int, dict[str, object] | str], reason: str
) -> None:
    with IdeServer({kind: answer}) as server:
        found = tried(server)
    assert not found[ability].works
    assert reason in found[ability].reason
    assert [each.ability for each in found.values() if not each.works] == [ability]


def test_a_completion_model_is_asked_for_completions_only() -> None:
    with IdeServer() as server:
        assert list(tried(server, completes=True)) == ["completion with suffix"]


def test_where_there_is_no_ollama_the_openai_address_gets_the_suffix() -> None:
    with IdeServer() as server:
        assert tried(server, completes=True, ollama=False)["completion with suffix"].works
        assert server.asked["suffix"]["suffix"] == '"\n'
        assert "max_tokens" in server.asked["suffix"]


def test_the_key_is_sent() -> None:
    with IdeServer(key="secret") as server:
        assert tried(server, key="secret")["chat"].works
        assert not tried(server, key="other")["chat"].works


def test_a_server_that_is_not_there_is_said(free_tcp_port: int) -> None:
    address = Address("bbj-coder:7b", f"http://127.0.0.1:{free_tcp_port}/v1")
    first = next(try_out(address, completes=False, cancel=Cancel()))
    assert first.reason.startswith("No answer")


def test_it_ends_between_two_questions() -> None:
    cancel = Cancel()
    with IdeServer() as server:
        questions = try_out(Address("bbj-coder:7b", f"{server.address}/v1"), completes=False, cancel=cancel)
        next(questions)
        cancel.cancel()
        with pytest.raises(Cancelled):
            next(questions)
