"""Labels beside the data: what was inferred and what experts confirmed, by example id. The source stays as it is.

A JSON Lines file. First line ``{"format": 1, "kind": "bbj-training-labels"}``, then one ``Label`` a line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bbj_desktop.core.documents import explain
from bbj_desktop.core.errors import FormatError, NotFoundError, StoreAccessError, TooNewError
from trainer.data.example import Example, ExampleType, Generations
from trainer.data.files import Found, said_by_system
from trainer.data.finding import Finding
from trainer.data.labelling import Evidence

KIND = "bbj-training-labels"
FORMAT = 1


class Label(BaseModel):
    """The labels of one example.

    Attributes:
        id: The example's.
        content_hash: Of what was labelled; where it differs, the label is out of date.
        generation: Its generations, ``mixed`` or ``unknown``.
        type: Its type, or ``unknown``.
        state: Inferred, or confirmed by somebody who knows.
        generation_confidence: 0 … 1; 1 when confirmed.
        type_confidence: 0 … 1; 1 when confirmed.
        evidence: What was inferred from.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    content_hash: str
    generation: Generations
    type: ExampleType
    state: Literal["inferred", "confirmed"] = "inferred"
    generation_confidence: float = 1.0
    type_confidence: float = 1.0
    evidence: tuple[Evidence, ...] = ()


def load_labels(path: Path) -> dict[str, Label]:
    """Reads a labels file.

    Returns:
        Labels by example id.

    Raises:
        NotFoundError: It isn't there.
        FormatError: It is damaged, or newer than this program.
    """
    labels: dict[str, Label] = {}
    try:
        with path.open(encoding="utf-8") as file:
            _check_header(path, file.readline())
            for number, line in enumerate(file, start=2):
                label = Label.model_validate_json(line)
                if label.id in labels:
                    raise FormatError(f"{path}:{number}: the labels of {label.id!r} are there twice.")
                labels[label.id] = label
    except FileNotFoundError as error:
        hint = "bbj-trainer data label --out writes one."
        raise NotFoundError(f"There is no labels file {path}.", hint=hint) from error
    except OSError as error:
        raise FormatError(f"The labels file {path} can't be read: {said_by_system(error)}.") from error
    except ValidationError as error:
        raise FormatError(f"{path}:{number}: not labels: {explain(error)}.") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"The labels file {path} isn't UTF-8.") from error
    return labels


def save_labels(path: Path, labels: Iterable[Label]) -> None:
    """Writes a labels file; another one of that name stays until the new one is complete.

    Raises:
        StoreAccessError: It can't be written.
    """
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("w", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps({"format": FORMAT, "kind": KIND}) + "\n")
                for label in labels:
                    file.write(label.model_dump_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StoreAccessError(f"{path} can't be written: {said_by_system(error)}.") from error


def labelled(examples: Iterable[Example], path: Path | None, found: Found) -> Iterator[Example]:
    """Lays labels over examples: confirmed ones always, inferred ones where the source says nothing.

    Args:
        examples: Any.
        path: The labels file; None leaves the examples as they are.
        found: Told about labels that are out of date; those aren't used.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It can't be read.
    """
    labels = load_labels(path) if path is not None else {}
    return (_labelled(each, labels[each.id], found) if each.id in labels else each for each in examples)


def _labelled(example: Example, label: Label, found: Found) -> Example:
    if label.content_hash != example.content_hash:
        finding = Finding(
            code="stale-label",
            severity="warning",
            message="It was changed since it was labelled; those labels aren't used.",
            hint="Run bbj-trainer data label again.",
            file=example.source.file,
            line=example.source.line,
            example_id=example.id,
        )
        found(finding)
        return example
    sure = label.state == "confirmed"
    return example.model_copy(
        update={
            "generation": label.generation if sure or example.generation == ("unknown",) else example.generation,
            "type": label.type if sure or example.type == "unknown" else example.type,
        }
    )


def _check_header(path: Path, line: str) -> None:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("kind") != KIND or not isinstance(header.get("format"), int):
        raise FormatError(f"{path} isn't a labels file.", hint="Name a file that bbj-trainer data label wrote.")
    if header["format"] > FORMAT:
        raise TooNewError(
            f"The labels file {path} is of format {header['format']}; this version reads up to {FORMAT}.",
            needs=f"format {header['format']}",
            hint="Update BBj Desktop.",
        )
