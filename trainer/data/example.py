"""The one type that every training example becomes, whatever format it was read from.

Names that other modules build on; they stay:

- ``Example`` with ``id``, ``type``, ``generation``, ``difficulty``; ``title``, ``instruction``, ``input``, ``output``,
  ``explanation``, ``expected``, ``system``, ``turns``; ``tags`` …; ``origin``, ``review``, ``compiler``; ``source``,
  ``extra``.
- ``example.prefix`` / ``.completion`` and ``.before`` / ``.after`` are other names of ``input`` / ``output``.
- ``example.to_messages()``, ``.code_blocks()``, ``.content_hash``, ``.cell``, ``.generation_label``, ``.changed(…)``.
- ``Message``, ``CodeBlock``, ``Source``; ``TYPES``, ``GENERATIONS``, ``DIFFICULTIES``.

What each type means: *completion*: ``input`` is the prefix, ``output`` continues it, both code. *migration*: ``input``
is the code before, ``output`` the code after. *comprehension* and *explanation*: ``instruction`` asks, about the code
in ``input`` if there is some, and ``output`` answers in words.

``form`` tells how the texts are kept. ``fields``: code stands bare, or as Markdown with fences when there are several
files (``<!-- filename: x.bbj -->``) or remarks; ``to_messages`` composes question and answer. ``chat``: ``instruction``
and ``output`` are whole messages, which ``to_messages`` gives back as they are, ``input`` is empty.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from bbj_desktop.core.fences import fenced, fences, has_fence

ExampleType = Literal["completion", "comprehension", "migration", "explanation", "unknown"]
Generation = Literal["all", "character", "vpro5", "bbj-gui", "dwc", "mixed", "unknown"]
Difficulty = Literal["basic", "intermediate", "advanced", "unknown"]
Form = Literal["fields", "chat"]
Format = Literal["json", "chatml", "markdown"]
Origin = Literal["curated", "synthetic", "field"]
Review = Literal["unreviewed", "accepted", "rejected"]
Compiled = Literal["not-judged", "compiles", "fails"]
Part = Literal["input", "output"]

TYPES: tuple[ExampleType, ...] = ("completion", "comprehension", "migration", "explanation")
GENERATIONS: tuple[Generation, ...] = ("character", "vpro5", "bbj-gui", "dwc")
"""From the oldest to the newest. ``all``, ``mixed`` and ``unknown`` stand for themselves."""
DIFFICULTIES: tuple[Difficulty, ...] = ("basic", "intermediate", "advanced")
CODE_TYPES = frozenset({"completion", "migration"})
"""Types whose answer is code; the others answer in words."""

_LEADS: dict[ExampleType, str] = {
    "completion": "Complete this BBj code",
    "migration": "Convert this BBj code",
    "comprehension": "Explain this BBj code",
}
"""What is asked where an example has a title and no instruction, as Markdown without a description."""

_ALONE = frozenset({"all", "mixed", "unknown"})


def _generations(value: object) -> object:
    """One label or a list of labels, in any spelling, becomes a tuple from the oldest to the newest."""
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list | tuple) or not several:
        raise ValueError("must be a generation or a list of generations")
    labels = {each.strip().lower().replace("_", "-") if isinstance(each, str) else str(each) for each in several}
    unknown = labels - set(get_args(Generation))
    if unknown:
        raise ValueError(f"there is no generation {', '.join(map(repr, sorted(unknown)))}")
    if len(labels) > 1 and labels & _ALONE:
        raise ValueError(f"{', '.join(sorted(labels & _ALONE))} can't stand beside another generation")
    return tuple(label for label in get_args(Generation) if label in labels)


def _whole(text: str) -> str:
    """JSON can hold half a character (a lone surrogate), which no file can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a character (a lone surrogate)") from None
    return text


