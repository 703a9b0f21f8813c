"""What llama.cpp itself would allocate for a model, without allocating it.

llama.cpp's server can *fit* a model to a machine's memory before it loads it: it builds model, caches and graphs
without allocating any, and prints what each would take. That is asked for here (``fit_params`` with
``fit_params_print``), in a child process that is ended as soon as the numbers are there, before the weights would be
read. So a model that is larger than this machine's memory can be measured too.

The engine is the embedded one, set up as it is when it runs: CPU, f16 KV cache, micro-batch 512, one sequence. It
prints whole MiB for weights and cache; where the file's own figure lies inside that rounding, it is taken instead.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bbj_desktop.core.errors import EngineCrashedError, EngineMissingError, EngineRefusedError
from bbj_desktop.core.fit import Graph, kv_bytes
from bbj_desktop.core.gguf import architecture_of, read_header
from bbj_desktop.core.release import Architecture, FitRow
from bbj_desktop.services.runtime.fit_child import fit_child_command

TIME_LIMIT_S = 120.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Reported:
    """What llama.cpp printed for one model at one context length, in bytes.

    Attributes:
        weights_bytes: All model buffers: after a load the mapped file and repacked copies, of a fit each tensor once.
        kv_bytes: KV cache.
        compute_bytes: Compute and output buffers.
        buffers: Number of the printed model buffers: each may have been cut to whole MiB.
    """

    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    buffers: int = 1


def record_fit_table(gguf: Path, context_lengths: Sequence[int]) -> tuple[FitRow, ...]:
    """Records the fit table that a release carries.

    Args:
        gguf: The model.
        context_lengths: Tokens; each takes about half a second.

    Raises:
        EngineMissingError: The embedded engine isn't installed.
        EngineRefusedError: It doesn't accept the file.
        EngineCrashedError: It ended, or gave no numbers in time.
        FormatError: The file isn't a model.
    """
    with gguf.open("rb") as stream:
        architecture = architecture_of(read_header(stream), gguf.stat().st_size)
    return tuple(_row(gguf, architecture, length) for length in sorted(set(context_lengths)))


def _row(gguf: Path, architecture: Architecture, context_length: int) -> FitRow:
    fit = parse_fit(_ask(gguf, context_length, "fit"))
    return FitRow(
        context_length=context_length,
        weights_bytes=_unrounded(fit.weights_bytes, architecture.weights_bytes, fit.buffers),
        kv_bytes=_unrounded(fit.kv_bytes, kv_bytes(architecture, context_length, Graph.SERVER), 1),
        compute_bytes=fit.compute_bytes,
    )


def _unrounded(printed: int, exact: int, lines: int) -> int:
    """The exact figure if llama.cpp's, cut to whole MiB on each of its lines, can stand for it; else llama.cpp's."""
    return exact if printed <= exact < printed + (lines + 1) * MIB else printed


def measure_load(gguf: Path, context_length: int) -> Reported:
    """Really loads a model on the CPU, in a child process, and returns what llama.cpp says that it allocated.

    Raises: as ``record_fit_table``.
    """
    return parse_load(_ask(gguf, context_length, "load"))


def _ask(gguf: Path, context_length: int, mode: str) -> list[str]:
    """Runs the child until it has said what is wanted; returns its lines."""
    command = [*fit_child_command(), str(gguf), str(context_length), mode]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8",
        errors="replace",
    ) as child:  # fmt: skip
        timer = threading.Timer(TIME_LIMIT_S, child.kill)
        timer.start()
        try:
            lines, complete = _lines_until(child.stderr or (), _END[mode])
        finally:
            timer.cancel()
            child.kill()
    if not complete:
        _explain(gguf, lines)
    return lines


_END = {"fit": "fitting params to free memory took", "load": "LOADED"}


def _lines_until(stream: Iterable[str], end: str) -> tuple[list[str], bool]:
    lines = []
    for line in stream:
        lines.append(line.rstrip())
        if end in line:
            return lines, True
    return lines, False


def _explain(gguf: Path, lines: Sequence[str]) -> NoReturn:
    if any("No module named 'xllamacpp'" in line for line in lines):
        raise EngineMissingError(
            "The embedded engine isn't installed.", hint="Install BBj Desktop with its extra: bbj-desktop[embedded]."
        )
    refusal = next((line for line in lines if "error loading model" in line or "failed to load model" in line), None)
    if refusal is not None:
        raise EngineRefusedError(f"llama.cpp doesn't load {gguf.name}: {refusal[-200:]}")
    last = lines[-1][-200:] if lines else "no output"
    raise EngineCrashedError(f"llama.cpp ended without numbers for {gguf.name}: {last}")


_BREAKDOWN = re.compile(r"\|\s+- \S+[^|]*\|\s*\d+ =\s+(\d+) \+\s+(\d+) \+\s+(\d+)\s*\|")
_BUFFER = re.compile(r"\b(model|output|KV|compute) buffer size =\s+([\d.]+) MiB")


def parse_fit(lines: Iterable[str]) -> Reported:
    """Reads a fit's output: the memory breakdown, and the compute and output buffers with their fractions.

    Raises:
        EngineCrashedError: The numbers aren't there: another version of llama.cpp prints them differently.
    """
    text = list(lines)
    rows = [tuple(int(number) * MIB for number in match.groups()) for match in map(_BREAKDOWN.search, text) if match]
    if not rows:
        raise EngineCrashedError("llama.cpp's fit printed no memory breakdown.", hint="Use the engine version pinned.")
    parts = _buffers(text)
    return Reported(
        weights_bytes=sum(row[0] for row in rows),
        kv_bytes=sum(row[1] for row in rows),
        compute_bytes=_sum(parts, "compute", "output") or sum(row[2] for row in rows),
        buffers=len(rows),
    )


def parse_load(lines: Iterable[str]) -> Reported:
    """Reads the ``… buffer size = … MiB`` lines of a load.

    Raises:
        EngineCrashedError: They aren't there.
    """
    parts = _buffers(lines)
    if not any(kind == "model" for kind, _ in parts):
        raise EngineCrashedError("llama.cpp's log names no model buffer.", hint="Use the engine version pinned.")
    return Reported(_sum(parts, "model"), _sum(parts, "KV"), _sum(parts, "compute", "output"))


def _buffers(lines: Iterable[str]) -> list[tuple[str, int]]:
    return [(match[1], round(float(match[2]) * MIB)) for match in map(_BUFFER.search, lines) if match]


def _sum(parts: Iterable[tuple[str, int]], *kinds: str) -> int:
    return sum(size for kind, size in parts if kind in kinds)
