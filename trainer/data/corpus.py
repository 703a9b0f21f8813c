"""Corpora for continued pretraining: sources packed into documents, general texts among them, and a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.errors import StoreAccessError, UserInputError
from trainer.data.files import Found, said_by_system, say, walk
from trainer.data.fim import FimTokens, cuts, fim_tokens
from trainer.data.general import general_texts
from trainer.data.mixing import mixed
from trainer.data.saving import refuse_existing
from trainer.data.sources import BBjSource, Counted, read_sources

FORMAT = 1
DOCUMENT_CHARACTERS = 12_000  # some 4,000 tokens of BBj


@dataclass(frozen=True, slots=True)
class Piece:
    """A text of a document.

    Attributes:
        name: Digest of the source, or the place of a general text.
        text: Source text; a long one comes in several pieces.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """Pieces that are trained on together.

    Attributes:
        pieces: At least one.
    """

    pieces: tuple[Piece, ...]

    def text(self, end: str) -> str:
        """The pieces, each with the token that ends a text behind it."""
        return "".join(f"{piece.text}{end}" for piece in self.pieces)


class Manifest(BaseModel):
    """What a corpus is made of.

    Attributes:
        format: Version of the corpus's format.
        digest: SHA-256 of the documents file, in hexadecimal.
        seed: Decided the order, the cuts and what was taken of general texts.
        family: Base family whose tokens are used.
        document_characters: Most characters of a document.
        sources: BBj programs.
        characters: Of them.
        left_out: Files that aren't in it, by reason.
        encodings: Programs by encoding.
        stripped: Programs whose line numbers were taken off.
        documents: Documents by what they hold: ``bbj``, and the paths of general texts.
        fim: Fill-in-the-middle examples by kind, in a file of their own.
    """

    model_config = ConfigDict(extra="ignore")

    format: int = FORMAT
    digest: str
    seed: int
    family: str
    document_characters: int
    sources: int
    characters: int
    left_out: dict[str, int]
    encodings: dict[str, int]
    stripped: int
    documents: dict[str, int]
    fim: dict[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a corpus is made.

    Attributes:
        seed: Decides all that is drawn.
        document_characters: Most characters of a document.
        strip_numbers: Take line numbers off.
        general: Paths of general code or instructions, with their shares of the documents.
        fim_each: Fill-in-the-middle examples of each source.
        family: Base family.
    """

    seed: int = 0
    document_characters: int = DOCUMENT_CHARACTERS
    strip_numbers: bool = False
    general: tuple[tuple[Path, float], ...] = ()
    fim_each: int = 0
    family: str = "qwen2.5-coder"


def make_corpus(folders: Sequence[Path], output: Path, plan: Plan, found: Found) -> Manifest:
    """Reads, packs, mixes and writes ``documents.jsonl``, ``fim.jsonl`` if wanted, and ``manifest.json``.

    Args:
        folders: Folders and files of BBj sources.
        output: A new folder.
        found: Told about what can't be read.

    Raises:
        UserInputError: There are no sources, something is there already, or the shares can't be had.
        StoreAccessError: It can't be written.
    """
    refuse_existing(output)
    tokens = fim_tokens(plan.family)
    counted = Counted()
    sources = [
        each
        for each in read_sources(folders, found, counted, strip_numbers=plan.strip_numbers)
        if _is_plain(each, tokens, found, counted)
    ]
    if not sources:
        raise UserInputError("There are no BBj sources.", hint="They end in .bbj, .bbjt, .bbl, .src or .bbx.")
    random.Random(plan.seed).shuffle(sources)  # noqa: S311 - repeatable on purpose
    own = list(pack((Piece(each.digest, each.text) for each in sources), plan.document_characters))
    others = [
        (str(path), list(pack(_general(path, tokens, found), plan.document_characters)), share)
        for path, share in plan.general
    ]
    documents = mixed(own, others, plan.seed)
    try:
        return _written(output, plan, tokens, sources, documents, counted)
    except OSError as error:
        hint = "Nothing was written. Check the folder and its free space."
        raise StoreAccessError(f"{output} can't be written: {said_by_system(error)}.", hint=hint) from error


def pack(pieces: Iterable[Piece], longest: int) -> Iterator[Document]:
    """Fills documents with whole texts; only a text that is longer than a document is divided, between lines.

    Args:
        longest: Most characters of a document; a longer line stays whole.
    """
    held: list[Piece] = []
    size = 0
    for piece in pieces:
        for part in _parts(piece, longest):
            if held and size + len(part.text) > longest:
                yield Document(tuple(held))
                held, size = [], 0
            held.append(part)
            size += len(part.text)
    if held:
        yield Document(tuple(held))


def _parts(piece: Piece, longest: int) -> Iterator[Piece]:
    if len(piece.text) <= longest:
        yield piece
        return
    held: list[str] = []
    size = 0
    for line in piece.text.splitlines(keepends=True):
        if held and size + len(line) > longest:
            yield Piece(piece.name, "".join(held))
            held, size = [], 0
        held.append(line)
        size += len(line)
    yield Piece(piece.name, "".join(held))


def _is_plain(source: BBjSource, tokens: FimTokens, found: Found, counted: Counted) -> bool:
    if not tokens.occur_in(source.text):
        return True
    say(found, Path(source.file), "model-token", "It holds a token of the base model; left out.", severity="warning")
    counted.left_out["model-token"] += 1
    counted.read -= 1
    return False


def _general(path: Path, tokens: FimTokens, found: Found) -> Iterator[Piece]:
    """Texts of general data: JSON lines with ``text`` or ``content``, examples as chats, other files as they are."""
    for file in walk([path], found):
        for name, text in general_texts(file, found):
            if text.strip() and not tokens.occur_in(text):
                yield Piece(name, text)


def _written(
    output: Path,
    plan: Plan,
    tokens: FimTokens,
    sources: Sequence[BBjSource],
    documents: Sequence[tuple[str, Document]],
    counted: Counted,
) -> Manifest:
    """Into a folder of another name, which gets its own when all is there."""
    output.parent.mkdir(parents=True, exist_ok=True)
    work = output.with_name(f".{output.name}.part-{os.getpid()}")
    work.mkdir()
    try:
        counts: dict[str, int] = {}
        with (work / "documents.jsonl").open("x", encoding="utf-8", newline="\n") as file:
            for name, document in documents:
                counts[name or "bbj"] = counts.get(name or "bbj", 0) + 1
                names = [piece.name for piece in document.pieces]
                _line(file, {"text": document.text(tokens.end), "from": name or "bbj", "pieces": names})
            _flush(file)
        fim: dict[str, int] = {}
        if plan.fim_each:
            with (work / "fim.jsonl").open("x", encoding="utf-8", newline="\n") as file:
                for source in sources:
                    for cut in cuts(
                        source.text, source.digest, plan.fim_each, plan.seed, longest=plan.document_characters
                    ):
                        fim[cut.kind] = fim.get(cut.kind, 0) + 1
                        _line(file, {"text": cut.render(tokens), "kind": cut.kind, "source": cut.source})
                _flush(file)
        manifest = Manifest(
            digest=hashlib.sha256((work / "documents.jsonl").read_bytes()).hexdigest(),
            seed=plan.seed,
            family=plan.family,
            document_characters=plan.document_characters,
            sources=len(sources),
            characters=sum(len(each.text) for each in sources),
            left_out=dict(sorted(counted.left_out.items())),
            encodings=dict(sorted(counted.encodings.items())),
            stripped=counted.stripped,
            documents=counts,
            fim=fim,
        )
        (work / "manifest.json").write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        work.rename(output)
    finally:
        with suppress(OSError):
            shutil.rmtree(work)
    return manifest


def _line(file: TextIO, record: dict[str, object]) -> None:
    file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _flush(file: TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())
