"""What is kept of an example that was looked at, to compare it with the others: no texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from trainer.data.checks import answers
from trainer.data.example import Example, Message
from trainer.data.finding import Finding, Severity
from trainer.data.similarity import content_text, shingles, signature

if TYPE_CHECKING:
    from trainer.data.similarity import Shingles


class Examined(NamedTuple):
    """One example.

    Attributes:
        prompt: Digest of what is asked.
        answer: Digest of the answer.
        system: Digest of the system prompt; empty without one.
        tokens: Of the whole chat.
        shingles: Of question and answer.
        signature: Of the shingles.
    """

    id: str
    file: str
    line: int
    prompt: bytes
    answer: bytes
    system: bytes
    cell: tuple[str, tuple[str, ...], str]
    shape: str
    tokens: int
    shingles: Shingles
    signature: Shingles

    @property
    def where(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}"

    def finding(self, code: str, severity: Severity, message: str, hint: str) -> Finding:
        """A finding about it."""
        return Finding(
            code=code,
            severity=severity,
            message=message,
            hint=hint,
            file=self.file,
            line=self.line,
            example_id=self.id,
        )


def examined(example: Example, tokens: int) -> Examined:
    """Takes what the comparison needs."""
    messages = [each for each in example.to_messages() if each.role != "system"]
    answered = bool(example.output) and messages[-1:] != [] and messages[-1].role == "assistant"
    found = shingles(content_text(example))
    return Examined(
        id=example.id,
        file=example.source.file,
        line=example.source.line,
        prompt=digest(messages[:-1] if answered else messages),
        answer=digest(messages[-1:] if answered else []),
        system=hashlib.blake2b(example.system.encode(), digest_size=12).digest() if example.system else b"",
        cell=(example.type, example.generation, example.difficulty),
        shape=answers.shape(messages[-1].content if answered else ""),
        tokens=tokens,
        shingles=found,
        signature=signature(found),
    )


def digest(messages: Sequence[Message]) -> bytes:
    """Line ends, and blanks at the ends of lines, don't count."""
    texts = (each.role + "\0" + "\n".join(map(str.rstrip, each.content.strip().splitlines())) for each in messages)
    return hashlib.blake2b("\0\0".join(texts).encode(), digest_size=12).digest()
