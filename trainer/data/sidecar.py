"""What a format has no place for, kept beside the file by example id, so that writing loses nothing.

``x.jsonl`` has ``x.jsonl.sidecar.jsonl``; a folder of Markdown files has ``sidecar.jsonl`` in it. First line:
``{"format": 1, "kind": "bbj-training-sidecar"}``; then ``{"id": …, "fields": {…}}`` a line, where ``id`` is the one
that the reader gives the record without the sidecar and ``fields`` are the values that differ.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

from bbj_desktop.core.errors import FormatError, TooNewError
from trainer.data.example import Example
from trainer.data.files import FOLDER_SIDECAR, SIDECAR_SUFFIX, said_by_system

KIND = "bbj-training-sidecar"
FORMAT = 1


class Ids:
    """Gives each id once: the second ``x`` becomes ``x~2``."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}

    def once(self, wanted: str) -> str:
        count = self._count[wanted] = self._count.get(wanted, 0) + 1
        return wanted if count == 1 else self.once(f"{wanted}~{count}")


def sidecar_of(path: Path) -> Path:
    """The sidecar's place for a file, or for a folder of Markdown files."""
    return path / FOLDER_SIDECAR if path.is_dir() else path.with_name(path.name + SIDECAR_SUFFIX)


def differing(example: Example, read_back: Example | None) -> dict[str, Any]:
    """Fields in which what would be read differs from the example, with the example's values; where it was read doesn't
    count."""
    fields = [name for name in Example.model_fields if name != "source"]
    lost = {name for name in fields if read_back is None or getattr(example, name) != getattr(read_back, name)}
    return example.model_dump(mode="json", include=lost)


def header() -> str:
    """First line of a sidecar."""
    return json.dumps({"format": FORMAT, "kind": KIND})


def entry(key: str, fields: dict[str, Any]) -> str:
    """A further line of a sidecar."""
    return json.dumps({"id": key, "fields": fields}, ensure_ascii=False)


class Sidecar:
    """A sidecar that is read; it holds places, not contents."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        """Reads the index.

        Args:
            path: For messages.
            stream: The file; its owner closes it.

        Raises:
            FormatError: It is damaged, or newer than this program.
            OSError: It can't be read.
        """
        self.path = path
        self._stream = stream
        self._places: dict[str, int] = {}
        self._read_header()
        self._index()

    def fields(self, key: str) -> dict[str, Any] | None:
        """The fields kept for a record; None if it isn't in the sidecar.

        Raises:
            FormatError: The file changed or can't be read.
        """
        place = self._places.get(key)
        if place is None:
            return None
        try:
            self._stream.seek(place)
            found = json.loads(self._stream.readline())["fields"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FormatError(f"The sidecar {self.path} is damaged at {key}.") from error
        except OSError as error:
            raise FormatError(f"The sidecar {self.path} can't be read: {said_by_system(error)}.") from error
        return dict(found)

    def _read_header(self) -> None:
        raw = self._parsed(self._stream.readline())
        if raw.get("kind") != KIND or not isinstance(raw.get("format"), int):
            raise FormatError(f"{self.path} isn't a sidecar.", hint="Remove it, or give it another name.")
        if raw["format"] > FORMAT:
            raise TooNewError(
                f"The sidecar {self.path} is of format {raw['format']}; this version reads up to {FORMAT}.",
                needs=f"format {raw['format']}",
                hint="Update BBj Desktop.",
            )

    def _index(self) -> None:
        place = self._stream.tell()
        while line := self._stream.readline():
            key = self._parsed(line).get("id")
            if not isinstance(key, str):
                raise FormatError(f"The sidecar {self.path} has a line without an id.")
            self._places[key] = place
            place = self._stream.tell()

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"The sidecar {self.path} is damaged: {error}.") from error
        if not isinstance(raw, dict):
            raise FormatError(f"The sidecar {self.path} is damaged: a line isn't an object.")
        return raw
