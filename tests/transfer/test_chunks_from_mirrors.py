"""One file from several mirrors, good and bad ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from bbj_desktop.core.errors import DigestError, MixAndMatchError, NotFoundError, ServerError, TransportError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, Event, Remark, Report, silent
from bbj_desktop.services.transfer.fetch import Fetched, Limits, fetch
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.payload import CHUNK, index_of, payload
from tests.fakes.release_server import Fault, ReleaseServer

CONTENT = payload(20)
INDEX = index_of(CONTENT)
NETWORK = Network(proxy=DIRECT, connect_timeout_s=2.0, stall_timeout_s=0.5)
QUICK = Limits(first_wait_s=0.01, attempts=4)


@pytest.fixture
def servers() -> Iterator[tuple[ReleaseServer, ReleaseServer]]:
    with ReleaseServer({"blob": CONTENT}) as first, ReleaseServer({"blob": CONTENT}) as second:
        yield first, second


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "Spiegel äöü" / "blob"


def download(
    servers: Sequence[ReleaseServer | Path], destination: Path, *, report: Report = silent, limits: Limits = QUICK
) -> Fetched:
    with ExitStack() as stack:
        addresses = [server.address if isinstance(server, ReleaseServer) else str(server) for server in servers]
        sources = [open_source(address, NETWORK) for address in addresses]
        for source in sources:
            stack.callback(source.close)
        return fetch(sources, "blob", INDEX, destination, report, Cancel(), limits=limits)


def test_chunks_come_from_all_mirrors(servers: tuple[ReleaseServer, ReleaseServer], destination: Path) -> None:
    for server in servers:
        server.always = Fault(rate_bytes_per_s=4_000_000)
    assert download(servers, destination).bytes_fetched == len(CONTENT)
    assert destination.read_bytes() == CONTENT
    assert all(server.sent_bytes("blob") > 2 * CHUNK for server in servers)


def test_a_damaged_chunk_comes_from_another_mirror(
    servers: tuple[ReleaseServer, ReleaseServer], destination: Path
) -> None:
    servers[0].always = Fault(flip=5)
    events: list[Event] = []
    download(servers, destination, report=events.append, limits=Limits(streams=1))
    assert destination.read_bytes() == CONTENT
    (remark,) = (event for event in events if isinstance(event, Remark))
    assert servers[0].address in remark.text
    assert "set aside" in remark.text


def test_a_mirror_that_lied_is_asked_no_more(servers: tuple[ReleaseServer, ReleaseServer], destination: Path) -> None:
    servers[0].always = Fault(flip=5)
    download(servers, destination, limits=Limits(streams=1))
    assert len(servers[0].requests) == 1


BROKEN = {
    "busy": Fault(status=503),
    "gone": Fault(status=404),
    "refusing": Fault(status=401),
    "stalled": Fault(stall_after=10),
    "broken off": Fault(drop_after=0),
    "of another length": Fault(content=CONTENT + b"more"),
    "of another content": Fault(content=payload(20, seed=2)),
    "a sign-in page": Fault(content=b"<html>Please sign in</html>", no_range=True),
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN.keys())
def test_one_good_mirror_is_enough(
    servers: tuple[ReleaseServer, ReleaseServer], destination: Path, fault: Fault
) -> None:
    servers[0].always = fault
    download(servers, destination)
    assert destination.read_bytes() == CONTENT


def test_a_mirror_that_knows_no_ranges_serves_beside_one_that_does(
    servers: tuple[ReleaseServer, ReleaseServer], destination: Path
) -> None:
    servers[0].always = Fault(no_range=True)
    download(servers, destination)
    assert destination.read_bytes() == CONTENT


def test_a_folder_is_a_mirror_of_a_server(
    servers: tuple[ReleaseServer, ReleaseServer], destination: Path, tmp_path: Path
) -> None:
    servers[0].always = Fault(status=500)
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "blob").write_bytes(CONTENT)
    download([servers[0], tmp_path / "stick"], destination)
    assert destination.read_bytes() == CONTENT


def test_the_same_lie_from_every_mirror_is_a_trust_error(
    servers: tuple[ReleaseServer, ReleaseServer], destination: Path
) -> None:
    for server in servers:
        server.always = Fault(flip=3 * CHUNK + 5)
    with pytest.raises(DigestError) as caught:
        download(servers, destination)
    assert caught.value.expected == INDEX.chunks[3].digest
    assert not destination.exists()


def test_a_lie_is_told_even_if_the_last_mirror_does_not_answer(
    servers: tuple[ReleaseServer, ReleaseServer], destination: Path
) -> None:
    servers[0].always = Fault(flip=5)
    servers[1].always = Fault(status=401)
    with pytest.raises(DigestError) as caught:
        download(servers, destination, limits=Limits(streams=1))
    assert isinstance(caught.value.__cause__, ServerError)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=404), NotFoundError),
        (Fault(status=503), TransportError),
        (Fault(content=CONTENT + b"more"), MixAndMatchError),
    ],
)
def test_without_a_usable_mirror_the_reason_is_said(
    servers: tuple[ReleaseServer, ReleaseServer], destination: Path, fault: Fault, error: type[Exception]
) -> None:
    for server in servers:
        server.always = fault
    with pytest.raises(error):
        download(servers, destination)
