"""A registry in a repository of a file host that behaves as the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bbj_desktop.core.errors import NotFoundError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.transfer.fetch import Limits, fetch
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.hub import Hub
from tests.fakes.payload import index_of, payload
from tests.fakes.registry import RegistrySimulator, make_release
from tests.fakes.release_server import Fault

CONTENT = payload()
NETWORK = Network(proxy=DIRECT)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub({"metadata/timestamp.json": b"{}", "blobs/model.gguf": CONTENT}) as hub:
        yield hub


def download(hub: Hub, destination: Path) -> bytes:
    source = open_source(hub.repository_address, NETWORK)
    limits = Limits(first_wait_s=0.01)
    fetch(source, "blobs/model.gguf", index_of(CONTENT), destination, silent, Cancel(), limits=limits)
    source.close()
    return destination.read_bytes()


def test_small_files_come_from_the_hub_itself(hub: Hub) -> None:
    source = open_source(hub.repository_address, NETWORK)
    assert source.read("metadata/timestamp.json", limit_bytes=10, cancel=Cancel()) == b"{}"
    assert hub.network.requests == []
    source.close()


def test_large_files_come_from_the_content_network_by_ranges(hub: Hub, tmp_path: Path) -> None:
    assert download(hub, tmp_path / "model") == CONTENT
    assert hub.network.sent_bytes() == len(CONTENT)
    assert all(request.range for request in hub.network.requests)


def test_an_address_that_has_expired_is_asked_for_anew(hub: Hub, tmp_path: Path) -> None:
    hub.network.script("*", Fault(), Fault(status=403))
    assert download(hub, tmp_path / "model") == CONTENT


def test_a_signed_address_that_expires_meanwhile_does_not_matter(tmp_path: Path) -> None:
    with Hub({"blobs/model.gguf": CONTENT}, valid_s=0.15) as hub:
        hub.network.always = Fault(rate_bytes_per_s=2_000_000)  # half a second in all: several lifetimes
        assert download(hub, tmp_path / "model") == CONTENT
        assert hub.network.sent_bytes() == len(CONTENT)


def test_a_renamed_repository_is_found(hub: Hub) -> None:
    hub.renamed.add("basis/old-name")
    source = open_source(f"{hub.address}/basis/old-name/resolve/main", NETWORK)
    assert source.read("blobs/model.gguf", limit_bytes=len(CONTENT), cancel=Cancel()) == CONTENT
    source.close()


class _Served(Mapping[str, bytes]):
    """What a simulated registry serves, as the files of a repository."""

    def __init__(self, simulator: RegistrySimulator) -> None:
        self._simulator = simulator

    def __getitem__(self, path: str) -> bytes:
        try:
            return self._simulator.content(path)
        except NotFoundError as error:
            raise KeyError(path) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._simulator.files)

    def __len__(self) -> int:
        return len(self._simulator.files)


def test_a_whole_registry_is_readable_there(tmp_path: Path) -> None:
    simulator = RegistrySimulator()
    blob = simulator.put_blob(CONTENT)
    index = index_of(CONTENT)
    chunk_index = simulator.put_blob(index.model_dump_json().encode())
    variant = make_release().variants[0].model_copy(update={"file": index.file, "chunk_index": chunk_index})
    simulator.offer(make_release(variants=[variant.model_dump()]))
    with Hub(_Served(simulator), large_bytes=100_000) as hub:
        source = open_source(hub.repository_address, NETWORK)
        registry = Registry.open(
            source, tmp_path / "state", initial_root=simulator.initial_root, now=lambda: simulator.now
        )
        (offer,) = registry.offering("stable", Cancel(), app_version="1.0.0").offers
        signed = registry.chunk_index(offer.release.variants[0], Cancel())
        fetch(source, blob_path(blob.digest), signed, tmp_path / "model", silent, Cancel())
        source.close()
        assert hub.network.sent_bytes() == len(CONTENT)
    assert (tmp_path / "model").read_bytes() == CONTENT
