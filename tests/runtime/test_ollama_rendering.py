"""The prompt that Ollama makes of a conversation is the one of the training, or the version isn't used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.budget import chatml
from bbj_desktop.core.errors import EngineMismatchError
from bbj_desktop.core.go_template import render_chat
from bbj_desktop.core.progress import Cancel, Event, Remark, silent
from bbj_desktop.core.release import Prompt, RenderedMessage, Rendering
from bbj_desktop.core.versions import InstalledVersion, PromptCheck, Registration
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from tests.fakes.contract import KEEP_ALIVE_S, REAL, TARGETS, contract_model, left_as_found
from tests.fakes.gguf import CHATML, tiny_gguf
from tests.fakes.installed import GO_TEMPLATE, installed
from tests.fakes.ollama import FakeOllama

TURNS = (("system", "Größe"), ("user", '"a"\nb'), ("assistant", "c"), ("user", "d"))
EXAMPLE = Rendering(
    messages=tuple(RenderedMessage.model_validate({"role": role, "content": content}) for role, content in TURNS),
    prompt=chatml(TURNS),
)
TOOLS = "{% if tools %}# Tools {{ tools }}{% endif %}"
OTHER_WORDS = TOOLS + "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"
THINKING = TOOLS + "{% if enable_thinking %}<think>{% endif %}"
FIM = "{{ if .Suffix }}<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>{{ else }}" + GO_TEMPLATE + "{{ end }}"


class Customer:
    """An Ollama and somebody who installs into it."""

    def __init__(self, folder: Path, fake: FakeOllama) -> None:
        self.fake = fake
        self.events: list[Event] = []
        self.runtime = OllamaRuntime(fake.address)
        self._folder = folder

    def version(self, jinja: str = CHATML, go: str = GO_TEMPLATE, **changes: Any) -> InstalledVersion:
        path = self._folder / "Modell für BBj.gguf"
        path.write_bytes(tiny_gguf(template=jinja))
        fields = {"go_template": go, "jinja_template": jinja, "rendering": EXAMPLE} | changes
        return installed(path, prompt=Prompt.model_validate(fields))

    def register(self, version: InstalledVersion) -> Registration:
        return self.runtime.register(version, self.events.append, Cancel())

    @property
    def remarks(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Remark)]


def _customer(folder: Path, version: str) -> Iterator[Customer]:
    with FakeOllama(version=version) as fake:
        customer = Customer(folder, fake)
        yield customer
        customer.runtime.close()


@pytest.fixture
def customer(tmp_path: Path) -> Iterator[Customer]:
    yield from _customer(tmp_path, "0.33.0")


@pytest.fixture
def of_old(tmp_path: Path) -> Iterator[Customer]:
    yield from _customer(tmp_path, "0.24.0")


def test_an_equal_prompt_is_recorded_and_said(customer: Customer) -> None:
    registration = customer.register(customer.version())
    assert registration.prompt_check is PromptCheck.EQUAL
    assert any("the very prompt" in remark for remark in customer.remarks)


def test_an_ollama_that_shows_no_prompts_gets_the_version_and_that_is_said(of_old: Customer) -> None:
    version = of_old.version()
    registration = of_old.register(version)
    assert registration.prompt_check is PromptCheck.NOT_SHOWN
    assert any("can't be shown there" in remark for remark in of_old.remarks)
    assert version.key in of_old.fake.models


def test_a_release_of_before_is_installed_without_a_word(customer: Customer) -> None:
    registration = customer.register(customer.version(rendering=None))
    assert registration.prompt_check is PromptCheck.NO_EXAMPLE
    assert not any("prompt" in remark for remark in customer.remarks)


def test_a_chat_template_with_tools_that_wins_over_the_go_template_is_found(customer: Customer) -> None:
    version = customer.version(jinja=OTHER_WORDS)
    with pytest.raises(EngineMismatchError, match="another prompt") as caught:
        customer.register(version)
    assert version.key not in customer.fake.models
    assert "[system] Größe" in caught.value.hint
    assert "<|im_start|>system" in caught.value.hint


def test_a_chat_template_with_tools_that_says_the_same_is_good(customer: Customer) -> None:
    assert customer.register(customer.version(jinja=TOOLS + CHATML)).prompt_check is PromptCheck.EQUAL


def test_a_suffix_takes_the_go_template_back(customer: Customer) -> None:
    assert customer.register(customer.version(jinja=OTHER_WORDS, go=FIM)).prompt_check is PromptCheck.EQUAL


def test_a_chat_template_that_thinks_wins_even_then(customer: Customer) -> None:
    with pytest.raises(EngineMismatchError):
        customer.register(customer.version(jinja=THINKING, go=FIM))


def test_a_plain_chat_template_loses(customer: Customer) -> None:
    plain = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert customer.register(customer.version(jinja=plain)).prompt_check is PromptCheck.EQUAL


def test_a_go_template_that_was_wrong_from_the_start_is_found(customer: Customer) -> None:
    version = customer.version(go=GO_TEMPLATE.replace("<|im_end|>\n", "<|im_end|>"))
    with pytest.raises(EngineMismatchError) as caught:
        customer.register(version)
    assert "They part at character" in caught.value.hint
    assert version.key not in customer.fake.models


def test_what_was_checked_is_still_known_the_next_time(customer: Customer) -> None:
    version = customer.version()
    first = customer.register(version)
    known = version.model_copy(update={"registrations": (first,)})
    assert customer.register(known) == first


def test_what_an_older_ollama_did_not_show_is_compared_once_a_newer_one_does(of_old: Customer) -> None:
    version = of_old.version()
    first = of_old.register(version)
    of_old.fake.version = "0.33.0"
    known = version.model_copy(update={"registrations": (first,)})
    assert of_old.register(known).prompt_check is PromptCheck.EQUAL


def test_what_was_never_compared_goes_when_it_turns_out_to_be_another_prompt(customer: Customer) -> None:
    version = customer.version()
    first = customer.register(version).model_copy(update={"prompt_check": None})
    customer.fake.rendered = "### User"
    with pytest.raises(EngineMismatchError):
        customer.register(version.model_copy(update={"registrations": (first,)}))
    assert version.key not in customer.fake.models


def test_a_registration_of_before_says_that_nobody_looked() -> None:
    old = Registration.model_validate({"runtime": "ollama", "tag": "bbj-coder:2026.1-7b-q4_0"})
    assert old.prompt_check is None


def test_a_template_that_somebody_changed_is_put_right_and_checked_again(customer: Customer) -> None:
    version = customer.version()
    first = customer.register(version)
    model = customer.fake.models[version.key]
    customer.fake.models[version.key] = type(model)(
        model.blob, "{{ .Prompt }}", model.system, model.parameters, model.licences
    )
    before = customer.fake.requests.count("POST /api/chat")
    known = version.model_copy(update={"registrations": (first,)})
    assert customer.runtime.register(known, silent, Cancel()).prompt_check is PromptCheck.EQUAL
    assert customer.fake.models[version.key].template == GO_TEMPLATE
    assert customer.fake.requests.count("POST /api/chat") == before + 2  # the prompt, and a first question


QWEN_STYLE = """{{- if .Messages }}
{{- if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
{{- if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" }}<|im_start|>assistant
{{ .Content }}{{ if not $last }}<|im_end|>
{{ end }}
{{- end }}
{{- if and (ne .Role "assistant") $last }}<|im_start|>assistant
{{ end }}
{{- end }}
{{- end }}"""
BY_TURNS = """{{ if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}{{ if .Prompt }}<|im_start|>user
{{ .Prompt }}<|im_end|>
{{ end }}<|im_start|>assistant
{{ .Response }}<|im_end|>
"""
ODD = "{{ with .Suffix }}s{{ else }}{{ .Suffix }}{{ end }}{{ range $i, $m := .Messages }}{{ $i }}{{ len .Role }}{{end}}"

GO_TEMPLATES = {"range": GO_TEMPLATE, "qwen": QWEN_STYLE, "turns": BY_TURNS, "fim": FIM, "odd": ODD}


@pytest.mark.ollama
@pytest.mark.parametrize(
    "go", [GO_TEMPLATE, QWEN_STYLE, BY_TURNS, FIM, ODD], ids=["range", "qwen", "turns", "fim", "odd"]
)
@pytest.mark.parametrize("target", TARGETS)
def test_what_is_said_of_go_templates_here_is_what_ollama_does(target: str, go: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        address = REAL or stack.enter_context(FakeOllama(version=target)).address
        api = stack.enter_context(closing(OllamaApi(address)))
        stack.enter_context(left_as_found(api))
        runtime = stack.enter_context(closing(OllamaRuntime(address, keep_alive_s=KEEP_ALIVE_S)))
        here = EXAMPLE.model_copy(update={"prompt": render_chat(go, TURNS)})
        prompt = Prompt(go_template=go, jinja_template=CHATML, rendering=here)
        version = installed(contract_model(tmp_path), prompt=prompt)
        check = runtime.register(version, silent, Cancel()).prompt_check
    shows = {"0.24.0": [PromptCheck.NOT_SHOWN], "real": [PromptCheck.EQUAL, PromptCheck.NOT_SHOWN]}
    assert check in shows.get(target, [PromptCheck.EQUAL])
