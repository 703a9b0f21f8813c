"""The marks by which code and questions show what they are: data in ``resources/training/markers.json``."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from bbj_desktop.core.documents import parse_document
from bbj_desktop.resources import resource
from trainer.data.example import ExampleType, Generation

NEWEST_FORMAT = 1
AnswerShape = Literal["code", "words", "none"]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return pattern


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Marker(_Data):
    """One mark.

    Attributes:
        name: What evidence calls it.
        pattern: Regular expression; case doesn't count, ``^`` is the beginning of a line.
        weight: 1 a hint, 2 usual, 3 and above a proof by itself.
        raw: See code with its remarks and texts in quotes.
    """

    name: str
    pattern: Annotated[str, AfterValidator(_compiles)]
    weight: float
    raw: bool = False

    def first_line(self, text: str) -> int:
        """Line of its first match, from 1; 0 without one.

        Args:
            text: In lower case: to ignore case while searching takes thrice the time.
        """
        match = _compiled(self.pattern).search(text)
        return text.count("\n", 0, match.start()) + 1 if match else 0


class Shape(_Data):
    """What the shape of question and answer says about the type.

    Attributes:
        question_code: Whether the question holds code.
        answer: What most of the answer is.
    """

    name: str
    question_code: bool
    answer: AnswerShape
    type: ExampleType
    weight: float


class Markers(_Data):
    """All marks.

    Attributes:
        format: Version of the file's format.
        generations: Marks in code.
        neutral: Marks of BBj code of every generation.
        words: Marks of generations in questions and answers in words.
        neutral_words: Marks of BBj in words that belong to every generation.
        types: Marks in questions.
        shapes: What question and answer look like.
    """

    format: int
    comment: str = ""
    generations: dict[Generation, list[Marker]]
    neutral: list[Marker]
    words: dict[Generation, list[Marker]]
    neutral_words: list[Marker]
    types: dict[ExampleType, list[Marker]]
    shapes: list[Shape]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\.|[A-Z]+", lambda part: _lower(part[0]), pattern), re.MULTILINE)


def _lower(part: str) -> str:
    return part if part.startswith("\\") else part.lower()  # \S isn't \s


@cache
def packaged_markers() -> Markers:
    """The marks that come with the program.

    Raises:
        NotFoundError: The file is missing.
        FormatError: It is damaged.
    """
    text = resource("training/markers.json").read_text(encoding="utf-8")
    return parse_document(Markers, text, what="table of markers", newest=NEWEST_FORMAT)
