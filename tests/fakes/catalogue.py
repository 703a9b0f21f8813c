"""A catalogue of bbj-coder in the sizes of Qwen2.5-Coder, with real architecture numbers and file sizes.

Numbers of the architecture: the models' ``config.json``. Bits a weight: what llama.cpp's quantiser makes of such a
model (``Q4_K_M`` of 7B is 4.68 GB).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from hashlib import sha256

from bbj_desktop.core.release import (
    Adapter,
    Architecture,
    BaseModelCard,
    Catalogue,
    CatalogueEntry,
    FileReference,
    FitRow,
    Offer,
    Offering,
    Parameters,
    Prompt,
    Release,
    Role,
    TierTable,
    Variant,
)
from bbj_desktop.core.tiers import load_tiers
from bbj_desktop.resources import resource

SHAPES: dict[str, tuple[int, int, int, int, int, int, int, bool]] = {
    # layers, hidden, heads, KV heads, head dimension, feed-forward, vocabulary, embeddings tied
    "0.5b": (24, 896, 14, 2, 64, 4864, 151_936, True),
    "1.5b": (28, 1536, 12, 2, 128, 8960, 151_936, True),
    "3b": (36, 2048, 16, 2, 128, 11_008, 151_936, True),
    "7b": (28, 3584, 28, 4, 128, 18_944, 152_064, False),
    "14b": (48, 5120, 40, 8, 128, 13_824, 152_064, False),
    "32b": (64, 5120, 40, 8, 128, 27_648, 152_064, False),
}

BITS = {"Q2_K": 3.16, "Q4_0": 4.66, "Q4_K_M": 4.92, "Q8_0": 8.5, "F16": 16.0}
"""Bits a weight over the whole file."""

REPACKED = {"Q4_0": 0.97, "Q4_K_M": 0.75}
"""Share of the blocks' bytes that llama.cpp repacks for the CPU."""

HEADER_BYTES = 5_947_648


def architecture(size: str, quantisation: str) -> Architecture:
    layers, hidden, heads, kv_heads, head_dim, feed_forward, vocabulary, tied = SHAPES[size]
    block = hidden * (2 * heads * head_dim + 2 * kv_heads * head_dim + 3 * feed_forward)
    embeddings = vocabulary * hidden * (1 if tied else 2)
    parameters = layers * block + embeddings
    weights = int(parameters * BITS[quantisation] / 8)
    repeating = int(weights * layers * block / parameters)
    return Architecture(
        name="qwen2",
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        feed_forward=feed_forward,
        vocabulary=vocabulary,
        parameters=parameters,
        trained_context=32_768,
        weights_bytes=weights,
        repeating_weights_bytes=repeating,
        repackable_bytes=int(repeating * REPACKED.get(quantisation, 0)),
    )


def variant(size: str, quantisation: str, *, fit_table: Sequence[FitRow] = ()) -> Variant:
    numbers = architecture(size, quantisation)
    name = f"{size} {quantisation}"
    return Variant(
        quantisation=quantisation,
        file=FileReference(digest=digest(name), length_bytes=HEADER_BYTES + numbers.weights_bytes),
        chunk_index=FileReference(digest=digest(f"{name} index"), length_bytes=40_000),
        architecture=numbers,
        fit_table=tuple(fit_table),
    )


def digest(name: str) -> str:
    return f"sha256:{sha256(name.encode()).hexdigest()}"


def offer(
    size: str,
    role: Role = Role.CHAT,
    quantisations: Sequence[str] = ("Q2_K", "Q4_0", "Q4_K_M", "Q8_0"),
    *,
    version: str = "2026.1",
    context_length: int = 4096,
) -> Offer:
    """A release of one size with its catalogue entry."""
    release = Release(
        model="bbj-coder",
        role=role,
        size=size,
        version=version,
        released=date(2026, 3, 2),
        min_app_version="0.1.0",
        title=f"bbj-coder {size.upper()}" + (" for completion" if role is Role.FIM else ""),
        base_model=BaseModelCard(
            name=f"Qwen2.5-Coder-{size.upper()}", licence="Apache-2.0", licence_text="Apache License, Version 2.0"
        ),
        licence="Apache-2.0",
        licence_text="Apache License, Version 2.0",
        prompt=Prompt(
            go_template="{{ .Prompt }}",
            jinja_template="{{ messages }}",
            parameters=Parameters(context_length=context_length, stop=("<|im_end|>",)),
        ),
        variants=tuple(variant(size, quantisation) for quantisation in quantisations),
    )
    entry = CatalogueEntry(
        model=release.model,
        role=role,
        size=size,
        version=version,
        released=release.released,
        manifest=f"stable/bbj-coder/{role}-{size}-{version}.json",
    )
    return Offer(channel="stable", entry=entry, release=release)


def standard_tiers() -> TierTable:
    """The table that comes with the program."""
    return load_tiers(resource("tiers.json").read_text(encoding="utf-8"))


def offering(offers: Sequence[Offer] | None = None, *, tiers: TierTable | None = None) -> Offering:
    """What the channel ``stable`` offers: chat in five sizes, completion in one, unless told otherwise.

    Args:
        tiers: The catalogue's own tier table; None takes the program's.
    """
    given = offers if offers is not None else standard_offers()
    return Offering(
        registry="https://registry.example",
        checked_at=datetime(2026, 3, 3, 8, 0, tzinfo=UTC),
        catalogue=Catalogue(
            channel="stable", entries=tuple(each.entry for each in given), tiers=tiers or standard_tiers()
        ),
        offers=tuple(given),
    )


def standard_offers() -> tuple[Offer, ...]:
    chat = tuple(offer(size) for size in ("1.5b", "3b", "7b", "14b", "32b"))
    return (*chat, offer("1.5b", Role.FIM, ("Q4_K_M", "Q8_0")))


def with_adapter(given: Offer, quantisation: str = "Q4_K_M", *, adapter_bytes: int = 40_000_000) -> Offer:
    """The same offer with an adapter, over a base of its own, for one of its quantisations."""
    base = variant(given.release.size, quantisation)
    name = f"{given.release.size} {given.release.version} adapter"
    adapter = Adapter(
        file=FileReference(digest=digest(name), length_bytes=adapter_bytes),
        chunk_index=FileReference(digest=digest(f"{name} index"), length_bytes=400),
        weights_bytes=adapter_bytes - 10_000,
        rank=16,
    )
    own = base.file.model_copy(update={"digest": digest(f"{given.release.size} base")})
    extra = base.model_copy(update={"quantisation": f"{quantisation}_LORA", "file": own, "adapter": adapter})
    release = given.release.model_copy(update={"format": 2, "variants": (*given.release.variants, extra)})
    return given.model_copy(update={"release": release})
