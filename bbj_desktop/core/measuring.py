"""What answers on this machine taught: how fast a version is here, and how much memory it takes.

One *measurement* is one answer. What is measured stands in place of what is estimated the next time a machine is
judged, with its date and number, so that anybody can see where a figure comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from statistics import median, quantiles
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bbj_desktop.core.chat import LOADED_S, Statistics
from bbj_desktop.core.engines import EngineName, RuntimeStatus
from bbj_desktop.core.release import Variant
from bbj_desktop.core.versions import InstalledVersion

if TYPE_CHECKING:  # the judging of hardware isn't loaded for an answer
    from bbj_desktop.core.recommendation import Fit

MEASUREMENT_FORMAT = 1

KEPT = 20
"""Measurements of one file in one engine on one machine; the latest count."""
LEAST_TOKENS = 8
"""A shorter answer says nothing about speed."""
LEAST_PREFILL_TOKENS = 32
"""Nor does a shorter prompt about reading one."""
BUSY_SHARE = 0.5
"""Of what the faster answers reached. Slower ones came while the machine was busy with something else, or slept: that
makes answers slower, nothing makes them faster."""
BELIEVED = 3
"""So many answers are believed even where they were far slower than expected."""
LOADS = 5
"""The latest loads that count for how much graphics memory can be had: other programs come and go."""
SAME_SHARE = 0.15
"""Shares of a model in graphics memory that differ by less mean the same placement."""
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
        gpu_share: The same as a share, of every answer of a conversation that was looked at.
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
    prefill_tokens: _Tokens | None = None
    prefill_tokens_per_s: _Rate | None = None
    answer_tokens: _Tokens
    decode_tokens_per_s: _Rate | None = None
    stop_reason: Literal["stop", "length", "cancelled"]
    predicted_bytes: _Bytes | None = None
    used_bytes: _Bytes | None = None
    vram_bytes: _Bytes | None = None
    gpu_share: Annotated[float, Field(ge=0, le=1)] | None = None

    @property
    def loaded(self) -> bool:
        """Its model was loaded for it, from a disk that may have been cold."""
        return self.load_s >= LOADED_S

    @property
    def prefill_is_known(self) -> bool:
        """Its prefill speed is of enough tokens that were really read."""
        return self.prefill_tokens is not None and self.prefill_tokens >= LEAST_PREFILL_TOKENS

    def lies_as(self, fit: Fit, layers: int) -> bool:
        """Whether it says something of a placement: it had the same context, or as much of it in graphics memory."""
        if self.gpu_share is None or self.context_length == fit.context_length:
            return True
        return abs(self.gpu_share - fit.gpu_layers / layers) <= SAME_SHARE

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
        prefill_count: Of the measurements that told it.
        count: Of measurements.
        last: The day of the latest.
        set_aside: Of further ones that say nothing: the first answer after a load, where there are others, and those
            of a busy machine.
    """

    model_config = ConfigDict(frozen=True)

    tokens_per_s: float
    low: float
    high: float
    prefill_tokens_per_s: float | None
    count: int
    last: date
    set_aside: int = 0
    prefill_count: int = 0

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
    """Of one file in one engine on one machine, in the order in which they were made (clocks are set forth and back);
    None when nothing long enough was answered."""
    found = [each for each in measurements if each.decode_tokens_per_s and each.answer_tokens >= LEAST_TOKENS][-KEPT:]
    if not found:
        return None
    warm = [each for each in found if not each.loaded] or found
    good = _undisturbed(warm, "decode_tokens_per_s")
    rates = [each.decode_tokens_per_s or 0.0 for each in good]
    told = [each for each in found if each.prefill_is_known and each.prefill_tokens_per_s]
    read = [each for each in told if not each.loaded] or told
    prefills = [each.prefill_tokens_per_s or 0.0 for each in _undisturbed(read, "prefill_tokens_per_s")]
    low, _, high = _quartiles(rates)
    return MeasuredSpeed(
        tokens_per_s=median(rates),
        low=low,
        high=high,
        prefill_tokens_per_s=median(prefills) if prefills else None,
        count=len(rates),
        last=good[-1].at.date(),
        set_aside=len(found) - len(good),
        prefill_count=len(told),
    )


def _undisturbed(
    found: Sequence[Measurement], rate: Literal["decode_tokens_per_s", "prefill_tokens_per_s"]
) -> list[Measurement]:
    """Without those of a machine that was busy. When most are slow, slow is what it is now."""
    if not found:
        return []
    _, _, fast = _quartiles([getattr(each, rate) for each in found])
    return [each for each in found if getattr(each, rate) >= BUSY_SHARE * fast]


