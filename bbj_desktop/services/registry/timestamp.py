"""What a timestamp file says of itself before anybody has verified it: for choosing what to read first, no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_TIMESTAMP_BYTES = 16_384  # bytes; as the trusted reader limits it


def version_said(path: Path) -> int:
    """Its version; -1 when it can't be read."""
    try:
        version = _signed(_head(path))["version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return -1
    return version if isinstance(version, int) and not isinstance(version, bool) else -1


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TIMESTAMP_BYTES)


def _signed(data: bytes) -> dict[str, Any]:
    signed: dict[str, Any] = json.loads(data)["signed"]
    return signed
