"""Our models in the user's Continue configuration, whose own words stay as they are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bbj_desktop.core.continue_config import ContinueModel, merge
from bbj_desktop.core.errors import FormatError

CHAT = ContinueModel(
    "bbj-coder:7b (BBj Desktop)",
    "ollama",
    "bbj-coder:7b",
    "http://127.0.0.1:11434",
    ("chat", "edit", "apply"),
    8192,
    2048,
)
FIM = ContinueModel(
    "bbj-coder-fim:1.5b (BBj Desktop)",
    "openai",
    "bbj-coder-fim:1.5b",
    "http://127.0.0.1:11435/v1",
    ("autocomplete",),
    4096,
    256,
    api_key="secret",
    autocomplete_template="<|fim_prefix|>{{{prefix}}}<|fim_suffix|>{{{suffix}}}<|fim_middle|>",
)
USERS = """# Grüße von Ada
name: "Mine"   # quoted
version: 1.0.0
schema: v1

models:
  # the big one
  - name: GPT
    provider: openai   # paid
    model: 'gpt-5'
    roles: [chat]

  - name: bbj-coder:7b (BBj Desktop)
    provider: ollama
    model: older
    roles:
      - chat
    autocompleteOptions: {debounceDelay: 300}

# what goes along
context:
  - provider: file
rules:
  - Be short.
"""


def loaded(text: str) -> dict[str, object]:
    document: dict[str, object] = YAML(typ="safe", pure=True).load(text)
    return document


def entry(text: str, name: str) -> dict[str, object]:
    models = loaded(text)["models"]
    assert isinstance(models, list)
    found: dict[str, object] = next(model for model in models if model["name"] == name)
    return found


def test_a_new_file_is_a_whole_configuration() -> None:
    document = loaded(merge("", [CHAT]))
    assert document["schema"] == "v1"
    assert {"name", "version", "models"} <= document.keys()


def test_a_chat_model_has_its_limits_written_out() -> None:
    assert entry(merge("", [CHAT]), CHAT.name) == {
        "name": CHAT.name,
        "provider": "ollama",
        "model": "bbj-coder:7b",
        "apiBase": "http://127.0.0.1:11434",
        "roles": ["chat", "edit", "apply"],
        "defaultCompletionOptions": {"contextLength": 8192, "maxTokens": 2048},
    }


def test_a_completion_model_has_its_template_and_key() -> None:
    found = entry(merge("", [FIM]), FIM.name)
    assert found["promptTemplates"] == {"autocomplete": FIM.autocomplete_template}
    assert found["apiKey"] == "secret"


def test_every_line_of_the_users_stays_in_its_order() -> None:
    after = merge(USERS, [CHAT, FIM]).splitlines()
    kept = [line for line in USERS.splitlines() if "older" not in line]
    places = [after.index(line) for line in kept if kept.count(line) == 1]
    assert all(one < other for one, other in pairwise(places))
    assert len(places) >= 18


def test_an_entry_of_ours_is_brought_up_to_date_and_keeps_what_the_user_added() -> None:
    found = entry(merge(USERS, [CHAT]), CHAT.name)
    assert found["model"] == "bbj-coder:7b"
    assert found["autocompleteOptions"] == {"debounceDelay": 300}


def test_other_models_are_not_touched() -> None:
    assert entry(merge(USERS, [CHAT, FIM]), "GPT") == entry(USERS, "GPT")


def test_doing_it_again_changes_nothing() -> None:
    once = merge(USERS, [CHAT, FIM])
    assert merge(once, [CHAT, FIM]) == once


def test_lists_without_indentation_stay_so() -> None:
    users = USERS.replace("  - ", "- ").replace("    ", "  ")
    assert "\n- name: bbj-coder-fim:1.5b (BBj Desktop)\n  provider: openai\n" in merge(users, [CHAT, FIM])


def test_line_ends_of_windows_stay() -> None:
    after = merge(USERS.replace("\n", "\r\n"), [CHAT])
    assert after.count("\n") == after.count("\r\n")


@pytest.mark.parametrize(
    "users",
    [
        "\ufeffname: Mine\nmodels:\n  - name: A\n",
        "%YAML 1.2\n---\nname: Mine\nmodels:\n  - name: A\n    model: ~\n",
        "models:\n- name: A\n  roles:\n    - chat\n    # of A\n\n# of the rest\nrules:\n  - a\n",
        "models:\n    - name: A\n      roles:\n          - chat\nx: |\n  - name: B\n",
        "models:\n  - name: A\n    prompt: |\n      # no comment\n\n      text\n\nrules: []",
        "x: &a\n  provider: p\nmodels:\n  - <<: *a\n    name: A\n  - {name: B,   model: c}\n",
        "models:\n  -   name: A\n  - uses: ada/b\n    with: {KEY: '${{ secrets.KEY }}'}\n",
        "name: Mine\nrules:\n- a\n  # with a tail\n",
        "# only a comment\n",
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_the_user_wrote_stays_letter_by_letter(users: str, newline: str) -> None:
    users = users.replace("\n", newline)
    after = merge(users, [CHAT, FIM])
    kept, added = users.splitlines(), []
    for line in after.splitlines():
        if kept and line == kept[0]:
            kept.pop(0)
        else:
            added.append(line)
    assert kept == []
    assert sum("name: bbj-coder" in line for line in added) == 2
    assert after.count("\n") == after.count(newline)
    assert merge(after, [CHAT, FIM]) == after


def test_long_lines_are_not_folded() -> None:
    long = "rules:\n  - " + "word " * 60 + "end\n"
    assert long in merge(long, [CHAT])


def test_a_file_without_models_gets_them() -> None:
    assert entry(merge("name: x\nmodels:\n", [CHAT]), CHAT.name)["model"] == "bbj-coder:7b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [open\n", "isn't valid YAML at line 2"),
        ("- a\n- b\n", "isn't a mapping"),
        ("models: none\n", '"models" isn\'t a list'),
        ("a: 1\na: 2\n", "isn't valid YAML"),
        ("a: 1\n---\nb: 2\n", "isn't valid YAML"),
    ],
)
def test_what_is_no_configuration_is_refused(text: str, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        merge(text, [CHAT])


@given(st.text(max_size=60))
def test_no_text_ends_in_anything_but_a_configuration_or_a_format_error(text: str) -> None:
    try:
        after = merge(text, [CHAT])
    except FormatError:
        return
    assert entry(after, CHAT.name)["model"] == "bbj-coder:7b"
