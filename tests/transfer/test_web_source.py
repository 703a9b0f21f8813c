"""Reading from a web server, whatever it answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bbj_desktop.core.errors import (
    Cancelled,
    ChangedError,
    ConnectError,
    FormatError,
    MixAndMatchError,
    NotFoundError,
    RangeError,
    ServerError,
    StalledError,
    TransportError,
    UserInputError,
)
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.transfer.source import Source
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.release_server import Fault, ReleaseServer, etag_of

CONTENT = bytes(range(256)) * 40
QUICK = Network(proxy=DIRECT, connect_timeout_s=2.0, stall_timeout_s=0.3)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer({"file": CONTENT, "models/Müller & Söhne 100%.json": b"{}"}) as server:
        yield server


@pytest.fixture
def source(server: ReleaseServer) -> Iterator[Source]:
    source = open_source(server.address, QUICK)
    yield source
    source.close()


def read(source: Source, path: str = "file", limit_bytes: int = 1_000_000) -> bytes:
    return source.read(path, limit_bytes=limit_bytes, cancel=Cancel())


def ranged(source: Source, offset: int, length: int | None, validator: str | None = None) -> tuple[int, bool, bytes]:
    with source.stream("file", offset=offset, length=length, validator=validator, cancel=Cancel()) as stream:
        return stream.offset, stream.ranged, b"".join(stream)


def test_a_small_file_is_read_whole(source: Source) -> None:
    assert read(source) == CONTENT


def test_names_with_umlauts_spaces_and_signs_are_found(source: Source) -> None:
    assert read(source, "models/Müller & Söhne 100%.json") == b"{}"


@pytest.mark.parametrize("path", ["../file", "/file", "a//b", "", "a/./b", "a\\b", "c:/x"])
def test_a_path_that_leads_elsewhere_is_refused(source: Source, path: str) -> None:
    with pytest.raises(FormatError):
        read(source, path)


def test_it_names_itself_and_asks_for_plain_bytes(server: ReleaseServer, source: Source) -> None:
    read(source)
    headers = server.requests[0].headers
    assert headers["user-agent"].startswith("bbj-desktop/")
    assert headers["accept-encoding"] == "identity"


def test_requests_share_a_connection(server: ReleaseServer, source: Source) -> None:
    for _ in range(3):
        read(source)
    assert len({request.headers["host"] for request in server.requests}) == 1
    assert server.connections == 1


def test_a_range_brings_just_that(source: Source) -> None:
    assert ranged(source, 300, 50) == (300, True, CONTENT[300:350])


def test_a_range_may_reach_to_the_end(source: Source) -> None:
    assert ranged(source, 10_000, None) == (10_000, True, CONTENT[10_000:])


def test_a_server_without_ranges_sends_all_from_the_beginning(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(no_range=True))
    assert ranged(source, 300, 50) == (0, False, CONTENT)


def test_the_stream_tells_total_and_validator(source: Source) -> None:
    with source.stream("file", offset=5, length=5, cancel=Cancel()) as stream:
        assert stream.total_bytes == len(CONTENT)
        assert stream.validator == etag_of(CONTENT)


def test_a_weak_etag_is_no_validator(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(headers={"ETag": 'W/"1"'}))
    with source.stream("file", offset=5, length=5, cancel=Cancel()) as stream:
        assert stream.validator is None


def test_the_validator_travels_as_if_range(server: ReleaseServer, source: Source) -> None:
    assert ranged(source, 5, 5, etag_of(CONTENT))[2] == CONTENT[5:10]
    assert server.requests[0].headers["if-range"] == etag_of(CONTENT)


def test_a_changed_object_is_noticed(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(content=b"something else" * 1000))
    with pytest.raises(ChangedError):
        ranged(source, 5, 5, etag_of(CONTENT))


def test_another_range_than_asked_for_is_refused(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(shift=7))
    with pytest.raises(RangeError):
        ranged(source, 300, 50)


def test_a_part_that_does_not_say_which_is_refused(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(headers={"Content-Range": "bytes"}))
    with pytest.raises(RangeError):
        ranged(source, 300, 50)


def test_a_range_behind_the_end_is_refused(source: Source) -> None:
    with pytest.raises(RangeError):
        ranged(source, len(CONTENT) + 5, 50)


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_not_found(server: ReleaseServer, source: Source, status: int) -> None:
    server.script("file", Fault(status=status))
    with pytest.raises(NotFoundError):
        read(source)


def test_a_busy_server_says_how_long_to_wait(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(status=503, headers={"Retry-After": "17"}))
    with pytest.raises(ServerError) as caught:
        read(source)
    assert (caught.value.status, caught.value.retry_after_s) == (503, 17.0)


def test_retry_after_may_be_a_date_by_the_servers_clock(server: ReleaseServer, source: Source) -> None:
    now = datetime(2020, 2, 2, tzinfo=UTC)  # its clock is years behind
    dates = {"Date": format_datetime(now, usegmt=True), "Retry-After": format_datetime(now + timedelta(seconds=90))}
    server.script("file", Fault(status=429, headers=dates))
    with pytest.raises(ServerError) as caught:
        read(source)
    assert caught.value.retry_after_s == 90.0


@pytest.mark.parametrize("value", ["soon", "-5", "Mon, 99 Foo 2020", ""])
def test_a_senseless_retry_after_counts_as_none(server: ReleaseServer, source: Source, value: str) -> None:
    server.script("file", Fault(status=503, headers={"Retry-After": value}))
    with pytest.raises(ServerError) as caught:
        read(source)
    assert caught.value.retry_after_s is None


def test_compressed_content_is_refused(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(gzipped=True))
    with pytest.raises(ServerError, match="compressed"):
        read(source)


def test_a_longer_file_than_allowed_is_refused(source: Source) -> None:
    with pytest.raises(MixAndMatchError):
        read(source, limit_bytes=len(CONTENT) - 1)


def test_endless_content_is_refused_early(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(endless=True))
    with pytest.raises(MixAndMatchError):
        read(source, limit_bytes=20_000)


def test_content_without_a_length_is_read_to_the_connections_end(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(no_length=True))
    assert read(source) == CONTENT


def test_a_dropped_connection_is_a_transport_error(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(drop_after=100))
    with pytest.raises(TransportError):
        read(source)


def test_a_server_that_falls_silent_is_given_up(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(stall_after=100))
    with pytest.raises(StalledError):
        read(source)


def test_a_server_that_never_answers_is_given_up(server: ReleaseServer, source: Source) -> None:
    server.script("file", Fault(silent_s=20))
    with pytest.raises(StalledError):
        read(source)


def test_a_server_that_drips_is_given_up(server: ReleaseServer) -> None:
    source = open_source(server.address, QUICK.model_copy(update={"min_rate_bytes_per_s": 5000.0}))
    server.script("file", Fault(rate_bytes_per_s=500.0))  # a piece each 0.05 s: no single wait is too long
    with pytest.raises(StalledError, match="bytes a second"):
        read(source)
    source.close()


def test_a_closed_port_is_no_connection(source: Source, server: ReleaseServer) -> None:
    server.close()
    with pytest.raises(ConnectError):
        read(source)


def test_an_unknown_name_is_no_connection() -> None:
    source = open_source("http://no-such-host.invalid", QUICK)
    with pytest.raises(ConnectError):
        read(source)


def test_cancelling_wakes_a_read_that_waits(server: ReleaseServer) -> None:
    source = open_source(server.address, Network(proxy=DIRECT))
    server.script("file", Fault(stall_after=100))
    cancel = Cancel()
    threading.Timer(0.2, cancel.cancel).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        source.read("file", limit_bytes=1_000_000, cancel=cancel)
    assert time.monotonic() - begun < 2.0


def test_cancelling_wakes_a_request_without_an_answer(server: ReleaseServer) -> None:
    source = open_source(server.address, Network(proxy=DIRECT))
    read(source)  # the next one goes over a connection that is open already
    server.script("file", Fault(silent_s=20))
    cancel = Cancel()
    threading.Timer(0.2, cancel.cancel).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        source.read("file", limit_bytes=1_000_000, cancel=cancel)
    assert time.monotonic() - begun < 2.0


def test_nothing_is_sent_after_a_cancel(server: ReleaseServer, source: Source) -> None:
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(Cancelled):
        source.read("file", limit_bytes=1, cancel=cancel)
    assert server.requests == []


def test_a_relative_redirect_is_followed(server: ReleaseServer, source: Source) -> None:
    server.script("moved", Fault(redirect="/file"))
    assert read(source, "moved") == CONTENT


def test_a_redirect_to_another_server_is_followed_with_its_range(server: ReleaseServer, source: Source) -> None:
    with ReleaseServer({"elsewhere": CONTENT}) as other:
        server.script("file", Fault(redirect=f"{other.address}/elsewhere?signature=1"))
        assert ranged(source, 10, 5) == (10, True, CONTENT[10:15])
        assert other.requests[0].range == (10, 14)


def test_credentials_stay_with_their_server(server: ReleaseServer) -> None:
    with ReleaseServer({"elsewhere": CONTENT}) as other:
        source = open_source(server.address.replace("//", "//user:secret@"), QUICK)
        server.script("file", Fault(redirect=f"{other.address}/elsewhere"))
        read(source)
        assert server.requests[0].headers["authorization"].startswith("Basic ")
        assert "authorization" not in other.requests[0].headers
        source.close()


def test_credentials_are_in_no_message(server: ReleaseServer) -> None:
    source = open_source(server.address.replace("//", "//user:secret@"), QUICK)
    assert "secret" not in source.address
    with pytest.raises(NotFoundError) as caught:
        read(source, "no such file")
    assert "secret" not in str(caught.value)
    source.close()


def test_a_redirect_loop_ends(server: ReleaseServer, source: Source) -> None:
    server.script("file", *[Fault(redirect="/file")] * 20)
    with pytest.raises(ServerError, match="again and again"):
        read(source)
    assert len(server.requests) == QUICK.max_redirects + 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.org/file", "http://[oops"])
def test_a_redirect_to_something_else_is_refused(server: ReleaseServer, source: Source, target: str) -> None:
    server.script("file", Fault(redirect=target))
    with pytest.raises(TransportError):
        read(source)


@pytest.mark.parametrize("address", ["ftp://example.org", "http://", "https://example.org/?a=b", "gopher://x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UserInputError):
        open_source(address, QUICK)
