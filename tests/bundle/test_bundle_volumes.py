"""Which piece of which model goes onto which volume."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.release import Chunk, ChunkIndex, FileReference
from bbj_desktop.services.registry.bundle_volumes import MAX_PIECE_BYTES, chunks_of, placed, plan_pieces

MIB = 2**20
FAT32_FILE_BYTES = 4 * 2**30


def _index(number: int, *lengths: int) -> ChunkIndex:
    digest = f"sha256:{number:064x}"
    return ChunkIndex(
        file=FileReference(digest=digest, length_bytes=sum(lengths)),
        chunks=tuple(Chunk(length_bytes=length, digest=digest) for length in lengths),
    )


def test_what_fits_stays_whole() -> None:
    (piece,) = plan_pieces([_index(1, MIB, 8 * MIB)], 16 * MIB)
    assert (piece.number, piece.volume, piece.path.endswith("1")) == (0, 1, True)


def test_a_model_is_cut_at_a_border_of_chunks() -> None:
    first, second = plan_pieces([_index(1, 3 * MIB, 4 * MIB, 5 * MIB)], 10 * MIB)
    assert (first.offset, first.length_bytes, first.volume) == (0, 7 * MIB, 1)
    assert (second.offset, second.length_bytes, second.volume) == (7 * MIB, 5 * MIB, 2)
    assert second.path.endswith(".part-0002")


def test_the_room_behind_a_model_is_used_by_the_next_one() -> None:
    pieces = plan_pieces([_index(1, 4 * MIB), _index(2, 4 * MIB, 4 * MIB)], 10 * MIB)
    assert [piece.volume for piece in pieces] == [1, 1, 2]


def test_no_file_is_longer_than_fat32_allows_even_on_a_large_stick() -> None:
    pieces = plan_pieces([_index(1, *[16 * MIB] * 600)], 64 * 2**30)
    assert {piece.volume for piece in pieces} == {1}
    assert max(piece.length_bytes for piece in pieces) <= MAX_PIECE_BYTES < FAT32_FILE_BYTES


def test_a_volume_smaller_than_a_chunk_is_refused() -> None:
    with pytest.raises(UserInputError, match="doesn't fit"):
        plan_pieces([_index(1, 16 * MIB)], 10 * MIB)


@given(
    st.lists(st.lists(st.integers(1, 1000), min_size=1, max_size=30), min_size=1, max_size=5), st.integers(1000, 5000)
)
def test_every_chunk_lies_in_exactly_one_piece_and_no_volume_overflows(models: list[list[int]], room: int) -> None:
    indexes = [_index(number, *lengths) for number, lengths in enumerate(models)]
    pieces = plan_pieces(indexes, room)
    for index in indexes:
        mine = [piece for piece in pieces if piece.digest == index.file.digest]
        assert tuple(chunk for piece in mine for chunk in chunks_of(piece, index)) == placed(index)
    for volume in range(1, pieces[-1].volume + 1):
        assert 0 < sum(piece.length_bytes for piece in pieces if piece.volume == volume) <= room
