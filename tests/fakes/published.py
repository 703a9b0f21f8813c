"""A registry made by the real writer from tiny models, served on loopback, and a customer who trusts it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bbj_desktop.actions import registering
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.chunks import MAX_FILE_BYTES
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import BaseModelCard, FitRow, Parameters, Prompt, Release, Role
from bbj_desktop.core.settings import Origin, OriginKind, ResolvedSettings, Settings
from bbj_desktop.services.registry import publish as writer
from bbj_desktop.services.registry.layout import INITIAL_ROOT
from tests.fakes.gguf import CHATML, tiny_gguf

PASSPHRASE = "throw-away"
GO_CHAT = "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"


def unmeasured(_gguf: Path, _context_lengths: Sequence[int]) -> tuple[FitRow, ...]:
    """Tiny models don't load: formulas decide."""
    return ()


@dataclass
class Publication:
    """A registry's folder with its keys.

    Attributes:
        folder: What is served.
        keys: The private keys.
        work: For the models before they are published.
    """

    folder: Path
    keys: Path
    work: Path

    @classmethod
    def create(cls, below: Path) -> Publication:
        made = cls(below / "registry", below / "keys", below / "models")
        made.work.mkdir(parents=True)
        writer.create_registry(made.folder, made.keys, PASSPHRASE)
        return made

    def copy(self, below: Path) -> Publication:
        """One that can be changed without changing this one."""
        copied = Publication(below / "registry", below / "keys", below / "models")
        for source, target in ((self.folder, copied.folder), (self.keys, copied.keys), (self.work, copied.work)):
            shutil.copytree(source, target)
        return copied

    @property
    def root(self) -> bytes:
        return (self.folder / INITIAL_ROOT).read_bytes()

    def publish(
        self,
        version: str = "2026.1",
        *,
        model: str = "bbj-coder",
        size: str = "7b",
        quantisations: Sequence[str] = ("Q4_0",),
        channel: str = "stable",
        seed: int = 1,
        hidden: int = 64,
        min_app_version: str = "0.1.0",
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> Release:
        draft = self.draft(
            version, model=model, size=size, quantisations=quantisations, seed=seed, hidden=hidden,
            min_app_version=min_app_version,
        )  # fmt: skip
        return writer.publish(
            self.folder, self.keys, PASSPHRASE, draft, channel, silent, Cancel(), measure=unmeasured,
            max_file_bytes=max_file_bytes,
        )  # fmt: skip

    def draft(
        self,
        version: str,
        *,
        model: str = "bbj-coder",
        size: str = "7b",
        quantisations: Sequence[str] = ("Q4_0",),
        seed: int = 1,
        hidden: int = 64,
        min_app_version: str = "0.1.0",
    ) -> writer.ReleaseDraft:
        """A release with tiny models, which are written now."""
        files = {}
        for number, quantisation in enumerate(quantisations):
            files[quantisation] = self.work / f"{model}-{size}-{version}.{quantisation}.gguf"
            files[quantisation].write_bytes(tiny_gguf(seed=seed + number, hidden=hidden))
        return writer.ReleaseDraft(
            model=model,
            role=Role.CHAT,
            size=size,
            version=version,
            released=date(2026, 1, 14),
            min_app_version=min_app_version,
            title=f"{model} {size.upper()}",
            notice="A tiny stand-in for tests.",
            base_model=BaseModelCard(name="Tiny", licence="Apache-2.0", licence_text="Apache License"),
            licence="Apache-2.0",
            licence_text="Apache License",
            prompt=Prompt(
                go_template=GO_CHAT,
                jinja_template=CHATML,
                system="You are a BBj programming assistant.",
                parameters=Parameters(context_length=2048, stop=("<|im_end|>",)),
            ),
            files=files,
        )

    def withdraw(self, version: str, reason: str, *, model: str = "bbj-coder", size: str = "7b") -> None:
        writer.withdraw(
            self.folder, self.keys, PASSPHRASE, "stable", model=model, role="chat", size=size, version=version,
            reason=reason,
        )  # fmt: skip


def customer(folder: Path, *, runtime: str = "ollama", ollama_host: str | None = None) -> Context:
    """A customer who has nothing yet and whose folders all lie below ``folder``."""
    values = Settings(data_folder=folder, runtime=runtime, ollama_host=ollama_host)  # type: ignore[arg-type]
    settings = ResolvedSettings(values, {"data_folder": Origin(OriginKind.FLAG, "--data")})
    return Context(settings=settings, paths=paths_for(settings))


def trust(context: Context, address: str, publication: Publication) -> None:
    registering.add_registry(context, address, publication.root, silent, Cancel())
