"""Downloads that end early, go wrong on the way, or are taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.errors import (
    Cancelled,
    DigestError,
    MixAndMatchError,
    NoSpaceError,
    RangeError,
    ServerError,
    StoreError,
    TransportError,
)
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, Event, Remark, Report, Transfer, silent
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.fetch import Fetched, Limits, bytes_missing, fetch
from bbj_desktop.services.transfer.partial import note_path, part_path
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.payload import CHUNK, index_of, payload
from tests.fakes.release_server import Fault, ReleaseServer

CONTENT = payload(20)
INDEX = index_of(CONTENT)
NETWORK = Network(proxy=DIRECT, connect_timeout_s=2.0, stall_timeout_s=0.5)
PATIENT = Network(proxy=DIRECT)
QUICK = Limits(first_wait_s=0.01, attempts=4)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer({"blob": CONTENT}) as server:
        yield server


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "blob äöü"


def download(
    server: ReleaseServer,
    destination: Path,
    *,
    report: Report = silent,
    cancel: Cancel | None = None,
    limits: Limits = QUICK,
    disk: Disk | None = None,
    index: ChunkIndex = INDEX,
    network: Network = NETWORK,
) -> Fetched:
    source = open_source(server.address, network)
    try:
        return fetch(source, "blob", index, destination, report, cancel or Cancel(), limits=limits, disk=disk)
    finally:
        source.close()


def interrupted(server: ReleaseServer, destination: Path, bytes_before: int = 5 * CHUNK + 10) -> int:
    """Leaves a download that broke off; what of it is kept."""
    server.script("blob", Fault(drop_after=bytes_before))
    with pytest.raises(TransportError):
        download(server, destination, limits=Limits(streams=1, attempts=1))
    return INDEX.file.length_bytes - bytes_missing(INDEX, destination)


FAULTS = {
    "dropped": Fault(drop_after=2 * CHUNK + 7),
    "dropped at once": Fault(drop_after=0),
    "stalled": Fault(stall_after=CHUNK + 7),
    "flipped": Fault(flip=3),
    "shifted": Fault(shift=11),
    "busy": Fault(status=503),
    "too many": Fault(status=429, headers={"Retry-After": "0"}),
    "expired": Fault(status=403),
    "no range": Fault(no_range=True),
    "no length": Fault(no_length=True),
    "endless": Fault(endless=True),
}


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_one_fault_does_no_harm(server: ReleaseServer, destination: Path, fault: Fault, streams: int) -> None:
    server.script("blob", fault)
    download(server, destination, limits=Limits(streams=streams, first_wait_s=0.01))
    assert destination.read_bytes() == CONTENT


def test_a_server_that_forgets_ranges_half_way_does_no_harm(server: ReleaseServer, destination: Path) -> None:
    server.script("blob", Fault(), Fault(), Fault(no_range=True), Fault(), Fault(no_range=True))
    download(server, destination)
    assert destination.read_bytes() == CONTENT


def test_an_object_that_changes_and_comes_back_does_no_harm(server: ReleaseServer, destination: Path) -> None:
    server.script("blob", Fault(), Fault(headers={"ETag": '"from another machine"'}))
    download(server, destination)
    assert destination.read_bytes() == CONTENT


def test_the_user_is_told_of_another_try(server: ReleaseServer, destination: Path) -> None:
    server.script("blob", Fault(status=503))
    events: list[Event] = []
    download(server, destination, report=events.append)
    remarks = [event for event in events if isinstance(event, Remark)]
    assert "503" in remarks[0].text
    assert remarks[0].level == "warning"


def test_retry_after_is_honoured(server: ReleaseServer, destination: Path) -> None:
    server.script("blob", Fault(status=503, headers={"Retry-After": "1"}))
    begun = time.monotonic()
    download(server, destination)
    assert time.monotonic() - begun >= 1.0


def test_a_server_that_wants_too_long_a_wait_ends_it(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(status=503, headers={"Retry-After": "86400"})
    with pytest.raises(ServerError):
        download(server, destination)
    assert len(server.requests) == 1


def test_a_refusal_is_not_tried_again(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(status=401)
    with pytest.raises(ServerError):
        download(server, destination)
    assert len(server.requests) == 1


def test_tries_without_a_new_byte_end(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(status=500)
    with pytest.raises(ServerError):
        download(server, destination)
    assert len(server.requests) == QUICK.attempts


def test_progress_renews_the_patience(server: ReleaseServer, destination: Path) -> None:
    server.script("blob", *[Fault(drop_after=CHUNK + 1)] * 12)  # more breaks than tries, but each brings a chunk
    download(server, destination, limits=Limits(streams=1, attempts=3, first_wait_s=0.001))
    assert destination.read_bytes() == CONTENT


def test_a_damaged_chunk_alone_is_fetched_again(server: ReleaseServer, destination: Path) -> None:
    server.script("blob", Fault(flip=3 * CHUNK + 5))
    fetched = download(server, destination, limits=Limits(streams=1, first_wait_s=0.01)).bytes_fetched
    assert destination.read_bytes() == CONTENT
    in_flight = 512 * 1024  # bytes read from the socket at once: what was behind the damage is fetched again, too
    assert len(CONTENT) + CHUNK <= fetched <= len(CONTENT) + 2 * CHUNK + in_flight


def test_a_chunk_that_stays_damaged_is_a_trust_error(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(flip=3 * CHUNK + 5)
    with pytest.raises(DigestError) as caught:
        download(server, destination)
    assert caught.value.expected == INDEX.chunks[3].digest
    assert not destination.exists()


def test_another_length_is_a_trust_error(server: ReleaseServer, destination: Path) -> None:
    server.files = {"blob": CONTENT + b"more"}
    with pytest.raises(MixAndMatchError):
        download(server, destination)


def test_a_sign_in_page_in_its_place_is_refused(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(content=b"<html>Please sign in</html>", no_range=True)
    with pytest.raises(MixAndMatchError, match="were signed"):
        download(server, destination)


def test_a_shortened_answer_is_asked_again(server: ReleaseServer, destination: Path) -> None:
    server.files = {"blob": CONTENT[: 10 * CHUNK]}
    server.always = Fault(headers={"Content-Range": ""})
    with pytest.raises(RangeError):
        download(server, destination)


def test_what_was_verified_is_kept(server: ReleaseServer, destination: Path) -> None:
    kept = interrupted(server, destination)
    assert kept >= CHUNK
    fetched = download(server, destination)
    assert (fetched.bytes_kept, fetched.bytes_fetched) == (kept, len(CONTENT) - kept)
    assert destination.read_bytes() == CONTENT


def test_kept_bytes_that_changed_are_fetched_again(server: ReleaseServer, destination: Path) -> None:
    kept = interrupted(server, destination)
    with part_path(destination).open("r+b") as file:
        file.write(b"damage")
    assert download(server, destination).bytes_kept == kept - CHUNK
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("note", [b"", b"{", b'{"format": 9}\n0\n', b"\xff\x00\n", None])
def test_a_lost_note_costs_time_only(server: ReleaseServer, destination: Path, note: bytes | None) -> None:
    kept = interrupted(server, destination)
    if note is None:
        note_path(destination).unlink()
    else:
        note_path(destination).write_bytes(note)
    assert download(server, destination).bytes_kept == kept
    assert destination.read_bytes() == CONTENT


def test_a_part_of_another_file_is_no_use_and_no_harm(server: ReleaseServer, destination: Path) -> None:
    part_path(destination).write_bytes(payload(25, seed=2))
    assert download(server, destination).bytes_kept == 0
    assert destination.read_bytes() == CONTENT


def test_cancelling_ends_it_at_once_and_keeps_what_is_here(server: ReleaseServer, destination: Path) -> None:
    server.script("blob", Fault(stall_after=3 * CHUNK + 5), Fault(stall_after=0))
    cancel = Cancel()
    threading.Timer(0.3, cancel.cancel).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        download(server, destination, cancel=cancel, network=PATIENT)
    assert time.monotonic() - begun < 3.0  # the stall time-out is far longer
    assert download(server, destination).bytes_kept == 3 * CHUNK
    assert destination.read_bytes() == CONTENT


def test_cancelling_ends_a_wait_for_another_try(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(status=503, headers={"Retry-After": "60"})
    cancel = Cancel()
    threading.Timer(0.2, cancel.cancel).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        download(server, destination, cancel=cancel)
    assert time.monotonic() - begun < 2.0


def test_a_change_of_the_network_costs_at_most_a_chunk_a_connection(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(rate_bytes_per_s=2_000_000)
    changes = deque([4 * CHUNK, 8 * CHUNK, 12 * CHUNK])

    def report(event: Event) -> None:
        if changes and isinstance(event, Transfer) and event.done_bytes >= changes[0]:
            changes.popleft()
            server.drop_connections()  # all at once, as when a cable is pulled and a wireless network takes over

    fetched = download(server, destination, report=report, network=PATIENT)
    assert not changes
    assert destination.read_bytes() == CONTENT
    in_a_thread = CHUNK + 256 * 1024  # bytes of its buffer behind the chunk
    assert fetched.bytes_fetched <= len(CONTENT) + 3 * QUICK.streams * in_a_thread


class _Filling(Disk):
    """A volume that is full after some bytes of content."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, path: Path, file: object, offset: int, content: bytes | memoryview) -> None:
        self.room -= len(content)
        if self.room < 0:
            raise NoSpaceError("full", needed_bytes=len(content), free_bytes=0, path=path)
        super().write(path, file, offset, content)  # type: ignore[arg-type] # passed on


