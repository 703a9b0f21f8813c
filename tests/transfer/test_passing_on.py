"""A file that is handed on while it is fetched: verified before it leaves, kept nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.errors import DigestError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, Remark
from bbj_desktop.services.transfer.donors import Donor
from bbj_desktop.services.transfer.fetch import Limits
from bbj_desktop.services.transfer.passing import PassedOn
from bbj_desktop.services.transfer.source import Source
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.payload import CHUNK, index_of, payload
from tests.fakes.release_server import Fault, ReleaseServer

CONTENT = payload()
INDEX = index_of(CONTENT)
NETWORK = Network(proxy=DIRECT, connect_timeout_s=2.0, stall_timeout_s=1.0)
LIMITS = Limits(first_wait_s=0.01, longest_wait_s=0.02)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer({"blobs/x": CONTENT}) as server:
        yield server


@pytest.fixture
def source(server: ReleaseServer) -> Iterator[Source]:
    source = open_source(server.address, NETWORK)
    yield source
    source.close()


def passed_on(*sources: Source, donors: tuple[Donor, ...] = ()) -> PassedOn:
    remarks: list[Remark] = []
    return PassedOn(sources, "blobs/x", INDEX, donors=donors, limits=LIMITS, remark=remarks.append)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, len(CONTENT)), (1, 10), (CHUNK - 1, 2), (3 * CHUNK + 7, 2 * CHUNK), (len(CONTENT) - 5, 5)],
)
def test_any_range_is_given_exactly(source: Source, offset: int, length: int) -> None:
    assert b"".join(passed_on(source).read(offset, length, Cancel())) == CONTENT[offset : offset + length]


def test_a_whole_file_is_fetched_once_by_one_request(server: ReleaseServer, source: Source) -> None:
    passed = passed_on(source)
    assert b"".join(passed.read(0, len(CONTENT), Cancel())) == CONTENT
    assert passed.received_bytes == len(CONTENT)
    assert len(server.requests) == 1


def test_no_byte_of_a_wrong_chunk_leaves() -> None:
    bad = bytearray(CONTENT)
    bad[CHUNK + 5] ^= 1
    with ReleaseServer({"blobs/x": bytes(bad)}) as liar:
        lying = open_source(liar.address, NETWORK)
        came: list[bytes] = []
        with pytest.raises(DigestError):
            came.extend(passed_on(lying).read(0, len(CONTENT), Cancel()))
        lying.close()
    assert b"".join(came) == CONTENT[:CHUNK]


def test_another_mirror_is_asked_for_what_one_has_wrongly(source: Source) -> None:
    with ReleaseServer({"blobs/x": bytes(len(CONTENT))}) as liar:
        lying = open_source(liar.address, NETWORK)
        assert b"".join(passed_on(lying, source).read(0, len(CONTENT), Cancel())) == CONTENT
        lying.close()


def test_a_connection_that_breaks_is_taken_up_where_it_ended(server: ReleaseServer, source: Source) -> None:
    server.script("blobs/x", Fault(drop_after=4 * CHUNK + 100))
    passed = passed_on(source)
    assert b"".join(passed.read(0, len(CONTENT), Cancel())) == CONTENT
    assert passed.received_bytes <= len(CONTENT) + CHUNK


def test_chunks_that_lie_here_arent_fetched(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "älteres Modell"
    path.write_bytes(CONTENT[: 5 * CHUNK] + bytes(len(CONTENT) - 5 * CHUNK))
    passed = passed_on(source, donors=(Donor(path, INDEX),))
    assert b"".join(passed.read(0, len(CONTENT), Cancel())) == CONTENT
    assert passed.received_bytes == len(CONTENT) - 5 * CHUNK


def test_a_server_without_ranges_serves_too(server: ReleaseServer, source: Source) -> None:
    server.script("blobs/x", Fault(no_range=True))
    assert b"".join(passed_on(source).read(2 * CHUNK, CHUNK, Cancel())) == CONTENT[2 * CHUNK : 3 * CHUNK]
