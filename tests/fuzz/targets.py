"""Every parser that reads bytes of somebody else's, with valid inputs to begin from."""

from __future__ import annotations

import io
import json
import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import httpx

from bbj_desktop.core.chat import ChatRequest, Message
from bbj_desktop.core.chunks import plan_chunks
from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import EngineError
from bbj_desktop.core.gguf import architecture_of, read_header
from bbj_desktop.core.go_syntax import NotCheckableError
from bbj_desktop.core.go_template import render_chat, render_fim
from bbj_desktop.core.hardware import load_profile
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Catalogue, parse_catalogue, parse_chunk_index, parse_release
from bbj_desktop.core.tiers import load_tiers
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.resources import resource
from bbj_desktop.services.configuration import load_settings
from bbj_desktop.services.registry.bundle import BUNDLE_FILE, Bundle, BundleContent, BundlePiece, find_bundles
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.keys import PublicKey, read_public_key
from bbj_desktop.services.registry.known import RECORD, KnownRegistries, KnownRegistry
from bbj_desktop.services.registry.root import describe_root
from bbj_desktop.services.registry.staging import STAGE_FORMAT, StageRecord
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime
from bbj_desktop.services.runtime.engine import EngineConfig
from bbj_desktop.services.runtime.lending import OwnEngine
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_link import LinkNote, parse_link_note
from bbj_desktop.services.runtime.ollama_release import differences_from, served_digest
from bbj_desktop.services.store.journal import Entry, Unlink, Write, parse_entry
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.failures import retry_after_s
from bbj_desktop.services.transfer.partial import parse_note
from bbj_desktop.services.transfer.web import WebSource
from tests.fakes.gguf import tiny_gguf
from tests.fakes.installed import GO_TEMPLATE, installed
from tests.fakes.machines import machine, nvidia
from tests.fakes.payload import index_of, payload
from tests.fakes.registry import RegistrySimulator, make_release
from trainer.data.formats import chatml, markdown, seed
from trainer.data.labelling import infer
from trainer.data.labels import load_labels
from trainer.data.reading import read_examples

Parse = Callable[[bytes], object]
INDEX = index_of(payload(3))


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        parse: Reads an input; anything but an error of our tree is a finding.
        seeds: Makes valid inputs.
    """

    parse: Parse
    seeds: Callable[[], Sequence[bytes]]


# files and documents


def _gguf(data: bytes) -> None:
    header = read_header(io.BytesIO(data))
    architecture_of(header, len(data))
    plan_chunks(header, max(len(data), header.end))


def _note(data: bytes) -> None:
    numbers = parse_note(data, INDEX)
    assert numbers is None or numbers <= set(range(len(INDEX.chunks)))


def _notes() -> list[bytes]:
    head = f'{{"format": 1, "file": "{INDEX.file.digest}", "chunks": {len(INDEX.chunks)}}}\n'
    return [f"{head}0\n2\n1\n".encode(), f"{head}3\n".encode()]


def _settings(data: bytes) -> None:
    path = _folder() / "policy.toml"
    path.write_bytes(data)
    load_settings({}, environ={}, policy=path)


def _record(data: bytes) -> None:
    """Records that can't be read are told of, nothing else."""
    root = _folder() / "store"
    (root / "versions").mkdir(parents=True, exist_ok=True)
    (root / "versions" / "bbj-coder+2026.1-7b-q4_1.json").write_bytes(data)
    store = Store(root)
    store.versions()
    store.problems()
    store.leftovers()


def _bundle(data: bytes) -> None:
    folder = _folder() / "bundle"
    folder.mkdir(exist_ok=True)
    (folder / BUNDLE_FILE).write_bytes(data)
    find_bundles([folder])


def _bundles() -> list[bytes]:
    digest = "sha256:" + "ab" * 32
    bundle = Bundle(
        registry=digest,
        channel="stable",
        created=datetime(2026, 3, 1, tzinfo=UTC),
        volume=1,
        volumes=2,
        contents=(BundleContent(name="bbj-coder:2026.1-7b-q4_0", digest=digest, length_bytes=1000),),
        pieces=(BundlePiece(digest=digest, number=1, volume=1, offset=0, length_bytes=1000),),
    )
    return [bundle.model_dump_json().encode()]


