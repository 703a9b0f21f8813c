"""Reads the header of a GGUF file: metadata and the list of tensors, never the tensors themselves.

The bytes are foreign. Every count and length is bounded before anything is read or kept, so a hostile header costs at
most a bounded amount of memory and ends in FormatError.

Source of the layout: the GGUF specification (ggml, ``docs/gguf.md``); of the block sizes: ``ggml-common.h``.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.release import Architecture

MAX_METADATA_ENTRIES = 4096
MAX_TENSORS = 65_536
MAX_KEY_BYTES = 65_535  # the specification's own limit
MAX_STRING_BYTES = 4 * 2**20
MAX_HEADER_BYTES = 64 * 2**20  # a vocabulary of 262,144 tokens with its merges takes about 8 MiB
MAX_ELEMENTS = 2_000_000  # of all arrays together
MAX_DEPTH = 2  # arrays in arrays
MAX_DIMENSIONS = 4  # GGML_MAX_DIMS
MAX_NAME_BYTES = 63  # GGML_MAX_NAME less its final zero
MAX_FILE_BYTES = 2**44
MIN_ALIGNMENT, DEFAULT_ALIGNMENT, MAX_ALIGNMENT = 8, 32, 2**20


@dataclass(frozen=True, slots=True)
class GgmlType:
    """How ggml stores a tensor: ``block_bytes`` for every ``block_values`` values of a row."""

    name: str
    block_values: int
    block_bytes: int


GGML_TYPES: Mapping[int, GgmlType] = {
    0: GgmlType("F32", 1, 4),
    1: GgmlType("F16", 1, 2),
    2: GgmlType("Q4_0", 32, 18),
    3: GgmlType("Q4_1", 32, 20),
    6: GgmlType("Q5_0", 32, 22),
    7: GgmlType("Q5_1", 32, 24),
    8: GgmlType("Q8_0", 32, 34),
    9: GgmlType("Q8_1", 32, 36),
    10: GgmlType("Q2_K", 256, 84),
    11: GgmlType("Q3_K", 256, 110),
    12: GgmlType("Q4_K", 256, 144),
    13: GgmlType("Q5_K", 256, 176),
    14: GgmlType("Q6_K", 256, 210),
    15: GgmlType("Q8_K", 256, 292),
    16: GgmlType("IQ2_XXS", 256, 66),
    17: GgmlType("IQ2_XS", 256, 74),
    18: GgmlType("IQ3_XXS", 256, 98),
    19: GgmlType("IQ1_S", 256, 50),
    20: GgmlType("IQ4_NL", 32, 18),
    21: GgmlType("IQ3_S", 256, 110),
    22: GgmlType("IQ2_S", 256, 82),
    23: GgmlType("IQ4_XS", 256, 136),
    24: GgmlType("I8", 1, 1),
    25: GgmlType("I16", 1, 2),
    26: GgmlType("I32", 1, 4),
    27: GgmlType("I64", 1, 8),
    28: GgmlType("F64", 1, 8),
    29: GgmlType("IQ1_M", 256, 56),
    30: GgmlType("BF16", 1, 2),
    34: GgmlType("TQ1_0", 256, 54),
    35: GgmlType("TQ2_0", 256, 66),
    39: GgmlType("MXFP4", 32, 17),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the file.

    Attributes:
        shape: Values in each dimension, the row length first (ggml's order).
        ggml_type: Number of its type, a key of ``GGML_TYPES``.
        offset: Its first byte, counted from the beginning of the file.
        length_bytes: Its bytes, without the padding behind it.
    """

    name: str
    shape: tuple[int, ...]
    ggml_type: int
    offset: int
    length_bytes: int

    @property
    def type_name(self) -> str:
        return GGML_TYPES[self.ggml_type].name

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def block(self) -> int | None:
        """Number of the transformer block that it belongs to; None outside the blocks."""
        match = re.match(r"blk\.(\d{1,5})\.", self.name)
        return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What stands before the tensors.

    Attributes:
        metadata: Values by key: bool, int, float, str, or a list of these.
        tensors: In the order of the file.
        data_offset: Where the tensors begin: the header's length, padding included.
        alignment: Every tensor begins at a multiple of it, in bytes.
    """

    version: int
    metadata: Mapping[str, object]
    tensors: tuple[Tensor, ...]
    data_offset: int
    alignment: int = DEFAULT_ALIGNMENT

    @property
    def end(self) -> int:
        """The first byte behind the last tensor, 0 without tensors: a shorter file is cut off."""
        return max((tensor.offset + tensor.length_bytes for tensor in self.tensors), default=0)


def read_header(stream: BinaryIO) -> GgufHeader:
    """Reads the header of a GGUF file from the beginning of a stream; nothing behind it is read.

    Versions 2 and 3, little endian.

    Raises:
        FormatError: Not a GGUF file, of another version, cut off, or with something that llama.cpp wouldn't load.
    """
    reader = _Reader(stream)
    if reader.take(4) != b"GGUF":
        raise FormatError("This isn't a GGUF file: it doesn't begin with GGUF.")
    version = reader.unsigned(4)
    if version not in (2, 3):
        raise FormatError(
            f"This GGUF file is of version {version}; versions 2 and 3 (little endian) can be read.",
            hint="Convert the model again with a current llama.cpp.",
        )
    tensor_count = reader.count(MAX_TENSORS, "tensors")
    entry_count = reader.count(MAX_METADATA_ENTRIES, "metadata entries")
    metadata = _read_metadata(reader, entry_count)
    alignment = _alignment(metadata)
    infos = [_read_tensor_info(reader) for _ in range(tensor_count)]
    data_offset = _padded(reader.position, alignment)
    return GgufHeader(version, metadata, _lay_out(infos, data_offset, alignment), data_offset, alignment)


def _bad(what: str) -> NoReturn:
    raise FormatError(f"This GGUF file is damaged or foreign: {what}.", hint="Fetch or convert the file again.")


_SCALARS: Mapping[int, struct.Struct] = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_STRING, _ARRAY = 8, 9


class _Reader:
    """Takes bytes from a stream and keeps the budgets."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._elements_left = MAX_ELEMENTS
        self.position = 0

    def take(self, length: int) -> bytes:
        if self.position + length > MAX_HEADER_BYTES:
            _bad(f"its header is longer than {MAX_HEADER_BYTES >> 20} MiB")
        parts = []
        missing = length
        while missing:
            data = self._stream.read(missing)
            if not data:
                _bad("it ends inside its header")
            parts.append(data)
            missing -= len(data)
        self.position += length
        return b"".join(parts)

    def unsigned(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def count(self, limit: int, what: str) -> int:
        value = self.unsigned(8)
        if value > limit:
            _bad(f"it claims {value} {what}")
        return value

    def text(self, limit: int, *, strict: bool = True) -> str:
        raw = self.take(self.count(limit, "bytes in a string"))
        try:
            return raw.decode("utf-8", "strict" if strict else "replace")
        except UnicodeDecodeError:
            _bad("a name isn't UTF-8")

    def value(self, kind: int, depth: int = 0) -> object:
        if kind == _STRING:
            return self.text(MAX_STRING_BYTES, strict=False)
        if kind == _ARRAY:
            return self._array(depth)
        scalar = _SCALARS.get(kind)
        if scalar is None:
            _bad(f"unknown value type {kind}")
        value: object = scalar.unpack(self.take(scalar.size))[0]
        return value

    def _array(self, depth: int) -> list[object]:
        if depth >= MAX_DEPTH:
            _bad("arrays are nested too deep")
        kind = self.unsigned(4)
        length = self.count(self._elements_left, "values in an array")
        self._elements_left -= length
        scalar = _SCALARS.get(kind)
        if scalar is None:
            return [self.value(kind, depth + 1) for _ in range(length)]
        raw = self.take(length * scalar.size)
        return [item for (item,) in scalar.iter_unpack(raw)]


def _read_metadata(reader: _Reader, count: int) -> dict[str, object]:
    metadata: dict[str, object] = {}
    for _ in range(count):
        key = reader.text(MAX_KEY_BYTES)
        if not key or key in metadata:
            _bad("a metadata key is empty or comes twice")
        metadata[key] = reader.value(reader.unsigned(4))
    return metadata


def _alignment(metadata: Mapping[str, object]) -> int:
    value = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(value, int) or not MIN_ALIGNMENT <= value <= MAX_ALIGNMENT or value & (value - 1):
        _bad(f"its alignment is {value!r}")
    return value


@dataclass(frozen=True, slots=True)
class _TensorInfo:
    name: str
    shape: tuple[int, ...]
    ggml_type: int
    offset: int  # from the beginning of the data


def _read_tensor_info(reader: _Reader) -> _TensorInfo:
    name = reader.text(MAX_NAME_BYTES)
    dimensions = reader.unsigned(4)
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        _bad(f"tensor {name!r} has {dimensions} dimensions")
    shape = tuple(reader.unsigned(8) for _ in range(dimensions))
    return _TensorInfo(name, shape, reader.unsigned(4), reader.unsigned(8))


def _lay_out(infos: Sequence[_TensorInfo], data_offset: int, alignment: int) -> tuple[Tensor, ...]:
    """Checks that the tensors lie one behind the other, as llama.cpp demands, and gives their places in the file."""
    tensors = []
    names: set[str] = set()
    expected = 0
    for info in infos:
        if not info.name or info.name in names:
            _bad("a tensor's name is empty or comes twice")
        names.add(info.name)
        length = _tensor_bytes(info)
        if info.offset != expected:
            _bad(f"tensor {info.name!r} lies at {info.offset}, not at {expected}")
        tensors.append(Tensor(info.name, info.shape, info.ggml_type, data_offset + info.offset, length))
        expected = _padded(info.offset + length, alignment)
        if expected > MAX_FILE_BYTES:
            _bad("it claims more than 16 TiB")
    return tuple(tensors)


def _tensor_bytes(info: _TensorInfo) -> int:
    kind = GGML_TYPES.get(info.ggml_type)
    if kind is None:
        _bad(f"tensor {info.name!r} is of unknown type {info.ggml_type}")
    values = math.prod(info.shape)
    if not 0 < values <= MAX_FILE_BYTES:
        _bad(f"tensor {info.name!r} has {values} values")
    if info.shape[0] % kind.block_values:
        _bad(f"the rows of tensor {info.name!r} don't divide into blocks of {kind.block_values}")
    return values // kind.block_values * kind.block_bytes


def _padded(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def architecture_of(header: GgufHeader, file_bytes: int) -> Architecture:
    """The numbers that decide how much memory a model takes.

    Args:
        header: Of the whole model, not of a vocabulary alone.
        file_bytes: Length of the file.

    Raises:
        FormatError: The file is shorter than its header says, or a number is missing or absurd.
    """
    if not header.tensors:
        raise FormatError("This GGUF file has no tensors: it is a vocabulary, not a model.")
    if file_bytes < header.end:
        raise FormatError(
            f"This GGUF file is cut off: {file_bytes} bytes, its header promises {header.end}.",
            hint="Fetch or convert the file again.",
        )
    name = _text(header, "general.architecture")
    layers = _number(header, f"{name}.block_count")
    hidden = _number(header, f"{name}.embedding_length")
    heads = _number(header, f"{name}.attention.head_count")
    window, window_layers = _sliding_window(header, name, layers)
    repeating = [tensor for tensor in header.tensors if tensor.block is not None]
    return Architecture(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=_number(header, f"{name}.attention.head_count_kv", heads),
        head_dim=_number(header, f"{name}.attention.key_length", max(1, hidden // heads)),
        feed_forward=_number(header, f"{name}.feed_forward_length", 0, least=0),
        vocabulary=_vocabulary(header, name),
        parameters=sum(tensor.values for tensor in header.tensors),
        trained_context=_number(header, f"{name}.context_length"),
        weights_bytes=header.end - header.data_offset,
        repeating_weights_bytes=sum(_padded(tensor.length_bytes, header.alignment) for tensor in repeating),
        repackable_bytes=_repackable_bytes(header),
        sliding_window=window,
        sliding_window_layers=window_layers,
    )


def _text(header: GgufHeader, key: str) -> str:
    value = header.metadata.get(key)
    if not isinstance(value, str) or not value:
        raise FormatError(f"This GGUF file doesn't say its {key}.")
    return value


def _number(header: GgufHeader, key: str, default: int | None = None, *, least: int = 1) -> int:
    """A whole number of the metadata; of a list (one for each block) the greatest."""
    value = header.metadata.get(key, default)
    if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
        value = max(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**40:
        raise FormatError(f"This GGUF file has no usable {key} ({str(value)[:40]}).")
    return value


def _vocabulary(header: GgufHeader, name: str) -> int:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, list) and tokens:
        return len(tokens)
    embedding = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    return embedding.shape[-1] if embedding else _number(header, f"{name}.vocab_size")


_REPACKED = frozenset({"Q4_0", "Q4_K", "IQ4_NL"})
"""Types that llama.cpp's CPU backend copies into an interleaved layout on AVX2 (``ggml-cpu/repack.cpp``)."""
_REPACKED_ROWS = 8  # … where the number of rows divides by this


def _repackable_bytes(header: GgufHeader) -> int:
    """Bytes of the matrices that get a second, interleaved copy on the CPU. Embeddings are looked up, so they don't."""
    return sum(
        tensor.length_bytes
        for tensor in header.tensors
        if tensor.type_name in _REPACKED
        and len(tensor.shape) == 2  # noqa: PLR2004 - a matrix
        and tensor.shape[1] % _REPACKED_ROWS == 0
        and tensor.name != "token_embd.weight"
    )


_WINDOW_PATTERNS: Mapping[str, int] = {"gemma2": 2, "gemma3": 6, "cohere2": 4}
"""In these architectures every n-th block sees the whole context, the others a sliding window (llama.cpp,
``set_swa_pattern``). Others that name a window are run without one."""


def _sliding_window(header: GgufHeader, name: str, layers: int) -> tuple[int, int]:
    """Length of the window in tokens and the number of blocks that have it; 0, 0 without."""
    pattern = _WINDOW_PATTERNS.get(name)
    window = _number(header, f"{name}.attention.sliding_window", 0, least=0)
    if pattern is None or window == 0:
        return 0, 0
    return window, sum(1 for block in range(layers) if block % pattern < pattern - 1)
