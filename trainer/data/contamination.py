"""Does the training side know what a model will be asked? Evaluation prompts compared with it, three ways."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from trainer.data.decoding import HEAD_BYTES, LongLine, bounded_lines, decode
from trainer.data.example import Example
from trainer.data.files import Found, said_by_system, say, walk
from trainer.data.gate import KIND, load_gate
from trainer.data.reading import read_examples
from trainer.data.similarity import THRESHOLD, SimilarityIndex, content_text, jaccard, prompt_text, shingles

Likeness = Literal["exact", "normalised", "near-duplicate"]
_LEAST_WORDS = 8  # of a prompt that is looked for within longer texts; shorter ones stand in many by chance
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked in an evaluation.

    Attributes:
        id: Its name: the case's id, or file and line.
        text: The question, without the answer.
    """

    id: str
    text: str


class Contact(BaseModel):
    """An evaluation prompt that the training side knows.

    Attributes:
        prompt: The prompt's id.
        example_id: The training example.
        likeness: ``exact``: word for word, alone or within the example; ``normalised``: but for case, blanks and signs;
            ``near-duplicate``: the questions resemble each other.
        similarity: Jaccard similarity of the questions; 1 for the first two.
    """

    model_config = ConfigDict(frozen=True)

    prompt: str
    example_id: str
    likeness: Likeness
    similarity: float = 1.0


def read_prompts(paths: Iterable[Path], found: Found) -> Iterator[Prompt]:
    """Prompts of files and folders: examples of any format, gate sets, JSON lines with ``prompt`` (as HumanEval has
    them), and text files, each one prompt.

    Args:
        found: Told about each problem.

    Raises:
        NotFoundError: A path isn't there.
        FormatError: A gate set was changed.
    """
    for path in walk(paths, found):
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
            if path.suffix.lower() == ".txt":
                yield Prompt(str(path), decode(path.read_bytes())[0])
            elif f'"{KIND}"'.encode() in head:
                yield from _of_examples(load_gate(path).cases)
            elif _prompt(head.split(b"\n", 1)[0]) is not None:
                yield from _of_lines(path)
            else:
                yield from _of_examples(read_examples([path], found))
        except OSError as error:
            say(found, path, "unreadable", f"Can't be read: {said_by_system(error)}.", "Check its permissions.")


def find_contacts(prompts: Iterable[Prompt], training: Iterable[Example]) -> list[Contact]:
    """Compares each prompt with each training example.

    Args:
        training: The training side; may be a stream.

    Returns:
        The strongest likeness of each pair, in the order of the prompts.
    """
    asked = {each.id: each for each in prompts if each.text.strip()}
    lookup = _Lookup(asked.values())
    contacts: list[Contact] = []
    index = SimilarityIndex()
    measured = {f"? {each}": shingles(prompt.text) for each, prompt in asked.items()}
    for example in training:
        question, whole = prompt_text(example), content_text(example)
        for name in lookup.within(question, whole):
            text = asked[name].text.strip()
            likeness: Likeness = "exact" if text == question.strip() or text in whole else "normalised"
            contacts.append(Contact(prompt=name, example_id=example.id, likeness=likeness))
        measured[f"= {example.id}"] = shingles(question)
    for name, found in measured.items():
        if len(found):
            index.add(name, found)
    known = {(each.prompt, each.example_id) for each in contacts}
    for cluster in index.clusters():
        for name in (each for each in cluster.ids if each.startswith("? ")):
            for other in (each for each in cluster.ids if each.startswith("= ")):
                alike = jaccard(measured[name], measured[other])
                if alike >= THRESHOLD and (name[2:], other[2:]) not in known:
                    contacts.append(
                        Contact(
                            prompt=name[2:], example_id=other[2:], likeness="near-duplicate", similarity=round(alike, 4)
                        )
                    )
    order = {name: number for number, name in enumerate(asked)}
    return sorted(contacts, key=lambda each: (order[each.prompt], each.example_id))


def _of_examples(examples: Iterable[Example]) -> Iterator[Prompt]:
    return (Prompt(each.id, prompt_text(each)) for each in examples)


def _of_lines(path: Path) -> Iterator[Prompt]:
    with path.open("rb") as file:
        for number, line in enumerate(bounded_lines(file), start=1):
            text = None if isinstance(line, LongLine) else _prompt(line)
            if text is not None:
                yield Prompt(f"{path}:{number}", text)


def _prompt(line: bytes) -> str | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    text = record.get("prompt") if isinstance(record, dict) else None
    return text if isinstance(text, str) else None


class _Lookup:
    """Finds prompts in texts by their words alone.

    The first words of a prompt lead to it, so that the time doesn't grow with the number of prompts.
    """

    def __init__(self, prompts: Iterable[Prompt]) -> None:
        self._whole: dict[tuple[str, ...], list[str]] = {}
        self._by_start: dict[tuple[str, ...], list[tuple[str, list[str]]]] = {}
        for each in prompts:
            words = _words(each.text)
            if words:
                self._whole.setdefault(tuple(words), []).append(each.id)
            if len(words) >= _LEAST_WORDS:
                self._by_start.setdefault(tuple(words[:_LEAST_WORDS]), []).append((each.id, words))

    def within(self, question: str, whole: str) -> list[str]:
        """Ids of the prompts that are the question, or stand in the whole text."""
        found = dict.fromkeys(self._whole.get(tuple(_words(question)), ()))
        words = _words(whole)
        for place in range(len(words) - _LEAST_WORDS + 1):
            for name, wanted in self._by_start.get(tuple(words[place : place + _LEAST_WORDS]), ()):
                if words[place : place + len(wanted)] == wanted:
                    found[name] = None
        return list(found)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
