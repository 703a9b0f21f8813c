"""Mending a damaged file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.errors import Cancelled, DigestError, TransportError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.services.transfer.donors import Donor
from bbj_desktop.services.transfer.fetch import Limits
from bbj_desktop.services.transfer.partial import note_path, part_path
from bbj_desktop.services.transfer.repair import Repaired, repair
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.payload import CHUNK, digest_of, index_of, payload
from tests.fakes.release_server import Fault, ReleaseServer

CONTENT = payload(20)
INDEX = index_of(CONTENT)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer({"blob": CONTENT}) as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Damaged within two of its chunks."""
    path = tmp_path / "Modell äöü" / "blob"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    damage(path, 3 * CHUNK + 7, 11 * CHUNK - 1)
    return path


def damage(path: Path, *offsets: int) -> None:
    with path.open("r+b") as file:
        for offset in offsets:
            file.seek(offset)
            file.write(bytes([CONTENT[offset] ^ 1]))


def mend(
    server: ReleaseServer,
    file: Path,
    *,
    cancel: Cancel | None = None,
    donors: tuple[Donor, ...] = (),
    index: ChunkIndex = INDEX,
    limits: Limits = Limits(first_wait_s=0.01, attempts=2),  # noqa: B008 - frozen
) -> Repaired:
    source = open_source(server.address, Network(proxy=DIRECT))
    try:
        return repair(source, "blob", index, file, silent, cancel or Cancel(), donors=donors, limits=limits)
    finally:
        source.close()


def test_the_damaged_chunks_alone_are_fetched(server: ReleaseServer, file: Path) -> None:
    assert mend(server, file) == Repaired(damaged_bytes=2 * CHUNK, fetched_bytes=2 * CHUNK)
    assert file.read_bytes() == CONTENT
    assert server.sent_bytes() <= 1.01 * 2 * CHUNK
    assert list(file.parent.iterdir()) == [file]


def test_a_file_without_damage_costs_no_byte(server: ReleaseServer, file: Path) -> None:
    file.write_bytes(CONTENT)
    assert mend(server, file) == Repaired(0, 0)
    assert server.requests == []


LOST: dict[str, tuple[Callable[[Path], object], int]] = {
    "cut off": (lambda path: os.truncate(path, 18 * CHUNK), 4 * CHUNK + 1234),
    "longer": (lambda path: path.write_bytes(CONTENT + b"more"), 0),
    "gone": (lambda path: path.unlink(), len(CONTENT)),
}


@pytest.mark.parametrize(("lose", "missing"), LOST.values(), ids=LOST.keys())
def test_a_file_of_another_length_is_mended(
    server: ReleaseServer, file: Path, lose: Callable[[Path], object], missing: int
) -> None:
    lose(file)
    assert mend(server, file).fetched_bytes == missing
    assert file.read_bytes() == CONTENT


def test_another_file_here_saves_the_network(server: ReleaseServer, file: Path, tmp_path: Path) -> None:
    other = payload(1, seed=4, rest=0) + CONTENT[3 * CHUNK : 4 * CHUNK]
    (tmp_path / "other").write_bytes(other)
    done = mend(server, file, donors=(Donor(tmp_path / "other", index_of(other)),))
    assert done == Repaired(damaged_bytes=2 * CHUNK, fetched_bytes=CHUNK)
    assert file.read_bytes() == CONTENT


def test_other_names_of_the_damaged_bytes_are_not_written(server: ReleaseServer, file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    os.link(file, link)
    before = link.read_bytes()
    mend(server, file)
    assert link.read_bytes() == before


def test_a_repair_that_fails_leaves_the_file_as_it_was(server: ReleaseServer, file: Path) -> None:
    before = file.read_bytes()
    server.always = Fault(status=503)
    with pytest.raises(TransportError):
        mend(server, file)
    assert file.read_bytes() == before


def test_a_cancelled_repair_goes_on_where_it_ended(server: ReleaseServer, file: Path) -> None:
    damage(file, *(number * CHUNK for number in range(12, 20)))
    server.script("blob", Fault(stall_after=0))
    cancel = Cancel()
    threading.Timer(0.3, cancel.cancel).start()
    with pytest.raises(Cancelled):
        mend(server, file, cancel=cancel, limits=Limits(streams=1))
    assert part_path(file).exists()
    assert mend(server, file).fetched_bytes == 10 * CHUNK
    assert file.read_bytes() == CONTENT
    assert not note_path(file).exists()


def test_an_index_that_contradicts_itself_is_told(server: ReleaseServer, file: Path) -> None:
    file.write_bytes(CONTENT)
    wrong = INDEX.model_copy(update={"file": INDEX.file.model_copy(update={"digest": digest_of(b"other")})})
    with pytest.raises(DigestError):
        mend(server, file, index=wrong)


CHILD = """
import sys
from pathlib import Path
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import parse_chunk_index
from bbj_desktop.services.transfer.repair import repair
from bbj_desktop.services.transfer.sources import open_source
address, index, file = sys.argv[1:]
source = open_source(address, Network(proxy="direct"))
repair(source, "blob", parse_chunk_index(Path(index).read_bytes()), Path(file), silent, Cancel())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_repair_loses_nothing(server: ReleaseServer, file: Path) -> None:
    damage(file, *(number * CHUNK for number in range(12, 20)))
    before = file.read_bytes()
    index = file.with_name("index.json")
    index.write_text(INDEX.model_dump_json())
    server.always = Fault(rate_bytes_per_s=500_000)
    arguments = [sys.executable, "-c", CHILD, server.address, str(index), str(file)]
    child = subprocess.Popen(arguments, cwd=Path(__file__).parents[2])
    while server.sent_bytes() < 3 * CHUNK:
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert file.read_bytes() == before
    server.always = None
    assert mend(server, file).fetched_bytes < 10 * CHUNK
    assert file.read_bytes() == CONTENT
