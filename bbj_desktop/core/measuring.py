"""What answers on this machine taught: how fast a version is here, and how much memory it takes.

One *measurement* is one answer. What is measured stands in place of what is estimated the next time a machine is
judged, with its date and number, so that anybody can see where a figure comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from statistics import median, quantiles
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.engines import EngineName
from bbj_desktop.core.release import Variant
from bbj_desktop.core.units import format_memory
from bbj_desktop.core.versions import InstalledVersion

MEASUREMENT_FORMAT = 1

KEPT = 20
"""Measurements of one file in one engine on one machine; the latest count."""
LEAST_TOKENS = 8
"""A shorter answer says nothing about speed."""
MOST_CORRECTION = 1.5
"""Measurements may raise what a model is taken to need by half, not more: they may be of something else."""
LEAST_CORRECTION = 1.05
"""Less than this is within what rounding and the system's own pages make of it."""

_Bytes = Annotated[int, Field(ge=0, le=2**50)]
_Seconds = Annotated[float, Field(ge=0, le=10**7)]
_Rate = Annotated[float, Field(gt=0, le=10**7)]
_Tokens = Annotated[int, Field(ge=0, le=2**31)]


class Measurement(BaseModel):
    """One answer. A line of the file.

    Attributes:
        machine: Names the machine that computed, without telling which it is.
        key: The version.
        digest: Of the file that tells its variant from others.
        context_length: Tokens it was set up for.
        predicted_bytes: Memory that the model was expected to take; None when it wasn't looked at.
        used_bytes: What it took, as the engine or the system says.
        vram_bytes: The part of that in graphics memory, when told.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    format: Annotated[int, Field(ge=1, le=MEASUREMENT_FORMAT)] = MEASUREMENT_FORMAT
    at: datetime
    machine: str
    key: str
    digest: str
    engine: EngineName
    engine_version: str = ""
    context_length: Annotated[int, Field(ge=1)]
    load_s: _Seconds = 0.0
    ttft_s: _Seconds
    prompt_tokens: _Tokens | None = None
    prefill_tokens_per_s: _Rate | None = None
    answer_tokens: _Tokens
    decode_tokens_per_s: _Rate | None = None
    stop_reason: Literal["stop", "length", "cancelled"]
    predicted_bytes: _Bytes | None = None
    used_bytes: _Bytes | None = None
    vram_bytes: _Bytes | None = None

    @property
    def subject(self) -> tuple[str, str, str]:
        """What is measured, and where."""
        return self.machine, self.digest, self.engine


def measurement_of(
    version: InstalledVersion, statistics: Statistics, *, at: datetime, machine: str, engine: EngineName
) -> Measurement:
    """From the figures of an answer."""
    figures = statistics.model_dump(exclude={"total_s"})
    return Measurement(
        at=at,
        machine=machine,
        key=version.key,
        digest=version.variant.own_file.digest,
        engine=engine,
        context_length=version.context_length,
        **{name: value or None if name.endswith("per_s") else value for name, value in figures.items()},
    )


class MeasuredSpeed(BaseModel):
    """How fast a version is here.

    Attributes:
        tokens_per_s: Decode speed, in the middle of all measurements.
        low, high: The middle half of them.
        prefill_tokens_per_s: In the middle, likewise; None when no engine told.
        count: Of measurements.
        last: The day of the latest.
    """

    model_config = ConfigDict(frozen=True)

    tokens_per_s: float
    low: float
    high: float
    prefill_tokens_per_s: float | None
    count: int
    last: date

    @property
    def text(self) -> str:
        """``measured here: 28 tokens/s on 2026-11-22, n=5``."""
        return f"measured here: {self.tokens_per_s:.3g} tokens/s on {self.last}, n={self.count}"


class Correction(BaseModel):
    """What is added to predictions of memory on a machine.

    Attributes:
        factor: Predictions are multiplied with it; from 1 to ``MOST_CORRECTION``.
        measured: The ratio as measured, unbounded.
        count: Of measurements.
    """

    model_config = ConfigDict(frozen=True)

    factor: float
    measured: float
    count: int


def speed_from(measurements: Sequence[Measurement]) -> MeasuredSpeed | None:
    """Of one file in one engine on one machine; None when nothing long enough was answered."""
    good = [each for each in measurements if each.decode_tokens_per_s and each.answer_tokens >= LEAST_TOKENS][-KEPT:]
    rates = [each.decode_tokens_per_s for each in good if each.decode_tokens_per_s]
    if not rates:
        return None
    prefills = [each.prefill_tokens_per_s for each in good if each.prefill_tokens_per_s]
    low, _, high = quantiles(rates, n=4, method="inclusive") if len(rates) > 1 else rates * 3
    return MeasuredSpeed(
        tokens_per_s=median(rates),
        low=low,
        high=high,
        prefill_tokens_per_s=median(prefills) if prefills else None,
        count=len(rates),
        last=max(each.at for each in good).date(),
    )


def correction_from(measurements: Sequence[Measurement]) -> Correction | None:
    """Of one engine on one machine; None when predictions were right, or nothing is known. That less was taken than
    predicted isn't credited: pages that weren't touched yet aren't counted, but will be needed."""
    ratios = [
        each.used_bytes / each.predicted_bytes for each in measurements if each.predicted_bytes and each.used_bytes
    ][-KEPT:]
    if not ratios or median(ratios) < LEAST_CORRECTION:
        return None
    return Correction(factor=min(median(ratios), MOST_CORRECTION), measured=median(ratios), count=len(ratios))


@dataclass(frozen=True, slots=True)
class Learned:
    """All measurements.

    Attributes:
        machines: Where each engine computes: it may be elsewhere.
    """

    measurements: tuple[Measurement, ...] = ()
    machines: dict[EngineName, str] = field(default_factory=dict)

    def speed(self, engine: EngineName, variant: Variant) -> MeasuredSpeed | None:
        subject = (self.machines.get(engine, ""), variant.own_file.digest, engine)
        return speed_from([each for each in self.measurements if each.subject == subject])

    def correction(self, engine: EngineName) -> Correction | None:
        place = (self.machines.get(engine, ""), engine)
        return correction_from([each for each in self.measurements if (each.machine, each.engine) == place])


def split_remark(key: str, used_bytes: int | None, vram_bytes: int | None) -> str:
    """What it means that Ollama put a part of a model on the processor; empty when it didn't."""
    if not used_bytes or not vram_bytes or vram_bytes >= used_bytes:
        return ""
    rest = used_bytes - vram_bytes
    return (
        f"Ollama put {rest * 100 // used_bytes} % of {key} on the processor: of {format_memory(used_bytes)} only "
        f"{format_memory(vram_bytes)} found room in graphics memory, and the processor's part sets the pace. Close "
        "programs that use the graphics card, or install it with a shorter context (--context) or a smaller variant."
    )
