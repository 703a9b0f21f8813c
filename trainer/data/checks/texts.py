"""What shouldn't be in any text: literal backslash-n, control characters, line ends of Windows, broken encodings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from trainer.data.example import Example, Message
from trainer.data.formats.parsed import Problem

_LITERAL = re.compile(r"(?<!\\)(?:\\r)?\\n")
_MEANT = re.compile(
    r"\"[^\"\n]*\"|'\\n'|(?<!`)`[^`\n]{1,40}`(?!`)"  # in quotes it is a text of another language, or talked about
    r"|\b[A-Za-z]:\\[^\s\"]*|\\\\[\w.$-]+\\[^\s\"]*"  # paths of Windows
)
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00a0\u2028\u2029]"
)
_MOJIBAKE = re.compile(r"[ÃÂ][\u0080-\u00bf]|â€[\u0080-\u00ff\u0153\u02dc\u201c\u201d\u2122]|ï»¿")


def check(example: Example) -> Iterator[Problem]:
    """Looks at all texts of an example."""
    texts = [text for _, text in texts_of(example)]
    if any(map(has_literal_breaks, texts)):
        hint = "bbj-trainer data fix turns them into line breaks."
        yield Problem("literal-backslash-n", "error", "It has backslash and n where a line should end.", hint)
    whole = "\n".join(texts)
    if "\r" in whole:
        yield Problem("crlf", "info", "Lines end in CR or CR LF.", "bbj-trainer data fix makes LF of them.")
    if not whole.isascii() or not whole.replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
        yield from _odd_characters(whole)


def texts_of(example: Example) -> Iterator[tuple[str, str]]:
    """Each text that trains, with the name of its field."""
    for name in ("system", "instruction", "input", "output", "explanation", "expected"):
        if text := getattr(example, name):
            yield name, text
    for number, message in enumerate(example.turns):
        yield f"turns.{number}", message.content


def has_literal_breaks(text: str) -> bool:
    """Whether backslash and n stand where a line should end."""
    return "\\n" in text and with_line_breaks(text) != text


def with_line_breaks(text: str) -> str:
    """Line breaks instead of backslash and n; what is quoted, and paths of Windows, stay."""
    if "\\n" not in text:
        return text
    kept: list[str] = []
    end = 0
    for match in _MEANT.finditer(text):
        kept += [_LITERAL.sub("\n", text[end : match.start()]), match[0]]
        end = match.end()
    return "".join((*kept, _LITERAL.sub("\n", text[end:])))


def with_plain_ends(text: str) -> str:
    """LF instead of CR LF and CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def without_controls(text: str) -> str:
    """Without what can't be seen; spaces of another kind become blanks."""
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(_seen, text)


def mended(example: Example, mend: Callable[[str], str]) -> Example:
    """The example with each of its texts mended; the same object where there is nothing to mend."""
    changed = {name: after for name, text in texts_of(example) if (after := mend(text)) != text}
    if not changed:
        return example
    turns = tuple(
        Message(role=each.role, content=changed.pop(f"turns.{number}", each.content))
        for number, each in enumerate(example.turns)
    )
    return example.changed(**changed, turns=turns)


def _seen(match: re.Match[str]) -> str:
    return " " if match[0] == "\xa0" else "\n" if match[0] in "\u2028\u2029" else ""


def _odd_characters(text: str) -> Iterator[Problem]:
    if match := _CONTROL.search(text):
        found = sorted({f"U+{ord(each):04X}" for each in _CONTROL.findall(text)})
        message = f"Characters that can't be seen: {', '.join(found[:5])}."
        hint = "bbj-trainer data fix removes them."
        yield Problem("control-characters", "warning", message, hint)
    if "\ufffd" in text:
        message = "A character was lost when it was converted (U+FFFD)."
        yield Problem("lost-characters", "warning", message, "Take the text from its source again.")
    if match := _MOJIBAKE.search(text):
        message = f"Read in the wrong encoding once: {match[0]!r}."
        yield Problem("wrong-characters", "warning", message, "Convert it again, from the original file.")
