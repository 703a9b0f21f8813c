"""How fast a model would answer: ranges, because bandwidths are data-sheet values and efficiencies vary.

Decoding is bound by memory bandwidth: every token reads all weights and the KV cache once
(time = bytes / (bandwidth * efficiency) + a fixed time for each block's kernels). Prefilling is bound by arithmetic:
2 operations for each weight and token (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.fit import Graph, kv_bytes, loaded
from bbj_desktop.core.hardware import Gpu, GpuKind, HardwareProfile
from bbj_desktop.core.measuring import BELIEVED, BUSY_SHARE, MeasuredSpeed
from bbj_desktop.core.recommendation import Expectation, Fit
from bbj_desktop.core.release import Variant

TABLES_FORMAT = 1

PROMPT_TOKENS = 2000
"""The prompt for which the time to the first token is told."""

COMPLETION_PROMPT_TOKENS = 1024
"""The prompt of a completion: what Continue sends at most by default (``maxPromptTokens``)."""

Range = tuple[float, float]

GPU_EFFICIENCY: Range = (0.55, 0.85)
"""Share of a GPU's bandwidth that llama.cpp's kernels reach while decoding."""
GPU_BLOCK_S: Range = (150e-6, 60e-6)
"""Seconds that a block's kernels take whatever their size. Together with the efficiency this meets the expectations of
the tier table from an RTX 4060 to an H100."""
GPU_PREFILL_EFFICIENCY: Range = (0.35, 0.9)

CPU_EFFICIENCY: Range = (0.75, 0.9)
CORE_BYTES_PER_S: Range = (6e9, 9e9)
"""Bytes of quantised weights that one core with AVX2 works through in a second while decoding. Measured: 5.9e9 with
SmolLM2 Q8_0 on one thread (41 tokens/s); repacked 4-bit weights do better."""
CORE_OPERATIONS_PER_S: Range = (40e9, 90e9)
"""Operations of one core with AVX2 while prefilling. Measured: 54e9 to 66e9 with SmolLM2 Q8_0 on one thread."""
WITHOUT_AVX2 = 0.4
"""Share of these rates that a core without AVX2 reaches. Unmeasured."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class GpuSpeed(_Data):
    """What a data sheet says about a GPU. It is meant when all words of ``name`` occur in the GPU's name.

    Attributes:
        bandwidth_gb_per_s: Memory bandwidth in 1e9 bytes per second.
        tera_ops_per_s: Dense half-precision matrix throughput in 1e12 operations per second.
    """

    name: str
    bandwidth_gb_per_s: Annotated[float, Field(gt=0)]
    tera_ops_per_s: Annotated[float, Field(gt=0)]


class Defaults(_Data):
    """Ranges for what isn't known by name, in 1e9 bytes per second, on the careful side."""

    cpu_bandwidth_gb_per_s: Range = (30, 50)
    discrete_bandwidth_gb_per_s: Range = (150, 300)
    unified_bandwidth_gb_per_s: Range = (68, 120)
    tera_ops_per_gb_per_s: float = 0.06


class HardwareTables(_Data):
    """Speeds of known hardware (``resources/hardware/bandwidth.json``)."""

    format: int = TABLES_FORMAT
    defaults: Defaults = Defaults()
    gpus: tuple[GpuSpeed, ...] = ()

    def gpu(self, name: str) -> GpuSpeed | None:
        """The entry with the longest matching name."""
        words = set(_words(name))
        matching = [entry for entry in self.gpus if words.issuperset(_words(entry.name))]
        return max(matching, key=lambda entry: len(entry.name), default=None)


def _words(name: str) -> list[str]:
    return name.lower().replace("-", " ").replace("_", " ").split()


def load_tables(text: str | bytes) -> HardwareTables:
    """Reads ``hardware/bandwidth.json``. Raises TooNewError or FormatError."""
    return parse_document(HardwareTables, text, what="hardware table", newest=TABLES_FORMAT)


@dataclass(frozen=True, slots=True)
class _Processor:
    """How fast a GPU or the CPU reads weights and computes: slow and fast end of each."""

    bytes_per_s: Range
    operations_per_s: Range
    block_s: Range
    basis: str


@dataclass(frozen=True, slots=True)
class Speed:
    """Speeds of one placement.

    Attributes:
        tokens_per_s: Decode speed, low and high.
        prefill_tokens_per_s: Prefill speed, low and high.
        basis: Where the numbers come from.
        measured: The decode speed was measured on this machine.
        prefill_measured: So was the prefill speed.
    """

    tokens_per_s: Range
    prefill_tokens_per_s: Range
    basis: str
    measured: bool = False
    prefill_measured: bool = False

    @property
    def typical_tokens_per_s(self) -> float:
        return sum(self.tokens_per_s) / 2

    def ttft_s(self, prompt_tokens: int) -> Range:
        """Seconds to the first token of an answer, short and long; the model is loaded."""
        low, high = self.prefill_tokens_per_s
        return prompt_tokens / high + 1 / self.tokens_per_s[1], prompt_tokens / low + 1 / self.tokens_per_s[0]

    def expectation(self) -> Expectation:
        low, high = self.ttft_s(PROMPT_TOKENS)
        return Expectation(
            tokens_per_s=(round(self.tokens_per_s[0], 1), round(self.tokens_per_s[1], 1)),
            ttft_2000_s=(round(low, 1), round(high, 1)),
            basis=self.basis,
            measured=self.measured,
            prefill_measured=self.prefill_measured,
        )


