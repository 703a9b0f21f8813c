"""What isn't published, and that nothing of it stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.core.errors import NotFoundError, PublishError, StoreBusyError
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.registry.publish import (
    create_registry,
    refresh_timestamp,
)
from tests.fakes.gguf import CHATML, TOKENS, tiny_gguf
from tests.fakes.makers import PASSPHRASE, Makers
from tests.fakes.published import GO_CHAT


def test_another_template_than_the_file_s_is_refused_with_the_difference(makers: Makers) -> None:
    prompt = {
        "go_template": GO_CHAT,
        "jinja_template": CHATML.replace("im_start", "begin"),
        "parameters": {"stop": ["<|im_end|>"]},
    }
    error = makers.refused(makers.draft(prompt=prompt), "another chat template")
    assert "+" in error.hint
    assert "<|begin|>" in error.hint


@pytest.mark.parametrize(
    ("role", "template", "match"),
    [
        ("chat", "  ", "no Go template"),
        ("chat", "{{ .Prompt }}{{ .Suffix }}", "for chat"),
        ("fim", "{{ .Prompt }}", "no .Suffix"),
    ],
)
def test_the_go_template_must_suit_the_role(makers: Makers, role: str, template: str, match: str) -> None:
    prompt = {"go_template": template, "jinja_template": CHATML, "parameters": {"stop": ["<|im_end|>"]}}
    makers.refused(makers.draft(role=role, prompt=prompt), match)


def test_a_completion_model_with_its_template_is_published(makers: Makers) -> None:
    fim = "<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"
    prompt = {"go_template": fim, "jinja_template": CHATML, "parameters": {"stop": ["<|endoftext|>"]}}
    assert makers.publish(makers.draft(role="fim", prompt=prompt)).role == "fim"


def test_stop_strings_are_demanded(makers: Makers) -> None:
    prompt = {"go_template": GO_CHAT, "jinja_template": CHATML, "parameters": {}}
    makers.refused(makers.draft(prompt=prompt), "no stop strings")


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("Qwen2.5-Coder-3B", "LicenseRef-Qwen-Research"),
        ("My merge", "Qwen Research"),
        ("Qwen/Qwen2.5-Coder-3B-Instruct", "Apache-2.0"),
        ("Some model", "CC-BY-NC-4.0"),
    ],
)
def test_a_base_that_forbids_commercial_use_is_refused(makers: Makers, name: str, licence: str) -> None:
    base = {"name": name, "licence": licence, "licence_text": "…"}
    makers.refused(makers.draft(base_model=base), "forbids commercial use")


def test_a_licence_without_its_text_is_refused(makers: Makers) -> None:
    makers.refused(makers.draft(licence_text=""), "text of a licence")


def test_a_mislabelled_quantisation_is_refused(makers: Makers) -> None:
    model = makers.model(content=tiny_gguf(metadata={"general.file_type": 7}))
    makers.refused(makers.draft(files={"Q4_0": model}), "says that it is Q8_0")


def test_files_of_different_models_are_refused(makers: Makers) -> None:
    other = makers.model("b.gguf", tiny_gguf(tokens=(*TOKENS[:-1], "ß")))
    makers.refused(makers.draft(files={"Q4_0": makers.model(), "Q8_0": other}), "aren't the same model")


def test_a_file_that_is_cut_off_is_refused(makers: Makers) -> None:
    makers.refused(makers.draft(files={"Q4_0": makers.model(content=tiny_gguf()[:-100])}), "cut off")


def test_a_missing_file_is_said(makers: Makers) -> None:
    makers.refused(makers.draft(files={"Q4_0": makers.models / "nobody.gguf"}), "can't be read")


def test_more_context_than_the_model_was_trained_for_is_refused(makers: Makers) -> None:
    prompt = {
        "go_template": GO_CHAT,
        "jinja_template": CHATML,
        "parameters": {"stop": ["<|im_end|>"], "context_length": 65536},
    }
    makers.refused(makers.draft(prompt=prompt), "trained for 8192")


def test_an_unknown_channel_is_said(makers: Makers) -> None:
    with pytest.raises(NotFoundError, match="nightly"):
        makers.publish(makers.draft(), "nightly")


def test_a_wrong_passphrase_is_said(makers: Makers) -> None:
    with pytest.raises(PublishError) as caught:
        refresh_timestamp(makers.folder, makers.keys, "guess")
    assert "passphrase" in caught.value.hint


def test_a_second_registry_in_the_same_folder_is_refused(makers: Makers, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="already"):
        create_registry(makers.folder, tmp_path / "more keys", PASSPHRASE)


def test_keys_are_never_overwritten(makers: Makers, tmp_path: Path) -> None:
    before = (makers.keys / "root-1.key").read_bytes()
    with pytest.raises(PublishError, match="already"):
        create_registry(tmp_path / "another", makers.keys, PASSPHRASE)
    assert (makers.keys / "root-1.key").read_bytes() == before


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="passphrase"):
        create_registry(tmp_path / "a", tmp_path / "b", "")


def test_a_folder_without_a_registry_is_said(makers: Makers, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        refresh_timestamp(tmp_path / "nothing", makers.keys, PASSPHRASE)
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_key_is_said(makers: Makers) -> None:
    (makers.keys / "timestamp-1.key").write_text("{}")
    with pytest.raises(PublishError, match="usable key"):
        refresh_timestamp(makers.folder, makers.keys, PASSPHRASE)


def test_two_writers_at_once_are_refused(makers: Makers) -> None:
    with FileLock(makers.folder / ".lock"), pytest.raises(StoreBusyError):
        refresh_timestamp(makers.folder, makers.keys, PASSPHRASE)
