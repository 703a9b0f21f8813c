"""The real small model with tokens for filling in: three control tokens that it never uses get other names.

Its tensors stay as they are, so llama.cpp computes with it as with any other model; what it writes into a gap makes no
sense, but is the same for the same prompt.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from bbj_desktop.core.gguf import read_header

RENAMED = {"<gh_stars>": "<|fim_prefix|>", "<issue_start>": "<|fim_suffix|>", "<issue_comment>": "<|fim_middle|>"}
"""Control tokens of SmolLM2's vocabulary, and what they are called here."""
IDS = {"<|fim_prefix|>": 7, "<|fim_suffix|>": 8, "<|fim_middle|>": 9}
_KEYS = {"<|fim_prefix|>": "fim_pre", "<|fim_suffix|>": "fim_suf", "<|fim_middle|>": "fim_mid"}
_FIXED_BYTES = 24  # magic, version, number of tensors, number of metadata entries
_UINT32 = 4


def make_fim_model(original: Path, path: Path) -> Path:
    """Writes it. The layout is the GGUF specification's, version 3.

    Args:
        original: SmolLM2's GGUF.
        path: Of the new file.
    """
    with original.open("rb") as source, path.open("wb") as target:
        header = read_header(source)
        length = source.tell()
        source.seek(0)
        head = source.read(length)
        for old, new in RENAMED.items():
            assert head.count(_string(old)) == 1, old
            head = head.replace(_string(old), _string(new))
        entries = struct.unpack_from("<Q", head, 16)[0] + len(IDS)
        added = b"".join(
            _string(f"tokenizer.ggml.{_KEYS[token]}_token_id") + struct.pack("<II", _UINT32, number)
            for token, number in IDS.items()
        )
        head = head[:16] + struct.pack("<Q", entries) + added + head[_FIXED_BYTES:]
        target.write(head + bytes(-len(head) % header.alignment))
        source.seek(header.data_offset)
        shutil.copyfileobj(source, target, 4 * 2**20)
    return path


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw
