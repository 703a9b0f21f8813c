"""A file that lies in its registry as several, over each way that leads to one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import pytest

from bbj_desktop.core.errors import FormatError, MixAndMatchError, NotFoundError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import ChunkIndex, parse_chunk_index
from bbj_desktop.services.transfer.fetch import Donor, Fetched, Limits, fetch
from bbj_desktop.services.transfer.repair import repair
from bbj_desktop.services.transfer.source import Source
from bbj_desktop.services.transfer.sources import open_source
from bbj_desktop.services.transfer.split import SplitSource, split_paths
from tests.fakes.hub import Hub
from tests.fakes.payload import CHUNK, index_of, payload
from tests.fakes.release_server import Fault, ReleaseServer

CONTENT = payload()
LENGTHS = (4 * CHUNK, 3 * CHUNK, 3 * CHUNK + 1234)
INDEX = index_of(CONTENT).model_copy(update={"split": LENGTHS})
PATH = "blobs/sha256/ab/größe"
PARTS = split_paths(PATH, 3)
NETWORK = Network(proxy=DIRECT, stall_timeout_s=1.0)
QUICK = Limits(first_wait_s=0.01)


def files() -> dict[str, bytes]:
    begins = [0, *accumulate(LENGTHS)]
    return {path: CONTENT[begin : begin + length] for path, begin, length in zip(PARTS, begins, LENGTHS, strict=False)}


@contextmanager
def served(kind: str, contents: Mapping[str, bytes], folder: Path) -> Iterator[str]:
    if kind == "folder":
        for path, content in contents.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        yield str(folder)
    elif kind == "http":
        with ReleaseServer(contents) as server:
            yield server.address
    else:
        with Hub(contents) as hub:
            yield hub.repository_address


def download(addresses: Sequence[str], destination: Path, *, limits: Limits = QUICK) -> Fetched:
    sources: list[Source] = [SplitSource(open_source(each, NETWORK), PATH, LENGTHS) for each in addresses]
    try:
        return fetch(sources, PATH, INDEX, destination, silent, Cancel(), limits=limits)
    finally:
        for source in sources:
            source.close()


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer(files()) as server:
        yield server


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "Größtes Modell" / "sha256-0123"


@pytest.mark.parametrize("kind", ["http", "folder", "hub"])
@pytest.mark.parametrize("streams", [1, 4])
def test_its_parts_come_as_one_file(kind: str, streams: int, tmp_path: Path, destination: Path) -> None:
    with served(kind, files(), tmp_path / "registry") as address:
        fetched = download([address], destination, limits=Limits(streams=streams))
    assert destination.read_bytes() == CONTENT
    assert fetched.bytes_fetched == len(CONTENT)


def test_no_byte_is_sent_twice(server: ReleaseServer, destination: Path) -> None:
    download([server.address], destination)
    assert sum(request.sent_bytes for request in server.requests) == len(CONTENT)
    assert {request.path.rsplit("part-", 1)[1] for request in server.requests} == {
        "0001-of-0003",
        "0002-of-0003",
        "0003-of-0003",
    }


def test_a_server_without_ranges_sends_part_after_part(destination: Path) -> None:
    with ReleaseServer(files(), always=Fault(no_range=True)) as server:
        download([server.address], destination, limits=Limits(streams=1))
        assert sum(request.sent_bytes for request in server.requests) == len(CONTENT)
    assert destination.read_bytes() == CONTENT


def test_a_connection_that_breaks_within_a_part_goes_on_there(server: ReleaseServer, destination: Path) -> None:
    server.script(PARTS[1], Fault(drop_after=CHUNK + 500))
    fetched = download([server.address], destination, limits=Limits(streams=1, first_wait_s=0.01))
    assert destination.read_bytes() == CONTENT
    assert fetched.bytes_fetched - len(CONTENT) <= CHUNK


def test_a_part_that_changes_meanwhile_is_asked_for_anew(server: ReleaseServer, destination: Path) -> None:
    server.script(PARTS[0], Fault(drop_after=CHUNK + 500), Fault(content=b"x" * LENGTHS[0]))
    download([server.address], destination, limits=Limits(streams=1, first_wait_s=0.01))
    assert destination.read_bytes() == CONTENT


def test_a_part_of_another_length_is_refused(tmp_path: Path, destination: Path) -> None:
    contents = files() | {PARTS[1]: files()[PARTS[1]] + b"x"}
    with served("http", contents, tmp_path) as address, pytest.raises(MixAndMatchError, match=r"300001 bytes; 300000"):
        download([address], destination)
    assert not destination.exists()


def test_a_part_that_is_missing_is_named(tmp_path: Path, destination: Path) -> None:
    contents = {path: content for path, content in files().items() if path != PARTS[2]}
    with served("folder", contents, tmp_path / "registry") as address, pytest.raises(NotFoundError, match="part-0003"):
        download([address], destination)


def test_another_mirror_has_the_part_that_is_wrong_in_one(tmp_path: Path, destination: Path) -> None:
    wrong = files() | {PARTS[1]: bytes(LENGTHS[1])}
    with served("http", wrong, tmp_path) as bad, served("folder", files(), tmp_path / "registry") as good:
        download([bad, good], destination)
    assert destination.read_bytes() == CONTENT


def test_repairing_fetches_the_damaged_chunk_only(server: ReleaseServer, destination: Path) -> None:
    destination.parent.mkdir()
    damaged = bytearray(CONTENT)
    damaged[LENGTHS[0]] ^= 1
    destination.write_bytes(damaged)
    source = SplitSource(open_source(server.address, NETWORK), PATH, LENGTHS)
    repaired = repair(source, PATH, INDEX, destination, silent, Cancel())
    source.close()
    assert (repaired.fetched_bytes, destination.read_bytes()) == (CHUNK, CONTENT)
    assert [request.path for request in server.requests if request.sent_bytes] == [PARTS[1]]


def test_chunks_that_another_file_has_are_copied(server: ReleaseServer, destination: Path, tmp_path: Path) -> None:
    half = CONTENT[: 5 * CHUNK]
    (tmp_path / "alt").write_bytes(half)
    source = SplitSource(open_source(server.address, NETWORK), PATH, LENGTHS)
    donors = [Donor(tmp_path / "alt", index_of(half))]
    fetched = fetch(source, PATH, INDEX, destination, silent, Cancel(), donors=donors)
    source.close()
    assert (fetched.bytes_copied, fetched.bytes_fetched) == (len(half), len(CONTENT) - len(half))


def test_other_files_are_read_as_they_are(server: ReleaseServer) -> None:
    server.files = files() | {"metadata/timestamp.json": b"{}"}
    source = SplitSource(open_source(server.address, NETWORK), PATH, LENGTHS)
    with source.stream("metadata/timestamp.json", cancel=Cancel()) as stream:
        assert b"".join(stream) == b"{}"
    assert source.read("metadata/timestamp.json", limit_bytes=10, cancel=Cancel()) == b"{}"
    source.close()


@pytest.mark.parametrize("offset", [0, 1, LENGTHS[0] - 1, LENGTHS[0], LENGTHS[0] + LENGTHS[1]])
@pytest.mark.parametrize("length", [1, 2, LENGTHS[1] + 2, None])
def test_any_range_is_that_of_the_whole(tmp_path: Path, offset: int, length: int | None) -> None:
    with served("folder", files(), tmp_path) as address:
        source = SplitSource(open_source(address, NETWORK), PATH, LENGTHS)
        with source.stream(PATH, offset=offset, length=length, cancel=Cancel()) as stream:
            assert b"".join(stream) == CONTENT[offset : None if length is None else offset + length]
            assert (stream.offset, stream.total_bytes) == (offset, len(CONTENT))


@pytest.mark.parametrize(
    "split", [(len(CONTENT),), (CHUNK + 1, len(CONTENT) - CHUNK - 1), (CHUNK, CHUNK), (0, len(CONTENT)), (-1, 1)]
)
def test_an_index_whose_parts_make_no_sense_is_refused(split: tuple[int, ...]) -> None:
    text = index_of(CONTENT).model_copy(update={"split": split}).model_dump_json()
    with pytest.raises(FormatError):
        parse_chunk_index(text)


def test_an_index_from_before_files_were_split_is_of_one_file() -> None:
    old = index_of(CONTENT).model_dump_json(exclude={"split"})
    assert parse_chunk_index(old) == index_of(CONTENT)
    assert isinstance(parse_chunk_index(INDEX.model_dump_json()), ChunkIndex)