def test_a_disk_that_fills_leaves_what_fits(server: ReleaseServer, destination: Path) -> None:
    with pytest.raises(NoSpaceError):
        download(server, destination, disk=_Filling(8 * CHUNK), limits=Limits(streams=1))
    kept = download(server, destination).bytes_kept
    assert 6 * CHUNK <= kept <= 8 * CHUNK
    assert destination.read_bytes() == CONTENT


CHILD = """
import resource, sys
from pathlib import Path
from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import parse_chunk_index
from bbj_desktop.services.transfer.fetch import fetch
from bbj_desktop.services.transfer.sources import open_source
address, index, destination, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
source = open_source(address, Network(proxy="direct"))
try:
    fetch(source, "blob", parse_chunk_index(Path(index).read_bytes()), Path(destination), silent, Cancel())
except BBjDesktopError as error:
    sys.exit(error.code)
"""


def start_child(server: ReleaseServer, destination: Path, *, file_limit: int = 0) -> subprocess.Popen[str]:
    index = destination.with_name("index.json")
    index.write_text(INDEX.model_dump_json())
    arguments = [sys.executable, "-c", CHILD, server.address, str(index), str(destination), str(file_limit)]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_after_a_kill_at_most_one_chunk_a_connection_comes_again(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(rate_bytes_per_s=1_000_000)
    child = start_child(server, destination)
    while bytes_missing(INDEX, destination) > len(CONTENT) - 5 * CHUNK:
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    server.always = None
    fetched = download(server, destination)
    assert destination.read_bytes() == CONTENT
    assert fetched.bytes_kept >= 5 * CHUNK
    assert fetched.bytes_kept + fetched.bytes_fetched == len(CONTENT)
    # what the server had on its way to the two killed connections besides a chunk each lay in their sockets
    on_the_way = 2 * 2 * CHUNK
    assert server.sent_bytes("blob") <= len(CONTENT) + on_the_way


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_limit_of_the_operating_system_leaves_what_fits(server: ReleaseServer, destination: Path) -> None:
    child = start_child(server, destination, file_limit=7 * CHUNK)
    _, said = child.communicate(timeout=30)
    assert said.strip() == "NoSpaceError"
    assert download(server, destination).bytes_kept >= CHUNK
    assert destination.read_bytes() == CONTENT


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource, which the child imports")
def test_two_processes_do_not_get_into_each_others_way(server: ReleaseServer, destination: Path) -> None:
    server.always = Fault(rate_bytes_per_s=1_500_000)
    children = [start_child(server, destination) for _ in range(2)]
    said = sorted(child.communicate(timeout=60)[1].strip() for child in children)
    assert said[0] == ""
    assert said[1] in {"", "StoreBusyError"}
    assert destination.read_bytes() == CONTENT


def test_every_error_is_one_of_ours(server: ReleaseServer, destination: Path) -> None:
    part_path(destination).mkdir()
    with pytest.raises(StoreError):
        download(server, destination)
