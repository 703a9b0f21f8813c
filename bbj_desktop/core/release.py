"""What a release and a catalogue are. Both sides use these types: the makers write them, the customers read them.

A *catalogue* is what one channel offers: every release's name with its manifest's place, which ones are withdrawn, and
the tier table. A *release* is the signed manifest of one version of one model in one size and role: texts, prompt
parts, and one *variant* for each quantisation with the numbers that decide whether it fits a machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from itertools import accumulate
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.safe_paths import why_unsafe

RELEASE_FORMAT = 2
"""The newest. 2 has adapters, and is written only where a release has one: everything else stays readable by older
programs, and none of them takes a base without its adapter for the whole."""
CATALOGUE_FORMAT = 1
CHUNK_INDEX_FORMAT = 1

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
Size = Annotated[str, StringConstraints(pattern=r"^\d{1,4}(\.\d{1,2})?[mb]$")]
"""Size of the model as the field writes it in tags, e.g. ``7b``, ``1.5b``, ``135m``."""
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6}){0,3}(-[a-z0-9]{1,16})?$")]
"""Version of a release, e.g. ``2026.1`` or ``2026.2-rc1``: letters that an Ollama tag may carry, no ``+``."""
Quantisation = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9_]{1,15}$")]
ADAPTER_SUFFIX = "_LORA"
"""Ends the name of a variant that is a base with an adapter: ``Q4_K_M_LORA``."""


MirrorName = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,400}$")]
"""An address that only another program reads. What this program doesn't know it leaves alone."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Role(StrEnum):
    CHAT = "chat"
    FIM = "fim"


class FileReference(_Document):
    """A file of the registry, addressed by its content.

    Attributes:
        digest: ``sha256:<hex>`` of the whole file.
        length_bytes: Its size.
    """

    digest: Digest
    length_bytes: Annotated[int, Field(ge=1, le=2**44)]


class Architecture(_Document):
    """The numbers that decide how much memory a model takes. Read from the GGUF by the publisher.

    Attributes:
        name: llama.cpp's name of the architecture, e.g. ``qwen2``.
        layers: Transformer blocks.
        hidden: Embedding length.
        heads: Attention heads.
        kv_heads: Key/value heads.
        head_dim: Length of one key (and value) vector of one head.
        feed_forward: Length of the feed-forward layer.
        vocabulary: Tokens.
        parameters: Number of weights.
        trained_context: Tokens of context that the model was trained for.
        weights_bytes: Bytes of all tensors in the GGUF (its size less the header).
        repeating_weights_bytes: Bytes of the tensors inside the blocks: what can be moved to a GPU block by block.
        repackable_bytes: Bytes of the tensors of which llama.cpp keeps a second copy in a layout of the CPU's own.
        sliding_window: Tokens that a block with a sliding window sees; 0 without.
        sliding_window_layers: How many blocks have one.
    """

    name: str
    layers: Annotated[int, Field(ge=1)]
    hidden: Annotated[int, Field(ge=1)]
    heads: Annotated[int, Field(ge=1)]
    kv_heads: Annotated[int, Field(ge=1)]
    head_dim: Annotated[int, Field(ge=1)]
    feed_forward: Annotated[int, Field(ge=0)]
    vocabulary: Annotated[int, Field(ge=1)]
    parameters: Annotated[int, Field(ge=1)]
    trained_context: Annotated[int, Field(ge=1)]
    weights_bytes: Annotated[int, Field(ge=1)]
    repeating_weights_bytes: Annotated[int, Field(ge=0)]
    repackable_bytes: Annotated[int, Field(ge=0)] = 0
    sliding_window: Annotated[int, Field(ge=0)] = 0
    sliding_window_layers: Annotated[int, Field(ge=0)] = 0


class FitRow(_Document):
    """What llama.cpp itself says that it would allocate at one context length (no-allocation fit of its server, CPU,
    f16 KV cache, micro-batch 512, one sequence), recorded by the publisher.

    Attributes:
        context_length: Tokens.
        weights_bytes: Model buffers, tensors that are repacked for the CPU in their new layout, each tensor once.
        kv_bytes: KV cache.
        compute_bytes: Compute and output buffers.
    """

    context_length: Annotated[int, Field(ge=1)]
    weights_bytes: Annotated[int, Field(ge=0)]
    kv_bytes: Annotated[int, Field(ge=0)]
    compute_bytes: Annotated[int, Field(ge=0)]


