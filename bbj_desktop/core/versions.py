"""Installed versions and the names that a runtime knows them by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bbj_desktop.core.release import Offer, Part, Quantisation, Release, Role, Variant

INSTALLED_FORMAT = 2
"""The newest. 2 has an adapter, and is written for such versions only."""

STREAMED = "stream"
"""The route of versions of which only Ollama has the files, see ``core.routes``."""


class PromptCheck(StrEnum):
    """Whether the prompt that a runtime makes of a conversation was seen to be the training's."""

    EQUAL = "equal"
    NOT_SHOWN = "not-shown"
    """The runtime doesn't show its prompts."""
    NO_EXAMPLE = "no-example"
    """The release names none: it is for completion, or was published before there were any."""
    FAILED = "failed"
    """The engine couldn't be asked, e.g. for lack of memory."""


class Registration(BaseModel):
    """How a runtime got to know a version.

    Attributes:
        runtime: The runtime's name: ``ollama`` or ``embedded``.
        tag: The name that belongs to this version alone; for ``embedded`` our own key.
        aliases: Names that pointed to it when it was last activated.
        route: How it got there, e.g. ``create``; empty for ``embedded``.
        served_digest: Digest of the weights that the runtime says it serves; None when it doesn't tell.
        verified: Whether we hashed the very bytes that the runtime reads; else they are as named by it.
        prompt_check: Whether the rendered prompt was compared; None when nobody tried.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    runtime: str
    tag: str
    aliases: tuple[str, ...] = ()
    route: str = ""
    served_digest: str | None = None
    verified: bool = False
    prompt_check: PromptCheck | None = None


class InstalledVersion(BaseModel):
    """One variant of one release on this machine.

    Attributes:
        path: The verified GGUF.
        adapter_path: The verified adapter that belongs over it; None where ``path`` is the whole model.
        registry: Identity of the registry it came from.
        context_length: Tokens of context it is set up for here.
        active: Whether the aliases of its model and size point to it.
        activated_at: When that began last; later than the slot's every other one. None when it never was.
        pinned: It isn't removed, and while it is active no update replaces it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = 1
    release: Release
    quantisation: Quantisation
    path: Path
    adapter_path: Path | None = None
    channel: str
    registry: str
    context_length: Annotated[int, Field(ge=1)]
    installed_at: datetime
    registrations: tuple[Registration, ...] = ()
    active: bool = False
    activated_at: datetime | None = None
    pinned: bool = False

    @model_validator(mode="after")
    def _adapters_have_their_format(self) -> Self:
        variant = self.release.variant(self.quantisation)
        wanted = variant is not None and variant.adapter is not None
        if wanted != (self.adapter_path is not None):
            raise ValueError("adapter_path is for variants with an adapter, and for no others")
        if wanted and self.format < 2:  # noqa: PLR2004 - the format that brought adapters
            raise ValueError("adapters need format 2")
        return self

    @property
    def key(self) -> str:
        return version_key_of(self.release, self.quantisation)

    @property
    def files(self) -> tuple[tuple[Part, Path], ...]:
        """The signed parts of it with their places here, the model first."""
        paths = (self.path,) if self.adapter_path is None else (self.path, self.adapter_path)
        return tuple(zip(self.variant.parts, paths, strict=True))

    @property
    def variant(self) -> Variant:
        variant = self.release.variant(self.quantisation)
        if variant is None:
            raise KeyError(self.quantisation)
        return variant

    @property
    def slot(self) -> str:
        """Versions of one slot replace each other: ``bbj-coder:7b``."""
        return slot_of(self.release)

    @property
    def streamed(self) -> bool:
        """Whether it was fetched straight into Ollama: then the only files are Ollama's own."""
        return any(entry.route == STREAMED for entry in self.registrations)

    def registration(self, runtime: str) -> Registration | None:
        return next((entry for entry in self.registrations if entry.runtime == runtime), None)


class Selection(BaseModel):
    """A variant that somebody chose, with the context length to set it up for."""

    model_config = ConfigDict(frozen=True)

    offer: Offer
    variant: Variant
    context_length: Annotated[int, Field(ge=1)]


def model_name(release: Release) -> str:
    """The name in tags: the model's own, with ``-fim`` for completion models (``bbj-coder-fim``)."""
    if release.role is Role.FIM and not release.model.endswith("-fim"):
        return f"{release.model}-fim"
    return release.model


def version_key_of(release: Release, quantisation: str) -> str:
    """The tag of one version: ``bbj-coder:2026.1-7b-q4_k_m``."""
    return f"{model_name(release)}:{release.version}-{release.size}-{quantisation.lower()}"


def previous_of(versions: Iterable[InstalledVersion], slot: str) -> InstalledVersion | None:
    """The version of a slot that was active before the one that is; None when there was none, or it is gone."""
    before = [
        (version.activated_at, version)
        for version in versions
        if version.slot == slot and not version.active and version.activated_at is not None
    ]
    return max(before, key=lambda each: each[0])[1] if before else None


def slot_of(release: Release) -> str:
    return f"{model_name(release)}:{release.size}"


def aliases_of(release: Release) -> tuple[str, ...]:
    """The names that point to the active version: ``bbj-coder:7b`` and ``bbj-coder:latest``."""
    return (slot_of(release), f"{model_name(release)}:latest")
