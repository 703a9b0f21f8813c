from __future__ import annotations

import io
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbj_desktop.core.chunks import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, PLAIN_CHUNK_BYTES, plan_chunks
from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.gguf import GgufHeader, Tensor, read_header
from tests.fakes.gguf import tiny_gguf

MIB = 2**20


def header(*tensors_mib: float, header_bytes: int = 64) -> GgufHeader:
    tensors, offset = [], header_bytes
    for number, size in enumerate(tensors_mib):
        length = max(32, int(size * MIB) // 32 * 32)
        tensors.append(Tensor(f"blk.{number}.w", (length // 4,), 0, offset, length))
        offset += length
    return GgufHeader(3, {}, tuple(tensors), header_bytes)


def borders(lengths: tuple[int, ...]) -> list[int]:
    return [0, *accumulate(lengths)]


def test_the_header_is_a_chunk_of_its_own() -> None:
    assert plan_chunks(header(1, 1, header_bytes=4096), 4096 + 2 * MIB)[0] == 4096


def test_small_tensors_are_grouped() -> None:
    assert plan_chunks(header(1, 1, 1, 1, 1, 1), 64 + 6 * MIB) == (64, 4 * MIB, 2 * MIB)


def test_large_tensors_are_split_evenly() -> None:
    assert plan_chunks(header(33), 64 + 33 * MIB) == (64, 11 * MIB, 11 * MIB, 11 * MIB)


def test_a_large_tensor_begins_a_chunk() -> None:
    assert plan_chunks(header(1, 20, 5), 64 + 26 * MIB) == (64, MIB, 10 * MIB, 10 * MIB, 5 * MIB)


def test_padding_at_the_end_belongs_to_the_last_chunk() -> None:
    assert sum(plan_chunks(header(5), 64 + 5 * MIB + 17)) == 64 + 5 * MIB + 17


def test_a_file_without_a_header_is_cut_plainly() -> None:
    assert plan_chunks(None, 2 * PLAIN_CHUNK_BYTES + 1) == (PLAIN_CHUNK_BYTES, PLAIN_CHUNK_BYTES, 1)


def test_a_vocabulary_is_one_chunk() -> None:
    assert plan_chunks(GgufHeader(3, {}, (), 4096), 4090) == (4090,)


def test_a_tiny_model_is_its_header_and_one_chunk() -> None:
    data = tiny_gguf()
    read = read_header(io.BytesIO(data))
    assert plan_chunks(read, len(data)) == (read.data_offset, len(data) - read.data_offset)


def test_two_models_that_differ_in_one_tensor_share_all_other_borders() -> None:
    first, second = header(5, 6, 7, 8), header(5, 9, 7, 8)
    tail = [plan_chunks(each, each.end)[-2:] for each in (first, second)]
    assert tail[0] == tail[1]


@pytest.mark.parametrize("length", [0, 64 + MIB])
def test_a_shortened_file_is_refused(length: int) -> None:
    with pytest.raises(FormatError):
        plan_chunks(header(2), length)


@given(st.lists(st.floats(0.0001, 60), min_size=1, max_size=40), st.integers(0, 1000))
def test_chunks_cover_the_file_and_keep_their_sizes(sizes: list[float], padding: int) -> None:
    plan = header(*sizes)
    lengths = plan_chunks(plan, plan.end + padding)
    assert sum(lengths) == plan.end + padding
    assert all(0 < length <= MAX_CHUNK_BYTES + padding for length in lengths)
    starts = {0, plan.data_offset, plan.end + padding, *(tensor.offset for tensor in plan.tensors)}
    large = [tensor for tensor in plan.tensors if tensor.length_bytes + padding > MAX_CHUNK_BYTES]
    for border in borders(lengths):
        inside = any(tensor.offset < border < tensor.offset + tensor.length_bytes + padding for tensor in large)
        assert border in starts or inside


@given(st.lists(st.floats(0.01, 3), min_size=10, max_size=60))
def test_among_small_tensors_only_the_last_group_may_be_small(sizes: list[float]) -> None:
    plan = header(*sizes)
    assert all(length >= MIN_CHUNK_BYTES for length in plan_chunks(plan, plan.end)[1:-1])
