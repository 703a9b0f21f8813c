"""A base with an adapter by each way into Ollama, also where ``create`` takes no adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bbj_desktop.core.errors import EngineRefusedError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.routes import Route
from bbj_desktop.core.versions import InstalledVersion, Registration
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from tests.fakes.adapters import adapter_gguf
from tests.fakes.gguf import tiny_gguf
from tests.fakes.ollama import FakeOllama
from tests.fakes.with_adapter import with_adapter

pytestmark = pytest.mark.ollama

SMALL_BYTES = 16 * 1024  # template, system prompt, parameters, licences and configuration


@dataclass
class Ways:
    """A server of one version, and a runtime for each way into it."""

    fake: FakeOllama
    runtime: Callable[[Route], OllamaRuntime]

    def register(self, version: InstalledVersion, way: Route) -> Registration:
        return self.runtime(way).register(version, silent, Cancel())


@pytest.fixture(params=["0.24.0", "0.33.0", "0.34.1"])
def ways(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ways]:
    models = tmp_path / "Ollama Modelle ü"
    with FakeOllama(version=request.param, folder=models) as fake, ExitStack() as opened:

        def runtime(way: Route) -> OllamaRuntime:
            made = OllamaRuntime(
                fake.address, environment={"OLLAMA_MODELS": str(models)}, notes=tmp_path / "notes", routes=[way]
            )
            return opened.enter_context(closing(made))

        yield Ways(fake, runtime)


def _version(tmp_path: Path, number: int) -> InstalledVersion:
    base, adapter = tmp_path / "base.gguf", tmp_path / f"adapter {number}.gguf"
    base.write_bytes(tiny_gguf(hidden=256))
    adapter.write_bytes(adapter_gguf(tiny_gguf(hidden=256), seed=number))
    return with_adapter(base, adapter, version=f"2026.{number}")


@pytest.mark.parametrize("way", [Route.LINK, Route.PULL])
def test_the_signed_adapter_is_served(ways: Ways, way: Route, tmp_path: Path) -> None:
    version = _version(tmp_path, 1)
    registration = ways.register(version, way)
    assert registration.route == way
    assert registration.served_digest == version.variant.file.digest
    assert version.variant.adapter is not None
    assert ways.fake.models[version.key].adapter == version.variant.adapter.file.digest


@pytest.mark.parametrize("way", [Route.LINK, Route.PULL])
def test_over_a_base_that_is_there_the_adapter_alone_is_handed_on(ways: Ways, way: Route, tmp_path: Path) -> None:
    ways.register(_version(tmp_path, 1), way)
    before = ways.fake.written_bytes
    second = _version(tmp_path, 2)
    ways.register(second, way)
    assert second.variant.adapter is not None
    assert ways.fake.written_bytes - before <= second.variant.adapter.file.length_bytes + SMALL_BYTES


def test_where_create_takes_no_adapters_another_way_is_chosen(ways: Ways, tmp_path: Path) -> None:
    version = _version(tmp_path, 1)
    if ways.fake.version != "0.34.1":
        assert ways.register(version, Route.CREATE).route == Route.CREATE
        return
    with pytest.raises(EngineRefusedError):
        ways.register(version, Route.CREATE)
    assert ways.runtime(Route.PULL).register(version, silent, Cancel()).route == Route.PULL
