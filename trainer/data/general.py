"""General code and instructions, which keep a model from forgetting what it could do before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bbj_desktop.core.fences import fenced
from trainer.data.decoding import HEAD_BYTES, MAX_RECORD_BYTES, LongLine, bounded_lines, decode
from trainer.data.example import Example
from trainer.data.files import Found, said_by_system, say, walk
from trainer.data.reading import read_examples

TAG = "general"
_LEAST_LINES = 4  # of code that can be continued
_CONTINUE = "Continue this code."


def general_examples(path: Path, found: Found) -> Iterator[Example]:
    """General data as examples: examples as they are, and code as a task to continue it from its middle on.

    Args:
        path: A file or folder.
        found: Told about what can't be read.

    Raises:
        NotFoundError: It isn't there.
    """
    for file in walk([path], found):
        try:
            with file.open("rb") as stream:
                head = stream.read(HEAD_BYTES)
        except OSError as error:
            say(found, file, "unreadable", f"Can't be read: {said_by_system(error)}.", "Check its permissions.")
            continue
        if _holds_examples(head) and _row(head.split(b"\n", 1)[0]) is None:
            yield from (each.changed(tags=(*each.tags, TAG)) for each in read_examples([file], found))
        else:
            yield from (each for _, text in general_texts(file, found) if (each := _continued(text)) is not None)


def general_texts(file: Path, found: Found) -> Iterator[tuple[str, str]]:
    """Names and texts in one file: JSON lines with ``text`` or ``content``, examples as chats, anything else whole.

    Args:
        found: Told about what can't be read.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            stream.seek(0)
            if _row(head.split(b"\n", 1)[0]) is not None:
                for number, line in enumerate(bounded_lines(stream), start=1):
                    text = None if isinstance(line, LongLine) else _row(line)
                    if text is not None:
                        yield f"{file}:{number}", text
                return
            raw = stream.read(MAX_RECORD_BYTES + 1)
    except OSError as error:
        say(found, file, "unreadable", f"Can't be read: {said_by_system(error)}.", "Check its permissions.")
        return
    if _holds_examples(head):
        for example in read_examples([file], found):
            yield example.id, "\n\n".join(each.content for each in example.to_messages() if each.role != "system")
    elif len(raw) <= MAX_RECORD_BYTES and b"\0" not in raw:
        yield str(file), decode(raw)[0]


def _row(line: bytes) -> str | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    text = record.get("text", record.get("content"))
    return text if isinstance(text, str) else None


def _holds_examples(head: bytes) -> bool:
    return head.lstrip()[:1] in (b"{", b"[") or head.startswith(b"---")


def _continued(text: str) -> Example | None:
    lines = text.strip("\n").split("\n")
    if len(lines) < _LEAST_LINES:
        return None
    middle = len(lines) // 2
    before, after = ("\n".join(part) for part in (lines[:middle], lines[middle:]))
    asked = f"{_CONTINUE}\n\n{fenced(before, '')}"
    return Example.of(type="completion", form="chat", instruction=asked, output=fenced(after, ""), tags=(TAG,))