def _known(data: bytes) -> None:
    folder = _folder() / "known" / "one"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).write_bytes(data)
    KnownRegistries(folder.parent).all()


def _known_records() -> list[bytes]:
    record = KnownRegistry(
        identity="sha256:" + "ab" * 32,
        address="https://models.example.org",
        mirrors=("https://mirror.example.org",),
        added_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    return [record.model_dump_json().encode()]


# answers of servers


class _Answering:
    """A server on loopback that answers every request with the same bytes, whatever they are, and hangs up."""

    def __init__(self) -> None:
        self.answer = b""
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection, suppress(OSError):
                connection.settimeout(2.0)
                head = b""
                while b"\r\n\r\n" not in head:
                    head += (more := connection.recv(65536))
                    if not more:
                        break
                connection.sendall(self.answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # what is unread would reset the connection
                    pass


@cache
def _server() -> _Answering:
    return _Answering()


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzzing"))


def _answer(body: bytes, *, kind: bytes = b"application/json", status: bytes = b"200 OK") -> bytes:
    return (
        b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (status, kind, len(body), body)
    )  # fmt: skip


def _web(data: bytes) -> None:
    server = _server()
    server.answer = data
    network = Network(proxy=DIRECT, connect_timeout_s=1.0, stall_timeout_s=1.0)
    with (
        closing(WebSource(server.address, network)) as source,
        source.stream("blob", offset=100, length=50, cancel=Cancel()) as pieces,
    ):
        for _ in pieces:
            pass


def _partial_answers() -> list[bytes]:
    body = bytes(50)
    head = (
        b'HTTP/1.1 206 Partial Content\r\nContent-Length: 50\r\nETag: "x"\r\nContent-Range: bytes 100-149/1000\r\n\r\n'
    )
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n"
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n"
    return [head + body, busy, moved, head.replace(b"206 Partial Content", b"200 OK") + body]


def _retry_after(data: bytes) -> None:
    value = data.replace(b"\r", b" ").replace(b"\n", b" ")
    waited = retry_after_s(httpx.Headers({b"retry-after": value, b"date": b"Wed, 21 Oct 2026 07:20:00 GMT"}))
    assert waited is None or 0 <= waited < float("inf")


_REQUEST = ChatRequest(messages=(Message(role="user", content="Open a window."),))


def _ollama_chat(data: bytes) -> None:
    server = _server()
    server.answer = data
    with closing(OllamaRuntime(server.address, environment={})) as runtime:
        for _ in runtime.chat(_present(), _REQUEST, Cancel()):
            pass


def _ollama_calls(data: bytes) -> None:
    server = _server()
    server.answer = data
    with closing(OllamaRuntime(server.address, environment={})) as runtime:
        runtime.status()
        for call in (runtime.tags, runtime.running, lambda: runtime.unload(_present())):
            with suppress(EngineError):
                call()


def _ollama_show(data: bytes) -> None:
    server = _server()
    server.answer = data
    with closing(OllamaApi(server.address)) as api:
        shown = api.show(_present().key)
        if shown is not None:
            differences_from(_present(), shown)
            served_digest(shown["modelfile"])


def _ollama_create(data: bytes) -> None:
    server = _server()
    server.answer = data
    with closing(OllamaApi(server.address)) as api:
        for _ in api.create({"model": "m"}, Cancel()):
            pass


def _shows() -> list[bytes]:
    shown = (
        b'{"modelfile":"FROM /models/blobs/sha256-%b\\n","template":"{{ .Prompt }}","system":"",'
        b'"parameters":"num_ctx 512\\nstop \\"<|im_end|>\\"\\ntemperature 0.2","details":{"family":"llama"}}'
        % (b"ab" * 32)
    )
    return [_answer(shown), _answer(b'{"error":"model not found"}', status=b"404 Not Found")]


def _creations() -> list[bytes]:
    lines = b'{"status":"parsing GGUF"}\n{"status":"writing manifest"}\n{"status":"success"}\n'
    return [_answer(lines), _answer(b'{"status":"parsing GGUF"}\n{"error":"{\\"error\\":{\\"message\\":\\"no\\"}}"}\n')]


def _chats() -> list[bytes]:
    lines = (
        b'{"model":"m","created_at":"2026-03-01T12:00:00Z","message":{"role":"assistant","content":"PRINT"},"done":false}\n'
        b'{"model":"m","message":{"role":"assistant","content":" 1"},"done":false}\n'
        b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":5,'
        b'"load_duration":1,"prompt_eval_count":3,"prompt_eval_duration":9,"eval_count":2,"eval_duration":7}\n'
    )
    error = b'{"error":"model runner has unexpectedly stopped"}'
    return [_answer(lines), lines, _answer(error, status=b"500 Internal Server Error"), _answer(lines[:90] + error)]


def _calls() -> list[bytes]:
    models = b'{"models":[{"name":"m:1","model":"m:1","size":5,"size_vram":4,"digest":"ab","details":{"family":"q"}}]}'
    return [_answer(b'{"version":"0.24.0"}'), _answer(models), _answer(b'{"error":"no"}', status=b"404 Not Found")]


@dataclass
class _Engine:
    config: EngineConfig
    address: str
    key: str = "k"
    alive: bool = True

    def obituary(self) -> EngineError | None:
        return None

    def close(self) -> None:
        """Nothing runs."""


def _embedded_chat(data: bytes) -> None:
    server = _server()
    server.answer = data
    runtime = EmbeddedRuntime(_folder(), threads=1, lender=OwnEngine(lambda config, _: _Engine(config, server.address)))
    for _ in runtime.chat(_present(), _REQUEST, Cancel()):
        pass


@cache
def _present() -> InstalledVersion:
    path = _folder() / "model.gguf"
    path.write_bytes(tiny_gguf())
    return installed(path)


def _events() -> list[bytes]:
    body = (
        b'data: {"choices":[{"delta":{"content":"PRINT"},"finish_reason":null}]}\n\n'
        b'data: {"choices":[{"delta":{},"finish_reason":"length"}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2},'
        b'"timings":{"prompt_per_second":9.5,"predicted_per_second":8.5}}\n\n'
        b"data: [DONE]\n\n"
    )
    error = b'{"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_prompt_tokens":9000}}'
    kind = b"text/event-stream"
    refused = _answer(error, status=b"400 Bad Request")
    return [_answer(body, kind=kind), refused, _answer(b"error: " + error, kind=kind), _answer(b"data: " + error)]


# signed metadata


@cache
def _simulator() -> RegistrySimulator:
    return RegistrySimulator()


def _metadata(path: str) -> Parse:
    def parse(data: bytes) -> None:
        simulator = _simulator()
        simulator.replaced = {path: data}
        with tempfile.TemporaryDirectory(dir=_folder()) as state:
            registry = Registry.open(
                simulator, Path(state), initial_root=simulator.initial_root, now=lambda: simulator.now
            )
            registry.offering("stable", Cancel(), app_version="1.0")

    return parse


def _public_key(data: bytes) -> None:
    path = _folder() / "timestamp-1.pub"
    path.write_bytes(data)
    read_public_key(path).usable()


def _public_keys() -> list[bytes]:
    key = PublicKey.of("timestamp", _simulator().signers["timestamp"][0].public_key)
    return [key.model_dump_json().encode()]


def _stage(data: bytes) -> None:
    parse_document(StageRecord, data, what="stage", newest=STAGE_FORMAT)


def _stages() -> list[bytes]:
    record = StageRecord(registry="sha256:" + "ab" * 32, purpose="Publish 2026.2", roles={"root": 2, "stable": 7})
    return [record.model_dump_json().encode()]


def _content(path: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [_simulator().content(path)]


def _documents(*texts: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [text.encode() for text in texts]


def _journals() -> list[bytes]:
    steps = (Write(place="versions/a.json", content="{}"), Unlink(place="blobs/sha256-ab"))
    return [Entry(sequence=3, operation="install", steps=steps).model_dump_json().encode()]


LINK_NOTE = LinkNote(models=Path("/home/ada/.ollama/models"), blobs=(f"sha256-{'0' * 64}",))
SETTINGS = b"""channel = "beta"
data_folder = "/srv/data"
registry = "https://models.example.org"
runtime = "auto"
context_length = 8192
"""

# training data

TRAINING_LABELS = b"""{"format": 1, "kind": "bbj-training-labels"}
{"id": "a", "content_hash": "0", "generation": ["dwc"], "type": "completion", "state": "confirmed"}
"""
_CHAT = b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "```bbj\\na\\n```"}]}\n'
_SEED = (
    b'{"id": "a", "type": "completion", "generation": ["dwc"], "instruction": "q", "prefix": "p", "completion": "c"}\n'
)
_MIGRATION = b"""---
title: T
type: migration
generation: [bbj-gui, dwc]
---

## Code

### Before (vpro5)

```bbj
a
```

### After

```bbj
b
```

## Explanation

Words.
"""


def _training_files() -> Sequence[bytes]:
    return [_CHAT + _SEED, b"[" + _SEED + b"," + _CHAT + b"]", _MIGRATION]


def _training_data(data: bytes) -> None:
    """Whatever can be read, can be written and labelled."""
    path = _folder() / "data"
    path.write_bytes(data)
    path.with_name("data.sidecar.jsonl").write_bytes(data)
    for example in read_examples([path], lambda _: None):
        infer(example)
        json.dumps([seed.dump(example), chatml.dump(example), markdown.dump(example)]).encode()


def _training_labels(data: bytes) -> None:
    path = _folder() / "labels"
    path.write_bytes(data)
    load_labels(path)


GO_FIM = b"""{{- if .Suffix }}a{{ .Prompt }}b{{ .Suffix }}c{{ else }}
{{- range $i, $m := .Messages }}{{ if and (eq $m.Role "user") (len (slice $.Messages $i)) }}{{ $m.Content }}{{ end }}
{{- end }}{{ end }}"""


def _go_template(data: bytes) -> None:
    template = data.decode("utf-8", "surrogateescape")
    with suppress(NotCheckableError):  # the one thing that it may say; nobody outside hears it
        render_chat(template, [("system", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")])
    with suppress(NotCheckableError):
        render_fim(template, "a", "b")


TARGETS: dict[str, Target] = {
    "gguf": Target(_gguf, lambda: [tiny_gguf(layers=1), tiny_gguf(layers=1, ggml_type=8, template=None)]),
    "release": Target(parse_release, _documents(make_release().model_dump_json())),
    "catalogue": Target(parse_catalogue, _documents(Catalogue(channel="stable").model_dump_json())),
    "chunk-index": Target(parse_chunk_index, _documents(INDEX.model_dump_json())),
    "profile": Target(load_profile, _documents(machine(16, nvidia()).model_dump_json())),
    "tiers": Target(load_tiers, lambda: [resource("tiers.json").read_bytes()]),
    "journal": Target(parse_entry, _journals),
    "note": Target(_note, _notes),
    "link-note": Target(parse_link_note, _documents(LINK_NOTE.model_dump_json())),
    "record": Target(_record, lambda: [_present().model_dump_json().encode()]),
    "settings": Target(_settings, lambda: [SETTINGS]),
    "bundle": Target(_bundle, _bundles),
    "known-registry": Target(_known, _known_records),
    "root": Target(describe_root, lambda: [_simulator().initial_root]),
    "timestamp": Target(_metadata("metadata/timestamp.json"), _content("metadata/timestamp.json")),
    "snapshot": Target(_metadata("metadata/1.snapshot.json"), _content("metadata/1.snapshot.json")),
    "targets": Target(_metadata("metadata/1.targets.json"), _content("metadata/1.targets.json")),
    "channel": Target(_metadata("metadata/1.stable.json"), _content("metadata/1.stable.json")),
    "public-key": Target(_public_key, _public_keys),
    "stage": Target(_stage, _stages),
    "training-data": Target(_training_data, _training_files),
    "training-labels": Target(_training_labels, lambda: [TRAINING_LABELS]),
    "web": Target(_web, _partial_answers),
    "retry-after": Target(_retry_after, lambda: [b"120", b"Wed, 21 Oct 2026 07:28:00 GMT", b"0"]),
    "ollama-chat": Target(_ollama_chat, _chats),
    "ollama-calls": Target(_ollama_calls, _calls),
    "ollama-show": Target(_ollama_show, _shows),
    "ollama-create": Target(_ollama_create, _creations),
    "go-template": Target(_go_template, lambda: [GO_TEMPLATE.encode(), GO_FIM]),
    "embedded-chat": Target(_embedded_chat, _events),
}
