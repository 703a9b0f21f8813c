"""Takes the line numbers of old programs off, where what they mean survives it.

Lines that others refer to (``GOTO 100``, ``ON X GOTO 10,20``, ``ERR=100`` as an option, ``IOL=100``) get a label,
``L100:``. A program is left as it is when any reference can't be told for sure: a target that isn't there,
``THEN 100``, a program that looks at its own lines, a line without a number.
"""

from __future__ import annotations

import re
from itertools import pairwise

_NUMBERED = re.compile(r"(?P<number>\d{1,5})(?P<blank>[ \t]|$)(?P<rest>.*)")
_STRING = re.compile(r'"(?:[^"]|"")*"')
_REMARK = re.compile(r"(?:^|(?<=[;:\s]))rem\b.*$", re.IGNORECASE)
_JUMP = re.compile(
    r"\b(?P<verb>goto|gosub|restore|seterr|setesc|retry)(?P<blank>\s*)(?P<targets>\d+(?:\s*,\s*\d+)*)", re.IGNORECASE
)
_OPTION = re.compile(r"(?P<before>[,(]\s*(?:err|end|dom)\s*=\s*)(?P<target>\d+)(?=\s*[,)])", re.IGNORECASE)
_FIELDS = re.compile(r"(?P<before>\biol\s*=\s*)(?P<target>\d+)", re.IGNORECASE)
_DOUBTFUL = re.compile(
    r"\b(?:then|else)\s*\d|\b(?:pgm|tcb|lst|cpl)\s*\(|\b(?:execute|merge|delete|edit|list|renum|call\s+\d)\b"
    r"|\b(?:err|end|dom)\s*=\s*\d",
    re.IGNORECASE,
)
_SWITCHES = frozenset({"seterr", "setesc"})  # their 0 turns the trap off


def without_line_numbers(text: str) -> tuple[str, bool]:
    """The program without its line numbers, and whether they were taken off.

    Args:
        text: Lines end in LF.
    """
    lines = text.split("\n")
    parts = [_NUMBERED.fullmatch(line) for line in lines if line.strip()]
    if not parts or any(part is None for part in parts):
        return text, False
    numbers = [int(part["number"]) for part in parts if part]
    if any(one >= other for one, other in pairwise(numbers)):
        return text, False
    bodies = [part["rest"] for part in parts if part]
    targets: set[int] = set()
    replaced: list[str] = []
    for body in bodies:
        code = _relabelled(body, targets)
        if code is None:
            return text, False
        replaced.append(code)
    labels = set(re.findall(r"(?im)^\s*(l\d+):", "\n".join(bodies)))
    if not targets <= set(numbers) or labels:
        return text, False
    found: list[str] = []
    for number, body in zip(numbers, replaced, strict=True):
        if number in targets:
            found.append(f"L{number}:")
        found.append(body)
    return "\n".join(found) + ("\n" if text.endswith("\n") else ""), True


def _relabelled(body: str, targets: set[int]) -> str | None:
    """A line whose references are labels now; None when one can't be told for sure."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\x01{len(kept) - 1}\x02"

    if "\x01" in body or "\x02" in body:
        return None
    code = _REMARK.sub(keep, _STRING.sub(keep, body))

    def jump(match: re.Match[str]) -> str:
        numbers = [int(each) for each in match["targets"].split(",")]
        if numbers == [0] and match["verb"].lower() in _SWITCHES:
            return match[0]
        targets.update(numbers)
        return f"{match['verb']}{match['blank'] or ' '}{','.join(f'L{each}' for each in numbers)}"

    def option(match: re.Match[str]) -> str:
        targets.add(int(match["target"]))
        return f"{match['before']}L{int(match['target'])}"

    code = _FIELDS.sub(option, _OPTION.sub(option, _JUMP.sub(jump, code)))
    if _DOUBTFUL.search(code):
        return None
    for number in range(len(kept) - 1, -1, -1):
        code = code.replace(f"\x01{number}\x02", kept[number])
    return code
