"""Installed versions that are a base with an adapter."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bbj_desktop.core.release import Adapter, FileReference
from bbj_desktop.core.versions import InstalledVersion
from tests.fakes.installed import installed


def with_adapter(base: Path, adapter: Path, *, version: str = "2026.1") -> InstalledVersion:
    """A version whose base and adapter are these files."""
    whole = installed(base, version=version)
    content = adapter.read_bytes()
    file = FileReference(digest=f"sha256:{hashlib.sha256(content).hexdigest()}", length_bytes=len(content))
    part = Adapter(file=file, chunk_index=file, weights_bytes=len(content), rank=4)
    variant = whole.variant.model_copy(update={"quantisation": "Q4_1_LORA", "adapter": part})
    release = whole.release.model_copy(update={"format": 2, "variants": (variant,)})
    return whole.model_copy(
        update={"format": 2, "release": release, "quantisation": "Q4_1_LORA", "adapter_path": adapter}
    )
