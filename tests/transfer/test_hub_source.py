"""A registry in a repository of a file host that behaves as the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.errors import NotFoundError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.transfer.fetch import Limits, fetch
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.hub import Hub
from tests.fakes.payload import index_of, payload
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


def test_a_renamed_repository_is_found(hub: Hub) -> None:
    hub.renamed.add("basis/old-name")
    source = open_source(f"{hub.address}/basis/old-name/resolve/main", NETWORK)
    assert source.read("blobs/model.gguf", limit_bytes=len(CONTENT), cancel=Cancel()) == CONTENT
    source.close()


def test_another_repository_is_not_found(hub: Hub) -> None:
    source = open_source(f"{hub.address}/basis/other/resolve/main", NETWORK)
    with pytest.raises(NotFoundError):
        source.read("blobs/model.gguf", limit_bytes=10, cancel=Cancel())
    source.close()
