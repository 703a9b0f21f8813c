"""The completion prompt is read from the release's own template."""

from __future__ import annotations

import pytest

from bbj_desktop.core.fim import fim_template
from bbj_desktop.core.release import Release, Role
from tests.fakes.catalogue import offer

QWEN = (
    "{{ if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"
    "{{ else }}{{ .Prompt }}{{ end }}"
)
SPM = "{{- if .Suffix }}<SUF>{{- .Suffix -}}<PRE>{{ .Prompt }}<MID>{{ end }}"


def made(role: Role, template: str) -> Release:
    given = offer("7b").release
    return given.model_copy(update={"role": role, "prompt": given.prompt.model_copy(update={"go_template": template})})


def test_the_prefix_comes_first_for_qwen() -> None:
    template = fim_template(made(Role.FIM, QWEN))
    assert template is not None
    assert template.render("a", "z") == "<|fim_prefix|>a<|fim_suffix|>z<|fim_middle|>"
    assert template.tokens == ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def test_white_space_that_go_trims_is_not_part_of_it() -> None:
    template = fim_template(made(Role.FIM, QWEN.replace("{{ else }}", "\n{{- else }}")))
    assert template is not None
    assert template.after == "<|fim_middle|>"


def test_a_template_that_cannot_be_rendered_here_is_read_by_its_look() -> None:
    template = fim_template(made(Role.FIM, QWEN.replace("{{ else }}", "{{ else }}{{ printf `%s` .Role }}{{ break }}")))
    assert template is not None
    assert template.render("a", "z") == "<|fim_prefix|>a<|fim_suffix|>z<|fim_middle|>"


def test_continue_gets_it_in_its_own_words() -> None:
    template = fim_template(made(Role.FIM, QWEN))
    assert template is not None
    assert template.mustache() == "<|fim_prefix|>{{{prefix}}}<|fim_suffix|>{{{suffix}}}<|fim_middle|>"


def test_another_order_is_kept() -> None:
    template = fim_template(made(Role.FIM, SPM))
    assert template is not None
    assert template.render("a", "z") == "<SUF>z<PRE>a<MID>"


@pytest.mark.parametrize(("role", "text"), [(Role.CHAT, QWEN), (Role.FIM, "{{ .Prompt }}")])
def test_a_release_that_cannot_complete_has_none(role: Role, text: str) -> None:
    assert fim_template(made(role, text)) is None
