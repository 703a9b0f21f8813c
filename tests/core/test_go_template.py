"""What is expected here is what Go's ``text/template`` documents and Ollama's ``template.Execute`` does with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbj_desktop.core.budget import chatml
from bbj_desktop.core.go_syntax import MAX_TEMPLATE_CHARACTERS, GoSyntaxError, NotCheckableError
from bbj_desktop.core.go_template import render_chat, render_fim

TURNS = (("system", "Be brief."), ("user", "Größe?"), ("assistant", '"a"\nb'), ("user", "And now?"))
CHATML = "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
QWEN = """{{- if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>
{{- else if .Messages }}
{{- if or .System .Tools }}<|im_start|>system
{{- if .System }}
{{ .System }}
{{- end }}
{{- if .Tools }}
# Tools {{ range .Tools }}{{ json . }}{{ end }}
{{- end }}<|im_end|>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
{{- if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" }}<|im_start|>assistant
{{ if .Content }}{{ .Content }}
{{- else if .ToolCalls }}<tool_call>
{{ range .ToolCalls }}{{ .Function.Name }}{{ end }}</tool_call>
{{- end }}{{ if not $last }}<|im_end|>
{{ end }}
{{- else if eq .Role "tool" }}<|im_start|>user
<tool_response>
{{ .Content }}
</tool_response><|im_end|>
{{ end }}
{{- if and (ne .Role "assistant") $last }}<|im_start|>assistant
{{ end }}
{{- end }}
{{- else }}
{{- if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}{{ if .Prompt }}<|im_start|>user
{{ .Prompt }}<|im_end|>
{{ end }}<|im_start|>assistant
{{ end }}{{ .Response }}{{ if .Response }}<|im_end|>{{ end }}"""
"""In the way of the template that Ollama's library has for Qwen2.5-Coder."""
LEGACY = (
    "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
    "{{ if .Prompt }}<|im_start|>user\n{{ .Prompt }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n{{ .Response }}<|im_end|>\n"
)


@pytest.mark.parametrize("template", [CHATML, QWEN, LEGACY])
def test_the_templates_of_the_field_make_chatml(template: str) -> None:
    assert render_chat(template, TURNS) == chatml(TURNS)


def test_a_template_with_suffix_gives_the_gap() -> None:
    assert render_fim(QWEN, "a\n", "\nb") == "<|fim_prefix|>a\n<|fim_suffix|>\nb<|fim_middle|>"


def test_neighbours_of_one_role_are_one_message() -> None:
    assert render_chat(CHATML, [("user", "a"), ("user", "b")]) == chatml([("user", "a\n\nb")])


def test_all_system_messages_are_the_system_prompt() -> None:
    turns = [("system", "a"), ("user", "b"), ("system", "c")]
    assert render_chat("{{ .System }}{{ if .Messages }}{{ end }}", turns) == "a\n\nc"


def test_a_template_that_never_shows_the_answer_gets_it_at_its_end() -> None:
    assert render_chat("[{{ .Prompt }}]", [("user", "a"), ("assistant", "b"), ("user", "c")]) == "[a]b[c]"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("a {{- .System -}} b", "aSb"),
        ("a {{ .System }} b", "a S b"),
        ("a {{- /* a note */ -}} b", "ab"),
        ("a {{/* a note */}} b", "a  b"),
        ("{{ .System | len }}", "1"),
        ("{{ len `ö` }}", "2"),
        (r'{{ "\u00f6\n\"" }}', 'ö\n"'),
        ("{{ 'x }}", None),
        ("{{ true }}{{ not true }}", "truefalse"),
        ("{{ and .System 7 }}", "7"),
        ("{{ and .Suffix .System.Nothing }}", "<no value>"),
        ("{{ or .Suffix .System }}", "S"),
        ("{{ .Suffix }}", "<no value>"),
        ("{{ if .Suffix }}a{{ else }}b{{ end }}", "b"),
        ("{{ with .System }}<{{ . }}>{{ end }}", "<S>"),
        ("{{ with .Suffix }}a{{ else }}{{ .System }}{{ end }}", "S"),
        ("{{ range .Tools }}a{{ else }}b{{ end }}", "b"),
        ("{{ range $i, $m := .Messages }}{{ $i }}{{ $m.Role }} {{ end }}", "0system 1user "),
        ("{{ range $m := .Messages }}{{ $m.Content }}{{ $.System }}{{ end }}", "SSUS"),
        ("{{ $x := 1 }}{{ range .Messages }}{{ $x = .Role }}{{ end }}{{ $x }}", "user"),
        ("{{ $x := 1 }}{{ range .Messages }}{{ $x := .Role }}{{ end }}{{ $x }}", "1"),
        ("{{ if $x := .System }}{{ $x }}{{ end }}", "S"),
        ('{{ eq .System "a" "S" }}', "true"),
        ("{{ eq 1 2 }} {{ ne 1 2 }} {{ lt 1 2 }}", "false true true"),
        ("{{ le 2 2 }} {{ gt 1 2 }} {{ ge 2 2 }}", "true false true"),
        ("{{ len (slice .Messages 1) }}{{ len (slice .Messages 0 1) }}{{ len (slice .Messages) }}", "112"),
        ("{{ with index .Messages 1 }}{{ .Content }}{{ end }}", "U"),
        ("{{ (.System) }}", "S"),
        ("{{ if (and (eq .System `S`) (not .Suffix)) }}a{{ end }}", "a"),
        ("{{ printf `%s` .System }}", None),
        ("{{ json .Messages }}", None),
        ("{{ currentDate }}", None),
        ("{{ .Foo }}", None),
        ("{{ .Messages }}", None),
        ("{{ range .Messages }}{{ .Foo }}{{ end }}", None),
        ("{{ range .System }}a{{ end }}", None),
        ("{{ range .Messages }}{{ break }}{{ end }}", None),
        ("{{ define `a` }}{{ end }}", None),
        ("{{ template `a` }}", None),
        ("{{ eq .Suffix `` }}", None),
        ("{{ eq 1 true }}", None),
        ("{{ slice .System 1 }}", None),
        ("{{ slice .Messages 3 }}", None),
        ("{{ index .Messages 2 }}", None),
        ("{{ index .Messages true }}", None),
        ("{{ $nobody }}", None),
        ("{{ $nobody = 1 }}", None),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", None),
        ("{{ .System .System }}", None),
        ("{{ eq .System }}", None),
        ("{{ lt true false }}", None),
        ("{{ not }}", None),
        ("{{ and }}", None),
        ("{{ len 1 }}", None),
        ("{{ nil }}", None),
        ("{{ 1.5 }}", None),
        ("{{ 010 }}", None),
        (r'{{ "\x41" }}', None),
        ("{{ with true }}a{{ else with true }}b{{ end }}", None),
        ("{{ if .Document }}{{ end }}", None),
        ("{{ (index .Messages 0).Role }}", None),
    ],
)  # fmt: skip
def test_go_expressions(expression: str, said: str | None) -> None:
    template = f"{{{{ if .Messages }}}}{expression}{{{{ end }}}}"
    turns = [("system", "S"), ("user", "U")]
    if said is None:
        with pytest.raises(NotCheckableError):
            render_chat(template, turns)
    else:
        assert render_chat(template, turns) == said


@pytest.mark.parametrize(
    "template",
    ["{{ .Prompt", "{{ if .Prompt }}a", "{{ end }}", "a{{ else }}b", "{{ }}", "{{/* a", "{{ (.Prompt }}",
     "{{ if .Prompt }}{{ else }}{{ else }}{{ end }}", "{{ .Prompt | 1 }}", "{{ $a, $b := .Prompt }}", "{{/* a */ 1 }}",
     "{{ $a }}", "{{ if .Prompt }}{{ $a := 1 }}{{ end }}{{ $a }}", "{{ if .Suffix }}{{ (len $a) }}{{ end }}",
     "{{ .Prompt | . }}"],
)  # fmt: skip
def test_what_go_refuses_is_told_from_what_is_not_known_here(template: str) -> None:
    with pytest.raises(GoSyntaxError):
        render_chat(template, TURNS)


@pytest.mark.parametrize(
    "template",
    [
        "{{ if .Response }}{{ .Response }}!{{ else }}?{{ end }}",  # Ollama itself fails
        "{{ .Prompt }}{{ len .Response }}",
        "{{ .Prompt }}{{ .Response | len }}",
    ],
)
def test_an_answer_inside_an_expression_is_not_guessed(template: str) -> None:
    with pytest.raises(NotCheckableError):
        render_chat(template, TURNS)


def test_what_stands_behind_the_answer_is_cut_from_the_last_turn() -> None:
    template = "{{ if .Prompt }}({{ .Prompt }}{{ .Response }}|{{ end }}end "
    assert render_chat(template, [("user", "a"), ("assistant", "b"), ("user", "c")]) == "(ab|end (c"


@pytest.mark.parametrize(
    "template",
    [
        "x" * (MAX_TEMPLATE_CHARACTERS + 1),
        "{{ if .Prompt }}" * 1000,
        "{{ " + "(" * 1000 + ".Prompt" + ")" * 1000 + " }}",
        "{{ range .Messages }}" * 30 + "x" + "{{ end }}" * 30,
        "{{ range .Messages }}" * 8 + "x" * 1000 + "{{ end }}" * 8,
    ],
    ids=["long", "deep blocks", "deep parentheses", "many steps", "much output"],
)
def test_no_template_takes_long_or_much(template: str) -> None:
    with pytest.raises(NotCheckableError):
        render_chat(template, TURNS)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
CONVERSATIONS = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS), max_size=6)


@given(CONVERSATIONS)
def test_any_text_goes_through_unchanged(turns: list[tuple[str, str]]) -> None:
    merged: list[tuple[str, str]] = []
    for role, content in turns:
        if merged and merged[-1][0] == role:
            merged[-1] = (role, f"{merged[-1][1]}\n\n{content}")
        else:
            merged.append((role, content))
    assert render_chat(CHATML, turns) == chatml(merged)


@given(TEXTS.filter(lambda text: "{{" not in text and not text.endswith("{")))
def test_a_text_without_actions_is_itself(text: str) -> None:
    assert render_chat(text + "{{ if .Messages }}{{ end }}", TURNS) == text


PIECES = st.sampled_from(
    ["{{", "}}", "{{- ", " -}}", "if ", "else ", "end ", "range ", "with ", ".Messages ", ".Role ", "$x ", ":= ", "= ",
     "| ", "(", ")", "eq ", "and ", '"a" ', "1 ", "\n", "text", ", ", "/*", "*/", ".", "len ", "slice ", ".Response "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30))
def test_no_template_does_harm(pieces: list[str]) -> None:
    try:
        said = render_chat("".join(pieces), TURNS)
    except NotCheckableError:
        return
    assert isinstance(said, str)
