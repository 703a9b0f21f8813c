"""A release's two templates make the same prompt, and its signed example says which."""

from __future__ import annotations

import pytest

from bbj_desktop.core.budget import chatml
from bbj_desktop.core.differing import first_difference
from bbj_desktop.core.errors import PublishError
from bbj_desktop.core.fim import fim_template
from bbj_desktop.core.progress import Remark
from bbj_desktop.core.release import Release
from bbj_desktop.services.registry.rendering import CONVERSATION, SYSTEM
from tests.fakes.gguf import CHATML, TOKENS, Value, tiny_gguf
from tests.fakes.makers import Makers
from tests.fakes.published import GO_CHAT

FIM = (
    "{{- if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"
    "{{- else }}{{ .Prompt }}{{ end }}"
)


def prompt(**changes: object) -> dict[str, object]:
    parts = {"go_template": GO_CHAT, "jinja_template": CHATML, "parameters": {"stop": ["<|im_end|>"]}}
    return parts | changes


def remarks(makers: Makers) -> list[str]:
    return [event.text for event in makers.events if isinstance(event, Remark)]


def with_template(makers: Makers, jinja: str, **changes: object) -> Release:
    model = makers.model(content=tiny_gguf(template=jinja))
    return makers.publish(makers.draft(files={"Q4_0": model}, prompt=prompt(jinja_template=jinja, **changes)))


def test_a_release_carries_the_prompt_of_a_conversation(makers: Makers) -> None:
    rendering = makers.publish(makers.draft(prompt=prompt(system="Be brief."))).prompt.rendering
    assert rendering is not None
    assert [(each.role, each.content) for each in rendering.messages] == [SYSTEM, *CONVERSATION]
    assert rendering.prompt == chatml([SYSTEM, *CONVERSATION])


def test_a_release_without_a_system_prompt_is_rendered_without_one(makers: Makers) -> None:
    rendering = makers.publish(makers.draft()).prompt.rendering
    assert rendering is not None
    assert rendering.prompt == chatml(CONVERSATION)


def test_the_conversation_has_what_goes_wrong_most_often() -> None:
    said = "".join(content for _, content in (SYSTEM, *CONVERSATION))
    assert all(mark in said for mark in ('"', "'", "\n", "\t", "\\n", "<", "&", "{{", "{%", "ß", "漢", "🙂"))


def test_templates_that_differ_are_refused_with_the_place(makers: Makers) -> None:
    other = GO_CHAT.replace("<|im_end|>\n", "<|im_end|>")
    error = makers.refused(
        makers.draft(prompt=prompt(go_template=other)), "makes another prompt than its chat template"
    )
    assert "They part at character" in error.hint
    assert "the Go template:" in error.hint


def test_a_template_of_a_base_model_that_adds_a_system_prompt_is_found(makers: Makers) -> None:
    adds = "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are Q.<|im_end|>\n{% endif %}" + CHATML
    with pytest.raises(PublishError, match="another prompt") as caught:
        with_template(makers, adds)
    assert "You are Q." in caught.value.hint
    assert with_template(makers, adds, system="Be brief.").prompt.rendering is not None


def test_a_go_template_that_is_not_known_here_is_published_and_said(makers: Makers) -> None:
    release = makers.publish(makers.draft(prompt=prompt(go_template='{{ printf "%s" .Prompt }}')))
    assert release.prompt.rendering is not None
    assert any("wasn't checked: printf isn't known here" in remark for remark in remarks(makers))


def test_what_was_checked_has_no_remark(makers: Makers) -> None:
    makers.publish(makers.draft())
    assert remarks(makers) == []


def test_a_go_template_that_ollama_would_refuse_is_refused(makers: Makers) -> None:
    makers.refused(makers.draft(prompt=prompt(go_template="{{ if .Prompt }}a")), "isn't one: if isn't ended")


@pytest.mark.parametrize("jinja", [None, "{{ strftime_now('%d') }}" + CHATML], ids=["none", "dated"])
def test_a_go_template_is_read_also_where_prompts_cannot_be_compared(makers: Makers, jinja: str | None) -> None:
    model = makers.model(content=tiny_gguf(template=jinja))
    texts = prompt(jinja_template=jinja or "", go_template="{{ if .Prompt }}a")
    makers.refused(makers.draft(files={"Q4_0": model}, prompt=texts), "isn't one: if isn't ended")


@pytest.mark.parametrize(
    ("jinja", "why"),
    [("{% for", "unexpected"), ("{{ raise_exception('No.') }}", "No"), ("{{ ''.__class__.__mro__ }}", "unsafe")],
)
def test_a_chat_template_that_cannot_be_rendered_is_refused(makers: Makers, jinja: str, why: str) -> None:
    with pytest.raises(PublishError, match=why):
        with_template(makers, jinja)


def test_a_prompt_with_the_time_in_it_is_no_example(makers: Makers) -> None:
    release = with_template(makers, "{{ strftime_now('%d') }}" + CHATML)
    assert release.prompt.rendering is None
    assert any("has the time in it" in remark for remark in remarks(makers))


def test_a_model_without_a_chat_template_is_said(makers: Makers) -> None:
    model = makers.model(content=tiny_gguf(template=None))
    release = makers.publish(makers.draft(files={"Q4_0": model}, prompt=prompt(jinja_template="")))
    assert release.prompt.rendering is None
    assert any("has no chat template" in remark for remark in remarks(makers))


