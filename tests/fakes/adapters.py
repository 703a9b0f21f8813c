"""LoRA adapters as ``convert_lora_to_gguf.py`` of llama.cpp writes them: two small F32 matrices for each matrix of the
base that they change, their values from a seeded generator."""

from __future__ import annotations

import io
import random
from array import array
from collections.abc import Mapping, Sequence

from bbj_desktop.core.gguf import read_header
from tests.fakes.gguf import Value, write_gguf

TARGETS = ("attn_q.weight", "attn_v.weight")
F32 = 0


def adapter_gguf(
    base: bytes,
    *,
    rank: int = 4,
    targets: Sequence[str] = TARGETS,
    strength: float = 1.0,
    seed: int = 1,
    metadata: Mapping[str, Value] | None = None,
) -> bytes:
    """An adapter for a model.

    Args:
        base: The model's GGUF, or the beginning of it, with the whole header.
        rank: Of all its matrices.
        targets: Ends of the names of the matrices that it changes.
        strength: How large its values are: about 1 changes what a model says, 0 leaves it.
        seed: Another one makes another adapter.
        metadata: Added to, or instead of, what is there.
    """
    header = read_header(io.BytesIO(base))
    entries: dict[str, Value] = {
        "general.architecture": str(header.metadata["general.architecture"]),
        "general.type": "adapter",
        "general.name": "Stand-in adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(rank),
    }
    shapes: dict[str, tuple[tuple[int, ...], int]] = {}
    contents: dict[str, bytes] = {}
    generator = random.Random(seed)  # noqa: S311 - weights of a fake
    for tensor in header.tensors:
        if tensor.name.endswith(tuple(targets)):
            width, height = tensor.shape
            for name, shape in (("lora_a", (width, rank)), ("lora_b", (rank, height))):
                shapes[f"{tensor.name}.{name}"] = (shape, F32)
                size = strength / width**0.5
                values = array("f", (generator.uniform(-size, size) for _ in range(shape[0] * shape[1])))
                contents[f"{tensor.name}.{name}"] = values.tobytes()
    return write_gguf(entries | dict(metadata or {}), shapes, contents=contents)