class Part(_Document):
    """One file of a variant that is fetched chunk by chunk.

    Attributes:
        file: The GGUF.
        chunk_index: Digests of its chunks; fetched only on install.
    """

    file: FileReference
    chunk_index: FileReference


class Adapter(Part):
    """A LoRA adapter: a small GGUF (``general.type`` is ``adapter``) that an engine lays over a model's weights.

    Attributes:
        weights_bytes: Bytes of its tensors: what it takes of memory beside the model.
        rank: The highest rank of its matrices.
    """

    weights_bytes: Annotated[int, Field(ge=1)]
    rank: Annotated[int, Field(ge=1)]


class Variant(Part):
    """A model of a release: one GGUF, or a base GGUF with an adapter over it.

    The base of an adapter may be the same file in every release: then only the adapter is fetched.

    Attributes:
        quantisation: E.g. ``Q4_K_M``; with an adapter that of the base and ``_LORA``.
        adapter: What is laid over ``file``; None where ``file`` is the whole model.
        architecture: Of ``file``.
        fit_table: The publisher's table for ``file``, by rising context length; may be empty (then formulas decide).
    """

    quantisation: Quantisation
    architecture: Architecture
    adapter: Adapter | None = None
    fit_table: tuple[FitRow, ...] = ()

    @model_validator(mode="after")
    def _name_tells_adapters(self) -> Self:
        if (self.adapter is not None) != self.quantisation.endswith(ADAPTER_SUFFIX):
            raise ValueError(f"{ADAPTER_SUFFIX} ends the names of variants with an adapter, and of no others")
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """The files that it is made of, the model first."""
        return (self,) if self.adapter is None else (self, self.adapter)

    @property
    def own_file(self) -> FileReference:
        """The file that tells it from other variants: a base may be theirs, too."""
        return self.parts[-1].file

    @property
    def length_bytes(self) -> int:
        """Of all its files."""
        return sum(part.file.length_bytes for part in self.parts)

    @property
    def weights_quantisation(self) -> str:
        """How the model's own weights are quantised: ``Q4_K_M`` of ``Q4_K_M_LORA``."""
        return self.quantisation.removesuffix(ADAPTER_SUFFIX)


class BaseModelCard(_Document):
    """Where the model comes from.

    Attributes:
        name: e.g. ``Qwen2.5-Coder-7B``.
        licence: SPDX identifier, or ``LicenseRef-…``.
        licence_text: The whole text, as it must be handed on.
    """

    name: str
    licence: str
    licence_text: str


class Parameters(_Document):
    """Sampling and limits that the release was evaluated with.

    Attributes:
        context_length: Tokens (``num_ctx`` at Ollama's edge).
        stop: Strings that end an answer.
        max_tokens: Upper bound of an answer; None leaves it to the context.
    """

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.2
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    repeat_penalty: Annotated[float, Field(ge=0.5, le=2)] | None = None
    context_length: Annotated[int, Field(ge=256, le=1_048_576)] = 4096
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: tuple[str, ...] = ()


