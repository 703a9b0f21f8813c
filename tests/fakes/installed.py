"""Installed versions for tests of the runtimes."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from bbj_desktop.core.release import (
    Architecture,
    BaseModelCard,
    FileReference,
    Parameters,
    Prompt,
    Release,
    Role,
    Variant,
)
from bbj_desktop.core.versions import InstalledVersion

GO_TEMPLATE = (
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
)
JINJA_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ARCHITECTURE = Architecture(
    name="llama",
    layers=30,
    hidden=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    feed_forward=1536,
    vocabulary=49152,
    parameters=134_515_008,
    trained_context=8192,
    weights_bytes=96_000_000,
    repeating_weights_bytes=70_000_000,
)


def installed(path: Path, *, version: str = "2026.1", context_length: int = 512, **changes: Any) -> InstalledVersion:
    """A version whose GGUF is the file at ``path``.

    Args:
        changes: Fields of the release, ``prompt`` among them.
    """
    content = path.read_bytes()
    file = FileReference(digest=f"sha256:{hashlib.sha256(content).hexdigest()}", length_bytes=len(content))
    prompt = Prompt(
        go_template=GO_TEMPLATE,
        jinja_template=JINJA_TEMPLATE,
        system='You write BBj: PRINT "…"\nNothing else.',
        parameters=Parameters(temperature=0.2, top_p=0.9, stop=("<|im_end|>", "<|endoftext|>")),
    )
    fields: dict[str, Any] = {
        "model": "bbj-coder-demo-test",
        "role": Role.CHAT,
        "size": "135m",
        "version": version,
        "released": date(2026, 1, 1),
        "min_app_version": "0.1.0",
        "title": "Test",
        "base_model": BaseModelCard(name="SmolLM2-135M", licence="Apache-2.0", licence_text="The base's licence"),
        "licence": "Apache-2.0",
        "licence_text": "The release's licence",
        "prompt": prompt,
        "variants": (Variant(quantisation="Q4_1", file=file, chunk_index=file, architecture=ARCHITECTURE),),
    }
    return InstalledVersion(
        release=Release(**{**fields, **changes}),
        quantisation="Q4_1",
        path=path,
        channel="stable",
        registry="sha256:" + "0" * 64,
        context_length=context_length,
        installed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
