"""An Ollama server that behaves as ``docs/ollama.md`` (facts measured on 0.24.0 and 0.33.0-rc2) records.

Each answer cites its line there, with words of it; what isn't recorded there is as Ollama's own ``docs/api.md`` says.
What isn't called there, or is called with fields that aren't known there, is a problem: leaving the
``with`` block fails the test with the list of problems.

The calls about models are in ``ollama_registering``, those that answer in ``ollama_chatting``, HTTP in ``ollama_http``.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.fakes.ollama_chatting import ChattingHandler
from tests.fakes.ollama_http import FakeServer, Fault
from tests.fakes.ollama_models import BrokenManifestError, FolderBlobs, FolderModels, Model, model_of
from tests.fakes.ollama_pulling import Partial

__all__ = ["FIELDS", "OPTIONS", "FakeOllama", "Fault", "Model"]

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


@dataclass
class FakeOllama:
    """A server on a loopback port.

    Attributes:
        version: What ``/api/version`` says; decides which behaviour is shown.
        answer: Pieces of every answer.
        answers: Pieces of the next answers, taken before ``answer``.
        cut_short: The last piece of every answer is beyond its limit of tokens.
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
        rendered: What ``_debug_render_only`` shows instead of the prompt.
        vram_share: How much of a model lies in graphics memory.
        on_hang: Called when it says nothing any more.
        busy: Requests that are being answered.
    """

    version: str = "0.33.0"
    answer: Sequence[str] = ("PRINT", ' "Hello', ' BBj"')
    answers: list[Sequence[str]] = field(default_factory=list)
    cut_short: bool = False
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
        self._server = FakeServer(self, _Handler)
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


class _Handler(ChattingHandler):
    """Which request is which call, and whether it is one that this project makes."""

    def route(self, method: str) -> None:
        with self.fake.at_work():
            self._answer(method)

    def _answer(self, method: str) -> None:
        fake = self.fake
        fake.requests.append(f"{method} {self.path}")
        self.fault = fake.take_fault(self.path.partition("/sha256")[0])
        if self.headers.get("Origin"):
            fake.problems.append(f"{method} {self.path} carries an Origin")
        if self.fault is not None and self.fault.kind == "status":
            self.drain()
            return self.json(500, {"error": self.fault.text})
        if self.path.startswith("/api/blobs/") and method in {"HEAD", "POST"}:
            return self._blob(method, self.path.removeprefix("/api/blobs/"))
        body = self.body(method)
        call = self._calls().get((method, self.path))
        if call is None:
            fake.problems.append(f"unknown request: {method} {self.path}")
            return self.json(404, {"error": "unknown to the fake"})
        try:
            return call(body)
        except BrokenManifestError:  # ollama.md:25 `a half-written manifest gives 500`
            return self.json(500, {"error": "unexpected EOF"})

    def _calls(self) -> dict[tuple[str, str], Callable[[dict[str, Any]], None]]:
        return {
            # docs/api.md of Ollama, "Version" and "List Local Models"
            ("GET", "/api/version"): lambda _: self.json(200, {"version": self.fake.version}),
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

    def body(self, method: str) -> dict[str, Any]:
        raw = self.drain()
        body = json.loads(raw) if raw else {}
        self.fake.bodies[self.path] = body
        required, allowed = FIELDS.get((method, self.path), (frozenset(), frozenset()))
        problems = [f"lacks {name}" for name in required - body.keys()]
        problems += [f"has the unknown field {name}" for name in body.keys() - required - allowed]
        problems += [f"has the unknown option {name}" for name in body.get("options", {}).keys() - OPTIONS]
        problems += [f"has the unknown parameter {name}" for name in body.get("parameters", {}).keys() - OPTIONS]
        self.fake.problems += [f"{method} {self.path} {problem}" for problem in problems]
        return dict(body)
