"""How much memory a model takes, and where in a machine it would lie.

Weights + KV cache + compute buffer + the process itself, from numbers that the release carries. On the CPU the
formulas are checked against what llama.cpp reports (``benchmarks/fit.py``). Placements on a GPU and splits between a
GPU and main memory are **unmeasured**: they follow from the same numbers and from documented constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bbj_desktop.core.engines import EngineName
from bbj_desktop.core.hardware import Gpu, GpuKind, HardwareProfile
from bbj_desktop.core.recommendation import Fit, MemoryNeed, Placement
from bbj_desktop.core.release import Architecture, FitRow, Variant
from bbj_desktop.core.versions import InstalledVersion

MIB = 2**20
GIB = 2**30

MICRO_BATCH = 512
"""Tokens of a prompt that are computed at once: ``n_ubatch`` of llama.cpp, and Ollama's ``num_batch``."""

KV_ELEMENT_BYTES = 2
"""The KV cache is kept in f16 unless told otherwise."""

CACHE_CELLS = 256
"""llama.cpp rounds the cells of a KV cache up to a multiple of this (``GGML_PAD(…, 256)``)."""

PROCESS_BYTES = 60 * MIB
"""The engine's process without model buffers: code, vocabulary, server. Measured with SmolLM2 (49,152 tokens): 38 MiB
resident beyond the buffers; larger vocabularies take more. Users of llama.cpp's peers report 20 to 60 MiB."""

GPU_CONTEXT_BYTES = 450 * MIB
"""What the driver's context and kernels take of a discrete GPU's memory: 300 to 500 MiB with CUDA. Unmeasured."""

GPU_HOST_BYTES = 500 * MIB
"""Main memory that an engine with a GPU takes besides: driver libraries, pinned buffers. Unmeasured."""

MIN_CONTEXT = 2048
"""No context shorter than this is offered: it wouldn't hold a question with its code."""

MIN_COMPUTE_CAPABILITY = 5.0
"""Oldest NVIDIA generation (Maxwell) that Ollama's CUDA libraries are built for."""


class Graph(StrEnum):
    """How an engine sets up llama.cpp: this decides the compute buffer.

    ``SERVER``: llama.cpp's own server, our embedded engine: flash attention, logits of one token a sequence, KV caches
    of sliding windows cut to the window. ``LIBRARY``: the library's defaults, older versions and Ollama's: attention
    scores kept whole, logits of a whole micro-batch, KV caches at full length. The latter takes more: when in doubt, it
    decides.
    """

    SERVER = "server"
    LIBRARY = "library"


