"""What to do about a model that lies half on the processor."""

from __future__ import annotations

from bbj_desktop.core.fit import predicted_bytes, shorter_contexts
from bbj_desktop.core.units import format_memory
from bbj_desktop.core.versions import InstalledVersion


def split_remark(version: InstalledVersion, used_bytes: int | None, vram_bytes: int | None) -> str:
    """What it means that Ollama put a part of a model on the processor, and what to do; empty when it didn't."""
    if not used_bytes or not vram_bytes or vram_bytes >= used_bytes:
        return ""
    layers = version.variant.architecture.layers
    rest = used_bytes - vram_bytes
    return (
        f"Ollama put {rest * 100 // used_bytes} % of {version.key} on the processor, about "
        f"{min(layers - 1, max(1, round(layers * rest / used_bytes)))} of its {layers} blocks: of "
        f"{format_memory(used_bytes)} only {format_memory(vram_bytes)} found room in graphics memory, and the "
        f"processor's part sets the pace. Close programs that use the graphics card, or "
        f"{_way_out(version, used_bytes, vram_bytes)}."
    )


def _way_out(version: InstalledVersion, used_bytes: int, vram_bytes: int) -> str:
    """The longest context at which what was measured would have found room; else a smaller file."""
    ratio = used_bytes / predicted_bytes(version, "ollama")
    shorter = [length for length in shorter_contexts(version.context_length) if length < version.context_length]
    fitting = (each for each in shorter if ratio * predicted_bytes(version, "ollama", each) <= vram_bytes)
    length = next(fitting, None)
    if length is None:
        return "install a smaller size or quantisation: no context would be short enough"
    return f"install it with a shorter context: {length:,} tokens would fit (--context {length})"
