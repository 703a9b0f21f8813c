"""How long an example is in tokens of the base model, and whether that is too long to train on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bbj_desktop.core.errors import FormatError, NotFoundError, UserInputError
from trainer.data.example import Example
from trainer.data.formats.parsed import Problem

AROUND_MESSAGE = 5
"""Tokens that ChatML puts around a message: ``<|im_start|>``, role, line break, ``<|im_end|>``, line break."""

_BYTES_A_TOKEN = 3.0  # the median of the sample data by SmolLM2's vocabulary; migrations have 2.5, explanations 3.9


class TokenCounter:
    """Counts tokens, or estimates them where there is no tokenizer.

    Attributes:
        estimated: Whether it is an estimate.
        name: What counted.
    """

    def __init__(self, tokenizer: Path | None = None) -> None:
        """Reads the tokenizer.

        Args:
            tokenizer: The base model's ``tokenizer.json``, or the folder that holds it; None estimates.

        Raises:
            NotFoundError: It isn't there.
            FormatError: It is no tokenizer.
            UserInputError: The extra ``data`` isn't installed.
        """
        self._tokenizer = _loaded(tokenizer) if tokenizer is not None else None
        self.estimated = tokenizer is None
        self.name = str(tokenizer) if tokenizer is not None else f"estimated: {_BYTES_A_TOKEN:g} bytes a token"

    def tokens(self, example: Example) -> int:
        """Tokens of the whole chat as it is trained."""
        messages = [each.content for each in example.to_messages()]
        return AROUND_MESSAGE * len(messages) + sum(map(self._count, messages))

    def _count(self, text: str) -> int:
        if self._tokenizer is None:
            return round((len(text) if text.isascii() else len(text.encode())) / _BYTES_A_TOKEN)
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def check(tokens: int, longest: int, *, estimated: bool) -> Iterator[Problem]:
    """Says that an example is too long."""
    if tokens > longest:
        about = "about " if estimated else ""
        message = f"It has {about}{tokens:,} tokens; max_seq_length is {longest:,}: the rest would be cut off."
        hint = "Shorten or divide it, or raise max_seq_length."
        if estimated:
            hint += " --tokenizer counts instead of estimating."
        yield Problem("too-many-tokens", "warning", message, hint)


def _loaded(path: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the class of an optional library
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        hint = 'Install it: pip install "bbj-desktop[data]".'
        raise UserInputError("Counting tokens needs the extra data.", hint=hint) from error
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise NotFoundError(f"There is no tokenizer {file}.", hint="Name the base model's tokenizer.json.")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception for whatever is wrong in the file
        raise FormatError(f"{file} is no tokenizer: {error}.", hint="Name the base model's tokenizer.json.") from error
