"""What the makers hand in for publishing, and the rules that it must keep before anybody signs it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from bbj_desktop.core.documents import explain
from bbj_desktop.core.errors import FormatError, PublishError
from bbj_desktop.core.gguf import GgufHeader, architecture_of, read_header
from bbj_desktop.core.release import Architecture, Quantisation, ReleaseTexts, Role, Version

BaseQuantisation = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9_]{1,10}$")]
"""So short that the name of the variant, with its suffix, is a quantisation's."""
CHAT_TEMPLATE = "tokenizer.chat_template"
VOCABULARY = "tokenizer.ggml.tokens"
FILE_TYPE = "general.file_type"
FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    32: "BF16",
}
"""llama.cpp's ``llama_ftype`` (``llama.h``), as a GGUF carries it in ``general.file_type``."""

NON_COMMERCIAL = ("qwen-research", "-nc-", "noncommercial", "non-commercial", "research-only")
NON_COMMERCIAL_BASES = ("qwen2.5-coder-3b", "qwen2.5-3b")
"""Bases under the Qwen Research licence, which forbids commercial use, whatever the draft says about them."""


class AdapterDraft(BaseModel):
    """A LoRA adapter and what it is laid over.

    Attributes:
        base: The GGUF that it was trained on; the same in every release, so that customers have it already.
        adapter: Its GGUF.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Path
    adapter: Path


class ReleaseDraft(ReleaseTexts):
    """A release before its numbers are known: the publisher reads them from the files.

    Attributes:
        files: The GGUF of each quantisation that is offered whole.
        adapters: By the quantisation of its base, what is offered as an adapter over it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_app_version: Version
    files: dict[Quantisation, Path] = Field(default_factory=dict)
    adapters: dict[BaseQuantisation, AdapterDraft] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something_is_offered(self) -> Self:
        if not self.files and not self.adapters:
            raise ValueError("it names neither files nor adapters")
        return self

    @property
    def name(self) -> str:
        return f"{self.model} {self.role} {self.size} {self.version}"


