"""How much of a model's context a prompt takes, and what is left for the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bbj_desktop.core.chat import Message
from bbj_desktop.core.errors import ContextFullError
from bbj_desktop.core.release import Prompt
from bbj_desktop.core.tokenizing import Tokenizer

ANSWER_TOKENS = 256
"""What is kept for the answer, less in a short context: an eighth of it. A shorter answer would break off in the middle
of a small program."""
_SCARCE = 0.25  # of the context: from here on it is said how much is left
_BYTES_PER_TOKEN = 3  # of code; for estimates only
_TOKENS_OF_A_TURN = 8  # of the template, likewise


@dataclass(frozen=True, slots=True)
class Room:
    """A prompt in a context.

    Attributes:
        prompt_tokens: What the prompt takes.
        context_length: What there is, in tokens.
        exact: Counted with the model's own tokenizer and template; else estimated.
        turns: Earlier questions in it.
    """

    prompt_tokens: int
    context_length: int
    exact: bool
    turns: int = 0

    @property
    def left_tokens(self) -> int:
        return max(0, self.context_length - self.prompt_tokens)

    @property
    def most_tokens(self) -> int:
        """The longest prompt that still leaves room for an answer."""
        return self.context_length - kept_for_answer(self.context_length)

    @property
    def scarce(self) -> bool:
        return self.left_tokens < _SCARCE * self.context_length

    @property
    def too_long(self) -> bool:
        return self.prompt_tokens > self.most_tokens

    def refuse_too_long(self) -> None:
        """Raises ContextFullError, with the numbers, for a prompt that can't be answered. An estimate refuses nothing:
        the engine, which knows better, is asked not to cut."""
        if not (self.exact and self.too_long):
            return
        shorter = (
            "Leave out its oldest questions, or begin a new conversation" if self.turns else "Shorten the question"
        )
        raise ContextFullError(
            f"The conversation is too long: it has {self.prompt_tokens:,} tokens, and there is room for "
            f"{self.most_tokens:,} (a context of {self.context_length:,}, less {self.context_length - self.most_tokens}"
            " for the answer). Nothing was sent.",
            hint=f"{shorter}; or install the model with a longer context (install --context TOKENS).",
        )

    def bounded(self, *wanted: int | None) -> int:
        """The longest answer, in tokens: what is wanted, and not more than what is left. Without that Ollama would
        forget the conversation's beginning in the middle of the answer, in silence. Where what is left is estimated,
        what is kept for an answer is left at least."""
        known = [each for each in wanted if each is not None]
        least = 1 if self.exact else kept_for_answer(self.context_length)
        return min([*known, max(least, self.left_tokens)])


def kept_for_answer(context_length: int) -> int:
    return min(ANSWER_TOKENS, context_length // 8)


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts one version's prompts.

    Args:
        tokenizer: Its own; None estimates.
        prompt: Its template and system prompt.
        context_length: What it is set up for.
    """

    tokenizer: Tokenizer | None
    prompt: Prompt
    context_length: int

    def room(self, messages: Sequence[Message], *, system: str | None = None) -> Room:
        """Of a conversation, up to where the answer begins.

        Args:
            system: Stands in place of the release's.
        """
        system = self.prompt.system if system is None else system
        earlier = sum(each.role == "assistant" for each in messages)
        turns = [*([("system", system)] if system else []), *((each.role, each.content) for each in messages)]
        if self.tokenizer is not None and (system or _never_adds_a_system(self.prompt)) and is_chatml(self.prompt):
            return Room(self.tokenizer.count(chatml(turns)), self.context_length, exact=True, turns=earlier)
        tokens = sum(self.count(content) + _TOKENS_OF_A_TURN for _, content in turns)
        return Room(tokens, self.context_length, exact=False, turns=earlier)

    def count(self, text: str) -> int:
        """Tokens of a text alone."""
        if self.tokenizer is not None:
            return self.tokenizer.count(text)
        return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def chatml(turns: Sequence[tuple[str, str]]) -> str:
    """The prompt of a conversation in the format of all our releases, from (role, content)."""
    said = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)
    return f"{said}<|im_start|>assistant\n"


def is_chatml(prompt: Prompt) -> bool:
    """Whether a release's template makes what ``chatml`` makes: by its own example where it has one."""
    example = prompt.rendering
    if example is None:
        return "<|im_start|>" in prompt.jinja_template and "<|im_end|>" in prompt.jinja_template
    turns = [(each.role, each.content) for each in example.messages]
    if turns[0][0] != "system" and prompt.system:
        turns.insert(0, ("system", prompt.system))
    return chatml(turns) == example.prompt


def _never_adds_a_system(prompt: Prompt) -> bool:
    """Templates of base models add a sentence of their own (``You are …``) where there is no system prompt."""
    return "You are" not in prompt.jinja_template
