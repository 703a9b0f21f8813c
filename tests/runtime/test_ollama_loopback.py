"""The registry on this machine from which Ollama pulls, and pulls that end badly."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bbj_desktop.core.errors import BBjDesktopError, Cancelled, DigestError, EngineCrashedError
from bbj_desktop.core.progress import Cancel, Event, Transfer, silent
from bbj_desktop.core.routes import Route
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_loopback import LoopbackRegistry, left_over
from bbj_desktop.services.runtime.ollama_manifest import manifest_of
from bbj_desktop.services.runtime.ollama_pull import FileBlob, TextBlob
from tests.fakes.installed import installed
from tests.fakes.ollama import FakeOllama, Fault
from tests.fakes.ollama_models import FolderModels


@pytest.fixture
def version(tmp_path: Path) -> InstalledVersion:
    path = tmp_path / "Modell ü.gguf"
    path.write_bytes(b"GGUF" + bytes(range(256)) * 2000)
    return installed(path)


@pytest.fixture
def registry(version: InstalledVersion) -> Iterator[LoopbackRegistry]:
    manifest = manifest_of(version)
    with LoopbackRegistry(manifest, {manifest.config.digest: TextBlob(b"0123456789")}, Cancel()) as made:
        yield made


def _ask(
    registry: LoopbackRegistry, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection(registry.host, timeout=5)) as connection:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()


def _base(registry: LoopbackRegistry) -> str:
    return f"/v2/{registry.namespace}/model"


def test_the_manifest_is_there_under_its_own_name_only(registry: LoopbackRegistry) -> None:
    assert _ask(registry, f"{_base(registry)}/manifests/pulled")[2] == registry.manifest
    for path in (
        "/",
        "/v2/",
        "/v2/_catalog",
        "/v2/bbj-desktop-0/model/manifests/pulled",
        f"{_base(registry)}/tags/list",
    ):
        assert _ask(registry, path)[0] == 404


def test_a_page_that_reaches_it_by_another_name_gets_nothing(registry: LoopbackRegistry) -> None:
    assert _ask(registry, f"{_base(registry)}/manifests/pulled", Host="evil.example")[0] == 404


def test_its_names_cant_be_guessed(registry: LoopbackRegistry, version: InstalledVersion) -> None:
    other = LoopbackRegistry(manifest_of(version), {}, Cancel())
    with other:
        assert other.namespace != registry.namespace
    assert len(registry.namespace) == len("bbj-desktop-") + 32
    assert registry.host.startswith("127.0.0.1:")


def test_a_blob_says_its_length_its_place_and_its_ranges(registry: LoopbackRegistry) -> None:
    (digest,) = registry.blobs
    blob = f"{_base(registry)}/blobs/{digest}"
    assert _ask(registry, blob, "HEAD")[1]["Content-Length"] == "10"
    status, headers, _ = _ask(registry, blob)
    assert status == 200
    place = headers["Location"].removeprefix(f"http://{registry.host}")
    status, headers, content = _ask(registry, place, Range="bytes=2-4")
    assert (status, headers["Content-Range"], content) == (206, "bytes 2-4/10", b"234")
    assert _ask(registry, place, Range="bytes=10-12")[0] == 416


def test_it_is_gone_afterwards(version: InstalledVersion) -> None:
    with LoopbackRegistry(manifest_of(version), {}, Cancel()) as registry:
        pass
    with pytest.raises(ConnectionRefusedError):
        _ask(registry, "/")


def test_its_names_are_told_from_others() -> None:
    assert left_over(f"127.0.0.1:4711/bbj-desktop-{'0' * 32}/model:pulled") == 4711
    assert left_over("127.0.0.1:4711/somebody/model:pulled") is None
    assert left_over("llama3:latest") is None


# -- pulls that end badly


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeOllama]:
    with FakeOllama(folder=tmp_path / "models", part_bytes=100_000) as made:
        yield made


@pytest.fixture
def runtime(fake: FakeOllama) -> Iterator[OllamaRuntime]:
    made = OllamaRuntime(fake.address, routes=[Route.PULL])
    yield made
    made.close()


def test_a_server_that_dies_in_the_middle_is_an_error_and_the_next_run_mends_it(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    fake.faults["/api/pull"] = Fault("drop", after=2)
    with pytest.raises(EngineCrashedError):
        runtime.register(version, silent, Cancel())
    assert not fake.models
    runtime.register(version, silent, Cancel())
    assert fake.written_bytes <= 1.02 * version.variant.length_bytes


def test_a_server_that_hangs_can_be_left_at_once(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    fake.faults["/api/pull"] = Fault("hang", after=3)
    cancel = Cancel()

    def report(event: Event) -> None:
        if isinstance(event, Transfer):
            cancel.cancel()

    with pytest.raises(Cancelled):
        runtime.register(version, report, cancel)
    assert not fake.models


@dataclass(frozen=True)
class _Failing:
    """A file that can't be read to its end."""

    length_bytes: int
    error: BBjDesktopError

    def read(self, offset: int, length_bytes: int, cancel: Cancel) -> Generator[bytes]:
        cancel.check()
        yield bytes(1000)[offset : offset + length_bytes]
        raise self.error


def test_why_our_own_side_failed_is_said_instead_of_what_ollama_makes_of_it(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion
) -> None:
    file = version.variant.file
    error = DigestError("Part 3 isn't what was signed.", expected="sha256:0", actual="sha256:1")
    with pytest.raises(DigestError, match="Part 3"):
        runtime.stream(version, {file.digest: _Failing(file.length_bytes, error)}, silent, Cancel())
    assert not fake.models


def test_wrong_bytes_are_noticed_by_ollama_too(
    fake: FakeOllama, runtime: OllamaRuntime, version: InstalledVersion, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(bytes(version.variant.length_bytes))
    file = version.variant.file
    with pytest.raises(BBjDesktopError, match="digest mismatch"):
        runtime.stream(version, {file.digest: FileBlob(wrong, file.length_bytes)}, silent, Cancel())
    assert not fake.models


# -- what a start prunes


@pytest.mark.parametrize("way", [Route.LINK, Route.PULL])
def test_what_was_registered_survives_a_start(tmp_path: Path, version: InstalledVersion, way: Route) -> None:
    models = tmp_path / "models"
    with FakeOllama(folder=models) as fake:
        runtime = OllamaRuntime(
            fake.address, environment={"OLLAMA_MODELS": str(models)}, notes=tmp_path / "notes", routes=[way]
        )
        runtime.register(version, silent, Cancel())
        runtime.close()
    old = time.time() - 7200
    (models / "blobs" / f"sha256-{'0' * 64}").write_bytes(b"nobody's")
    for path in (models / "blobs").iterdir():
        os.utime(path, (old, old))
    with FakeOllama(folder=models) as fake:
        assert isinstance(fake.models, FolderModels)
        assert fake.models[version.key].digests == set(fake.blobs)
