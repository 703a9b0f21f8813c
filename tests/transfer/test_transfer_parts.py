"""The small parts of a download: board, note, meter, patience."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbj_desktop.core.errors import Cancelled, ConnectError, DigestError, ServerError
from bbj_desktop.core.progress import Cancel, Event, Transfer
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.transfer.board import Board
from bbj_desktop.services.transfer.partial import parse_note
from bbj_desktop.services.transfer.patience import Limits, Patience, Throttle
from tests.fakes.payload import index_of, payload

INDEX = index_of(payload(5))
HEAD = f'{{"format": 1, "file": "{INDEX.file.digest}", "chunks": 6}}\n'.encode()


@given(st.binary() | st.binary().map(lambda tail: HEAD + tail))
def test_any_note_is_read_or_refused(text: bytes) -> None:
    numbers = parse_note(text, INDEX)
    assert numbers is None or all(0 <= number < 6 for number in numbers)


@given(st.sets(st.integers(0, 5)))
def test_a_note_tells_its_chunks(numbers: set[int]) -> None:
    lines = "".join(f"{number}\n" for number in numbers).encode()
    assert parse_note(HEAD + lines, INDEX) == frozenset(numbers)


def test_a_torn_line_does_not_count() -> None:
    assert parse_note(HEAD + b"0\n1\n5", INDEX) == frozenset({0, 1})


@given(st.lists(st.integers(1, 2**26), min_size=1, max_size=60), st.data())
def test_runs_cover_each_missing_chunk_once(lengths: list[int], data: st.DataObject) -> None:
    verified = data.draw(st.sets(st.integers(0, len(lengths) - 1)))
    board = Board(lengths, verified, streams=2)
    runs: list[deque[int]] = []
    while run := board.take():
        runs.append(run)
        if data.draw(st.booleans()):
            board.verified(data.draw(st.sampled_from([run for run in runs if run])))
        assert all(list(run) == list(range(run[0], run[0] + len(run))) for run in runs if run)
    taken = sorted(number for run in runs for number in run)
    assert len(taken) == len(set(taken))
    for run in runs:
        while run:
            board.verified(run)
    assert board.complete


def test_an_idle_thread_takes_over_the_rear_half_of_the_longest_run() -> None:
    board = Board([1] * 8, set(), streams=1)
    slow = board.take()
    runs = [board.take() for _ in range(3)]
    assert list(slow) == [0, 1, 2, 3]
    assert [list(run) for run in runs] == [[4, 5], [6], [7]]
    assert list(board.take()) == [2, 3]
    assert list(slow) == [0, 1]


def test_the_chunk_that_a_thread_is_at_stays_with_it() -> None:
    board = Board([1], set(), streams=2)
    assert list(board.take()) == [0]
    assert not board.take()


def test_the_run_of_a_server_without_ranges_stays_whole() -> None:
    board = Board([1] * 4, set(), streams=2)
    run = board.take()
    board.take_rest(run)
    assert list(run) == [0, 1, 2, 3]
    assert not board.take()


def _rates(samples: list[tuple[float, int]]) -> list[Transfer]:
    events: list[Event] = []
    times = iter([time for time, _ in samples])
    meter = Meter(events.append, 1000, lambda: next(times))
    for _, count in samples:
        meter.show(count, count)
    return [event for event in events if isinstance(event, Transfer)]


def test_speed_is_unknown_at_first() -> None:
    assert _rates([(0.0, 0)])[0].rate_bytes_per_s is None


def test_speed_is_that_of_the_last_seconds() -> None:
    last = _rates([(0.0, 0), (10.0, 100), (12.0, 300), (14.0, 500)])[-1]
    assert last.rate_bytes_per_s == pytest.approx(100.0)
    assert last.remaining_s == pytest.approx(5.0)


def test_a_standstill_has_no_time_left() -> None:
    last = _rates([(0.0, 100), (4.0, 100)])[-1]
    assert (last.rate_bytes_per_s, last.remaining_s) == (0.0, None)


def test_events_keep_a_distance() -> None:
    assert len(_rates([(0.0, 0), (0.05, 10), (0.09, 20), (0.11, 30)])) == 2


def test_waits_double_up_to_a_bound() -> None:
    patience = Patience(Limits(attempts=9, first_wait_s=1.0, longest_wait_s=4.0))
    waits = [patience.wait_s(ConnectError("no")) for _ in range(5)]
    for wait, longest in zip(waits, [1.0, 2.0, 4.0, 4.0, 4.0], strict=True):
        assert longest / 2 <= wait <= longest


def test_the_last_try_raises() -> None:
    patience = Patience(Limits(attempts=2))
    patience.wait_s(ConnectError("no"))
    with pytest.raises(ConnectError):
        patience.wait_s(ConnectError("no"))


def test_wrong_digests_have_a_bound_of_their_own() -> None:
    patience = Patience(Limits(attempts=50, digest_attempts=2))
    patience.wait_s(DigestError("no", expected="a", actual="b"))
    with pytest.raises(DigestError):
        patience.wait_s(DigestError("no", expected="a", actual="b"))


def test_the_servers_wish_counts_when_it_is_longer() -> None:
    assert Patience(Limits()).wait_s(ServerError("busy", status=503, retry_after_s=20.0)) == 20.0


def test_a_bound_of_the_speed_holds_for_all_threads_together() -> None:
    now = [0.0]
    waits = []
    throttle = Throttle(1000, lambda: now[0])

    class _Noted(Cancel):
        def wait(self, seconds: float) -> None:
            waits.append(seconds)

    for _ in range(3):  # at the same moment
        throttle.wait_for(500, _Noted())
    now[0] = 60.0  # a pause isn't made up for
    throttle.wait_for(500, _Noted())
    assert waits == [0.5, 1.0, 1.5, 0.5]


def test_without_a_bound_nobody_waits() -> None:
    cancel = Cancel()
    cancel.cancel()
    Throttle(None).wait_for(10**12, cancel)


def test_a_wait_for_the_bound_ends_when_told_to() -> None:
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(Cancelled):
        Throttle(1).wait_for(10**12, cancel)