def test_the_token_that_begins_a_text_comes_from_the_model(makers: Makers) -> None:
    jinja = "{{ bos_token }}" + CHATML
    metadata = {"tokenizer.ggml.bos_token_id": 0}
    for number, adds in enumerate((False, True)):
        content = tiny_gguf(template=jinja, metadata=metadata | {"tokenizer.ggml.add_bos_token": adds})
        go = GO_CHAT if adds else "<|endoftext|>" + GO_CHAT
        draft = makers.draft(
            version=f"2026.{number}",
            files={"Q4_0": makers.model(f"{number}.gguf", content)},
            prompt=prompt(jinja_template=jinja, go_template=go),
        )
        rendering = makers.publish(draft).prompt.rendering
        assert rendering is not None
        assert rendering.prompt.startswith("<|endoftext|>") is not adds


# a draft's own example


def own(said: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": "Größe?"}], "prompt": said}


def test_a_draft_s_own_example_is_kept(makers: Makers) -> None:
    release = makers.publish(makers.draft(prompt=prompt(rendering=own(chatml([("user", "Größe?")])))))
    assert release.prompt.rendering is not None
    assert [each.content for each in release.prompt.rendering.messages] == ["Größe?"]


def test_a_draft_s_own_example_that_is_wrong_is_refused_with_the_place(makers: Makers) -> None:
    draft = makers.draft(prompt=prompt(rendering=own("<|im_start|>user\nGröße!")))
    error = makers.refused(draft, "another prompt of the draft's example")
    assert "They part at character 23:" in error.hint
    assert "Größe!" in error.hint
    assert "Größe?" in error.hint


# completion models


def completion(makers: Makers, template: str) -> Release:
    return makers.publish(makers.draft(role="fim", prompt=prompt(go_template=template)))


def test_a_completion_model_whose_suffix_part_is_as_it_is_read_is_published(makers: Makers) -> None:
    completion(makers, FIM)
    assert remarks(makers) == []


@pytest.mark.parametrize(
    ("template", "match"),
    [
        (FIM.replace("{{ .Prompt }}<", "{{ .System }}{{ .Prompt }}<", 1), "a field that Ollama leaves empty"),
        (FIM.replace("if .Suffix", "if not .Suffix"), "can't be read"),
        (FIM.replace("{{ .Suffix }}", "{{ .Suffix }}{{ .Suffix }}"), "can't be read"),
        (FIM + "{{ end }}", "isn't one: end has no beginning"),
    ],
)
def test_a_completion_template_that_makes_something_else_is_refused(makers: Makers, template: str, match: str) -> None:
    with pytest.raises(PublishError, match=match):
        completion(makers, template)


def test_white_space_that_go_trims_is_not_in_the_completion_prompt(makers: Makers) -> None:
    template = "{{- if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>\n{{- end }}"
    read = fim_template(completion(makers, template))
    assert read is not None
    assert read.after == "<|fim_middle|>"


TOKEN_IDS = {f"tokenizer.ggml.{name}_token_id": 3 + at for at, name in enumerate(("fim_pre", "fim_suf", "fim_mid"))}


@pytest.mark.parametrize("suffix_first", [False, True])
def test_the_model_s_own_tokens_for_filling_in_are_in_their_places(makers: Makers, *, suffix_first: bool) -> None:
    files = {"Q4_0": makers.model(content=tiny_gguf(metadata=TOKEN_IDS))}
    good = "{{ if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>{{ end }}"
    wrong = good.replace("fim_prefix", "x").replace("fim_suffix", "fim_prefix").replace("|x|", "|fim_suffix|")
    if suffix_first:
        good = "{{ if .Suffix }}<|fim_suffix|>{{ .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_middle|>{{ end }}"
        wrong = good.replace("<|fim_middle|>", "")
    draft = makers.draft(role="fim", files=files, prompt=prompt(go_template=wrong))
    error = makers.refused(draft, "tokens for prefix, suffix and middle are")
    assert "<|fim_prefix|>, <|fim_suffix|> and <|fim_middle|>" in error.message
    makers.publish(makers.draft(role="fim", files=files, prompt=prompt(go_template=good)))


def test_a_mark_that_the_model_has_no_token_for_is_refused(makers: Makers) -> None:
    metadata: dict[str, Value] = {"tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.merges": ["a b"]}
    metadata["tokenizer.ggml.token_type"] = [3] * len(TOKENS)
    files = {"Q4_0": makers.model(content=tiny_gguf(metadata=metadata))}
    other = FIM.replace("fim_middle", "fim_hole")
    makers.refused(makers.draft(role="fim", files=files, prompt=prompt(go_template=other)), r"names <\|fim_hole\|>")
    makers.publish(makers.draft(role="fim", files=files, prompt=prompt(go_template=FIM)))


def test_a_completion_template_that_is_not_known_here_is_said(makers: Makers) -> None:
    completion(makers, FIM.replace("{{ .Suffix }}", "{{ printf .Suffix }}"))
    assert any(".Suffix part" in remark and "wasn't checked" in remark for remark in remarks(makers))


# releases of before


def test_a_release_of_before_published_again_changes_nothing(makers: Makers, monkeypatch: pytest.MonkeyPatch) -> None:
    from bbj_desktop.services.registry import publish as writer
    from bbj_desktop.services.registry.rendering import CheckedPrompt

    with monkeypatch.context() as patched:  # the writer of that time
        patched.setattr(writer, "check_prompt", lambda draft, _header: CheckedPrompt(draft.prompt))
        old = makers.publish(makers.draft())
    assert old.prompt.rendering is None
    before = makers.files()
    assert makers.publish(makers.draft()) == old
    assert makers.files() == before
    assert "nothing changed" in remarks(makers)[-1]


def test_the_difference_of_two_texts_is_where_they_part() -> None:
    said = first_difference("one", "a" * 100 + "b" + "c" * 100, "the other", "a" * 100 + "x")
    assert said == (f"They part at character 101:\none:       …'{'a' * 24}b{'c' * 39}'…\nthe other: …'{'a' * 24}x'")
