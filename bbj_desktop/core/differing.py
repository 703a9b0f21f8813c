"""Where two long texts part, for a person."""

from __future__ import annotations


def first_difference(one: str, text: str, other: str, others: str) -> str:
    """The place, with a few words before it and behind it.

    Args:
        one: What ``text`` is of.
        other: What ``others`` is of.
    """
    at = next((at for at, (a, b) in enumerate(zip(text, others, strict=False)) if a != b), min(len(text), len(others)))
    width = max(len(one), len(other)) + 2
    rows = [f"{name + ':':{width}}{_around(said, at)}" for name, said in ((one, text), (other, others))]
    return f"They part at character {at + 1}:\n" + "\n".join(rows)


def _around(text: str, at: int, before: int = 24, behind: int = 40) -> str:
    start, end = max(0, at - before), at + behind
    return f"{'…' if start else ''}{text[start:end]!r}{'…' if end < len(text) else ''}"
