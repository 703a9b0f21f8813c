"""Downloads that wait: at the user's word, or because the process was stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.errors import Cancelled
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, Event, Remark, Transfer, silent
from bbj_desktop.services.transfer.fetch import Fetched, Limits, fetch
from bbj_desktop.services.transfer.partial import part_path
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.payload import CHUNK, index_of, payload
from tests.fakes.release_server import Fault, ReleaseServer

CONTENT = payload(20)
INDEX = index_of(CONTENT)
SLOW = Fault(rate_bytes_per_s=2_000_000)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer({"blob": CONTENT}) as server:
        yield server


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "Müllers Modell"


class Download:
    """One download on a thread of its own, with what it says."""

    def __init__(self, server: ReleaseServer, destination: Path) -> None:
        self.cancel = Cancel()
        self.events: list[Event] = []
        self.fetched: Fetched | None = None
        self.cancelled = False
        self._source = open_source(server.address, Network(proxy=DIRECT))
        self._destination = destination
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        limits = Limits(first_wait_s=0.01)
        try:
            self.fetched = fetch(
                self._source, "blob", INDEX, self._destination, self.events.append, self.cancel, limits=limits
            )
        except Cancelled:
            self.cancelled = True
        finally:
            self._source.close()

    def wait_for(self, verified_bytes: int) -> None:
        while not any(isinstance(each, Transfer) and each.done_bytes >= verified_bytes for each in self.events):
            assert self.thread.is_alive()
            time.sleep(0.005)


def wait_until_let_go(server: ReleaseServer) -> None:
    while server.open_connections:
        time.sleep(0.005)


def test_a_pause_lets_the_connections_go_and_loses_nothing(server: ReleaseServer, destination: Path) -> None:
    server.always = SLOW
    download = Download(server, destination)
    download.wait_for(3 * CHUNK)
    download.cancel.pause()
    wait_until_let_go(server)
    asked, sent = len(server.requests), server.sent_bytes()
    assert download.thread.is_alive()
    assert part_path(destination).exists()
    server.always = None
    download.cancel.resume()
    download.thread.join()
    assert destination.read_bytes() == CONTENT
    assert len(server.requests) > asked
    assert server.sent_bytes() - sent <= len(CONTENT) - 3 * CHUNK
    assert not [event for event in download.events if isinstance(event, Remark)]  # a pause isn't a failure
    assert download.fetched is not None
    assert download.fetched.bytes_kept == 0


def test_a_download_may_be_paused_again_and_again(server: ReleaseServer, destination: Path) -> None:
    server.always = SLOW
    download = Download(server, destination)
    for verified in (2, 5, 8):
        download.wait_for(verified * CHUNK)
        download.cancel.pause()
        wait_until_let_go(server)
        download.cancel.resume()
    download.thread.join()
    assert destination.read_bytes() == CONTENT


def test_a_paused_download_can_be_cancelled(server: ReleaseServer, destination: Path) -> None:
    server.always = SLOW
    download = Download(server, destination)
    download.wait_for(2 * CHUNK)
    download.cancel.pause()
    wait_until_let_go(server)
    download.cancel.cancel()
    download.thread.join()
    assert download.cancelled


def test_a_download_paused_before_it_begins_asks_for_nothing(server: ReleaseServer, destination: Path) -> None:
    cancel = Cancel()
    cancel.pause()
    source = open_source(server.address, Network(proxy=DIRECT))
    thread = threading.Thread(target=fetch, args=(source, "blob", INDEX, destination, silent, cancel))
    thread.start()
    while not part_path(destination).exists():
        time.sleep(0.005)
    assert server.requests == []
    cancel.resume()
    thread.join()
    source.close()
    assert destination.read_bytes() == CONTENT


CHILD = """
import sys
from pathlib import Path
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel, Remark
from bbj_desktop.core.release import parse_chunk_index
from bbj_desktop.services.transfer.fetch import fetch
from bbj_desktop.services.transfer.sources import open_source
address, index, destination = sys.argv[1:]
source = open_source(address, Network(proxy="direct", stall_timeout_s=0.3))
fetch(source, "blob", parse_chunk_index(Path(index).read_bytes()), Path(destination), lambda _: None, Cancel())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
def test_a_process_stopped_by_ctrl_z_goes_on_where_it_was(server: ReleaseServer, destination: Path) -> None:
    server.always = SLOW
    index = destination.with_name("index.json")
    index.write_text(INDEX.model_dump_json())
    command = [sys.executable, "-c", CHILD, server.address, str(index), str(destination)]
    child = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    while server.sent_bytes() < 4 * CHUNK:
        assert child.poll() is None
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGSTOP)
    time.sleep(1.0)  # longer than three stall time-outs
    server.drop_connections()  # as a server does with those who don't read
    os.kill(child.pid, signal.SIGCONT)
    assert child.wait(timeout=60) == 0
    assert destination.read_bytes() == CONTENT
    assert (
        server.sent_bytes() <= len(CONTENT) + 2 * 2 * CHUNK + 8 * CHUNK
    )  # what lay in the sockets of a stopped reader