def _whole_values(extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if extra:
        _whole(json.dumps(extra, ensure_ascii=False))
    return extra


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


Generations = Annotated[tuple[Generation, ...], BeforeValidator(_generations)]
Text = Annotated[str, AfterValidator(_whole)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(_Frozen):
    """One message of a chat.

    Attributes:
        role: ``system``, ``user`` or ``assistant``; anything else is kept, and found by the check.
    """

    role: Text
    content: Text


class Source(_Frozen):
    """Where an example was read.

    Attributes:
        file: Path as it was given, or found below the folder that was given.
        line: Line on which it begins, from 1.
        format: What the file holds.
    """

    file: str = ""
    line: int = 0
    format: Format = "json"


class CodeBlock(_Frozen):
    """A piece of code of an example.

    Attributes:
        part: ``input`` (what is asked about) or ``output`` (the answer).
        code: The code, without fences.
        language: As the fence names it, in lower case; ``bbj`` for bare code.
        name: File name; empty if there is none.
        fenced: False for bare code.
        line: Line of its first line within its text, from 1.
        closed: False for a fence that never ends.
    """

    part: Part
    code: str
    language: str = "bbj"
    name: str = ""
    fenced: bool = False
    line: int = 1
    closed: bool = True


class Example(_Frozen):
    """One training example.

    Attributes:
        id: The source's, else ``ex-`` and the beginning of ``content_hash``; unique within what was read together.
        type: What it teaches; ``unknown`` until somebody or something says.
        generation: The BBj generations it applies to, the oldest first; ``all``, ``mixed`` (code that mixes
            what doesn't belong together) and ``unknown`` stand alone.
        difficulty: As the source says.
        form: How the texts are kept, see the module.
        title: Markdown's title.
        instruction: What is asked.
        input: The code that is given: prefix, code before, or what the question is about.
        output: The answer.
        explanation: Words beside an answer that is code.
        expected: What the code does or prints when it runs.
        expected_kind: Whether ``expected`` is a behaviour or an output.
        system: System prompt; empty if there is none.
        turns: Messages of the chat before ``instruction``, without the system prompt.
        tags: Free words.
        requires_version: The least BBj version.
        from_generation: Where a migration starts.
        to_generation: Where a migration leads.
        origin: Written by people, by a model, or reported from the field.
        review: What a reviewer decided.
        compiler: What the BBj compiler said about the code; ``not-judged`` without one.
        source: Where it was read; no part of the content.
        extra: What the source says besides, by its keys there.
    """

    id: Text = Field(min_length=1)
    type: Annotated[ExampleType, BeforeValidator(_lower)] = "unknown"
    generation: Generations = ("unknown",)
    difficulty: Annotated[Difficulty, BeforeValidator(_lower)] = "unknown"
    form: Form = "fields"
    title: Text = ""
    instruction: Text = ""
    input: Text = ""
    output: Text = ""
    explanation: Text = ""
    expected: Text = ""
    expected_kind: Literal["behavior", "output"] = "behavior"
    system: Text = ""
    turns: tuple[Message, ...] = ()
    tags: tuple[Text, ...] = ()
    requires_version: Text = ""
    from_generation: Generations = ("unknown",)
    to_generation: Generations = ("unknown",)
    origin: Origin = "curated"
    review: Review = "unreviewed"
    compiler: Compiled = "not-judged"
    source: Source = Source()
    extra: Annotated[dict[str, JsonValue], AfterValidator(_whole_values)] = {}

    @classmethod
    def of(cls, *, id: str = "", **fields: Any) -> Self:  # noqa: A002 - the field's name
        """An example whose id is made from its content when there is none.

        Raises:
            pydantic.ValidationError: A field doesn't fit.
        """
        if id:
            return cls(id=id, **fields)
        draft = cls(id="ex", **fields)
        return draft.model_copy(update={"id": f"ex-{draft.content_hash[:16]}"})

    def changed(self, **fields: Any) -> Self:
        """A copy with other values, checked like new ones; the id stays unless it is among them.

        Raises:
            pydantic.ValidationError: A field doesn't fit.
        """
        return type(self).model_validate(dict(self) | fields)

    @property
    def prefix(self) -> str:
        """The given code of a completion."""
        return self.input

    @property
    def completion(self) -> str:
        """What continues the prefix."""
        return self.output

    @property
    def before(self) -> str:
        """The old code of a migration."""
        return self.input

    @property
    def after(self) -> str:
        """The new code of a migration."""
        return self.output

    @property
    def generation_label(self) -> str:
        """The generations as one text: ``bbj-gui+dwc``."""
        return "+".join(self.generation)

    @property
    def cell(self) -> tuple[str, str, str]:
        """Type, generations and difficulty: the strata of splits and reports."""
        return (self.type, self.generation_label, self.difficulty)

    def to_messages(self) -> tuple[Message, ...]:
        """The chat that trains the model: system prompt if there is one, earlier turns, question, answer."""
        system = (Message(role="system", content=self.system),) if self.system else ()
        question, answer = (self.instruction, self.output) if self.form == "chat" else self._composed()
        asked = (Message(role="user", content=question),) if question else ()
        answered = (Message(role="assistant", content=answer),) if answer else ()
        return (*system, *self.turns, *asked, *answered)

    def code_blocks(self, part: Part | None = None) -> tuple[CodeBlock, ...]:
        """Its code, the given part's or both parts'; bare code of a chat message isn't recognised as code."""
        blocks: list[CodeBlock] = []
        if part != "output":
            text = self.instruction if self.form == "chat" else self.input
            blocks.extend(_blocks("input", text, bare=self.form == "fields"))
        if part != "input":
            bare = self.form == "fields" and self.type in CODE_TYPES
            blocks.extend(_blocks("output", self.output, bare=bare))
        return tuple(blocks)

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of question and answer, and of nothing else: system prompt, labels, format, line endings and
        blanks at line ends don't count."""
        content = [(each.role, _normal(each.content)) for each in self.to_messages() if each.role != "system"]
        text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def _composed(self) -> tuple[str, str]:
        asked = self.instruction or self._asked_by_title()
        if self.type in CODE_TYPES:
            heading = "Expected output" if self.expected_kind == "output" else "Expected behavior"
            wanted = f"{heading}:\n{self.expected}" if self.expected else ""
            return _paragraphs(asked, _as_markdown(self.input), wanted), _paragraphs(
                _as_markdown(self.output), self.explanation
            )
        return _paragraphs(asked, _as_markdown(self.input)), _paragraphs(self.expected, self.output, self.explanation)

    def _asked_by_title(self) -> str:
        lead = _LEADS.get(self.type, "") if self.input else ""
        return ": ".join(filter(None, (lead, self.title)))


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)


def _as_markdown(code: str) -> str:
    return code if not code or has_fence(code) else fenced(code.rstrip("\n"))


def _normal(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n")).strip("\n")


def _blocks(part: Part, text: str, *, bare: bool) -> list[CodeBlock]:
    found = [
        CodeBlock(
            part=part,
            code=each.code,
            language=each.language,
            name=each.name,
            fenced=True,
            line=each.line + 1,
            closed=each.closed,
        )
        for each in fences(text)
    ]
    return found or ([CodeBlock(part=part, code=text)] if bare and text.strip() else [])
