"""Expected is what transformers' ``apply_chat_template`` makes of the same template and conversation."""

from __future__ import annotations

import io
import sys

import pytest

from bbj_desktop.core.budget import chatml
from bbj_desktop.core.gguf import read_header
from bbj_desktop.services.registry.chat_template import Refused, Rendered, SpecialTokens, render_template
from tests.fakes.gguf import CHATML, tiny_gguf

TURNS = (("system", "Größe"), ("user", "a\n\"b\" 'c' <d>"))
TOKENS = SpecialTokens(bos="<s>", eos="</s>")


def rendered(template: str, tokens: SpecialTokens = TOKENS) -> str:
    said = render_template(template, TURNS, tokens)
    assert isinstance(said, Rendered), said
    return said.prompt


def why_refused(template: str, *, time_limit_s: float = 20.0) -> str:
    said = render_template(template, TURNS, TOKENS, time_limit_s=time_limit_s)
    assert isinstance(said, Refused), said
    return said.why


def test_chatml_is_chatml() -> None:
    assert rendered(CHATML) == chatml(TURNS)


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        ("  {% if true %}\na\n  {% endif %}\nb", "a\nb"),  # trim_blocks and lstrip_blocks
        ("a\n", "a"),  # the template's own last line end
        ("{{ bos_token }}{{ eos_token }}", "<s></s>"),
        ("{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}", "TrueTrueTrue"),
        ("{{ messages[0] | tojson }}", '{"role": "system", "content": "Größe"}'),
        ("{{ messages[1].content }}", "a\n\"b\" 'c' <d>"),  # nothing is escaped
        ("{{ messages[1]['content'] | tojson }}", '"a\\n\\"b\\" \'c\' <d>"'),
        ("{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}", "system"),
        ("{% generation %}a{% endgeneration %}", "a"),
        ("{{ nobody_knows }}", ""),
        ("{{ raise_exception is defined and strftime_now is defined }}", "True"),
        ("{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{{ ns.a }}", "2"),
        ("{{ messages[1].content.split('\n')[0].strip() }}", "a"),
    ],
)
def test_what_the_training_library_does(template: str, prompt: str) -> None:
    assert rendered(template) == prompt


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for", "unexpected 'end of template'"),
        ("{{ raise_exception('Only user, please.') }}", "Only user, please"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "unsafe"),
        ("{% include '/etc/passwd' %}", "loader"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "calls itself"),
        ("{% for i in range(99999) %}{{ 'xxxxxxxxxxxx' }}{% endfor %}", "more than 300000 characters"),
        ("{{ '\\ud800' }}", "UnicodeEncodeError"),
        ("x" * 300_000, "longer than 200000 characters"),
    ],
    ids=lambda text: text[:30],
)
def test_what_cannot_be_rendered_is_refused_with_the_reason(template: str, why: str) -> None:
    assert why in why_refused(template)


def test_the_longest_prompt_comes_through_in_any_letters() -> None:
    assert rendered("{% for i in range(99999) %}🙂🙂🙂{% endfor %}") == "🙂🙂🙂" * 99999


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="needs a limit on a process's memory")
def test_a_template_that_fills_the_memory_is_refused() -> None:
    assert "memory" in why_refused("{{ 'x' * 10 ** 11 }}")


def test_a_template_that_never_ends_is_ended() -> None:
    endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    assert "wasn't done after 1 seconds" in why_refused(endless, time_limit_s=1.0)


def test_a_template_that_asks_for_the_time_is_told_apart() -> None:
    said = render_template("{{ strftime_now('%d %b %Y') }}", TURNS, TOKENS)
    assert isinstance(said, Rendered)
    assert said.dated


def test_the_token_that_the_engine_adds_itself_is_not_in_the_prompt() -> None:
    tokens = SpecialTokens(bos="<s>", adds_bos=True)
    assert rendered("{{ bos_token }}{{ bos_token }}a", tokens) == "<s>a"


@pytest.mark.parametrize(
    ("metadata", "adds"),
    [
        ({}, False),
        ({"tokenizer.ggml.model": "llama"}, True),
        ({"tokenizer.ggml.pre": "llama-bpe"}, True),
        ({"tokenizer.ggml.model": "llama", "tokenizer.ggml.add_bos_token": False}, False),
        ({"tokenizer.ggml.add_bos_token": True}, True),
    ],
)
def test_special_tokens_are_read_as_llama_cpp_does(metadata: dict[str, bool | str], adds: bool) -> None:
    gguf = tiny_gguf(metadata={"tokenizer.ggml.bos_token_id": 1, **metadata})
    tokens = SpecialTokens.of(read_header(io.BytesIO(gguf)))
    assert tokens == SpecialTokens("<|im_start|>", "<|im_end|>", adds)


def test_a_model_without_special_tokens_has_none() -> None:
    gguf = tiny_gguf(metadata={"tokenizer.ggml.eos_token_id": 999_999})
    assert SpecialTokens.of(read_header(io.BytesIO(gguf))) == SpecialTokens()
