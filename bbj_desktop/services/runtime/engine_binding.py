"""llama-cpp-python behind the part of llama.cpp's server protocol that is used here.

The package has a server of its own, which needs more packages and doesn't check keys in constant time. Runs in the
engine's process, so a crash in native code ends nothing else. One answer at a time; a client that goes away ends its
answer with the next token (the prompt is read to its end before that: the library can't be interrupted there).
"""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any

from bbj_desktop.services.runtime.engine_host import MODEL_ALIAS

_MAX_BODY_BYTES = 16 * 1024 * 1024
_SOCKET_TIMEOUT_S = 30.0
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "seed", "stop")


class CannotError(Exception):
    """A wish that this engine can't fulfil, and wouldn't without a word."""


class TooLongError(Exception):
    """A prompt that doesn't fit.

    Attributes:
        prompt_tokens: What it has.
    """

    def __init__(self, prompt_tokens: int) -> None:
        super().__init__(f"the request ({prompt_tokens} tokens) exceeds the available context size")
        self.prompt_tokens = prompt_tokens


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer; the last one has an end and numbers."""

    text: str
    finish_reason: str | None = None
    numbers: dict[str, Any] | None = None


class Binding:
    """A loaded model.

    Args:
        model: Path of the GGUF.
        context_length: Tokens.
        chat_template: Jinja; empty takes the GGUF's own.
        threads: Of the processor.
        adapter: Path of a LoRA adapter; empty for none.

    Raises:
        ImportError: The package isn't installed.
        ValueError: It can't load the model.
    """

    def __init__(self, model: str, context_length: int, chat_template: str, threads: int, adapter: str) -> None:
        from llama_cpp import Llama
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        self.context_length = context_length
        self._lock = threading.Lock()
        self._llama = Llama(
            model,
            n_ctx=context_length,
            n_threads=threads,
            n_threads_batch=threads,
            lora_path=adapter or None,
            verbose=True,  # to stderr, which is the log
        )
        template = chat_template or str(self._llama.metadata.get("tokenizer.chat_template", ""))
        self._format = Jinja2ChatFormatter(
            template=template,
            eos_token=self._text(self._llama.token_eos()),
            bos_token=self._text(self._llama.token_bos()),
        )

    def _text(self, token: int) -> str:
        return "" if token < 0 else self._llama.detokenize([token], special=True).decode(errors="replace")

    def _ends(self, stop: object, prompt_tokens: int) -> Any:
        """Stop words that are control tokens have no text by which the library would see them. (The prompt itself may
        end with one.)"""
        from llama_cpp import StoppingCriteriaList

        words = stop if isinstance(stop, list) else [stop]
        found = [
            self._llama.tokenize(each.encode(), add_bos=False, special=True) for each in words if isinstance(each, str)
        ]
        ends = {tokens[0] for tokens in found if len(tokens) == 1 and not self._llama.detokenize(tokens)}

        def ended(tokens: Sequence[int], _: object) -> bool:
            return len(tokens) > prompt_tokens and int(tokens[-1]) in ends

        return StoppingCriteriaList([ended]) if ends else None

    def answer(self, body: dict[str, Any]) -> Generator[Piece]:
        """Answers a chat (``messages``) or continues a text (``prompt``).

        Raises:
            CannotError: Tools are asked for, a format of the answer that isn't JSON, or a wrong ``logit_bias``.
            TooLongError: It doesn't fit.
        """
        if body.get("tools") or body.get("functions"):
            raise CannotError("tools aren't supported by the engine llama-cpp-python")
        if "messages" in body:
            formatted = self._format(messages=body["messages"])
            tokens = self._llama.tokenize(formatted.prompt.encode(), add_bos=not formatted.added_special, special=True)
        else:
            tokens = self._llama.tokenize(str(body.get("prompt", "")).encode(), special=True)
        if len(tokens) >= self.context_length:
            raise TooLongError(len(tokens))
        with self._lock:
            if body.get("cache_prompt") is False:
                self._llama.reset()
            yield from self._pieces(tokens, body)

    def _pieces(self, tokens: list[int], body: dict[str, Any]) -> Generator[Piece]:
        chosen = {name: body[name] for name in _SAMPLING if body.get(name) is not None}
        ends = self._ends(chosen.get("stop"), len(tokens))
        chosen |= {"logit_bias": _bias(body.get("logit_bias")), "stopping_criteria": ends}
        chosen["grammar"] = _grammar(body.get("response_format"))
        most = int(body.get("max_tokens") or -1)
        began, first, count, reason = time.monotonic(), 0.0, 0, "stop"
        stream = self._llama.create_completion(tokens, max_tokens=most, stream=True, **chosen)
        with closing(stream):
            for chunk in stream:
                choice = chunk["choices"][0]
                first = first or time.monotonic()
                reason = choice.get("finish_reason") or reason
                if choice["text"]:
                    count += 1
                    yield Piece(choice["text"])
        now = time.monotonic()
        read_s, wrote_s = max(first - began, 1e-9), max(now - first, 1e-9)
        usage = {"prompt_tokens": len(tokens), "completion_tokens": count, "total_tokens": len(tokens) + count}
        speeds = {"prompt_per_second": len(tokens) / read_s, "predicted_per_second": max(count - 1, 0) / wrote_s}
        yield Piece("", reason, {"usage": usage, "timings": speeds})


def _bias(said: object) -> dict[int, float] | None:
    """OpenAI's ``{"token": bias}``. Raises CannotError for another form, which llama.cpp's own server takes."""
    if not said:
        return None
    try:
        return {int(token): float(bias) for token, bias in dict(said).items()}  # type: ignore[call-overload]
    except (ValueError, TypeError) as error:
        raise CannotError(f'logit_bias must be {{"number of a token": bias}}: {error}') from error


def _grammar(wanted: object) -> Any:
    """Of OpenAI's ``response_format``: ``json_object`` or ``json_schema``; None for plain text. Raises CannotError."""
    from llama_cpp import LlamaGrammar
    from llama_cpp.llama_grammar import JSON_GBNF

    said: dict[str, Any] = wanted if isinstance(wanted, dict) else {"type": "text"}
    inner = said.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else said.get("schema")
    if said.get("type") == "text":
        return None
    if said.get("type") not in ("json_object", "json_schema"):
        raise CannotError(f"there is no response_format {said.get('type')!r}")
    if schema is None:
        return LlamaGrammar.from_string(JSON_GBNF, verbose=False)
    try:
        return LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CannotError(f"this JSON schema isn't understood: {error}") from error


