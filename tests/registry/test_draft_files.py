"""A draft may name files in place of long texts, and leave out what its GGUF says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.errors import FormatError, PublishError
from bbj_desktop.resources import resource
from bbj_desktop.services.registry.draft import load_draft
from tests.fakes.gguf import tiny_gguf


@pytest.fixture
def texts() -> dict[str, Any]:
    """The example that the README names."""
    given: dict[str, Any] = json.loads(resource("demo/release.json").read_text(encoding="utf-8"))
    return given | {"files": {"Q4_0": "model ü.gguf"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model ü.gguf").write_bytes(tiny_gguf(template="{{ messages }}"))
    (tmp_path / "LICENSE-Apache-2.0.txt").write_text("Apache License", encoding="utf-8")
    return tmp_path


def load(folder: Path, texts: dict[str, Any] | list[Any]) -> Any:
    draft = folder / "release.json"
    draft.write_text(json.dumps(texts), encoding="utf-8")
    return load_draft(draft)


def test_licences_come_from_the_files_that_are_named(folder: Path, texts: dict[str, Any]) -> None:
    draft = load(folder, texts)
    assert draft.licence_text == draft.base_model.licence_text == "Apache License"


def test_the_chat_template_comes_from_the_gguf(folder: Path, texts: dict[str, Any]) -> None:
    assert load(folder, texts).prompt.jinja_template == "{{ messages }}"


def test_what_is_written_out_counts(folder: Path, texts: dict[str, Any]) -> None:
    texts["licence_text"] = "Mine"
    texts["prompt"]["jinja_template"] = "{{ mine }}"
    draft = load(folder, texts)
    assert (draft.licence_text, draft.prompt.jinja_template) == ("Mine", "{{ mine }}")


def test_a_licence_that_is_not_there_is_said(folder: Path, texts: dict[str, Any]) -> None:
    (folder / "LICENSE-Apache-2.0.txt").unlink()
    with pytest.raises(PublishError, match="LICENSE-Apache"):
        load(folder, texts)


def test_a_model_that_is_not_there_is_said(folder: Path, texts: dict[str, Any]) -> None:
    (folder / "model ü.gguf").unlink()
    with pytest.raises(PublishError, match=r"model ü\.gguf can't be read"):
        load(folder, texts)


def test_without_any_template_the_field_is_named(folder: Path, texts: dict[str, Any]) -> None:
    (folder / "model ü.gguf").write_bytes(tiny_gguf(template=None))
    with pytest.raises(FormatError, match=r"prompt\.jinja_template"):
        load(folder, texts)


@pytest.mark.parametrize("content", ["{", "[]", '"text"', "[" * 100_000])
def test_what_is_no_draft_is_refused(folder: Path, content: str) -> None:
    draft = folder / "release.json"
    draft.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match="can't be used"):
        load_draft(draft)


@pytest.mark.parametrize("field", ["base_model", "prompt", "files"])
@pytest.mark.parametrize("value", [None, [], "text", 7])
def test_a_part_of_another_kind_is_refused(folder: Path, texts: dict[str, Any], field: str, value: Any) -> None:
    with pytest.raises(FormatError, match=field):
        load(folder, texts | {field: value})


def test_of_the_example_itself_the_missing_files_are_said(folder: Path, texts: dict[str, Any]) -> None:
    del texts["files"]
    with pytest.raises(FormatError, match="neither files nor adapters") as caught:
        load(folder, texts)
    assert '"files": {"Q4_K_M"' in (caught.value.hint or "")
