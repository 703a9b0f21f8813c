"""A stand-in for llama.cpp's ``llama-server``: its command line, its key file and the part of its protocol that is used
here. No model: it answers what the prompt tells it to do.

``die:NAME`` in a prompt kills it by that signal after the first piece, ``exit:N`` ends it with a status, ``slow`` never
ends the answer; everything else is said back word by word.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


class BreakOffError(Exception):
    """As if it had died."""


class StandIn:
    """The server.

    Attributes:
        gone: Set when a client left in the middle of an answer.
        bodies: Of the requests, in order.
        before_answer: Called with each request before anything is said.
        before_end: Called before the last piece of a stream.
    """

    def __init__(self, key: str, port: int = 0, *, fills_in: bool = True) -> None:
        self.key = key
        self.fills_in = fills_in
        self.gone = threading.Event()
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.before_answer: Callable[[], object] = lambda: None
        self.before_end: Callable[[], object] = lambda: None
        stand_in = self

        class Handler(_Handler):
            server_of = stand_in

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.daemon_threads = True

    @staticmethod
    def break_off() -> object:
        """For the two above: ends the connection there."""
        raise BreakOffError

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_of: StandIn

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""

    def do_GET(self) -> None:
        self._say(200 if self.path == "/health" else 404, {"status": "ok"})

    def do_POST(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {self.server_of.key}":
            self._say(401, {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}})
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server_of.bodies.append((self.path, body))
        if self.path == "/infill" and not self.server_of.fills_in:
            self._say(501, {"error": {"code": 501, "message": "Infill is not supported by this model"}})
            return
        try:
            self.server_of.before_answer()
            self._answer(body)
        except BreakOffError:
            self.close_connection = True
        except ConnectionError:
            self.server_of.gone.set()

    def _answer(self, body: dict[str, Any]) -> None:
        prompt = self._prompt(body)
        if not body.get("stream"):
            self._say(200, self._event(" ".join(_words(prompt)), last=True, whole=True))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for word in _words(prompt):
            self._send(self._event(word, last=False))
            _obey(prompt)
        self.server_of.before_end()
        self._send(self._event("", last=True))
        self.wfile.write(b"data: [DONE]\n\n")

    def _prompt(self, body: dict[str, Any]) -> str:
        if self.path == "/infill":
            return f"{body['input_prefix']}|{body['input_suffix']}"
        messages = body.get("messages")
        return str(messages[-1]["content"] if messages else body.get("prompt", ""))

    def _event(self, text: str, *, last: bool, whole: bool = False) -> dict[str, Any]:
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        if self.path == "/infill":
            more = {"stop_type": "eos", "tokens_predicted": 2, "tokens_evaluated": 3} if last else {}
            return {"content": text, "stop": last} | more
        kind = "message" if whole else "delta"
        content: dict[str, Any] = {"text": text} if self.path == "/v1/completions" else {kind: {"content": text}}
        choice = {"index": 0, "finish_reason": "stop" if last else None} | content
        return {"choices": [choice], "model": "bbj-desktop"} | ({"usage": usage} if last else {})

    def _send(self, event: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()

    def _say(self, status: int, value: dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _words(prompt: str) -> Iterator[str]:
    yield from prompt.split()
    while "slow" in prompt:
        yield "and so on "


def _obey(prompt: str) -> None:
    if found := re.search(r"die:(\w+)", prompt):
        os.kill(os.getpid(), signal.Signals[found[1]])
        threading.Event().wait()  # the signal may reach another thread first
    if found := re.search(r"exit:(\d+)", prompt):
        os._exit(int(found[1]))


def main() -> int:
    """As ``llama-server`` is called."""
    parser = argparse.ArgumentParser()
    for option in (
        "model",
        "ctx-size",
        "parallel",
        "threads",
        "threads-batch",
        "host",
        "port",
        "api-key-file",
        "alias",
    ):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--jinja", action="store_true")
    parser.add_argument("--chat-template-file")
    parser.add_argument("--lora")
    arguments = parser.parse_args()
    if Path(arguments.model).read_bytes()[:4] != b"GGUF":
        sys.stderr.write("llama_model_load: error loading model: invalid magic characters\n")
        return 1
    key = Path(arguments.api_key_file).read_text(encoding="utf-8").strip()
    StandIn(key, int(arguments.port)).http.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