def speed_of(variant: Variant, fit: Fit, profile: HardwareProfile, tables: HardwareTables) -> Speed:
    """How fast a variant would be where ``fit`` puts it, with half of its context filled, for one conversation.

    Args:
        variant: With the numbers of its architecture.
        fit: Where it would lie.
        profile: The machine.
        tables: Bandwidths of known hardware; what isn't in them is assumed, which the basis says.
    """
    architecture = loaded(variant)
    gpu_share = fit.gpu_layers / architecture.layers
    parts = [(1 - gpu_share, _cpu(profile, tables))] if gpu_share < 1 else []
    if gpu_share > 0 and fit.gpu_index is not None:
        parts.insert(0, (gpu_share, _gpu(profile.gpus[fit.gpu_index], tables)))
    read = architecture.weights_bytes + kv_bytes(architecture, fit.context_length, Graph.LIBRARY) // 2
    operations = 2 * architecture.parameters

    def decode(end: int) -> float:
        seconds = sum(
            share * (read / part.bytes_per_s[end] + architecture.layers * part.block_s[end]) for share, part in parts
        )
        return 1 / seconds

    def prefill(end: int) -> float:
        return 1 / sum(share * operations / part.operations_per_s[end] for share, part in parts)

    return Speed((decode(0), decode(1)), (prefill(0), prefill(1)), "; ".join(part.basis for _, part in parts))


def _scaled(base: Range, factors: Range) -> Range:
    return base[0] * factors[0], base[1] * factors[1]


def _gpu(gpu: Gpu, tables: HardwareTables) -> _Processor:
    known = tables.gpu(gpu.name)
    bandwidth, basis = _gpu_bandwidth(gpu, known, tables.defaults)
    if known is not None:
        operations = known.tera_ops_per_s * 1e12
    else:
        operations = bandwidth[0] * tables.defaults.tera_ops_per_gb_per_s * 1e3
    return _Processor(
        _scaled(bandwidth, GPU_EFFICIENCY),
        _scaled((operations, operations), GPU_PREFILL_EFFICIENCY),
        GPU_BLOCK_S,
        f"{gpu.name}: {basis}",
    )


def _gpu_bandwidth(gpu: Gpu, known: GpuSpeed | None, defaults: Defaults) -> tuple[Range, str]:
    if gpu.bandwidth_bytes_per_s:
        rate = gpu.bandwidth_bytes_per_s
        return (rate, rate), f"{rate / 1e9:.0f} GB/s as its driver says"
    if known is not None:
        rate = known.bandwidth_gb_per_s * 1e9
        return (rate, rate), f"{known.bandwidth_gb_per_s:.0f} GB/s by its data sheet"
    unified = gpu.kind is GpuKind.UNIFIED
    low, high = defaults.unified_bandwidth_gb_per_s if unified else defaults.discrete_bandwidth_gb_per_s
    return (low * 1e9, high * 1e9), f"not in our table, assumed {low:.0f}-{high:.0f} GB/s"


def _cpu(profile: HardwareProfile, tables: HardwareTables) -> _Processor:
    cores = usable_cores(profile)
    factor = WITHOUT_AVX2 if profile.os.architecture == "x86_64" and profile.cpu.has("avx2") is False else 1.0
    memory, basis = _cpu_bandwidth(profile, tables.defaults)
    reads = _scaled(memory, CPU_EFFICIENCY)
    return _Processor(
        (
            min(reads[0], cores * factor * CORE_BYTES_PER_S[0]),
            min(reads[1], cores * factor * CORE_BYTES_PER_S[1]),
        ),
        _scaled((cores * factor, cores * factor), CORE_OPERATIONS_PER_S),
        (0.0, 0.0),
        f"{cores:g} processor cores, {basis}",
    )


def _cpu_bandwidth(profile: HardwareProfile, defaults: Defaults) -> tuple[Range, str]:
    rate = profile.memory_bandwidth_bytes_per_s
    if rate:
        return (rate, rate), f"{rate / 1e9:.0f} GB/s of memory bandwidth"
    low, high = defaults.cpu_bandwidth_gb_per_s
    return (low * 1e9, high * 1e9), f"memory bandwidth assumed {low:.0f}-{high:.0f} GB/s"


def usable_cores(profile: HardwareProfile) -> float:
    """Physical cores that this process may use; hyper-threads don't decode faster."""
    cpu = profile.cpu
    physical = cpu.physical_cores or max(1, cpu.logical_cores // 2)
    return max(0.5, min(float(physical), cpu.usable_cores))


def measured_speed(estimated: Speed, measured: MeasuredSpeed | None) -> Speed:
    """The measured speed where there is one; its prefill stays estimated where no engine told it.

    Very few answers that were far slower than expected aren't believed yet: the machine may have been busy.
    """
    if measured is None:
        return estimated
    if (
        measured.count + measured.set_aside < BELIEVED
        and measured.tokens_per_s < BUSY_SHARE * estimated.tokens_per_s[0]
    ):
        doubt = f"{measured.text}: so few and so slow that the machine may have been busy"
        return replace(estimated, basis=f"{estimated.basis}; {doubt}")
    return Speed(
        (measured.low, measured.high),
        _prefill(estimated, measured),
        measured.text,
        measured=True,
        prefill_measured=_prefill(estimated, measured) != estimated.prefill_tokens_per_s,
    )


def _prefill(estimated: Speed, measured: MeasuredSpeed) -> Range:
    """The measured one under the same condition."""
    rate = measured.prefill_tokens_per_s
    few = measured.prefill_count < BELIEVED
    if rate is None or (few and rate < BUSY_SHARE * estimated.prefill_tokens_per_s[0]):
        return estimated.prefill_tokens_per_s
    return rate, rate
