"""Each call that we make and each way in which it says no, one at a time; against both behaviours of the stand-in, or
against the real server that ``BBJ_TEST_OLLAMA`` names."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.errors import EngineRefusedError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.routes import Route
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_loopback import LoopbackRegistry
from bbj_desktop.services.runtime.ollama_manifest import manifest_of
from bbj_desktop.services.runtime.ollama_pull import FileBlob, TextBlob
from bbj_desktop.services.runtime.ollama_release import served_adapters, served_digest
from tests.fakes.adapters import adapter_gguf
from tests.fakes.contract import (
    KEEP_ALIVE_S,
    OUR_MODEL,
    REAL,
    TARGETS,
    contract_model,
    left_as_found,
    real_models_folder,
    skip_unless_possible,
)
from tests.fakes.gguf import tiny_gguf
from tests.fakes.installed import GO_TEMPLATE, installed
from tests.fakes.ollama import FakeOllama
from tests.fakes.with_adapter import with_adapter

pytestmark = pytest.mark.ollama

NAME = f"{OUR_MODEL}:calls"
NOWHERE = "sha256:" + "0" * 64
OPTIONS = {"num_ctx": 512, "num_thread": 1, "num_predict": 4, "seed": 1}
CANCEL = Cancel()


@dataclass
class Server:
    """An Ollama, and a file that it has as a blob when ``create`` was called."""

    api: OllamaApi
    file: Path

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.file.read_bytes()).hexdigest()}"

    def create(self, **changes: Any) -> list[str]:
        """Makes the model ``NAME`` and gives what is said on the way."""
        if not self.api.has_blob(self.digest, CANCEL):
            self.api.upload(self.file, self.digest, silent, CANCEL)
        body: dict[str, Any] = {"model": NAME, "files": {"model.gguf": self.digest}, "template": GO_TEMPLATE}
        return list(self.api.create({**body, **changes}, CANCEL))

    def chat(self, **changes: Any) -> list[dict[str, Any]]:
        body: dict[str, Any] = {
            "model": NAME,
            "messages": [{"role": "user", "content": "Say hello."}],
            "options": OPTIONS,
            "truncate": False,
            "stream": True,
            "keep_alive": f"{KEEP_ALIVE_S:g}s",
        }
        return list(self.api.chat({**body, **changes}, 512, CANCEL))


@pytest.fixture(params=TARGETS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if REAL:
        yield REAL
        return
    with FakeOllama(version=request.param, answer=["Hello"] * 8, folder=tmp_path / "Ollama Modelle ü") as fake:
        yield fake.address


@pytest.fixture
def server(address: str, tmp_path: Path) -> Iterator[Server]:
    runtime = OllamaRuntime(address)  # knows what the address means
    with closing(runtime), closing(OllamaApi(runtime.address)) as api, left_as_found(api):
        yield Server(api, contract_model(tmp_path))


def test_the_version_is_told(server: Server) -> None:
    assert re.match(r"\d+\.\d+", server.api.version())


def test_models_are_listed_with_their_manifests_digests(server: Server) -> None:
    server.create()
    assert re.fullmatch(r"[0-9a-f]{64}", server.api.tags()[NAME])


def test_an_unknown_model_is_shown_as_none(server: Server) -> None:
    assert server.api.show(f"{OUR_MODEL}:nothing") is None


def test_a_model_is_shown_with_what_it_was_made_of(server: Server) -> None:
    server.create(
        system="You write BBj.", parameters={"num_ctx": 512, "stop": ["<|im_end|>", "END"]}, license=["A", "B"]
    )
    shown = server.api.show(NAME)
    assert shown is not None
    assert (shown["template"], shown["system"]) == (GO_TEMPLATE, "You write BBj.")
    assert re.search(r"^num_ctx\s+512$", shown["parameters"], re.MULTILINE)
    assert len(re.findall(r"^stop\s+\S", shown["parameters"], re.MULTILINE)) == 2
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", served_digest(shown["modelfile"]) or "")


def test_a_copy_is_the_same_model(server: Server) -> None:
    server.create()
    server.api.copy(NAME, f"{NAME}-again")
    tags = server.api.tags()
    assert tags[f"{NAME}-again"] == tags[NAME]


def test_an_unknown_model_can_not_be_copied(server: Server) -> None:
    with pytest.raises(EngineRefusedError, match="not found"):
        server.api.copy(f"{OUR_MODEL}:nothing", NAME)


def test_deleting_a_name_keeps_what_another_one_needs(server: Server) -> None:
    server.create()
    server.api.copy(NAME, f"{NAME}-again")
    shown = server.api.show(NAME)
    assert shown is not None
    server.api.delete(NAME)
    assert NAME not in server.api.tags()
    assert server.api.has_blob(served_digest(shown["modelfile"]) or "", CANCEL)


def test_deleting_what_is_unknown_is_harmless(server: Server) -> None:
    server.api.delete(f"{OUR_MODEL}:nothing")


def test_a_blob_is_there_once_it_was_uploaded(server: Server, tmp_path: Path) -> None:
    text = tmp_path / "Text.txt"
    text.write_text("of the contract tests; Ollama removes it at its next start", encoding="utf-8")
    digest = f"sha256:{hashlib.sha256(text.read_bytes()).hexdigest()}"
    assert not server.api.has_blob(NOWHERE, CANCEL)
    for _ in range(2):  # again is no error
        server.api.upload(text, digest, silent, CANCEL)
        assert server.api.has_blob(digest, CANCEL)


def test_an_upload_under_another_digest_is_refused(server: Server, tmp_path: Path) -> None:
    text = tmp_path / "Text.txt"
    text.write_text("of the contract tests; Ollama removes it at its next start", encoding="utf-8")
    with pytest.raises(EngineRefusedError, match="digest mismatch"):
        server.api.upload(text, NOWHERE, silent, CANCEL)


def test_a_create_says_what_it_does_and_ends_with_success(server: Server) -> None:
    said = server.create()
    assert said[-1] == "success"
    assert len(said) > 1


def test_a_create_of_an_unknown_blob_is_an_error_inside_its_stream(server: Server) -> None:
    with pytest.raises(EngineRefusedError, match="sha256-0000"):
        server.create(files={"model.gguf": NOWHERE})
    assert NAME not in server.api.tags()


def test_a_template_that_is_none_is_an_error(server: Server) -> None:
    with pytest.raises(EngineRefusedError, match="template"):
        server.create(template="{{ .Prompt")
    assert NAME not in server.api.tags()


def test_an_answer_ends_with_its_numbers(server: Server) -> None:
    server.create()
    *pieces, last = server.chat()
    assert all(not line["done"] for line in pieces)
    assert last["done"]
    assert last["done_reason"] in {"stop", "length"}
    for name in ("total_duration", "prompt_eval_count", "eval_count", "eval_duration"):
        assert last[name] > 0


def test_what_is_too_long_is_refused_instead_of_cut(server: Server) -> None:
    server.create()
    with pytest.raises(EngineRefusedError, match=r"too long.*512"):
        server.chat(messages=[{"role": "user", "content": "word " * 3000}])


def test_an_unknown_model_does_not_answer(server: Server) -> None:
    with pytest.raises(EngineRefusedError, match="not found"):
        server.chat(model=f"{OUR_MODEL}:nothing")


def test_a_prompt_is_shown_or_the_wish_is_ignored(server: Server) -> None:
    """What versions before ``_debug_render_only`` do."""
    server.create()
    body = {"model": NAME, "messages": [{"role": "user", "content": "Größe?"}], "options": OPTIONS, "truncate": False}
    rendered = server.api.render(body, CANCEL)
    assert rendered in (None, "<|im_start|>user\nGröße?<|im_end|>\n<|im_start|>assistant\n")


def test_a_raw_prompt_is_written_on(server: Server) -> None:
    server.create()
    body = {"model": NAME, "prompt": "One, two, three,", "raw": True, "truncate": False, "stream": True}
    *pieces, last = server.api.generate({**body, "options": OPTIONS, "keep_alive": "10s"}, 512, CANCEL)
    assert "".join(line["response"] for line in pieces)
    assert last["done"]


def test_what_is_loaded_is_told_with_where_it_lies(server: Server) -> None:
    server.create()
    server.chat()
    digest = server.api.tags()[NAME]
    (loaded,) = [model for model in server.api.running() if model.digest == digest]
    assert loaded.size_bytes
    assert loaded.vram_bytes is not None
    assert 0 <= loaded.vram_bytes <= loaded.size_bytes


def test_unloading_what_is_unknown_is_harmless(server: Server) -> None:
    server.api.unload(f"{OUR_MODEL}:nothing")


# -- pull


@pytest.fixture
def reaching(server: Server) -> Server:
    with closing(OllamaRuntime(server.api.address)) as runtime:
        skip_unless_possible(runtime, Route.PULL, server.file)
    return server


def test_a_pull_from_this_machine_brings_the_very_bytes(reaching: Server) -> None:
    version = installed(reaching.file)
    manifest = manifest_of(version)
    length = version.variant.file.length_bytes
    with LoopbackRegistry(
        manifest, {**_texts(version), reaching.digest: FileBlob(reaching.file, length)}, CANCEL
    ) as there:
        said = list(reaching.api.pull(there.name, CANCEL))
        shown = reaching.api.show(there.name)
    assert said[-1].status == "success"
    assert any(line.digest == reaching.digest and line.total == length for line in said)
    assert shown is not None
    assert served_digest(shown["modelfile"]) == reaching.digest


def _texts(version: InstalledVersion) -> dict[str, TextBlob]:
    return {layer.digest: TextBlob(layer.content) for layer in manifest_of(version).blobs if layer.content is not None}


def test_a_pull_of_what_is_not_there_is_an_error_inside_its_stream(reaching: Server) -> None:
    version = installed(reaching.file)
    with LoopbackRegistry(manifest_of(version), {}, CANCEL) as there:
        name = there.name.replace(":pulled", ":other")
        with pytest.raises(EngineRefusedError, match="file does not exist"):
            list(reaching.api.pull(name, CANCEL))


def test_a_pull_from_where_nothing_listens_is_an_error(reaching: Server) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(EngineRefusedError, match="refused"):
        list(reaching.api.pull(f"127.0.0.1:{port}/{OUR_MODEL}/nothing:nothing", CANCEL))


# -- a base with an adapter


@pytest.mark.parametrize("way", [Route.LINK, Route.PULL, Route.CREATE])
def test_a_base_with_an_adapter_is_served_and_answers(address: str, tmp_path: Path, way: Route) -> None:
    base, adapter = tmp_path / "base.gguf", tmp_path / "adapter.gguf"
    base = contract_model(tmp_path) if REAL else base
    if not REAL:
        base.write_bytes(tiny_gguf(hidden=256))
    adapter.write_bytes(adapter_gguf(base.read_bytes(), strength=0.1))
    version = with_adapter(base, adapter)
    models = real_models_folder() if REAL else tmp_path / "Ollama Modelle ü"
    with ExitStack() as opened:
        runtime = opened.enter_context(
            closing(
                OllamaRuntime(
                    address,
                    options={"num_thread": 1},
                    environment={"OLLAMA_MODELS": str(models)} if models else {},
                    notes=tmp_path / "notes",
                    routes=[way],
                    keep_alive_s=KEEP_ALIVE_S,
                )
            )
        )
        skip_unless_possible(runtime, way, base, adapter=True)
        api = opened.enter_context(closing(OllamaApi(runtime.address)))
        opened.enter_context(left_as_found(api))
        registration = runtime.register(version, silent, CANCEL)  # asks a first question
        shown = api.show(version.key)
        assert shown is not None
        assert registration.route == way
        assert version.variant.adapter is not None
        assert served_adapters(shown["modelfile"]) == (version.variant.adapter.file.digest,)
