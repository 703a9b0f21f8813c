"""BBj code as statements: strings, mnemonics, remarks, documentation, line numbers and labels are known and out of the
way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_DOCUMENTATION = re.compile(r"/@@.*?@/", re.DOTALL)
_VALUE = re.compile(r"\"(?:[^\"\n]|\"\")*\"?|(?<![\w$])\$[0-9a-fA-F]*\$|(?<!\w)'[\w+/-][^'\n]*'")
_NUMBER_OR_LABEL = re.compile(r"^\s*(?:\d+\s+)?(?:[A-Za-z_]\w*\s*:(?!:))?\s*")
_REMARK = re.compile(r"(?:^|[;:]|\bthen\b|\belse\b|^\s*\d+)\s*(?P<remark>rem(?![\w!$%@(=.]).*)$", re.IGNORECASE)
_WORD = re.compile(r"(?<![\w.#])(?P<word>[a-z_]\w*)(?![\w!$%@.]|\s*=(?!=))|(?P<end>;)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line, with those that continue it.

    Attributes:
        number: From 1.
        text: In lower case, each value as ``""``, without remark, line number and label.
    """

    number: int
    text: str

    def statements(self) -> Iterator[str]:
        """What stands between semicolons."""
        return (each.strip() for each in self.text.split(";"))


def lines(code: str) -> list[Line]:
    """The lines that aren't empty; one that begins with a colon continues the one before it."""
    found: list[Line] = []
    for number, raw in enumerate(_undocumented(code).split("\n"), start=1):
        text = _without_remark(raw)
        stripped = text.strip()
        if stripped.startswith(":") and not stripped.startswith("::") and found:
            last = found.pop()
            found.append(Line(last.number, f"{last.text} {stripped[1:].lower()}"))
            continue
        text = _NUMBER_OR_LABEL.sub("", text).strip().lower()
        if text:
            found.append(Line(number, text))
    return found


def words(text: str) -> list[str]:
    """The words of a line that may be keywords (no names with ``!``, ``$`` or ``%``, no methods, no assigned names) and
    its semicolons."""
    return [match["word"] or ";" for match in _WORD.finditer(text)]


def _undocumented(code: str) -> str:
    text = code.replace("\r\n", "\n")
    return _DOCUMENTATION.sub(lambda match: "\n" * match[0].count("\n"), text) if "/@@" in text else text


def _without_remark(line: str) -> str:
    text = _VALUE.sub('""', line) if _has_value(line) else line
    if "rem" not in text.lower():
        return text
    match = _REMARK.search(text)
    if match is None:
        return text
    begun = text[: match.start("remark")]
    return f"{begun}rem" if begun.rstrip().lower().endswith("then") else begun


def _has_value(text: str) -> bool:
    return '"' in text or "$" in text or "'" in text
