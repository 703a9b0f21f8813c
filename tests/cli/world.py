"""A customer's surroundings with real parts: a signed registry in a folder, made by the real writer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.actions.demo import make_draft
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import FitRow, Release
from bbj_desktop.services.registry import publish as writer
from tests.fakes.gguf import tiny_gguf

PASSPHRASE = "korrekt Pferd Batterie"
MODEL = "bbj-coder-demo"


@dataclass(frozen=True)
class World:
    """Attributes:
    folder: The registry.
    identity: Digest of its first root.
    """

    folder: Path
    keys: Path
    identity: str

    @property
    def root(self) -> Path:
        return self.folder / "metadata" / "1.root.json"

    def publish(self, version: str, *, quantisations: Sequence[str] = ("Q4_0",), channel: str = "stable") -> Release:
        """Publishes a tiny model; each version has weights of its own."""
        draft = make_draft(self.write_model(version, quantisations[0]))
        files = {name: self.write_model(version, name) for name in quantisations}
        draft = draft.model_copy(update={"version": version, "files": files})
        return writer.publish(self.folder, self.keys, PASSPHRASE, draft, channel, silent, Cancel(), measure=_measured)

    def write_model(self, version: str, quantisation: str) -> Path:
        path = self.keys.parent / f"tiny {version}.{quantisation}.gguf"
        ggml_type = {"Q4_0": 2, "Q8_0": 8, "F16": 1}[quantisation]
        path.write_bytes(tiny_gguf(hidden=256, ggml_type=ggml_type, seed=len(version) + int(version[-1])))
        return path

    def write_draft(self, version: str) -> Path:
        """A draft as the makers hand it in."""
        model = self.write_model(version, "Q4_0")
        draft = make_draft(model).model_copy(update={"version": version, "files": {"Q4_0": Path(model.name)}})
        path = model.with_suffix(".json")
        path.write_text(json.dumps(draft.model_dump(mode="json")), encoding="utf-8")
        return path

    def withdraw(self, version: str, reason: str) -> None:
        writer.withdraw(
            self.folder,
            self.keys,
            PASSPHRASE,
            "stable",
            model=MODEL,
            role="chat",
            size="135m",
            version=version,
            reason=reason,
        )


def make_world(folder: Path) -> World:
    """An empty registry."""
    registry, keys = folder / "Register", folder / "Schlüssel"
    root = writer.create_registry(registry, keys, PASSPHRASE)
    return World(registry, keys, root.identity)


def _measured(_gguf: Path, context_lengths: Sequence[int]) -> tuple[FitRow, ...]:
    """What an engine would say that it allocates: the publisher's measuring has tests of its own."""
    return tuple(
        FitRow(context_length=length, weights_bytes=200_000, kv_bytes=1000 * length, compute_bytes=2_000_000)
        for length in context_lengths
    )