def load_draft(path: Path) -> ReleaseDraft:
    """Reads a draft (JSON). Its file names are relative to it.

    Raises:
        PublishError: It, or a file that it names, can't be read.
        FormatError: Its fields don't fit.
    """
    try:
        texts = json.loads(path.read_bytes())
    except OSError as error:
        raise PublishError(f"The draft {path} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"The draft {path} can't be used: it isn't JSON ({error}).") from error
    if not isinstance(texts, dict):
        raise FormatError(f"The draft {path} can't be used: it isn't an object.")
    if not texts.get("files") and not texts.get("adapters"):
        hint = 'Add the GGUFs, relative to it: "files": {"Q4_K_M": "model.Q4_K_M.gguf"}'
        raise FormatError(f"The draft {path} can't be used: it names neither files nor adapters.", hint=hint)
    try:
        return draft_from(texts, path.parent)
    except ValidationError as error:
        raise FormatError(f"The draft {path} can't be used: {explain(error)}.") from error


def draft_from(texts: Mapping[str, Any], folder: Path) -> ReleaseDraft:
    """A draft from what people write.

    ``licence_file`` may stand in place of ``licence_text``, for the release and for its base model, and without
    ``prompt.jinja_template`` the GGUF's own is taken.

    Args:
        folder: What its file names are relative to.

    Raises:
        ValidationError: Its fields don't fit.
        PublishError: A file that it names can't be read.
    """
    texts = _with_licence(texts, folder)
    if isinstance(texts.get("base_model"), dict):
        texts["base_model"] = _with_licence(texts["base_model"], folder)
    if isinstance(texts.get("prompt"), dict) and "jinja_template" not in texts["prompt"]:
        texts["prompt"] = texts["prompt"] | _template_of(texts, folder)
    draft = ReleaseDraft.model_validate(texts)
    files = {quantisation: folder / file for quantisation, file in draft.files.items()}
    adapters = {
        quantisation: AdapterDraft(base=folder / each.base, adapter=folder / each.adapter)
        for quantisation, each in draft.adapters.items()
    }
    return draft.model_copy(update={"files": files, "adapters": adapters})


def _with_licence(texts: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    completed = dict(texts)
    name = completed.pop("licence_file", None)
    if isinstance(name, str) and "licence_text" not in completed:
        try:
            completed["licence_text"] = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PublishError(f"The licence {folder / name} can't be read: {error}.") from error
    return completed


def _template_of(texts: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """The chat template of the first GGUF that is named; nothing where none is, or it carries none."""
    files, adapters = texts.get("files"), texts.get("adapters")
    named = [*files.values()] if isinstance(files, dict) else []
    named += (
        [each.get("base") for each in adapters.values() if isinstance(each, dict)] if isinstance(adapters, dict) else []
    )
    first = next(iter(named), None)
    if not isinstance(first, str | Path):
        return {}
    template = read_model("", folder / first).header.metadata.get(CHAT_TEMPLATE)
    return {"jinja_template": template} if isinstance(template, str) else {}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF of a draft, its header read.

    Attributes:
        modified_ns: When its content last changed, by the file system, in nanoseconds.
    """

    quantisation: str
    path: Path
    length_bytes: int
    modified_ns: int
    header: GgufHeader
    architecture: Architecture


def read_model(quantisation: str, path: Path) -> ModelFile:
    """Reads a GGUF's header.

    Raises:
        PublishError: It can't be read, or isn't a whole model.
    """
    try:
        with path.open("rb") as stream:
            header = read_header(stream)
        state = path.stat()
        if header.metadata.get("general.type") == "adapter":
            raise FormatError("It is an adapter, not a model.", hint="Name it under adapters, with its base.")  # noqa: TRY301 - told like other unfit files
        architecture = architecture_of(header, state.st_size)
        return ModelFile(quantisation, path, state.st_size, state.st_mtime_ns, header, architecture)
    except OSError as error:
        raise PublishError(f"{path} can't be read: {error.strerror}.") from error
    except FormatError as error:
        raise PublishError(f"{path} can't be published: {error.message}", hint=error.hint) from error


def check_texts(draft: ReleaseDraft) -> None:
    """Checks what can be checked without the files.

    Raises:
        PublishError: A rule is broken; says which.
    """
    _check_licence(draft)
    template = draft.prompt.go_template
    if not template.strip():
        raise PublishError(f"{draft.name} has no Go template, so Ollama couldn't serve it.")
    if draft.role is Role.FIM and ".Suffix" not in template:
        raise PublishError(f"{draft.name} is for completion, but its Go template has no .Suffix.")
    if draft.role is Role.CHAT and ".Suffix" in template:
        raise PublishError(
            f"{draft.name} is for chat, but its Go template has .Suffix: editors would use it for completion.",
            hint="Only fim releases carry .Suffix.",
        )
    if not draft.prompt.parameters.stop or not all(draft.prompt.parameters.stop):
        raise PublishError(f"{draft.name} names no stop strings: its answers wouldn't end.", hint="E.g. <|im_end|>.")


def _check_licence(draft: ReleaseDraft) -> None:
    base = draft.base_model
    licence = "-".join(f"{base.licence} {base.licence_text[:200]}".lower().replace("_", " ").split()) + "-"
    name = base.name.lower()
    if any(mark in licence for mark in NON_COMMERCIAL) or name.split("/")[-1].startswith(NON_COMMERCIAL_BASES):
        raise PublishError(
            f"{draft.name} is built on {base.name}, whose licence ({base.licence}) forbids commercial use.",
            hint="Build it on another size: all of Qwen2.5-Coder but 3B are under Apache-2.0.",
        )
    if not base.licence_text.strip() or not draft.licence_text.strip():
        raise PublishError(f"{draft.name} lacks the text of a licence, which has to be handed on.")


def check_models(draft: ReleaseDraft, models: Sequence[ModelFile]) -> None:
    """Checks the files against the draft and against each other.

    Raises:
        PublishError: A rule is broken; says which file and how.
    """
    first = models[0]
    for model in models:
        _check_template(draft, model)
        _check_quantisation(model)
        if _shape(model) != _shape(first):
            raise PublishError(f"{model.path.name} and {first.path.name} aren't the same model.")
    trained = first.architecture.trained_context
    if draft.prompt.parameters.context_length > trained:
        raise PublishError(
            f"{draft.name} promises {draft.prompt.parameters.context_length} tokens of context; "
            f"the model was trained for {trained}."
        )


def _check_template(draft: ReleaseDraft, model: ModelFile) -> None:
    wanted, found = draft.prompt.jinja_template, model.header.metadata.get(CHAT_TEMPLATE, "")
    if wanted == found:
        return
    if not isinstance(found, str):
        raise PublishError(f"{model.path.name} carries a chat template that isn't text.")
    lines = difflib.unified_diff(found.splitlines(), wanted.splitlines(), "the file", "the draft", n=0, lineterm="")
    raise PublishError(
        f"{model.path.name} carries another chat template than the draft.",
        hint="They differ here (or in line ends only):\n" + "\n".join(line[:160] for line in list(lines)[:8]),
    )


def _check_quantisation(model: ModelFile) -> None:
    kind = model.header.metadata.get(FILE_TYPE)
    said = FILE_TYPES.get(kind) if isinstance(kind, int) else None
    if said is not None and said != model.quantisation:
        raise PublishError(f"{model.path.name} says that it is {said}, the draft says {model.quantisation}.")


def _shape(model: ModelFile) -> tuple[object, ...]:
    """What the quantisations of one model have in common."""
    numbers = model.architecture
    sizes = (numbers.name, numbers.layers, numbers.hidden, numbers.heads, numbers.kv_heads, numbers.parameters)
    return (*sizes, model.header.metadata.get(VOCABULARY))
