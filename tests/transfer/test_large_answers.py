"""Large answers, which are read straight from their sockets."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.errors import BBjDesktopError, Cancelled, StalledError, TransportError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.transfer.fetch import Limits, fetch
from bbj_desktop.services.transfer.source import filling
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.certificates import loopback_tls
from tests.fakes.payload import index_of, payload
from tests.fakes.release_server import Fault, ReleaseServer
from tests.fakes.tunnel import tunnels

CONTENT = payload(290)
QUICK = Network(proxy=DIRECT, connect_timeout_s=5.0, stall_timeout_s=0.5)
PATIENT = Network(proxy=DIRECT)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer({"blob": CONTENT}) as server:
        yield server


def read(address: str, network: Network = QUICK, cancel: Cancel | None = None, *, length: int | None = None) -> bytes:
    source = open_source(address, network)
    try:
        with source.stream("blob", length=length, cancel=cancel or Cancel()) as stream:
            return b"".join(pieces(filling(stream).read_into))
    finally:
        source.close()


def pieces(read_into: object) -> Iterator[bytes]:
    assert callable(read_into)
    buffer = memoryview(bytearray(200_000))
    while count := read_into(buffer):
        yield bytes(buffer[:count])


def test_every_byte_comes_in_order(server: ReleaseServer) -> None:
    assert read(server.address) == CONTENT


def test_every_byte_comes_in_order_when_encrypted(tmp_path: Path) -> None:
    context, authority = loopback_tls(tmp_path)
    with ReleaseServer({"blob": CONTENT}, tls=context) as server:
        assert read(server.address, Network(proxy=DIRECT, ca_file=authority)) == CONTENT


def test_every_byte_comes_in_order_through_a_proxy(tmp_path: Path) -> None:
    context, authority = loopback_tls(tmp_path)
    with ReleaseServer({"blob": CONTENT}, tls=context) as server, tunnels() as proxy:
        assert read(server.address, Network(proxy=proxy.address, no_proxy=(), ca_file=authority)) == CONTENT
        assert proxy.asked


def test_every_byte_comes_in_order_through_an_encrypted_proxy(tmp_path: Path) -> None:
    context, authority = loopback_tls(tmp_path)
    with ReleaseServer({"blob": CONTENT}, tls=context) as server, tunnels() as proxy:
        proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
        address = proxy.address.replace("http://", "https://")
        assert read(server.address, Network(proxy=address, no_proxy=(), ca_file=authority)) == CONTENT
        assert proxy.asked


def test_an_answer_of_unknown_length_is_read_to_its_end(server: ReleaseServer) -> None:
    server.script("blob", Fault(no_length=True))
    assert read(server.address) == CONTENT


def test_a_range_ends_where_it_was_asked_to(server: ReleaseServer) -> None:
    assert read(server.address, length=17 * 2**20 + 5) == CONTENT[: 17 * 2**20 + 5]


def test_a_server_that_hangs_up_is_told(server: ReleaseServer) -> None:
    server.script("blob", Fault(drop_after=5_000_000))
    with pytest.raises(TransportError, match="broke off"):
        read(server.address)


def test_a_server_that_falls_silent_is_given_up(server: ReleaseServer) -> None:
    server.script("blob", Fault(stall_after=5_000_000))
    with pytest.raises(StalledError):
        read(server.address)


def test_a_server_that_trickles_is_given_up(server: ReleaseServer) -> None:
    server.script("blob", Fault(rate_bytes_per_s=1000))
    with pytest.raises(StalledError, match="bytes a second"):
        read(server.address, QUICK.model_copy(update={"min_rate_bytes_per_s": 1e6}))


def test_cancelling_wakes_a_read_that_waits(server: ReleaseServer) -> None:
    server.script("blob", Fault(stall_after=5_000_000))
    cancel = Cancel()
    threading.Timer(0.3, cancel.cancel).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        read(server.address, PATIENT, cancel)
    assert time.monotonic() - begun < PATIENT.stall_timeout_s / 2


def test_the_next_request_gets_a_connection_of_its_own(server: ReleaseServer) -> None:
    source = open_source(server.address, QUICK)
    for _ in range(2):
        with source.stream("blob", length=17 * 2**20, cancel=Cancel()) as stream:
            assert b"".join(pieces(filling(stream).read_into)) == CONTENT[: 17 * 2**20]
    source.close()
    assert server.connections == 2


def test_a_small_answer_leaves_its_connection_to_the_next(server: ReleaseServer) -> None:
    source = open_source(server.address, QUICK)
    for _ in range(2):
        with source.stream("blob", length=1000, cancel=Cancel()) as stream:
            assert b"".join(pieces(filling(stream).read_into)) == CONTENT[:1000]
    source.close()
    assert server.connections == 1


@pytest.mark.parametrize(
    "fault",
    [Fault(drop_after=9_000_000), Fault(stall_after=9_000_000), Fault(flip=9_000_000), Fault(no_range=True)],
    ids=["dropped", "stalled", "flipped", "no range"],
)
def test_a_fault_in_a_large_answer_does_no_harm(server: ReleaseServer, tmp_path: Path, fault: Fault) -> None:
    server.script("blob", fault)
    source = open_source(server.address, QUICK)
    target = tmp_path / "Müllers Modell"
    fetch(source, "blob", index_of(CONTENT), target, silent, Cancel(), limits=Limits(streams=1, first_wait_s=0.01))
    source.close()
    assert target.read_bytes() == CONTENT


def test_a_slow_mirror_does_not_hold_up_the_end(server: ReleaseServer, tmp_path: Path) -> None:
    index, target = index_of(CONTENT), tmp_path / "blob"
    slow_fault = Fault(rate_bytes_per_s=400_000)  # alone it would take more than a minute
    with ReleaseServer({"blob": CONTENT}, always=slow_fault) as slow:
        sources = [open_source(each.address, PATIENT) for each in (slow, server)]
        fetch(sources, "blob", index, target, silent, Cancel(), limits=Limits(streams=2))
        for source in sources:
            source.close()
        assert slow.sent_bytes() < len(CONTENT) / 4
    assert target.read_bytes() == CONTENT


MEASURED = """
import sys
from pathlib import Path
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import parse_chunk_index
from bbj_desktop.services.transfer.fetch import fetch
from bbj_desktop.services.transfer.sources import open_source
address, index, destination = sys.argv[1:]
source = open_source(address, Network(proxy="direct"))
fetch(source, "blob", parse_chunk_index(Path(index).read_bytes()), Path(destination), silent, Cancel())
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def _peak_bytes(content: bytes, folder: Path) -> int:
    index = folder / "index.json"
    index.write_text(index_of(content, 8 * 2**20).model_dump_json())
    with ReleaseServer({"blob": content}) as server:
        command = [sys.executable, "-c", MEASURED, server.address, str(index), str(folder / "blob")]
        said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    (folder / "blob").unlink()
    return int(said.stdout) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to read the peak memory of a process")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    small, large = (_peak_bytes(bytes(mib * 2**20), tmp_path) for mib in (8, 128))
    assert large - small < 8 * 2**20


def test_every_error_is_one_of_ours(server: ReleaseServer) -> None:
    server.script("blob", Fault(headers={"Content-Length": str(len(CONTENT) * 2)}), Fault(drop_after=5_000_000))
    for _ in range(2):
        with pytest.raises(BBjDesktopError):
            read(server.address)
