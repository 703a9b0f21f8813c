"""Contents to download, with their chunk indexes."""

from __future__ import annotations

import hashlib
import random

from bbj_desktop.core.release import Chunk, ChunkIndex, FileReference

CHUNK = 100_000


def payload(chunks: int = 10, *, seed: int = 1, rest: int = 1234) -> bytes:
    """Random bytes for so many whole chunks and a short last one."""
    return random.Random(seed).randbytes(chunks * CHUNK + rest)  # noqa: S311 - the same bytes in every run


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def index_of(content: bytes, chunk_bytes: int = CHUNK) -> ChunkIndex:
    pieces = [content[start : start + chunk_bytes] for start in range(0, len(content), chunk_bytes)]
    return ChunkIndex(
        file=FileReference(digest=digest_of(content), length_bytes=len(content)),
        chunks=tuple(Chunk(length_bytes=len(piece), digest=digest_of(piece)) for piece in pieces),
    )