class RenderedMessage(_Document):
    """One turn of a rendered conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Rendering(_Document):
    """A conversation and the prompt that training made of it: what every runtime must make of it, too.

    Attributes:
        messages: The conversation; its system message, if it has one, stands in place of the release's.
        prompt: The text that the model saw, up to where its answer begins.
    """

    messages: Annotated[tuple[RenderedMessage, ...], Field(min_length=1, max_length=64)]
    prompt: str


class Prompt(_Document):
    """The Modelfile's parts.

    Attributes:
        go_template: Ollama's template. Renders the same prompt as ``jinja_template``.
        jinja_template: The chat template that the GGUF itself carries (Ollama prefers it in some cases, see the
            decision on templates); used by the embedded engine.
        system: System prompt; empty for none.
        rendering: An example by which a runtime's rendering is checked; None for releases that name none.
    """

    go_template: str
    jinja_template: str
    system: str = ""
    parameters: Parameters = Parameters()
    rendering: Rendering | None = None


class Evaluation(_Document):
    """What was measured before the release, each as a share between 0 and 1; None when it wasn't.

    Attributes:
        summary: For a person, in a sentence or two.
    """

    summary: str = ""
    compile_at_1: Annotated[float, Field(ge=0, le=1)] | None = None
    pass_at_1: Annotated[float, Field(ge=0, le=1)] | None = None
    cases: Annotated[int, Field(ge=0)] | None = None


class ReleaseTexts(_Document):
    """What people write about a release: everything but the numbers that are read from its files.

    Attributes:
        notice: Shown beside the name wherever the release is offered, e.g. that it is a stand-in.
        min_app_version: The oldest BBj Desktop that may install it.
    """

    format: int = 1
    model: Name
    role: Role
    size: Size
    version: Version
    released: date
    min_app_version: str
    title: str
    notice: str = ""
    base_model: BaseModelCard
    licence: str
    licence_text: str
    changelog: str = ""
    model_card: str = ""
    evaluation: Evaluation = Evaluation()
    prompt: Prompt


class Release(ReleaseTexts):
    """The signed manifest of one release.

    Attributes:
        tokenizer: A GGUF without tensors: vocabulary and merges only, for counting tokens without the model.
    """

    tokenizer: FileReference | None = None
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _quantisations_are_unique(self) -> Self:
        names = [variant.quantisation for variant in self.variants]
        if len(set(names)) != len(names):
            raise ValueError("two variants have the same quantisation")
        return self

    @model_validator(mode="after")
    def _adapters_have_their_format(self) -> Self:
        if self.format < format_of(self.variants):
            raise ValueError("adapters need format 2")
        return self

    def variant(self, quantisation: str) -> Variant | None:
        return next((variant for variant in self.variants if variant.quantisation == quantisation), None)


def format_of(variants: Iterable[Variant]) -> int:
    """The format of a manifest with these variants: the oldest that says all of it."""
    return 2 if any(variant.adapter is not None for variant in variants) else 1


class CatalogueEntry(_Document):
    """One release that a channel offers or has withdrawn.

    Attributes:
        manifest: Path of its manifest among the registry's targets.
        withdrawn: Why it must not be installed any more; None while it may.
        ollama_mirrors: Names (``ollama://…``) from which Ollama may pull its bytes where the customer's settings allow
            that, in this order; without a tag the variant's own is meant. They have no say in what is right.
    """

    model: Name
    role: Role
    size: Size
    version: Version
    released: date
    manifest: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/-]{0,200}$")]
    withdrawn: str | None = None
    ollama_mirrors: Annotated[tuple[MirrorName, ...], Field(max_length=16)] = ()


class Extra(Part):
    """A file that isn't a model and comes by the same way: an installer, an extension of an IDE. Nothing here runs it.

    Attributes:
        name: What of, e.g. ``ollama``.
        kind: ``ollama-installer``, ``app-installer`` or ``ide-extension``; a newer registry may have others.
        platform: E.g. ``windows-x86_64``; ``any`` for all.
        version: Its makers' own.
        file_name: How it is called where it is put, e.g. ``OllamaSetup.exe``.
        note: What to do with it, a sentence for a person; empty leaves that to the kind.
    """

    name: Name
    kind: Name
    platform: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
    version: Annotated[str, StringConstraints(pattern=r"^[0-9a-z][0-9a-z.+_-]{0,40}$")]
    file_name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    note: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]{0,500}$")] = ""

    @field_validator("file_name")
    @classmethod
    def _is_one_safe_name(cls, name: str) -> str:
        why = why_unsafe(name)
        if why:
            raise ValueError(f"{name!r} can't be a file's name: {why}")
        return name

    @property
    def key(self) -> str:
        """What tells it from all others, and the name of the folder that it is put into."""
        return f"{self.name}-{self.version}-{self.platform}"


class Tier(_Document):
    """A class of machine and what its owner may expect. It names expectations; whether a model fits decides.

    Attributes:
        name: e.g. ``recommended``.
        title: For a person.
        size: The chat model's size.
        quantisation: Its quantisation.
        ram_bytes: Main memory that the tier names.
        vram_bytes: Graphics memory that the tier names; 0 for none.
        tokens_per_s: Lower and upper end of the expected decode speed.
        audience: Who that is for.
    """

    name: Name
    title: str
    size: Size
    quantisation: Quantisation
    ram_bytes: Annotated[int, Field(ge=0)]
    vram_bytes: Annotated[int, Field(ge=0)] = 0
    tokens_per_s: tuple[float, float]
    audience: str


class TierTable(_Document):
    """The tiers by rising demand, and the least speeds that make a role usable.

    Attributes:
        min_chat_tokens_per_s: Below this decode speed a larger model isn't preferred.
        min_fim_tokens_per_s: Below this decode speed no completion model is offered.
        max_fim_ttft_s: Above this time to the first token (for a completion prompt) neither.
    """

    format: int = 1
    tiers: tuple[Tier, ...]
    min_chat_tokens_per_s: float
    min_fim_tokens_per_s: float
    max_fim_ttft_s: float


class Catalogue(_Document):
    """What one channel offers.

    Attributes:
        extras: Files beside the models, by name, platform and version.
    """

    format: int = CATALOGUE_FORMAT
    channel: Name
    entries: tuple[CatalogueEntry, ...] = ()
    tiers: TierTable | None = None
    min_app_version: str | None = None
    extras: tuple[Extra, ...] = ()


class Offer(_Document):
    """A catalogue entry together with its manifest, as read from a channel."""

    channel: Name
    entry: CatalogueEntry
    release: Release


class Offering(_Document):
    """A channel's catalogue with the manifests of its newest releases.

    Attributes:
        registry: Address of the registry, for messages.
        checked_at: When its metadata was last refreshed (UTC).
        expires: When this metadata stops being accepted (UTC); None when it isn't known.
        offers: The newest release for each model, role and size that isn't withdrawn and that this program can read.
        skipped: Why newer releases aren't among the offers, a sentence each, e.g. that they need a newer program.
    """

    registry: str
    checked_at: datetime
    expires: datetime | None = None
    catalogue: Catalogue
    offers: tuple[Offer, ...] = ()
    skipped: tuple[str, ...] = ()


class Chunk(_Document):
    """A range of a file with its digest. The ranges of an index touch each other and cover the whole file."""

    length_bytes: Annotated[int, Field(ge=1)]
    digest: Digest


class ChunkIndex(_Document):
    """The chunks of one file in their order.

    Attributes:
        file: The whole file.
        split: Lengths of the files that it is cut into in the registry, in order, in bytes; empty: it is one.
    """

    format: int = CHUNK_INDEX_FORMAT
    file: FileReference
    chunks: Annotated[tuple[Chunk, ...], Field(min_length=1)]
    split: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(max_length=9_999)] = ()

    @model_validator(mode="after")
    def _covers_the_file(self) -> Self:
        if sum(chunk.length_bytes for chunk in self.chunks) != self.file.length_bytes:
            raise ValueError("the chunks don't add up to the file")
        if self.split:
            borders = set(accumulate(chunk.length_bytes for chunk in self.chunks))
            if len(self.split) == 1 or not borders.issuperset(ends := tuple(accumulate(self.split))):
                raise ValueError("the file isn't split at borders of chunks")
            if ends[-1] != self.file.length_bytes:
                raise ValueError("the parts don't add up to the file")
        return self


def parse_release(text: str | bytes) -> Release:
    """Reads a release manifest. Raises TooNewError or FormatError."""
    return parse_document(Release, text, what="release manifest", newest=RELEASE_FORMAT)


def parse_catalogue(text: str | bytes) -> Catalogue:
    """Reads a catalogue. Raises TooNewError or FormatError."""
    return parse_document(Catalogue, text, what="catalogue", newest=CATALOGUE_FORMAT)


def parse_chunk_index(text: str | bytes) -> ChunkIndex:
    """Reads a chunk index. Raises TooNewError or FormatError."""
    return parse_document(ChunkIndex, text, what="chunk index", newest=CHUNK_INDEX_FORMAT)


_UNITS = {"m": 1e6, "b": 1e9}


def parameters_of(size: str) -> float:
    """Parameters that a size stands for: ``1.5b`` → 1.5e9. For ordering, not for memory."""
    return float(size[:-1]) * _UNITS[size[-1]]


def version_key(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Sort key of a release version. ``2026.2-rc1`` comes before ``2026.2``, ``2026.10`` after ``2026.9``."""
    numbers, _, suffix = version.partition("-")
    parts = tuple(int(part) for part in re.findall(r"\d+", numbers))
    return parts, not suffix, suffix
