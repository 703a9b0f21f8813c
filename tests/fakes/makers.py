"""The makers of models at work: a registry with its keys, and what they type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bbj_desktop.core.errors import PublishError
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel, Event
from bbj_desktop.core.release import FitRow, Offering, Release, TierTable
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.publish import (
    ReleaseDraft,
    promote,
    publish,
    withdraw,
)
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.gguf import CHATML, tiny_gguf
from tests.fakes.published import GO_CHAT

PASSPHRASE = "vier Wörter und ein Fluß"
NAME = {"model": "bbj-coder", "role": "chat", "size": "7b", "version": "2026.1"}


def no_engine(_gguf: Path, context_lengths: Sequence[int]) -> tuple[FitRow, ...]:
    """Stands in for llama.cpp, which couldn't load the tiny models of these tests."""
    return tuple(
        FitRow(context_length=length, weights_bytes=1, kv_bytes=length, compute_bytes=1) for length in context_lengths
    )


class Makers:
    """A registry with its keys, and what its makers type."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "Öffentliche Modelle"
        self.keys = place / "geheime Schlüssel"
        self.models = place / "Modelle von heute"
        self.models.mkdir(parents=True)
        self.events: list[Event] = []

    def model(self, name: str = "tiny.Q4_0.gguf", content: bytes | None = None) -> Path:
        path = self.models / name
        path.write_bytes(tiny_gguf() if content is None else content)
        return path

    def draft(self, **changes: object) -> ReleaseDraft:
        fields: dict[str, object] = {
            **NAME,
            "released": "2026-01-14",
            "min_app_version": "0.1.0",
            "title": "BBj Coder 7B",
            "base_model": {"name": "Qwen2.5-Coder-7B", "licence": "Apache-2.0", "licence_text": "Apache License …"},
            "licence": "Apache-2.0",
            "licence_text": "Apache License …",
            "prompt": {
                "go_template": GO_CHAT,
                "jinja_template": CHATML,
                "parameters": {"stop": ["<|im_end|>"]},
            },
        }
        if "files" not in changes:
            changes["files"] = {"Q4_0": self.model()}
        return ReleaseDraft.model_validate({**fields, **changes})

    def publish(self, draft: ReleaseDraft, channel: str = "beta", cancel: Cancel | None = None) -> Release:
        return publish(
            self.folder,
            self.keys,
            PASSPHRASE,
            draft,
            channel,
            self.events.append,
            cancel or Cancel(),
            measure=no_engine,
        )

    def withdraw(self, channel: str, reason: str) -> None:
        model, role, size, version = NAME["model"], NAME["role"], NAME["size"], NAME["version"]
        withdraw(
            self.folder, self.keys, PASSPHRASE, channel, model=model, role=role, size=size, version=version,
            reason=reason,
        )  # fmt: skip

    def promote(self, *, tiers: TierTable | None = None) -> Release:
        model, role, size, version = NAME["model"], NAME["role"], NAME["size"], NAME["version"]
        return promote(
            self.folder, self.keys, PASSPHRASE, model=model, role=role, size=size, version=version, tiers=tiers
        )

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def reader(self, state: Path, address: str | None = None, now: Callable[[], datetime] | None = None) -> Registry:
        source = open_source(address or str(self.folder), Network())
        root = (self.folder / "metadata" / "1.root.json").read_bytes()
        return Registry.open(source, state, initial_root=root, now=now or (lambda: datetime.now(UTC)))

    def offering(self, state: Path, channel: str = "beta") -> Offering:
        return self.reader(state).offering(channel, Cancel(), app_version="1.0.0")

    def refused(self, draft: ReleaseDraft, match: str) -> PublishError:
        """Publishes what is refused; nothing of it stays."""
        before = self.files()
        with pytest.raises(PublishError, match=match) as caught:
            self.publish(draft)
        assert self.files() == before
        return caught.value
