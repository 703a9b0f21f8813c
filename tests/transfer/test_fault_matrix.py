"""Every fault that the stand-in servers know, from every kind of source: once it does no harm, for ever it is an error.

Each cell fetches a model of three chunks. Where another mirror is whole, a fault for ever does no harm either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.registry.bundle import BUNDLE_FILE, Bundle
from bbj_desktop.services.transfer.fetch import Limits, fetch
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.hub import Hub
from tests.fakes.payload import CHUNK, digest_of, index_of, payload
from tests.fakes.release_server import Fault, ReleaseServer

CONTENT = payload(3)
INDEX = index_of(CONTENT)
BLOB = f"blobs/sha256/{digest_of(CONTENT)[7:9]}/{digest_of(CONTENT)[7:]}"
NETWORK = Network(proxy=DIRECT, connect_timeout_s=2.0, stall_timeout_s=0.5)
LIMITS = Limits(first_wait_s=0.01, attempts=3, mirror_attempts=1)


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        error: What a download says when it happens to every request; empty when it is none.
        once: What it says when it happens to one request; mostly nothing.
    """

    fault: Fault
    error: str
    once: str = ""


ROWS = {
    "not found": Row(Fault(status=404), "NotFoundError", once="NotFoundError"),
    "refused": Row(Fault(status=401), "ServerError", once="ServerError"),
    "expired": Row(Fault(status=403), "ServerError"),
    "broken": Row(Fault(status=500), "ServerError"),
    "busy": Row(Fault(status=503, headers={"Retry-After": "0"}), "ServerError"),
    "too many": Row(Fault(status=429, headers={"Retry-After": "0"}), "ServerError"),
    "never again": Row(Fault(status=503, headers={"Retry-After": "86400"}), "ServerError", once="ServerError"),
    "weak validator": Row(Fault(headers={"ETag": 'W/"1"'}), ""),
    "no range told": Row(Fault(headers={"Content-Range": ""}), "RangeError"),
    "dropped at once": Row(Fault(drop_after=0), "TransportError"),
    "dropped": Row(Fault(drop_after=CHUNK // 2), "TransportError"),
    "stalled": Row(Fault(stall_after=CHUNK // 2), "StalledError"),
    "flipped": Row(Fault(flip=3), "DigestError"),
    "shifted": Row(Fault(shift=11), "RangeError"),
    "no range": Row(Fault(no_range=True), ""),
    "no length": Row(Fault(no_length=True), ""),
    "endless": Row(Fault(endless=True), ""),
    "compressed": Row(Fault(gzipped=True), "ServerError", once="ServerError"),
    "slow": Row(Fault(rate_bytes_per_s=200.0), "StalledError"),
    "moved nowhere": Row(Fault(redirect="http://127.0.0.1:1/x"), "ConnectError"),
    "another file": Row(Fault(content=payload(3, seed=2)), "DigestError"),
    "a longer file": Row(Fault(content=CONTENT + b"more"), "MixAndMatchError", once="MixAndMatchError"),
    "a sign-in page": Row(Fault(content=b"<html>Please sign in</html>"), "MixAndMatchError", once="MixAndMatchError"),
    "silent": Row(Fault(silent_s=20), "StalledError"),
}


@dataclass
class Place:
    """Where a model can be fetched, and the server whose faults are scripted."""

    address: str
    server: ReleaseServer


@contextmanager
def _http(_below: Path) -> Iterator[Place]:
    with ReleaseServer({BLOB: CONTENT}) as server:
        yield Place(server.address, server)


@contextmanager
def _bundle(_below: Path) -> Iterator[Place]:
    bundle = Bundle(registry=digest_of(b""), channel="stable", created=datetime(2026, 3, 1, tzinfo=UTC))
    with ReleaseServer({BLOB: CONTENT, BUNDLE_FILE: bundle.model_dump_json().encode()}) as server:
        yield Place(server.address, server)


@contextmanager
def _hub(_below: Path) -> Iterator[Place]:
    with Hub({BLOB: CONTENT}) as hub:
        yield Place(hub.repository_address, hub.network)


WHOLE: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "http": _http,
    "bundle": _bundle,
    "hub": _hub,
}


def download(place: Place, below: Path, *mirrors: str) -> str:
    """Returns the error's name, or nothing when the file is whole."""
    destination = below / "Modelle für Müller" / "blob"
    with ExitStack() as stack:
        sources = [open_source(address, NETWORK) for address in (place.address, *mirrors)]
        for source in sources:
            stack.callback(source.close)
        try:
            fetch(sources, BLOB, INDEX, destination, silent, Cancel(), limits=LIMITS)
        except BBjDesktopError as error:
            assert not destination.exists()
            return type(error).__name__
    assert destination.read_bytes() == CONTENT
    return ""


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with WHOLE[request.param](tmp_path) as made:
        yield made


def test_no_fault_of_the_servers_is_left_out() -> None:
    nothing = Fault()
    used = {
        each.name
        for each in fields(Fault)
        for row in ROWS.values()
        if getattr(row.fault, each.name) != getattr(nothing, each.name)
    }
    assert used == {each.name for each in fields(Fault)}


@pytest.mark.parametrize("place", WHOLE, indirect=True)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_fault_that_passes_does_no_harm(row: Row, place: Place, tmp_path: Path) -> None:
    place.server.script("*", row.fault)
    assert download(place, tmp_path) == row.once


@pytest.mark.parametrize("place", WHOLE, indirect=True)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_fault_that_stays_is_told(row: Row, place: Place, tmp_path: Path) -> None:
    place.server.always = row.fault
    assert download(place, tmp_path) == row.error
    place.server.always = None
    assert download(place, tmp_path) == ""


@pytest.mark.parametrize("place", WHOLE, indirect=True)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_another_mirror_makes_up_for_a_fault_that_stays(row: Row, place: Place, tmp_path: Path) -> None:
    place.server.always = row.fault
    with ReleaseServer({BLOB: CONTENT}) as whole:
        assert download(place, tmp_path, whole.address) == ""


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "not found": (lambda file: file.unlink(), "NotFoundError"),
    "dropped": (lambda file: file.write_bytes(CONTENT[:CHUNK]), "MixAndMatchError"),
    "flipped": (lambda file: file.write_bytes(b"x" + CONTENT[1:]), "DigestError"),
    "another file": (lambda file: file.write_bytes(payload(3, seed=2)), "DigestError"),
    "a longer file": (lambda file: file.write_bytes(CONTENT + b"more"), "MixAndMatchError"),
    "a sign-in page": (lambda file: file.write_bytes(b"<html>Please sign in</html>"), "MixAndMatchError"),
}
"""What a folder can do of it: the rest are faults of a conversation, which nobody has with a folder."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "Ordner für alle"
    (folder / BLOB).parent.mkdir(parents=True)
    (folder / BLOB).write_bytes(CONTENT)
    return folder


@pytest.mark.parametrize(("break_it", "error"), FOLDERS.values(), ids=FOLDERS.keys())
def test_a_broken_folder_is_told(break_it: Callable[[Path], object], error: str, folder: Path, tmp_path: Path) -> None:
    break_it(folder / BLOB)
    with ReleaseServer({}) as nobody:
        assert download(Place(str(folder), nobody), tmp_path) == error


@pytest.mark.parametrize(("break_it", "error"), FOLDERS.values(), ids=FOLDERS.keys())
def test_another_mirror_makes_up_for_a_broken_folder(
    break_it: Callable[[Path], object], error: str, folder: Path, tmp_path: Path
) -> None:
    break_it(folder / BLOB)
    assert error
    with ReleaseServer({BLOB: CONTENT}) as whole:
        assert download(Place(str(folder), whole), tmp_path, whole.address) == ""
