"""What a timestamp file says of itself before anybody has verified it: for choosing and for messages, not for trust."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bbj_desktop.services.registry.layout import ISSUED

MAX_TIMESTAMP_BYTES = 16_384  # bytes; as the trusted reader limits it


def version_said(path: Path) -> int:
    """Its version; -1 when it can't be read."""
    try:
        version = _signed(_head(path))["version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return -1
    return version if isinstance(version, int) and not isinstance(version, bool) else -1


def issued_said(data: bytes) -> datetime | None:
    """When it says that it was signed (UTC)."""
    try:
        return datetime.fromisoformat(_signed(data)[ISSUED]).astimezone(UTC)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def expires_said(data: bytes) -> datetime | None:
    """When it says that it expires (UTC)."""
    try:
        return datetime.fromisoformat(_signed(data)["expires"]).astimezone(UTC)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TIMESTAMP_BYTES)


def _signed(data: bytes) -> dict[str, Any]:
    signed: dict[str, Any] = json.loads(data)["signed"]
    return signed
