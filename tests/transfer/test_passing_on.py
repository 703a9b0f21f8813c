"""A file that is handed on while it is fetched: verified before it leaves, kept nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bbj_desktop.core.errors import DigestError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, Remark
from bbj_desktop.services.transfer.donors import Donor
from bbj_desktop.services.transfer.fetch import Limits
from bbj_desktop.services.transfer.owed import OwedChunks, Want
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


def parts_of(part_bytes: int) -> list[tuple[int, int]]:
    return [(start, min(part_bytes, len(CONTENT) - start)) for start in range(0, len(CONTENT), part_bytes)]


@pytest.mark.parametrize("part_bytes", [10_007, 50_000, 130_001, 350_000])
def test_parts_that_are_asked_for_at_once_fetch_no_chunk_twice(source: Source, part_bytes: int) -> None:
    passed, parts = passed_on(source), parts_of(part_bytes)
    with ThreadPoolExecutor(16) as pool:
        came = list(pool.map(lambda part: b"".join(passed.read(part[0], part[1], Cancel())), parts))
    assert b"".join(came) == CONTENT
    assert passed.received_bytes == len(CONTENT)


def test_parts_that_are_asked_for_one_after_another_fetch_no_chunk_twice(source: Source) -> None:
    passed = passed_on(source)
    for part in [*reversed(parts_of(130_001))]:
        b"".join(passed.read(*part, Cancel()))
    assert passed.received_bytes == len(CONTENT)


def test_what_a_broken_part_left_of_a_chunk_is_there_when_it_goes_on(source: Source) -> None:
    passed = passed_on(source)
    begun = passed.read(CHUNK // 2, 3 * CHUNK, Cancel())
    first = next(begun)
    begun.close()
    rest = b"".join(passed.read(CHUNK // 2, len(CONTENT) - CHUNK // 2, Cancel()))
    assert rest.startswith(first)
    assert passed.received_bytes <= len(CONTENT) + CHUNK


def test_who_waits_for_a_chunk_is_told_when_nobody_has_it() -> None:
    with ReleaseServer({"blobs/x": bytes(len(CONTENT))}) as liar:
        lying = open_source(liar.address, NETWORK)
        passed = passed_on(lying)

        def ends(start: int) -> type[BaseException] | None:
            try:
                b"".join(passed.read(start, 10, Cancel()))
            except DigestError as error:
                return type(error)
            return None

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(ends, range(0, 40, 10))) == [DigestError] * 4
        lying.close()


def test_only_what_nobody_had_is_kept() -> None:
    owed = OwedChunks(1000)
    owed.put(3, bytes(100))
    owed.handed(3, 40, 100)
    assert owed.kept_bytes == 40
    assert owed.get(Want(3, 0, 40, whole=False)) == bytes(40)
    assert owed.get(Want(3, 30, 50, whole=False)) is None
    owed.handed(3, 0, 40)
    assert owed.kept_bytes == 0


def test_what_is_kept_has_a_bound() -> None:
    owed = OwedChunks(1000)
    for number in range(100):
        owed.put(number, bytes(300))
    assert owed.kept_bytes <= 1000
    assert owed.get(Want(99, 0, 300, whole=True)) == bytes(300)
