"""Chunks taken from files on this machine instead of the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from bbj_desktop.core.chunks import plan_chunks
from bbj_desktop.core.gguf import read_header
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.services.registry.blobs import index_file
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.donors import Donor, keep_index, kept_index_path, recall_index
from bbj_desktop.services.transfer.fetch import Fetched, Limits, bytes_missing, fetch
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.payload import CHUNK, index_of, payload
from tests.fakes.release_server import ReleaseServer

OLD = payload(12)
CHANGED = payload(2, seed=7, rest=0)
# two new chunks in front, the old ones behind them in another order, all at other places
NEW = CHANGED + OLD[6 * CHUNK : 12 * CHUNK] + OLD[: 6 * CHUNK]
INDEX = index_of(NEW)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer({"blob": NEW}) as server:
        yield server


@pytest.fixture
def donor(tmp_path: Path) -> Donor:
    path = tmp_path / "alt ü"
    path.write_bytes(OLD)
    return Donor(path, index_of(OLD))


def download(
    server: ReleaseServer, destination: Path, donors: Iterable[Donor], *, index: ChunkIndex = INDEX
) -> Fetched:
    source = open_source(server.address, Network(proxy=DIRECT))
    limits = Limits(first_wait_s=0.01)
    try:
        return fetch(source, "blob", index, destination, silent, Cancel(), limits=limits, donors=donors)
    finally:
        source.close()


def test_only_what_no_file_here_has_is_fetched(server: ReleaseServer, donor: Donor, tmp_path: Path) -> None:
    fetched = download(server, tmp_path / "new", [donor])
    assert fetched == Fetched(bytes_fetched=2 * CHUNK, bytes_kept=0, bytes_copied=12 * CHUNK)
    assert (tmp_path / "new").read_bytes() == NEW
    assert server.sent_bytes() == 2 * CHUNK


def test_the_bytes_to_fetch_are_known_before(donor: Donor, tmp_path: Path) -> None:
    assert bytes_missing(INDEX, tmp_path / "new", [donor]) == 2 * CHUNK
    assert bytes_missing(INDEX, tmp_path / "new") == len(NEW)


def test_a_file_that_has_everything_saves_the_network(server: ReleaseServer, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(NEW)
    assert download(server, tmp_path / "new", [Donor(copy, INDEX)]).bytes_fetched == 0
    assert server.requests == []
    assert (tmp_path / "new").read_bytes() == NEW


def test_what_a_damaged_file_has_no_more_is_fetched(server: ReleaseServer, donor: Donor, tmp_path: Path) -> None:
    with donor.path.open("r+b") as file:
        file.seek(3 * CHUNK + 50)
        file.write(b"damage")
    assert download(server, tmp_path / "new", [donor]).bytes_fetched == 3 * CHUNK
    assert (tmp_path / "new").read_bytes() == NEW


@pytest.mark.parametrize("change", ["gone", "shortened", "of something else"])
def test_a_donor_that_is_not_what_it_was_does_no_harm(
    server: ReleaseServer, donor: Donor, tmp_path: Path, change: str
) -> None:
    if change == "gone":
        donor.path.unlink()
    else:
        donor.path.write_bytes(OLD[:CHUNK] if change == "shortened" else payload(12, seed=9))
    download(server, tmp_path / "new", [donor])
    assert (tmp_path / "new").read_bytes() == NEW


def test_a_donor_is_never_written(server: ReleaseServer, donor: Donor, tmp_path: Path) -> None:
    before = donor.path.stat()
    download(server, tmp_path / "new", [donor])
    assert donor.path.read_bytes() == OLD
    assert donor.path.stat().st_mtime_ns == before.st_mtime_ns


@dataclass(frozen=True)
class _Tensors:
    """Contents of tensors of 1 MiB each, a GGUF made of them and its chunks."""

    content: bytes
    index: ChunkIndex


def _model(path: Path, tensors: list[bytes], name: str) -> _Tensors:
    """A GGUF whose header's length depends on its name, so that every tensor lies elsewhere in another one."""
    path.write_bytes(_gguf(tensors, name))
    content = path.read_bytes()
    header = read_header(BytesIO(content))
    return _Tensors(content, index_file(path, plan_chunks(header, len(content)), lambda _: None, Cancel()))


def _text(text: str) -> bytes:
    return len(text.encode()).to_bytes(8, "little") + text.encode()


def _gguf(tensors: list[bytes], name: str) -> bytes:
    """Version 3; tensors of one dimension of F32 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""
    head = b"GGUF" + (3).to_bytes(4, "little") + len(tensors).to_bytes(8, "little") + (1).to_bytes(8, "little")
    head += _text("general.name") + (8).to_bytes(4, "little") + _text(name)
    offset = 0
    for number, tensor in enumerate(tensors):
        head += _text(f"blk.{number}.weight") + (1).to_bytes(4, "little")
        head += (len(tensor) // 4).to_bytes(8, "little") + (0).to_bytes(4, "little") + offset.to_bytes(8, "little")
        offset += len(tensor)
    head += bytes(-len(head) % 32)
    return head + b"".join(tensors)


def test_an_update_that_shares_most_tensors_fetches_the_changed_chunks_only(tmp_path: Path) -> None:
    tensors = [payload(10, seed=number, rest=48_576) for number in range(40)]
    old = _model(tmp_path / "old", tensors, "one")
    tensors[17] = payload(10, seed=99, rest=48_576)
    new = _model(tmp_path / "published", tensors, "a second one with a longer header " * 40)
    known = {chunk.digest for chunk in old.index.chunks}
    changed = sum(chunk.length_bytes for chunk in new.index.chunks if chunk.digest not in known)
    with ReleaseServer({"blob": new.content}) as server:
        fetched = download(server, tmp_path / "new", [Donor(tmp_path / "old", old.index)], index=new.index)
        assert server.sent_bytes() <= 1.01 * changed
    assert fetched.bytes_fetched == changed < len(new.content) / 5
    assert (tmp_path / "new").read_bytes() == new.content


def test_an_index_is_kept_beside_its_file(donor: Donor) -> None:
    keep_index(donor.index, donor.path, Disk())
    assert recall_index(donor.path) == donor.index


@pytest.mark.parametrize("text", [None, b"", b"{}", b"\xff"])
def test_a_lost_index_is_no_error(donor: Donor, text: bytes | None) -> None:
    if text is not None:
        kept_index_path(donor.path).write_bytes(text)
    assert recall_index(donor.path) is None