def _quartiles(values: Sequence[float]) -> Sequence[float]:
    return quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3


def correction_from(measurements: Sequence[Measurement]) -> Correction | None:
    """Of one engine on one machine; None when predictions were right, or nothing is known. That less was taken than
    predicted isn't credited: pages that weren't touched yet aren't counted, but will be needed."""
    taken = taken_from(measurements)
    if taken is None or taken.share < LEAST_CORRECTION:
        return None
    return Correction(factor=min(taken.share, MOST_CORRECTION), measured=taken.share, count=taken.count)


class Taken(BaseModel):
    """What models took of memory on a machine, beside what they were predicted to.

    Attributes:
        share: Of the prediction, in the middle of all measurements.
        count: Of measurements.
    """

    model_config = ConfigDict(frozen=True)

    share: float
    count: int


def taken_from(measurements: Sequence[Measurement]) -> Taken | None:
    """Of one engine on one machine; None when nobody looked."""
    ratios = [
        each.used_bytes / each.predicted_bytes for each in measurements if each.predicted_bytes and each.used_bytes
    ][-KEPT:]
    return Taken(share=median(ratios), count=len(ratios)) if ratios else None


class GraphicsRoom(BaseModel):
    """What an engine was seen to get of a machine's graphics memory.

    Attributes:
        most_bytes: The most that it used when a model didn't find room as a whole.
        count: How often that was.
    """

    model_config = ConfigDict(frozen=True)

    most_bytes: int
    count: int


def graphics_room_from(measurements: Sequence[Measurement]) -> GraphicsRoom | None:
    """Of one engine on one machine; None where the latest loads don't show a limit: no model was split, or a whole one
    got more. A model that lies on the processor alone says nothing: it may be far too large."""
    looked = [each for each in measurements if each.used_bytes and each.vram_bytes][-LOADS:]
    split = [each.vram_bytes or 0 for each in looked if (each.vram_bytes or 0) < (each.used_bytes or 0)]
    if not split or max(each.vram_bytes or 0 for each in looked) > max(split):
        return None
    return GraphicsRoom(most_bytes=max(split), count=len(split))


@dataclass(frozen=True, slots=True)
class Learned:
    """All measurements.

    Attributes:
        machines: Where each engine computes: it may be elsewhere.
        versions: Each engine's version now.
    """

    measurements: tuple[Measurement, ...] = ()
    machines: dict[EngineName, str] = field(default_factory=dict)
    versions: dict[EngineName, str] = field(default_factory=dict)

    def speed(self, engine: EngineName, variant: Variant, fit: Fit | None = None) -> MeasuredSpeed | None:
        """How fast a variant was.

        Args:
            fit: Only where it lay like this; None wherever it lay.
        """
        layers, digest = variant.architecture.layers, variant.own_file.digest
        found = [each for each in self._at(engine) if each.digest == digest]
        return speed_from([each for each in found if fit is None or each.lies_as(fit, layers)])

    def correction(self, engine: EngineName, variant: Variant) -> Correction | None:
        return correction_from(self._loads_like(engine, variant))

    def taken(self, engine: EngineName, variant: Variant) -> Taken | None:
        return taken_from(self._loads_like(engine, variant))

    def _loads_like(self, engine: EngineName, variant: Variant) -> list[Measurement]:
        """This variant's own loads where there are any, else those of others."""
        found = self._loads(engine)
        own = [each for each in found if each.digest == variant.own_file.digest]
        return own or found

    def graphics_room(self, engine: EngineName) -> GraphicsRoom | None:
        return graphics_room_from(self._loads(engine))

    def _at(self, engine: EngineName) -> list[Measurement]:
        place = (self.machines.get(engine, ""), engine)
        return [each for each in self.measurements if (each.machine, each.engine) == place]

    def _loads(self, engine: EngineName) -> list[Measurement]:
        """Measurements of memory: of the engine's version now, as another one may need more or less."""
        found = [each for each in self._at(engine) if each.predicted_bytes and each.used_bytes]
        version = self.versions.get(engine)
        return [each for each in found if each.engine_version == version] or found


def learned_from(
    measurements: Sequence[Measurement], statuses: Sequence[RuntimeStatus], machines: Sequence[str]
) -> Learned:
    """What all measurements say of the engines as they are now.

    Args:
        machines: Where each engine of ``statuses`` computes.
    """
    names = [status.name for status in statuses]
    versions = {status.name: status.version for status in statuses if status.version}
    return Learned(tuple(measurements), dict(zip(names, machines, strict=True)), versions)
