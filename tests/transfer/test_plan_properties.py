"""Whatever the chunks and whatever is here: nothing is forgotten, nothing asked for twice."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.board import Board
from bbj_desktop.services.transfer.partial import Partial, note_path, parse_note, part_path
from tests.fakes.payload import index_of, payload

CONTENT = payload(6)
INDEX = index_of(CONTENT)
CHUNKS = st.frozensets(st.integers(0, len(INDEX.chunks) - 1))


@given(
    lengths=st.lists(st.integers(1, 2**24), min_size=1, max_size=60),
    here=st.sets(st.integers(0, 59)),
    streams=st.integers(1, 8),
)
def test_runs_are_each_missing_chunk_once_and_in_order(lengths: list[int], here: set[int], streams: int) -> None:
    here &= set(range(len(lengths)))
    board = Board(lengths, here, streams=streams)
    brought = []
    while run := board.take():
        assert list(run) == list(range(run[0], run[-1] + 1))
        while run:
            brought.append(run[0])
            board.verified(run)
    assert brought == sorted(set(range(len(lengths))) - here)


@settings(deadline=None)
@given(noted=CHUNKS, cut=st.integers(0, 400), size=st.integers(0, len(CONTENT)))
def test_a_note_cut_anywhere_names_no_chunk_that_was_not_in_it(noted: frozenset[int], cut: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        destination = Path(folder) / "blob"
        partial = Partial(INDEX, destination, Disk())
        partial.begin_note(set(noted))
        text = note_path(destination).read_bytes()
        assert parse_note(text, INDEX) == noted
        kept = parse_note(text[:cut], INDEX)
        assert kept is None or kept <= noted
        part_path(destination).write_bytes(bytes(size))
        ends = [sum(chunk.length_bytes for chunk in INDEX.chunks[: number + 1]) for number in range(len(INDEX.chunks))]
        assert partial.candidates() == tuple(number for number in sorted(noted) if ends[number] <= size)
