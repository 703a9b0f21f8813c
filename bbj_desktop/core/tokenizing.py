"""Counts tokens as llama.cpp does, from a GGUF's metadata alone: Ollama has no call for that.

Byte-level BPE (``tokenizer.ggml.model`` ``gpt2``) with the pre-tokenizers of the families that releases are made of.
The patterns are llama.cpp's (``llama-vocab.cpp``), with its classes of characters written out; the order of merges is
that of Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", over the byte alphabet of
GPT-2. For any other tokenizer there is none, and whoever needs a number has to estimate, and say so.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeGuard

_SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Unicode's white space. (Python's own ``\\s`` has the separators 1C to 1F, too.)"""
_CONTROL, _USER_DEFINED, _UNKNOWN = 3, 4, 2  # llama.cpp's token types that stand for themselves in a prompt
_WORDS_KEPT = 50_000
_LONGEST_WORD = 1000
"""Letters. A longer word (a pasted block of base64) is counted in slices: at most one token too many for each, and the
time stays in proportion to the text."""

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?{L}+| ?{N}+| ?[^{s}{l}{n}]+|{S}+(?!{notS})|{S}+"
_QWEN2 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n{l}{n}]?{L}+|{N}"
    r"| ?[^{s}{l}{n}]+[\r\n]*|{S}*[\r\n]+|{S}+(?!{notS})|{S}+"
)
_PATTERNS: Mapping[str, tuple[str, ...]] = {
    "gpt-2": (_GPT2,),
    "smollm": (r"{N}", _GPT2),
    "qwen2": (_QWEN2,),
}


class Tokenizer:
    """One model's vocabulary.

    Args:
        tokens: The vocabulary; a token's place is its number.
        merges: ``left right``, the first one made first.
        special: Tokens that stand for themselves in a prompt, e.g. ``<|im_start|>``.
        pre: Name of the pre-tokenizer, a key of the patterns above.
        begins: Whether every prompt begins with a token of its own.
    """

    def __init__(
        self, tokens: Sequence[str], merges: Sequence[str], special: Sequence[str], pre: str, *, begins: bool = False
    ) -> None:
        self._vocabulary = frozenset(tokens)
        self._ranks = {tuple(merge.split(" ", 1)): rank for rank, merge in enumerate(merges)}
        longest_first = sorted(filter(None, special), key=lambda token: -len(token))
        self._alone = frozenset(special)
        self._special = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._patterns = tuple(map(_compiled, _PATTERNS[pre]))
        self._begins = begins
        self._count_word: Callable[[str], int] = functools.lru_cache(_WORDS_KEPT)(self._tokens_of_word)

    def has_special(self, text: str) -> bool:
        """Whether it is a token that stands for itself in a prompt."""
        return text in self._alone

    def count(self, prompt: str) -> int:
        """Tokens of a prompt, its special ones and the one that it begins with included."""
        if self._special is None:
            return self._begins + self._count_text(prompt)
        texts = self._special.split(prompt)
        return self._begins + len(texts) - 1 + sum(map(self._count_text, texts))

    def _count_text(self, text: str) -> int:
        pieces = [text]
        for pattern in self._patterns:
            pieces = [piece for whole in pieces for piece in _cut(pattern, whole)]
        return sum(self._count_word(part) for piece in pieces for part in _slices(piece))

    def _tokens_of_word(self, word: str) -> int:
        parts = [_ALPHABET[byte] for byte in word.encode("utf-8", "replace")]
        while len(parts) > 1:
            ranks = [self._ranks.get(pair, _NEVER) for pair in itertools.pairwise(parts)]
            best = min(ranks)
            if best == _NEVER:
                break
            at = ranks.index(best)
            parts[at : at + 2] = ["".join(parts[at : at + 2])]
        return sum(map(self._tokens_of_part, parts))

    def _tokens_of_part(self, part: str) -> int:
        """llama.cpp leaves out what its vocabulary lacks, down to single ASCII letters (rare control characters)."""
        if part in self._vocabulary:
            return 1
        return sum(letter.isascii() and letter in self._vocabulary for letter in part)


_NEVER = sys.maxsize


def tokenizer_from(metadata: Mapping[str, object]) -> Tokenizer | None:
    """The tokenizer of a GGUF; None for a kind whose tokens can't be counted exactly here.

    Args:
        metadata: Of a model, or of a file that holds its tokenizer only.
    """
    tokens, merges = metadata.get("tokenizer.ggml.tokens"), metadata.get("tokenizer.ggml.merges")
    types, pre = metadata.get("tokenizer.ggml.token_type"), metadata.get("tokenizer.ggml.pre")
    if metadata.get("tokenizer.ggml.model") != "gpt2" or pre not in _PATTERNS:
        return None
    if not (_all_texts(tokens) and _all_texts(merges) and isinstance(types, list)):
        return None
    alone = (_CONTROL, _USER_DEFINED, _UNKNOWN)
    special = [token for token, kind in zip(tokens, types, strict=False) if kind in alone]
    begins = metadata.get("tokenizer.ggml.add_bos_token") is True
    return Tokenizer(tokens, merges, special, str(pre), begins=begins)


def _all_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _slices(word: str) -> Iterator[str]:
    return (word[at : at + _LONGEST_WORD] for at in range(0, len(word), _LONGEST_WORD))


def _cut(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """Every match, and what lies between two."""
    end = 0
    for match in pattern.finditer(text):
        if match.start() > end:
            yield text[end : match.start()]
        if match.group():
            yield match.group()
        end = match.end()
    if end < len(text):
        yield text[end:]


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    letters, numbers = _category("L"), _category("N")
    classes = {"l": letters, "n": numbers, "s": _SPACES, "L": f"[{letters}]", "N": f"[{numbers}]", "S": f"[{_SPACES}]"}
    for name, value in {**classes, "notS": f"[^{_SPACES}]"}.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return re.compile(pattern)


@functools.cache
def _category(initial: str) -> str:
    r"""The inside of a character class with all characters of a Unicode category, e.g. ``L`` for letters: Python's
    patterns know no ``\p{L}``."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] == initial:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


def _alphabet() -> tuple[str, ...]:
    """GPT-2's letters for bytes: what prints stands for itself, the others follow behind U+00FF."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in shown else next(others)) for byte in range(256))


_ALPHABET = _alphabet()