def serve(binding: Binding, key: str) -> str:
    """Starts to answer on a thread. Returns the address."""

    class Handler(_Handler):
        pass

    Handler.binding, Handler.key = binding, key
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    binding: Binding
    key: str
    timeout = _SOCKET_TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Requests are nobody's business here."""

    def do_GET(self) -> None:
        if self.path == "/health":
            self._say(HTTPStatus.OK, {"status": "ok"})
        elif self._known():
            found = self.path == "/v1/models"
            models = {"object": "list", "data": [{"id": "model", "object": "model"}]}
            self._say(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND, models if found else _error("not found"))

    def do_POST(self) -> None:
        if not self._known():
            return
        if self.path not in ("/v1/chat/completions", "/v1/completions"):
            self._say(HTTPStatus.NOT_IMPLEMENTED, _error(f"the engine llama-cpp-python has no {self.path}"))
            return
        length = int(self.headers.get("Content-Length") or 0)
        try:
            body = json.loads(self.rfile.read(length)) if 0 < length <= _MAX_BODY_BYTES else None
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._say(HTTPStatus.BAD_REQUEST, _error("the body isn't a JSON object"))
            return
        try:
            self._answer(body)
        except TooLongError as error:
            more = {"type": "exceed_context_size_error", "n_prompt_tokens": error.prompt_tokens}
            self._say(HTTPStatus.BAD_REQUEST, {"error": {"code": 400, "message": str(error)} | more})
        except CannotError as error:
            self._say(HTTPStatus.BAD_REQUEST, _error(str(error)))
        except ConnectionError:
            self.close_connection = True  # it went away: the answer has been ended with it

    def _known(self) -> bool:
        given = self.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode(), f"Bearer {self.key}".encode()):
            return True
        self._say(HTTPStatus.UNAUTHORIZED, _error("Invalid API Key"))
        return False

    def _answer(self, body: dict[str, Any]) -> None:
        chat = "messages" in body
        with closing(self.binding.answer(body)) as pieces:
            first = next(pieces)  # what is wrong with the request shows here, while another status can still be said
            if not body.get("stream"):
                self._say(HTTPStatus.OK, _whole([first, *pieces], chat=chat))
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for piece in chain((first,), pieces):
                self._event(_chunk(piece, chat=chat))
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()

    def _say(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _error(text: str) -> dict[str, Any]:
    return {"error": {"code": 400, "message": text, "type": "invalid_request_error"}}


def _chunk(piece: Piece, *, chat: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"delta": {"content": piece.text} if piece.text else {}} if chat else {"text": piece.text}
    choice = {"index": 0, "finish_reason": piece.finish_reason} | content
    kind = "chat.completion.chunk" if chat else "text_completion"
    return {"object": kind, "model": MODEL_ALIAS, "choices": [choice]} | (piece.numbers or {})


def _whole(pieces: list[Piece], *, chat: bool) -> dict[str, Any]:
    text, last = "".join(piece.text for piece in pieces), pieces[-1]
    content: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    choice = {"index": 0, "finish_reason": last.finish_reason} | content
    kind = "chat.completion" if chat else "text_completion"
    return {"object": kind, "model": MODEL_ALIAS, "choices": [choice]} | (last.numbers or {})
