"""An Ollama server that behaves as ``docs/ollama.md`` (facts measured on 0.24.0 and 0.33.0-rc2) records.

Each answer cites its line there, with words of it; what isn't recorded there is as Ollama's own ``docs/api.md`` says.
What isn't called there, or is called with fields that aren't known there, is a problem: leaving the
``with`` block fails the test with the list of problems.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self

from tests.fakes.ollama_models import BrokenManifestError, FolderBlobs, FolderModels, Model, model_of
from tests.fakes.ollama_pulling import Partial, PullError, pulled

__all__ = ["FIELDS", "OPTIONS", "FakeOllama", "Fault", "Model"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_UPSTREAM_RUNNER = (0, 30)  # ollama.md:3 `From 0.30 on Ollama runs GGUFs with an upstream`

FIELDS: dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = {
    ("POST", "/api/create"): (
        frozenset({"model", "files"}),
        frozenset({"template", "system", "parameters", "license", "stream", "adapters"}),
    ),
    ("POST", "/api/show"): (frozenset({"model"}), frozenset()),
    ("POST", "/api/copy"): (frozenset({"source", "destination"}), frozenset()),
    ("DELETE", "/api/delete"): (frozenset({"model"}), frozenset()),
    ("POST", "/api/chat"): (
        frozenset({"model", "messages", "options", "truncate", "stream"}),
        frozenset({"keep_alive", "_debug_render_only"}),
    ),
    ("POST", "/api/pull"): (frozenset({"model", "insecure"}), frozenset()),
    ("POST", "/api/generate"): (
        frozenset({"model"}),
        frozenset({"keep_alive", "stream", "prompt", "raw", "truncate", "options"}),
    ),
}
"""What a request must and may have in its body."""
OPTIONS = frozenset({"num_ctx", "temperature", "top_p", "seed", "num_predict", "num_thread", "stop", "repeat_penalty"})


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next requests to a path.

    Attributes:
        kind: ``drop`` cuts the connection after ``after`` lines, ``error`` sends an error line there, ``hang`` says
            nothing from there on until the client goes away, ``status`` answers 500 at once.
        text: Of the error.
        times: How often.
    """

    kind: Literal["drop", "error", "hang", "status"]
    after: int = 0
    text: str = "something went wrong"
    times: int = 1


