"""Downloading a file: whole, verified, in place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.errors import NoSpaceError, NotFoundError, StoreAccessError, StoreBusyError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, Event, Remark, Transfer, silent
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.fetch import Fetched, Limits, bytes_missing, fetch
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.payload import CHUNK, index_of, payload
from tests.fakes.permissions import read_only
from tests.fakes.release_server import Fault, ReleaseServer

CONTENT = payload()
INDEX = index_of(CONTENT)
NETWORK = Network(proxy=DIRECT, connect_timeout_s=2.0, stall_timeout_s=1.0)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer({"blobs/ä b": CONTENT}) as server:
        yield server


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "Modelle für Müller" / "sha256-0123"


def download(address: str, destination: Path, **changes: object) -> Fetched:
    source = open_source(address, NETWORK)
    arguments: dict[str, object] = {"report": silent, "cancel": Cancel(), **changes}
    try:
        return fetch(source, "blobs/ä b", INDEX, destination, **arguments)  # type: ignore[arg-type] # by the tests
    finally:
        source.close()


def test_the_file_is_whole_and_nothing_is_left_beside_it(server: ReleaseServer, destination: Path) -> None:
    assert download(server.address, destination) == Fetched(bytes_fetched=len(CONTENT), bytes_kept=0)
    assert destination.read_bytes() == CONTENT
    assert list(destination.parent.iterdir()) == [destination]


def test_a_folder_serves_as_well(tmp_path: Path, destination: Path) -> None:
    (tmp_path / "registry" / "blobs").mkdir(parents=True)
    (tmp_path / "registry" / "blobs" / "ä b").write_bytes(CONTENT)
    assert download(str(tmp_path / "registry"), destination).bytes_fetched == len(CONTENT)
    assert destination.read_bytes() == CONTENT


def test_no_byte_is_asked_for_twice(server: ReleaseServer, destination: Path) -> None:
    download(server.address, destination)
    asked = sorted(request.range or (0, 0) for request in server.requests)
    ends = [-1, *(last or 0 for _, last in asked)]
    assert [first for first, _ in asked] == [end + 1 for end in ends[:-1]]
    assert ends[-1] == len(CONTENT) - 1


def test_two_connections_share_the_work(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(rate_bytes_per_s=4_000_000)
    download(server.address, destination)
    assert server.connections == 2


def test_one_connection_is_enough_if_so_wished(server: ReleaseServer, destination: Path) -> None:
    download(server.address, destination, limits=Limits(streams=1))
    assert destination.read_bytes() == CONTENT
    assert server.connections == 1


def test_a_server_without_ranges_is_asked_once(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(no_range=True)
    assert download(server.address, destination).bytes_fetched == len(CONTENT)
    assert destination.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_server_without_ranges_sends_again_what_is_here_and_that_is_said(
    server: ReleaseServer, destination: Path
) -> None:
    server.always = Fault(no_range=True)
    server.script("*", Fault(no_range=True, drop_after=3 * CHUNK))
    said: list[Event] = []
    fetched = download(server.address, destination, report=said.append)
    assert destination.read_bytes() == CONTENT
    assert fetched.bytes_fetched > len(CONTENT)
    remarks = [each.text for each in said if isinstance(each, Remark)]
    assert any("sends whole files only" in text and server.address in text for text in remarks)


def test_a_finished_file_is_not_fetched_again(server: ReleaseServer, destination: Path) -> None:
    download(server.address, destination)
    asked = len(server.requests)
    assert download(server.address, destination) == Fetched(0, len(CONTENT))
    assert len(server.requests) == asked


@pytest.mark.parametrize("there", [b"", b"something else", CONTENT[:-1] + b"?", CONTENT + b"more"])
def test_a_wrong_file_in_its_place_is_replaced(server: ReleaseServer, destination: Path, there: bytes) -> None:
    destination.parent.mkdir(parents=True)
    destination.write_bytes(there)
    download(server.address, destination)
    assert destination.read_bytes() == CONTENT


def test_progress_ends_with_everything(server: ReleaseServer, destination: Path) -> None:
    events: list[Event] = []
    download(server.address, destination, report=events.append)
    transfers = [event for event in events if isinstance(event, Transfer)]
    assert (transfers[-1].done_bytes, transfers[-1].total_bytes) == (len(CONTENT), len(CONTENT))
    done = [transfer.done_bytes for transfer in transfers]
    assert done == sorted(done)


def test_progress_tells_speed_and_time_left_at_most_ten_times_a_second(
    server: ReleaseServer, destination: Path
) -> None:
    server.always = Fault(rate_bytes_per_s=400_000)  # twice: for two connections
    events: list[Event] = []
    begun = time.monotonic()
    download(server.address, destination, report=events.append)
    transfers = [event for event in events if isinstance(event, Transfer)]
    rates = [event.rate_bytes_per_s for event in transfers if event.rate_bytes_per_s]
    assert 100_000 < max(rates) < 1_200_000
    assert any(event.remaining_s is not None and 0 < event.remaining_s < 20 for event in transfers)
    assert len(transfers) <= 3 + 10 * (time.monotonic() - begun)


def test_a_file_that_is_not_there_is_not_found(server: ReleaseServer, destination: Path) -> None:
    server.files = {}
    with pytest.raises(NotFoundError):
        download(server.address, destination)


def test_a_folder_in_its_place_is_refused(server: ReleaseServer, destination: Path) -> None:
    destination.mkdir(parents=True)
    with pytest.raises(StoreAccessError, match="is a folder"):
        download(server.address, destination)


def test_a_file_where_its_folder_should_be_is_refused(server: ReleaseServer, destination: Path) -> None:
    destination.parent.write_text("in the way")
    with pytest.raises(StoreAccessError):
        download(server.address, destination)


def test_a_folder_without_permission_is_refused(server: ReleaseServer, destination: Path) -> None:
    destination.parent.mkdir()
    with read_only(destination.parent), pytest.raises(StoreAccessError):
        download(server.address, destination)


class _Small(Disk):
    """A volume with little room."""

    def free_bytes(self, path: Path) -> int:
        del path
        return 5 * CHUNK


def test_too_little_room_is_said_before_the_first_byte(server: ReleaseServer, destination: Path) -> None:
    with pytest.raises(NoSpaceError) as caught:
        download(server.address, destination, disk=_Small())
    assert (caught.value.needed_bytes, caught.value.free_bytes) == (len(CONTENT), 5 * CHUNK)
    assert server.requests == []


def test_another_process_at_the_same_file_is_noticed(server: ReleaseServer, destination: Path) -> None:
    with FileLock(destination.with_name(destination.name + ".part.lock")), pytest.raises(StoreBusyError):
        download(server.address, destination)


def test_what_is_missing_is_known_without_reading(server: ReleaseServer, destination: Path) -> None:
    assert bytes_missing(INDEX, destination) == len(CONTENT)
    download(server.address, destination)
    assert bytes_missing(INDEX, destination) == 0


def test_the_speed_can_be_bounded(server: ReleaseServer, destination: Path) -> None:
    begun = time.monotonic()
    download(server.address, destination, limits=Limits(bytes_per_s=2 * len(CONTENT)))
    assert time.monotonic() - begun >= 0.5
    assert destination.read_bytes() == CONTENT
