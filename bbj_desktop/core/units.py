"""Numbers as people read and write them."""

from __future__ import annotations

import re

from bbj_desktop.core.errors import UserInputError

_KILO = 1000
_UNITS = ("B", "KB", "MB", "GB", "TB")
_SIZE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?([kmgt]i?)?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def format_bytes(value: int) -> str:
    """Bytes in decimal units as vendors and file managers count them: ``4.7 GB``, ``98 MB``, ``512 B``."""
    size = float(value)
    for unit in _UNITS[:-1]:
        if abs(size) < _KILO - 0.5:
            return _number(size, unit)
        size /= _KILO
    return _number(size, _UNITS[-1])


def format_memory(value: int) -> str:
    """RAM and VRAM, which are sold in binary units under decimal names: 8 GiB is said ``8 GB``, 99 MiB ``99 MB``."""
    if value < 1 << 30:
        return f"{value / (1 << 20):.0f} MB"
    size = value / (1 << 30)
    return f"{size:.0f} GB" if abs(size - round(size)) < 0.05 or size >= 100 else f"{size:.1f} GB"  # noqa: PLR2004


def _number(size: float, unit: str) -> str:
    one_decimal = unit in {"GB", "TB"} and abs(size) < 100  # noqa: PLR2004 - two digits before the point are enough
    return f"{size:.1f} {unit}" if one_decimal else f"{size:.0f} {unit}"


def format_seconds(value: float) -> str:
    """A duration: ``0.31 s``, ``12 s``, ``6 min``, ``1 h 5 min``."""
    if value < 1:
        return f"{value:.2f} s"
    if value < 10:  # noqa: PLR2004
        return f"{value:.1f} s"
    if value < 90:  # noqa: PLR2004
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def parse_size(text: str) -> int:
    """Bytes of ``4GB`` (decimal, as sticks are sold) or ``4GiB``. Raises UserInputError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UserInputError(f"{text!r} isn't a size.", hint="Write it as 4GB.")
    unit = (match[2] or "").lower()
    return int(float(match[1]) * (1024 if unit.endswith("i") else 1000) ** _POWERS[unit[:1]])
