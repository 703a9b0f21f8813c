"""A registry whose makers publish adapters over one base."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import BaseModelCard, Parameters, Prompt, Release, Role
from bbj_desktop.services.registry import publish as writer
from bbj_desktop.services.registry.draft import AdapterDraft
from tests.fakes.adapters import adapter_gguf
from tests.fakes.gguf import CHATML, tiny_gguf
from tests.fakes.published import GO_CHAT, PASSPHRASE, Publication, unmeasured

HIDDEN = 256


@dataclass
class AdapterMakers:
    """Attributes:
    publication: Their registry.
    base: The model that all adapters are for.
    """

    publication: Publication
    base: Path = field(init=False)

    def __post_init__(self) -> None:
        self.base = self.publication.work / "Grundmodell ä.Q4_0.gguf"

    @classmethod
    def create(cls, below: Path) -> AdapterMakers:
        made = cls(Publication.create(below))
        made.base.write_bytes(tiny_gguf(hidden=HIDDEN))
        return made

    def adapter(self, seed: int = 1, content: bytes | None = None) -> Path:
        path = self.publication.work / f"adapter {seed}.gguf"
        path.write_bytes(adapter_gguf(self.base.read_bytes(), seed=seed) if content is None else content)
        return path

    def draft(
        self, version: str = "2026.1", adapter: Path | None = None, *, whole: bool = False
    ) -> writer.ReleaseDraft:
        """A release with an adapter over the base, and with a whole variant if asked for."""
        files = {}
        if whole:
            files["Q4_0"] = self.publication.work / f"whole {version}.gguf"
            files["Q4_0"].write_bytes(tiny_gguf(hidden=HIDDEN, seed=sum(map(ord, version))))
        return writer.ReleaseDraft(
            model="bbj-coder",
            role=Role.CHAT,
            size="7b",
            version=version,
            released=date(2026, 1, 14),
            min_app_version="0.1.0",
            title="bbj-coder 7B",
            base_model=BaseModelCard(name="Tiny", licence="Apache-2.0", licence_text="Apache License"),
            licence="Apache-2.0",
            licence_text="Apache License",
            prompt=Prompt(
                go_template=GO_CHAT,
                jinja_template=CHATML,
                parameters=Parameters(context_length=2048, stop=("<|im_end|>",)),
            ),
            files=files,
            adapters={"Q4_0": AdapterDraft(base=self.base, adapter=adapter or self.adapter())},
        )

    def publish(self, draft: writer.ReleaseDraft, channel: str = "stable") -> Release:
        place = self.publication
        return writer.publish(
            place.folder, place.keys, PASSPHRASE, draft, channel, silent, Cancel(), measure=unmeasured
        )
