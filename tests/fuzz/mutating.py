"""Makes broken inputs from valid ones: flipped bits, cuts, wrong lengths, splices, extreme numbers, odd JSON values."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**53, 2**63 - 1, 2**64 - 1)
NUMBERS = (b"0", b"-1", b"-0", b"1e999", b"NaN", b"-Infinity", b"9" * 18, b"9" * 30, b"9" * 5000, b"0.1", b"\xb2")
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    2**70,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x" * 5000,
    "\ud800",
    "\x00",
    "../../etc/passwd",
    "٣",
    "9999-99-99T99:99:99Z",
    [],
    {},
    [[]],
    [None],
    {"": {}},
    [{}],
)
_NUMBER = re.compile(rb"\d+")
_MAX_BYTES = 200_000

Mutation = Callable[[bytes], bytes]


class Mutator:
    """Seeded: the same seed makes the same inputs.

    Args:
        seeds: Valid inputs.
        chance: Decides.
    """

    def __init__(self, seeds: Sequence[bytes], chance: random.Random) -> None:
        self._seeds = tuple(seeds)
        self._chance = chance
        self._mutations: tuple[Mutation, ...] = (
            self._flip,
            self._set_byte,
            self._cut,
            self._drop,
            self._repeat,
            self._splice,
            self._set_length,
            self._set_number,
            self._set_json_value,
            self._set_json_value,
            self._nest,
        )

    def next(self) -> bytes:
        """An input with one to four things wrong."""
        data = self._chance.choice(self._seeds)
        for _ in range(self._chance.choice((1, 1, 1, 2, 4))):
            data = self._chance.choice(self._mutations)(data)[:_MAX_BYTES]
        return data

    def _at(self, data: bytes) -> int:
        return self._chance.randrange(len(data) + 1)

    def _flip(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + bytes(byte ^ (1 << self._chance.randrange(8)) for byte in data[at : at + 1]) + data[at + 1 :]

    def _set_byte(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._chance.choice((b"\x00", b"\xff", b"\n", b'"', b"{", b"[", b"\x80")) + data[at + 1 :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._at(data)]

    def _drop(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + data[at + self._chance.choice((1, 4, 8, 100)) :]

    def _repeat(self, data: bytes) -> bytes:
        at = self._at(data)
        part = data[at : at + self._chance.choice((1, 8, 64, 1000))]
        return data[:at] + part * self._chance.choice((2, 3, 100)) + data[at:]

    def _splice(self, data: bytes) -> bytes:
        other = self._chance.choice(self._seeds)
        return data[: self._at(data)] + other[self._at(other) :]

    def _set_length(self, data: bytes) -> bytes:
        """Little-endian lengths and counts are what binary formats are full of."""
        at, layout = self._at(data), self._chance.choice(("<I", "<Q"))
        number = self._chance.choice(EXTREMES) & (2 ** (8 * struct.calcsize(layout)) - 1)
        return data[:at] + struct.pack(layout, number) + data[at + struct.calcsize(layout) :]

    def _set_number(self, data: bytes) -> bytes:
        found = list(_NUMBER.finditer(data))
        if not found:
            return data
        match = self._chance.choice(found)
        return data[: match.start()] + self._chance.choice(NUMBERS) + data[match.end() :]

    def _set_json_value(self, data: bytes) -> bytes:
        """Replaces, removes or adds a value somewhere in the first JSON document of the input."""
        begin = data.find(b"{")
        if begin < 0:
            return self._flip(data)
        try:
            text = data[begin:].decode()
            document, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return self._flip(data)
        self._change(document)
        try:
            changed = json.dumps(document).encode()
        except (ValueError, RecursionError):
            return data
        return data[:begin] + changed + text[end:].encode()

    def _change(self, document: Any) -> None:
        node = document
        while True:
            keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                return
            key = self._chance.choice(keys)
            if isinstance(node[key], dict | list) and node[key] and self._chance.random() < 0.8:
                node = node[key]
            else:
                break
        if self._chance.random() < 0.2:
            del node[key]
        else:
            node[key] = self._chance.choice(VALUES)

    def _nest(self, data: bytes) -> bytes:
        """Brackets deeper than any parser's stack, rarely."""
        if self._chance.random() < 0.9:
            return self._flip(data)
        at = self._at(data)
        opening = self._chance.choice((b"[", b'{"a":'))
        return data[:at] + opening * self._chance.choice((100, 1500, 20_000)) + data[at:]
