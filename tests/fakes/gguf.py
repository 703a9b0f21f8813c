"""Writes small GGUF files by hand: a real header, a few tensors, a ChatML template. Enough for every reader of headers
and for publishing; llama.cpp wouldn't get a sensible word out of it.

Source of the layout: the GGUF specification (ggml, ``docs/gguf.md``), version 3.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
TOKENS = (*SPECIAL_TOKENS, *"abcdefghijklmnopqrstuvwxyz")
ALIGNMENT = 32
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 8: (32, 34)}
"""ggml type → values and bytes of a block: F32, F16, Q4_0, Q8_0."""

Value = bool | int | float | str | Sequence[str] | Sequence[int]


def tiny_gguf(
    *,
    template: str | None = CHATML,
    layers: int = 2,
    hidden: int = 64,
    tokens: Sequence[str] = TOKENS,
    ggml_type: int = 2,
    seed: int = 1,
    metadata: Mapping[str, Value] | None = None,
) -> bytes:
    """A small Llama-like model.

    Args:
        template: Its chat template; None for none.
        ggml_type: Of its matrices: 2 is Q4_0, 1 is F16.
        seed: Of the weights: another seed makes another model of the same shape.
        metadata: Added to, or instead of, what is there.
    """
    entries: dict[str, Value] = {
        "general.architecture": "llama",
        "general.name": "Tiny stand-in",
        "llama.block_count": layers,
        "llama.context_length": 8192,
        "llama.embedding_length": hidden,
        "llama.feed_forward_length": hidden * 2,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": list(tokens),
        "tokenizer.ggml.token_type": [1] * len(tokens),
        "tokenizer.ggml.eos_token_id": 2,
    }
    if template is not None:
        entries["tokenizer.chat_template"] = template
    entries |= metadata or {}
    shapes: dict[str, tuple[tuple[int, ...], int]] = {"token_embd.weight": ((hidden, len(tokens)), ggml_type)}
    for layer in range(layers):
        shapes[f"blk.{layer}.attn_norm.weight"] = ((hidden,), 0)
        shapes[f"blk.{layer}.attn_q.weight"] = ((hidden, hidden), ggml_type)
        shapes[f"blk.{layer}.ffn_up.weight"] = ((hidden, hidden * 2), ggml_type)
    shapes["output_norm.weight"] = ((hidden,), 0)
    return write_gguf(entries, shapes, seed=seed)


def write_gguf(
    entries: Mapping[str, Value],
    shapes: Mapping[str, tuple[tuple[int, ...], int]],
    *,
    seed: int = 1,
    contents: Mapping[str, bytes] | None = None,
) -> bytes:
    """A GGUF of these metadata and of tensors with random bytes.

    Args:
        entries: Metadata; whole numbers are written as uint32, lists as arrays of strings or of int32.
        shapes: Shape (row length first) and ggml type of each tensor, a key of ``BLOCKS``.
        contents: Bytes of tensors that shall not be random.
    """
    header = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(entries))
    header += b"".join(_string(key) + _value(value) for key, value in entries.items())
    random_bytes = random.Random(seed).randbytes  # noqa: S311 - weights of a fake
    data = b""
    for name, (shape, kind) in shapes.items():
        header += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(data))
        data += _padded((contents or {}).get(name) or random_bytes(_tensor_bytes(shape, kind)))
    return _padded(header) + data


def _tensor_bytes(shape: tuple[int, ...], kind: int) -> int:
    values = 1
    for length in shape:
        values *= length
    block_values, block_bytes = BLOCKS[kind]
    return values // block_values * block_bytes


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Value) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _string(value)
        case _:
            items = b"".join(_string(item) if isinstance(item, str) else struct.pack("<i", item) for item in value)
            kind = 8 if value and isinstance(value[0], str) else 5
            return struct.pack("<IIQ", 9, kind, len(value)) + items