def shorter_contexts(wanted: int) -> Iterator[int]:
    """The wanted length, then half of it again and again, down to the least."""
    length = wanted
    while True:
        yield length
        if length <= MIN_CONTEXT:
            return
        length = max(MIN_CONTEXT, length // 2)


def kv_bytes(architecture: Architecture, context_length: int, graph: Graph = Graph.LIBRARY) -> int:
    """Bytes of the KV cache of one sequence: 2 * layers * KV heads * head dimension * cells * 2 bytes.

    Blocks with a sliding window hold window + micro-batch cells at most, under ``Graph.SERVER`` (llama.cpp,
    ``llama-kv-cache.cpp`` and ``llama-kv-cache-iswa.cpp``).
    """
    cells = _cells(context_length)
    windowed = architecture.sliding_window_layers if graph is Graph.SERVER else 0
    window_cells = min(cells, _cells(architecture.sliding_window + MICRO_BATCH))
    all_cells = (architecture.layers - windowed) * cells + windowed * window_cells
    return 2 * architecture.kv_heads * architecture.head_dim * KV_ELEMENT_BYTES * all_cells


def _cells(tokens: int) -> int:
    return -(-tokens // CACHE_CELLS) * CACHE_CELLS


def compute_bytes(architecture: Architecture, context_length: int, graph: Graph = Graph.LIBRARY) -> int:
    """Bytes of the compute and output buffers of one micro-batch.

    The graph allocator reuses memory, so the largest stage decides (read from llama.cpp's graphs and checked against
    its reports; widths in values of four bytes for each token of the micro-batch):

    * feed-forward: 3 * feed-forward width + 5 * hidden, and the attention mask in f16;
    * scores, without flash attention: heads * context, the mask in f32, 5 * hidden and two KV rows;
    * logits of every token of the micro-batch: the vocabulary, and 3 * hidden.

    The output buffer holds one token's logits.
    """
    a = architecture
    cells = _cells(context_length)
    mask_bytes = MICRO_BATCH * 2 * (cells + _window_mask_cells(a, cells))
    stages = [4 * MICRO_BATCH * (3 * a.feed_forward + 5 * a.hidden) + mask_bytes]
    if graph is Graph.LIBRARY:
        scores = a.heads * cells + 5 * a.hidden + 2 * a.kv_heads * a.head_dim
        stages.append(4 * MICRO_BATCH * scores + 2 * mask_bytes)
        stages.append(4 * MICRO_BATCH * (a.vocabulary + 3 * a.hidden))
    return max(stages) + 4 * a.vocabulary


def _window_mask_cells(architecture: Architecture, cells: int) -> int:
    if not architecture.sliding_window_layers:
        return 0
    return min(cells, _cells(architecture.sliding_window + MICRO_BATCH))


def loaded(variant: Variant) -> Architecture:
    """A variant's numbers as an engine loads it: an adapter's matrices lie beside the weights that they change, as they
    are in its file (``llama-adapter.cpp``: never repacked)."""
    architecture, adapter = variant.architecture, variant.adapter
    if adapter is None:
        return architecture
    more = adapter.weights_bytes
    changes = {
        "weights_bytes": architecture.weights_bytes + more,
        "repeating_weights_bytes": architecture.repeating_weights_bytes + more,
    }
    return architecture.model_copy(update=changes)


def cpu_need(
    variant: Variant, context_length: int, *, graph: Graph = Graph.LIBRARY, concurrency: int = 1, repacked: bool = True
) -> tuple[MemoryNeed, bool]:
    """What a model takes of main memory when it runs on the CPU, and whether the publisher's table was used.

    Args:
        context_length: Tokens, for each conversation.
        concurrency: Conversations at once; each has a KV cache of its own.
        repacked: Whether the CPU gets copies of 4-bit weights in a layout of its own (AVX2, NEON).
    """
    architecture = loaded(variant)
    row = _row_at(variant.fit_table, context_length)
    copies = architecture.repackable_bytes if repacked else 0
    kv = kv_bytes(architecture, context_length, graph)
    compute = compute_bytes(architecture, context_length, graph)
    weights = architecture.weights_bytes
    if row is not None:
        weights = row.weights_bytes + architecture.weights_bytes - variant.architecture.weights_bytes
        if graph is Graph.SERVER:
            kv, compute = row.kv_bytes, row.compute_bytes
    need = MemoryNeed(
        weights_bytes=weights + copies,
        kv_bytes=kv * concurrency,
        compute_bytes=compute,
        overhead_bytes=PROCESS_BYTES,
        reclaimable_bytes=copies,
    )
    return need, row is not None


def _row_at(table: Sequence[FitRow], context_length: int) -> FitRow | None:
    """The table's row at a context length: recorded, or on the straight line through the two nearest ones (every part
    is a constant plus something proportional to the context, apart from rounding). None when the table is too short."""
    rows = sorted(table, key=lambda row: row.context_length)
    exact = next((row for row in rows if row.context_length == context_length), None)
    if exact is not None or len(rows) < 2:  # noqa: PLR2004 - a line needs two points
        return exact
    above = next((i for i, row in enumerate(rows) if row.context_length > context_length), len(rows) - 1)
    low, high = rows[max(0, above - 1)], rows[max(1, above)]
    share = (context_length - low.context_length) / (high.context_length - low.context_length)

    def between(first: int, second: int) -> int:
        return max(0, round(first + (second - first) * share))

    return FitRow(
        context_length=context_length,
        weights_bytes=max(low.weights_bytes, high.weights_bytes),
        kv_bytes=between(low.kv_bytes, high.kv_bytes),
        compute_bytes=between(low.compute_bytes, high.compute_bytes),
    )


@dataclass(frozen=True, slots=True)
class Budget:
    """Memory that models may take on a machine, once other programs are closed.

    Attributes:
        ram_bytes: Of main memory.
        vram_bytes: Of each GPU, by its position in the profile; 0 for one that can't be used.
        unified: GPU memory and main memory are the same.
    """

    ram_bytes: int
    vram_bytes: tuple[int, ...]
    unified: bool = False

    @classmethod
    def of(cls, profile: HardwareProfile, accelerators: frozenset[str] | None) -> Budget:
        vram = tuple(_gpu_capacity(profile, gpu) if usable(gpu, accelerators) else 0 for gpu in profile.gpus)
        kinds = {gpu.kind for gpu, room in zip(profile.gpus, vram, strict=True) if room}
        return cls(ram_capacity(profile), vram, unified=GpuKind.UNIFIED in kinds)

    def with_graphics(self, limit_bytes: int) -> Budget:
        """With no more graphics memory for models than this over all cards, beside each card's own context; as much of
        it as possible on the roomiest card."""
        left, room = limit_bytes, [0] * len(self.vram_bytes)
        for index in sorted(range(len(room)), key=lambda i: (-self.vram_bytes[i], i)):
            room[index] = min(self.vram_bytes[index], left + GPU_CONTEXT_BYTES) if left > 0 else 0
            left -= max(0, room[index] - GPU_CONTEXT_BYTES)
        return replace(self, vram_bytes=tuple(room))

    def less(self, fit: Fit) -> Budget:
        """What is left beside a model."""
        ram = self.ram_bytes - fit.ram.needed_bytes
        if fit.placement is Placement.UNIFIED:
            return replace(self, ram_bytes=ram, vram_bytes=tuple(v - fit.ram.needed_bytes for v in self.vram_bytes))
        vram = list(self.vram_bytes)
        left = fit.vram.needed_bytes if fit.vram is not None else 0
        first = fit.gpu_index if fit.gpu_index is not None else 0
        for index in sorted(range(len(vram)), key=lambda i: (i != first, i)):
            taken = max(0, min(left, vram[index]))
            vram[index] -= taken
            left -= taken
        return replace(self, ram_bytes=ram, vram_bytes=tuple(vram))


def usable(gpu: Gpu, accelerators: frozenset[str] | None) -> bool:
    """Whether an engine that knows these vendors (None: all of them) can run a model on a GPU."""
    if accelerators is not None and gpu.vendor not in accelerators:
        return False
    if gpu.kind is GpuKind.INTEGRATED or not (gpu.vram_total_bytes or gpu.kind is GpuKind.UNIFIED):
        return False
    return not too_old(gpu)


def too_old(gpu: Gpu) -> bool:
    """Whether an NVIDIA GPU is of a generation that no engine supports any more."""
    try:
        return gpu.compute_capability is not None and float(gpu.compute_capability) < MIN_COMPUTE_CAPABILITY
    except ValueError:
        return False


def ram_capacity(profile: HardwareProfile) -> int:
    """Main memory that models may take: all of it less what the system itself keeps: 2 GiB with a desktop (Windows,
    macOS), 1 GiB on Linux, 256 MiB inside a container's limit. Never less than half."""
    total = profile.memory.total_bytes
    if profile.memory.limited_by is not None:
        reserve = 256 * MIB
    else:
        reserve = 2 * GIB if profile.os.family in ("windows", "macos") else GIB
    return max(total - reserve, total // 2)


def _gpu_capacity(profile: HardwareProfile, gpu: Gpu) -> int:
    """A GPU's memory less 4 % that the driver keeps; of unified memory what the system lets the GPU take (two thirds
    unless told: Metal's ``recommendedMaxWorkingSetSize``)."""
    if gpu.kind is GpuKind.UNIFIED:
        limit = gpu.vram_total_bytes or profile.memory.total_bytes * 2 // 3
        return min(limit, ram_capacity(profile))
    return int((gpu.vram_total_bytes or 0) * 0.96)


def estimate(
    variant: Variant,
    profile: HardwareProfile,
    *,
    context_length: int,
    accelerators: frozenset[str] | None,
    concurrency: int = 1,
    graph: Graph = Graph.LIBRARY,
    budget: Budget | None = None,
    correction: float = 1.0,
) -> Fit:
    """Where a variant would lie: on a GPU if it fits there whole, else split between GPU and main memory, else on the
    CPU.

    Args:
        context_length: Tokens, for each conversation.
        accelerators: Vendors whose GPUs the engine can use; empty for none, None when it isn't known (all).
        concurrency: Conversations at once.
        graph: How the engine sets up llama.cpp.
        budget: What other models have left; None for the whole machine.
        correction: How much more than predicted models were measured to take on this machine, as a factor. What is
            added counts as compute buffers: it is there wherever the model computes.

    Returns:
        The first placement that fits, or the CPU's with what is missing there.
    """
    room = budget or Budget.of(profile, accelerators)
    need, measured = cpu_need(
        variant, context_length, graph=graph, concurrency=concurrency, repacked=profile.cpu.has("avx2") is not False
    )
    more = round((correction - 1) * need.needed_bytes)
    need = need.model_copy(update={"compute_bytes": need.compute_bytes + more})
    machine = _Machine(profile, room, loaded(variant), context_length, measured)
    for fit in (machine.unified(need), machine.whole_gpu(need), machine.split(need)):
        if fit is not None and fit.fits:
            return fit
    return machine.cpu(need)


@dataclass(frozen=True, slots=True)
class _Machine:
    """Lays one need out in one machine."""

    profile: HardwareProfile
    room: Budget
    architecture: Architecture
    context_length: int
    measured: bool

    def cpu(self, need: MemoryNeed) -> Fit:
        short = max(0, need.needed_bytes - self.room.ram_bytes)
        return self._fit(Placement.CPU, need, short=short)

    def unified(self, need: MemoryNeed) -> Fit | None:
        if not self.room.unified:
            return None
        whole = _on_gpu(need, GPU_HOST_BYTES // 2)  # Metal: no second context, some buffers of the driver
        index = max(range(len(self.room.vram_bytes)), key=lambda i: self.room.vram_bytes[i])
        short = max(0, whole.needed_bytes - min(self.room.vram_bytes[index], self.room.ram_bytes))
        return self._fit(Placement.UNIFIED, whole, gpu=index, layers=self.architecture.layers, short=short)

    def whole_gpu(self, need: MemoryNeed) -> Fit | None:
        """On one GPU, the roomiest first, else over all GPUs of a maker (each has a context and a compute buffer)."""
        host = MemoryNeed(overhead_bytes=PROCESS_BYTES + GPU_HOST_BYTES, compute_bytes=4 * self.architecture.vocabulary)
        if host.needed_bytes > self.room.ram_bytes:
            return None
        for group in self._groups():
            rest = len(group) - 1
            vram = _on_gpu(need, GPU_CONTEXT_BYTES * len(group), more_compute=need.compute_bytes * rest)
            spare = self.architecture.repeating_weights_bytes // self.architecture.layers * rest  # blocks aren't cut
            if vram.needed_bytes + spare <= sum(self.room.vram_bytes[i] for i in group):
                return self._fit(Placement.GPU, host, vram=vram, gpu=group[0], layers=self.architecture.layers)
        return None

    def split(self, need: MemoryNeed) -> Fit | None:
        """As many blocks as fit on the GPU with the most room; embeddings and output stay in main memory."""
        groups = self._groups()
        if not groups:
            return None
        index = groups[0][0]
        a = self.architecture
        block = a.repeating_weights_bytes // a.layers
        block_kv = need.kv_bytes // a.layers
        free = self.room.vram_bytes[index] - GPU_CONTEXT_BYTES - need.compute_bytes
        layers = min(a.layers - 1, free // max(1, block + block_kv))
        if layers < 1:
            return None
        vram = MemoryNeed(
            weights_bytes=block * layers,
            kv_bytes=block_kv * layers,
            compute_bytes=need.compute_bytes,
            overhead_bytes=GPU_CONTEXT_BYTES,
        )
        ram = MemoryNeed(
            weights_bytes=need.weights_bytes - need.reclaimable_bytes - vram.weights_bytes,
            kv_bytes=need.kv_bytes - vram.kv_bytes,
            compute_bytes=need.compute_bytes,
            overhead_bytes=PROCESS_BYTES + GPU_HOST_BYTES,
        )
        short = max(0, ram.needed_bytes - self.room.ram_bytes)
        return self._fit(Placement.SPLIT, ram, vram=vram, gpu=index, layers=layers, short=short)

    def _groups(self) -> list[tuple[int, ...]]:
        """Every usable GPU alone, the one with the most room first, then all GPUs of one maker together."""
        room = self.room.vram_bytes
        usable_ones = [i for i, gpu in enumerate(self.profile.gpus) if room[i] > 0 and gpu.kind is GpuKind.DISCRETE]
        singles = [(i,) for i in sorted(usable_ones, key=lambda i: (-room[i], i))]
        vendors = sorted({self.profile.gpus[i].vendor for i in usable_ones})
        together = [tuple(i for (i,) in singles if self.profile.gpus[i].vendor == vendor) for vendor in vendors]
        return singles + [group for group in together if len(group) > 1]

    def _fit(
        self,
        placement: Placement,
        ram: MemoryNeed,
        *,
        vram: MemoryNeed | None = None,
        gpu: int | None = None,
        layers: int = 0,
        short: int = 0,
    ) -> Fit:
        return Fit(
            context_length=self.context_length,
            placement=placement,
            gpu_layers=layers,
            ram=ram,
            vram=vram,
            gpu_index=gpu,
            fits=short == 0,
            short_bytes=short,
            measured=self.measured,
        )


def _on_gpu(need: MemoryNeed, overhead: int, *, more_compute: int = 0) -> MemoryNeed:
    """The same model on a GPU: no copies for the CPU, another overhead."""
    return MemoryNeed(
        weights_bytes=need.weights_bytes - need.reclaimable_bytes,
        kv_bytes=need.kv_bytes,
        compute_bytes=need.compute_bytes + more_compute,
        overhead_bytes=overhead,
    )


def predicted_bytes(version: InstalledVersion, engine: EngineName, context_length: int | None = None) -> int:
    """What a version is expected to take, counted as its engine counts: Ollama leaves its process out.

    Args:
        context_length: Another one than the version's.
    """
    graph = Graph.SERVER if engine == "embedded" else Graph.LIBRARY
    need, _ = cpu_need(version.variant, context_length or version.context_length, graph=graph)
    return need.total_bytes if engine == "embedded" else need.needed_bytes - PROCESS_BYTES
