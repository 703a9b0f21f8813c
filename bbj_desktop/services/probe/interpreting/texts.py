"""Small readers of text forms that several probes share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bbj_desktop.services.probe.raw import RawInputs


def colon_pairs(text: str) -> dict[str, str]:
    """``key: value`` lines (sysctl, /proc/meminfo, one block of /proc/cpuinfo); of equal keys the first counts."""
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition(":")
        if separator:
            pairs.setdefault(key.strip(), value.strip())
    return pairs


def blocks(text: str) -> Iterator[dict[str, str]]:
    """The ``key: value`` blocks between empty lines, those without a pair left out."""
    for block in text.split("\n\n"):
        pairs = colon_pairs(block)
        if pairs:
            yield pairs


def whole_number(text: object) -> int | None:
    """The whole number that the text begins with; None when it doesn't."""
    first = str(text).split()[:1]
    try:
        return int(first[0], 0) if first else None
    except ValueError:
        return None


def json_object(text: str) -> Mapping[str, Any]:
    """A JSON object; empty when the text isn't one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def sysctl(raw: RawInputs) -> dict[str, str]:
    """What macOS' ``sysctl`` printed."""
    return colon_pairs(next((text for command, text in raw.tools.items() if command.startswith("sysctl ")), ""))