@dataclass
class FakeOllama:
    """A server on a loopback port.

    Attributes:
        version: What ``/api/version`` says; decides which behaviour is shown.
        answer: Pieces of every answer.
        answers: Pieces of the next answers, taken before ``answer``.
        piece_s: Seconds between them.
        blobs: Content by digest.
        models: By name.
        loaded: Names in memory.
        requests: ``METHOD /path`` of all requests in their order.
        bodies: Parsed JSON bodies by path, the last one.
        problems: What no real client of ours should have sent.
        abandoned: Answers that the client cut.
        tls: Speak https with this context.
        port: To listen on; 0 takes a free one.
        host: Likewise; an address of this machine.
        show_override: Fields that ``/api/show`` answers instead of the true ones.
        folder: Where blobs and manifests lie; None keeps them in memory.
        part_bytes: Length of the parts in which blobs are pulled.
        service_user: It is another user's: what it didn't write itself it can't change.
        own: Digests of the blobs that it wrote itself.
        partials: What has arrived of unfinished pulls.
        written_bytes: Of blobs, into its store.
        rendered: What ``_debug_render_only`` shows instead of ChatML.
        vram_share: How much of a model lies in graphics memory.
        on_hang: Called when it says nothing any more.
        busy: Requests that are being answered.
    """

    version: str = "0.33.0"
    answer: Sequence[str] = ("PRINT", ' "Hello', ' BBj"')
    answers: list[Sequence[str]] = field(default_factory=list)
    piece_s: float = 0.0
    blobs: MutableMapping[str, bytes] = field(default_factory=dict)
    models: MutableMapping[str, Model] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    bodies: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    abandoned: int = 0
    show_override: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    port: int = 0
    host: str = "127.0.0.1"
    folder: Path | None = None
    part_bytes: int = 100_000_000  # ollama.md:22 `blobs over 100 MB`
    service_user: bool = False
    own: set[str] = field(default_factory=set)
    partials: dict[str, Partial] = field(default_factory=dict)
    written_bytes: int = 0
    rendered: str | None = None
    vram_share: float = 0.0
    on_hang: Callable[[], None] | None = None
    busy: int = 0

    def __post_init__(self) -> None:
        self._counting = threading.Lock()
        if self.folder is not None:
            blobs = FolderBlobs(self.folder)
            self.blobs, self.models = blobs, FolderModels(self.folder, blobs)
            self.models.prune()
        self.stopping = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def address(self) -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{self.host}:{self._server.server_address[1]}"

    @property
    def rewrites(self) -> bool:
        """ollama.md:16 `New versions rewrite every model GGUF`."""
        return self.numbers >= _UPSTREAM_RUNNER

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("-")[0].split("."))

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Counts the requests that are being answered: those of clients that were killed, too."""
        with self._counting:
            self.busy += 1
        try:
            yield
        finally:
            with self._counting:
                self.busy -= 1

    def count_written(self, count: int) -> None:
        with self._counting:
            self.written_bytes += count

    def put_manifest(self, name: str, manifest: bytes) -> None:
        if isinstance(self.models, FolderModels):
            self.models.put(name, manifest)
        else:
            self.models[name] = model_of(manifest, self.blobs)

    def drop_unnamed(self, model: Model) -> None:
        """The layers of a deleted model that no other one names go with it."""
        named = {digest for other in self.models.values() for digest in other.digests}
        for digest in model.digests - named:
            self.blobs.pop(digest, None)

    def stop(self) -> None:
        """Goes away as a server does that is ended."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if not self.stopping.is_set():
            self.stop()
        if error is None:
            assert not self.problems, self.problems

    def take_fault(self, path: str) -> Fault | None:
        fault = self.faults.get(path)
        if fault is None:
            return None
        if fault.times <= 1:
            del self.faults[path]
        else:
            self.faults[path] = Fault(fault.kind, fault.after, fault.text, fault.times - 1)
        return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeOllama) -> None:
        self.fake = fake
        super().__init__((fake.host, fake.port), _Handler)
        if fake.tls is not None:
            self.socket = fake.tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        del request, client_address
        error = sys.exception()
        if isinstance(error, OSError):  # the client went away
            self.fake.abandoned += 1
        else:
            self.fake.problems.append(f"the fake itself failed: {error!r}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def finish(self) -> None:
        with contextlib.closing(self.rfile), contextlib.suppress(OSError):  # what is still buffered may find nobody
            super().finish()

    @property
    def fake(self) -> FakeOllama:
        return self.server.fake

    def do_GET(self) -> None:
        self._route("GET")

    def do_HEAD(self) -> None:
        self._route("HEAD")

    def do_POST(self) -> None:
        self._route("POST")

    def do_DELETE(self) -> None:
        self._route("DELETE")

    def _route(self, method: str) -> None:
        with self.fake.at_work():
            self._answer(method)

    def _answer(self, method: str) -> None:
        fake = self.fake
        fake.requests.append(f"{method} {self.path}")
        self._fault = fake.take_fault(self.path.partition("/sha256")[0])
        if self.headers.get("Origin"):
            fake.problems.append(f"{method} {self.path} carries an Origin")
        if self._fault is not None and self._fault.kind == "status":
            self._drain()
            return self._json(500, {"error": self._fault.text})
        if self.path.startswith("/api/blobs/") and method in {"HEAD", "POST"}:
            return self._blob(method, self.path.removeprefix("/api/blobs/"))
        body = self._body(method)
        call = self._calls().get((method, self.path))
        if call is None:
            fake.problems.append(f"unknown request: {method} {self.path}")
            return self._json(404, {"error": "unknown to the fake"})
        try:
            return call(body)
        except BrokenManifestError:  # ollama.md:25 `a half-written manifest gives 500`
            return self._json(500, {"error": "unexpected EOF"})

    def _calls(self) -> dict[tuple[str, str], Callable[[dict[str, Any]], None]]:
        return {
            # docs/api.md of Ollama, "Version" and "List Local Models"
            ("GET", "/api/version"): lambda _: self._json(200, {"version": self.fake.version}),
            ("GET", "/api/tags"): lambda _: self._models(self.fake.models),
            ("GET", "/api/ps"): lambda _: self._models(self.fake.loaded & self.fake.models.keys()),
            ("POST", "/api/show"): self._show,
            ("POST", "/api/create"): self._create,
            ("POST", "/api/copy"): self._copy,
            ("POST", "/api/pull"): self._pull,
            ("DELETE", "/api/delete"): self._delete,
            ("POST", "/api/chat"): self._chat,
            ("POST", "/api/generate"): lambda body: self._complete(body) if body.get("prompt") else self._unload(body),
        }

    def _models(self, names: Iterable[str]) -> None:
        # ollama.md:54 `leaves out process overhead`
        entries = [self._entry(name) for name in names]
        share = self.fake.vram_share
        self._json(200, {"models": [{**each, "size_vram": int(each["size"] * share)} for each in entries]})

    def _body(self, method: str) -> dict[str, Any]:
        raw = self._drain()
        body = json.loads(raw) if raw else {}
        self.fake.bodies[self.path] = body
        required, allowed = FIELDS.get((method, self.path), (frozenset(), frozenset()))
        problems = [f"lacks {name}" for name in required - body.keys()]
        problems += [f"has the unknown field {name}" for name in body.keys() - required - allowed]
        problems += [f"has the unknown option {name}" for name in body.get("options", {}).keys() - OPTIONS]
        problems += [f"has the unknown parameter {name}" for name in body.get("parameters", {}).keys() - OPTIONS]
        self.fake.problems += [f"{method} {self.path} {problem}" for problem in problems]
        return dict(body)

    def _drain(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if len(raw) < length:  # the client was killed between head and body
            raise ConnectionResetError
        return raw

    # -- blobs

    def _blob(self, method: str, digest: str) -> None:
        if not _DIGEST.fullmatch(digest):
            return self._json(400, {"error": "invalid digest format"})  # ollama.md:20 `malformed digest 400`
        if method == "HEAD":
            return self._empty(200 if digest in self.fake.blobs else 404)  # ollama.md:20 `200/404`
        if "Content-Length" not in self.headers:
            self.fake.problems.append("a blob without Content-Length")
            return self._json(411, {"error": "length required"})
        content = self._receive(int(self.headers["Content-Length"]))
        known = digest in self.fake.blobs
        true = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.fake.own.add(true)
        self.fake.count_written(len(content))
        self.fake.blobs[true] = content  # ollama.md:20 `the bytes stay stored under their true digest`
        if true != digest:  # ollama.md:20 `wrong content 400`
            return self._json(400, {"error": f'digest mismatch, expected "{digest}", got "{true}"'})
        return self._empty(200 if known else 201)  # ollama.md:20 `201, again 200`

    def _receive(self, length: int) -> bytes:
        pieces: list[bytes] = []
        while length:
            if self._fault is not None and self._fault.kind == "drop" and len(pieces) >= self._fault.after:
                self.close_connection = True
                raise ConnectionAbortedError
            piece = self.rfile.read(min(length, 65536))
            if not piece:
                raise ConnectionResetError
            time.sleep(self.fake.piece_s)
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    # -- models

    def _entry(self, name: str) -> dict[str, Any]:
        model = self.fake.models[name]
        size = len(self.fake.blobs.get(model.blob, b""))
        return {"name": name, "model": name, "digest": model.digest, "size": size, "details": {"family": "llama"}}

    def _unknown(self, name: str) -> None:
        # ollama.md:59 `model 'x' not found`
        self._json(404, {"error": f"model '{name}' not found"})

    def _create(self, body: dict[str, Any]) -> None:
        name, files = body["model"], body["files"]
        (file_name, digest), *_ = files.items()
        if not file_name.endswith(".gguf"):  # ollama.md:60 `a name without`
            return self._json(400, {"error": "unknown type"})
        if digest not in self.fake.blobs:  # ollama.md:60 `no such file or directory`
            path = f"/models/blobs/{digest.replace(':', '-')}"
            self._stream([{"error": f"open {path}: no such file or directory"}])
            return None
        wrong = self._wrong_with(body.get("adapters"))
        if wrong:
            return self._json(400, {"error": wrong})
        content = self.fake.blobs[digest]
        if not content.startswith(b"GGUF") and self.fake.rewrites:  # ollama.md:62 `bad GGUF (new)`
            return self._json(500, {"error": "failed to validate GGUF with llama-quantize: exit status 1"})
        if body.get("template", "").count("{{") != body.get("template", "").count("}}"):
            # ollama.md:61 `unclosed action`
            self._stream([{"status": "parsing GGUF"}, {"error": "template error: template: :1: unclosed action"}])
            return None
        self._stream(self._creation(name, digest, body))
        return None

    def _wrong_with(self, adapters: Mapping[str, str] | None) -> str:
        # ollama.md:18 `"adapters":{}`, and `only one adapter is currently supported`
        if adapters is None:
            return ""
        if not adapters or not all(name.endswith(".gguf") for name in adapters):
            return "unknown type"
        if self.fake.numbers >= (0, 34, 1):
            return "ADAPTER is not supported"  # ollama.md:19 `reported to reject`; its words aren't recorded
        if len(adapters) > 1:
            return "only one adapter is currently supported"
        (digest,) = adapters.values()
        if digest not in self.fake.blobs:
            return f"open /models/blobs/{digest.replace(':', '-')}: no such file or directory"
        return "" if b"adapter" in self.fake.blobs[digest][:4096] else "not an adapter"

    def _creation(self, name: str, digest: str, body: dict[str, Any]) -> Iterator[dict[str, str]]:
        """ollama.md:14 `{"status":"parsing GGUF"}`. The model is there before "success", not if it breaks off."""
        yield {"status": "parsing GGUF"}
        yield {"status": f"using existing layer {digest}"}
        served = self._copied(digest)
        yield {"status": f"creating new layer {served}"}
        yield {"status": "writing manifest"}
        licences = body.get("license", ())
        self.fake.models[name] = Model(
            blob=served,
            template=body.get("template", ""),
            system=body.get("system", ""),
            parameters=body.get("parameters", {}),
            licences=(licences,) if isinstance(licences, str) else tuple(licences),
            adapter=next(iter(body.get("adapters", {}).values()), None),
        )
        yield {"status": "success"}

    def _copied(self, digest: str) -> str:
        """ollama.md:16 `the stored digest differs`, ollama.md:16 `COPY is idempotent`. (Here: another last word.)"""
        content = self.fake.blobs[digest]
        if not self.fake.rewrites or content.endswith(b"COPY"):
            return digest
        content = content[:-4] + b"COPY"
        served = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.fake.own.add(served)
        self.fake.count_written(len(content))
        self.fake.blobs[served] = content
        return served

    def _show(self, body: dict[str, Any]) -> None:
        # ollama.md:49 `modelfile, parameters` (text), …
        model = self.fake.models.get(body["model"])
        if model is None:
            return self._unknown(body["model"])
        shown = {
            "modelfile": f"# Modelfile\n\n{_layers(model)}TEMPLATE …\n",
            "parameters": "\n".join(_printed(model.parameters)),
            "template": model.template,
            "details": {"family": "llama"},
            "model_info": {},
            "license": "\n".join(model.licences),
            "capabilities": ["completion"],
        }
        if model.system:
            shown["system"] = model.system
        return self._json(200, shown | self.fake.show_override)

    def _copy(self, body: dict[str, Any]) -> None:
        # ollama.md:23 `leave the blobs intact`
        models, source = self.fake.models, body["source"]
        if source not in models:
            return self._unknown(source)
        if self._is_foreign(models[source]):  # ollama.md:26 `operation not permitted`
            path = f"/models/blobs/{models[source].blob.replace(':', '-')}"
            return self._json(500, {"error": f"chtimes {path}: operation not permitted"})
        if isinstance(models, FolderModels):
            models.copy(source, body["destination"])
        else:
            models[body["destination"]] = models[source]
        return self._empty(200)

    def _delete(self, body: dict[str, Any]) -> None:
        model = self.fake.models.get(body["model"])
        if model is None:
            return self._unknown(body["model"])
        if self._is_foreign(model):  # ollama.md:26 `permission denied`
            return self._json(500, {"error": f"remove /models/manifests/{body['model']}: permission denied"})
        del self.fake.models[body["model"]]
        self.fake.drop_unnamed(model)
        return self._empty(200)

    def _is_foreign(self, model: Model) -> bool:
        return self.fake.service_user and model.blob not in self.fake.own

    def _pull(self, body: dict[str, Any]) -> None:
        """ollama.md:23 `{"status":"pulling manifest"}`; ollama.md:15 `an error is the last line`."""

        def lines() -> Iterator[dict[str, Any]]:
            try:
                yield from pulled(self.fake, body["model"], insecure=bool(body.get("insecure")))
            except PullError as error:
                yield {"error": str(error)}

        self._stream(lines())

    def _unload(self, body: dict[str, Any]) -> None:
        # ollama.md:52 `unload`
        if body.get("keep_alive") != 0:
            self.fake.problems.append("generate without a prompt is used for unloading only")
        if body["model"] not in self.fake.models:
            return self._unknown(body["model"])
        self.fake.loaded.discard(body["model"])
        answer = {"model": body["model"], "created_at": _NOW, "response": "", "done": True, "done_reason": "unload"}
        return self._json(200, answer)

    # -- chat

    def _chat(self, body: dict[str, Any]) -> None:
        name, options = body["model"], body["options"]
        if "num_ctx" not in options:
            self.fake.problems.append("chat without num_ctx")
        if name not in self.fake.models:
            return self._unknown(name)
        self.fake.loaded.add(name)
        if body.get("_debug_render_only") and self.fake.rewrites:  # ollama.md:48 `shows the rendered prompt`
            return self._json(200, {"model": name, "_debug_info": {"rendered_template": self._rendered(body)}})
        words = sum(len(message["content"].split()) for message in body["messages"])
        # ollama.md:53 `4096 without VRAM`, and `truncate:false` refuses instead of cutting
        if words > options.get("num_ctx", 4096) and body.get("truncate") is False:
            return self._json(400, {"error": self._too_long(words, options["num_ctx"])})
        return self._write(body, lambda piece: {"message": {"role": "assistant", "content": piece}})

    def _complete(self, body: dict[str, Any]) -> None:
        # ollama.md:48 `with FIM tokens in the prompt works`
        if body.get("raw") is not True or "num_ctx" not in body["options"]:
            self.fake.problems.append("a completion that isn't raw, or without num_ctx")
        if body["model"] not in self.fake.models:
            return self._unknown(body["model"])
        self.fake.loaded.add(body["model"])
        words = len(body["prompt"].split())
        if words > body["options"]["num_ctx"] and body.get("truncate") is False:
            return self._json(400, {"error": self._too_long(words, body["options"]["num_ctx"])})
        return self._write(body, lambda piece: {"response": piece})

    def _write(self, body: dict[str, Any], said: Callable[[str], dict[str, Any]]) -> None:
        name, options = body["model"], body["options"]
        answer = self.fake.answers.pop(0) if self.fake.answers else self.fake.answer
        pieces = list(answer)[: options.get("num_predict")]
        # ollama.md:52 `last one adds `: the reason it ended, and durations in nanoseconds
        cut = len(pieces) < len(answer)
        lines = [{"model": name, "created_at": _NOW, **said(piece), "done": False} for piece in pieces]
        last = {
            "model": name,
            "created_at": _NOW,
            **said(""),
            "done": True,
            "done_reason": "length" if cut else "stop",
            "total_duration": 900_000_000,
            "load_duration": 250_000_000,
            "prompt_eval_count": 20,
            "prompt_eval_duration": 100_000_000,
            "eval_count": len(pieces),
            "eval_duration": len(pieces) * 50_000_000,
        }
        if body.get("stream") is False:
            return self._json(200, {**last, **said("".join(pieces))})
        self._stream([*lines, last])
        return None

    def _rendered(self, body: dict[str, Any]) -> str:
        """ChatML, whatever the template: Go's templates aren't known here."""
        if self.fake.rendered is not None:
            return self.fake.rendered
        messages = list(body["messages"])
        system = self.fake.models[body["model"]].system
        if system and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": system})
        turns = [f"<|im_start|>{each['role']}\n{each['content']}<|im_end|>\n" for each in messages]
        return "".join(turns) + "<|im_start|>assistant\n"

    def _too_long(self, words: int, context: int) -> str:
        if not self.fake.rewrites:  # ollama.md:53 `in new versions`
            return "the input length exceeds the context length"
        said = f"request ({words} tokens) exceeds the available context size ({context} tokens), try increasing it"
        details = {"code": 400, "message": said, "type": "exceed_context_size_error"}
        return json.dumps({"error": {**details, "n_prompt_tokens": words, "n_ctx": context}})  # JSON inside the text

    # -- HTTP

    def _json(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _empty(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _stream(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Sends NDJSON; ollama.md:15 `HTTP stays 200`, whatever comes."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        iterator = iter(lines)
        number = 0
        while self._fault is None or number < self._fault.after:
            line = next(iterator, None)
            if line is None:
                if self._client_is_gone():
                    self.fake.abandoned += 1
                return self._chunk(b"")
            self._chunk(json.dumps(line).encode() + b"\n")
            time.sleep(self.fake.piece_s)
            number += 1
        return self._break(self._fault)

    def _break(self, fault: Fault) -> None:
        if fault.kind == "error":
            self._chunk(json.dumps({"error": fault.text}).encode() + b"\n")
            self._chunk(b"")
            return
        self.close_connection = True
        if fault.kind == "hang":
            self._wait_for_the_client_to_go()

    def _client_is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _wait_for_the_client_to_go(self) -> None:
        if self.fake.on_hang is not None:
            self.fake.on_hang()
        self.connection.settimeout(0.05)
        while not self.fake.stopping.is_set():
            try:
                if not self.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.fake.abandoned += 1

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()


_NOW = "2026-01-01T00:00:00Z"


def _printed(parameters: Mapping[str, Any]) -> Iterable[str]:
    """As Ollama prints them (docs/api.md, "Show Model Information"): a padded name and a Go literal; lists by line."""
    for name, value in sorted(parameters.items(), reverse=True):
        for item in value if isinstance(value, list) else [value]:
            literal = f'"{item}"' if isinstance(item, str) else f"{item:g}"
            yield f"{name:<30} {literal}"


def _layers(model: Model) -> str:
    """The lines of a Modelfile that name blobs."""
    named = [("FROM", model.blob), *([("ADAPTER", model.adapter)] if model.adapter else [])]
    return "".join(f"{what} /var/lib/models/blobs/{digest.replace(':', '-')}\n" for what, digest in named)
