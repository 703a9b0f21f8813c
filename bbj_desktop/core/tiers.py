"""Classes of machines. They name what an owner may expect; whether a model fits and is fast enough decides."""

from __future__ import annotations

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.hardware import GpuKind, HardwareProfile
from bbj_desktop.core.release import Tier, TierTable

TIERS_FORMAT = 1

TOLERANCE = 0.9
"""A machine sold with 8 GB shows less: firmware, graphics and the system's own use of the units take up to 10 %."""


def load_tiers(text: str | bytes) -> TierTable:
    """Reads a tier table (``resources/tiers.json``; a signed catalogue may carry a newer one).

    Raises:
        TooNewError: A newer program wrote it.
        FormatError: It isn't a tier table.
    """
    return parse_document(TierTable, text, what="tier table", newest=TIERS_FORMAT)


def tier_of(profile: HardwareProfile, table: TierTable) -> Tier | None:
    """The highest tier whose memory the machine has; None below the lowest."""
    met = [tier for tier in table.tiers if _meets(profile, tier)]
    return met[-1] if met else None


def _meets(profile: HardwareProfile, tier: Tier) -> bool:
    enough_ram = profile.memory.total_bytes >= tier.ram_bytes * TOLERANCE
    return enough_ram and _graphics_bytes(profile) >= tier.vram_bytes * TOLERANCE


def _graphics_bytes(profile: HardwareProfile) -> int:
    """Graphics memory of one maker's GPUs together: a model can be laid over GPUs of one maker only."""
    by_vendor: dict[str, int] = {}
    for gpu in profile.gpus:
        if gpu.kind is not GpuKind.INTEGRATED:
            by_vendor[gpu.vendor] = by_vendor.get(gpu.vendor, 0) + (gpu.vram_total_bytes or 0)
    return max(by_vendor.values(), default=0)
